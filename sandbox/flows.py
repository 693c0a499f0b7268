"""Play life cycles: fresh payments, the webhooks of their lives in order, and how each must end."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from sandbox.bitso import flows as bitso_flows
from sandbox.bitso import objects as bitso_objects
from sandbox.bitso import webhooks as bitso_webhooks
from sandbox.conekta import flows as conekta_flows
from sandbox.conekta import objects as conekta_objects
from sandbox.conekta import webhooks as conekta_webhooks
from sandbox.identity import Identity
from sandbox.mercadopago import flows as mercadopago_flows
from sandbox.mercadopago import objects as mercadopago_objects
from sandbox.mercadopago import webhooks as mercadopago_webhooks
from sandbox.moonpay import flows as moonpay_flows
from sandbox.moonpay import objects as moonpay_objects
from sandbox.moonpay import webhooks as moonpay_webhooks
from sandbox.openpay import flows as openpay_flows
from sandbox.openpay import objects as openpay_objects
from sandbox.openpay import webhooks as openpay_webhooks
from sandbox.payment import Expected, Flow, Played, Sign, SimulatedPayment, Step, Webhook, apply_step
from sandbox.stp import flows as stp_flows
from sandbox.stp import objects as stp_objects
from sandbox.stp import webhooks as stp_webhooks
from sandbox.stripe import flows as stripe_flows
from sandbox.stripe import objects as stripe_objects
from sandbox.stripe import webhooks as stripe_webhooks
from sandbox.transak import flows as transak_flows
from sandbox.transak import objects as transak_objects
from sandbox.transak import webhooks as transak_webhooks


def _no_query(body: bytes) -> str:
    return ""


def _keep(body: bytes, keys: Mapping[str, Any], sent_at: int) -> bytes:
    return body


class UnknownFlow(Exception):
    """No such life cycle, or this PSP does not have it. The message names those there are."""


@dataclass(frozen=True, slots=True)
class Simulator:
    """What one simulated PSP does. Adding a PSP is its folder and one entry here."""

    flows: dict[str, Flow]
    new_payment: Callable[..., SimulatedPayment]
    build: Callable[[SimulatedPayment, Step, int, Identity], tuple[str, bytes]]
    sign: Sign
    send_again: Callable[[bytes, int], bytes]
    spoil: Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes]]
    make_query: Callable[[bytes], str] = _no_query  # of the address, by the body that is sent to it
    seal: Callable[[bytes, Mapping[str, Any], int], bytes] = _keep  # what is sent of a body that is signed from inside


SIMULATORS: dict[str, Simulator] = {
    "stripe": Simulator(
        stripe_flows.FLOWS,
        stripe_objects.new_payment,
        stripe_webhooks.build,
        stripe_webhooks.sign,
        stripe_webhooks.send_again,
        stripe_webhooks.spoil,
    ),
    "conekta": Simulator(
        conekta_flows.FLOWS,
        conekta_objects.new_payment,
        conekta_webhooks.build,
        conekta_webhooks.sign,
        conekta_webhooks.send_again,
        conekta_webhooks.spoil,
    ),
    "stp": Simulator(
        stp_flows.FLOWS,
        stp_objects.new_payment,
        stp_webhooks.build,
        stp_webhooks.sign,
        stp_webhooks.send_again,
        stp_webhooks.spoil,
    ),
    "mercadopago": Simulator(
        mercadopago_flows.FLOWS,
        mercadopago_objects.new_payment,
        mercadopago_webhooks.build,
        mercadopago_webhooks.sign,
        mercadopago_webhooks.send_again,
        mercadopago_webhooks.spoil,
        mercadopago_webhooks.make_query,
    ),
    "openpay": Simulator(
        openpay_flows.FLOWS,
        openpay_objects.new_payment,
        openpay_webhooks.build,
        openpay_webhooks.sign,
        openpay_webhooks.send_again,
        openpay_webhooks.spoil,
    ),
    "moonpay": Simulator(
        moonpay_flows.FLOWS,
        moonpay_objects.new_payment,
        moonpay_webhooks.build,
        moonpay_webhooks.sign,
        moonpay_webhooks.send_again,
        moonpay_webhooks.spoil,
    ),
    "transak": Simulator(
        transak_flows.FLOWS,
        transak_objects.new_payment,
        transak_webhooks.build,
        transak_webhooks.sign,
        transak_webhooks.send_again,
        transak_webhooks.spoil,
        seal=transak_webhooks.seal,
    ),
    "bitso": Simulator(
        bitso_flows.FLOWS,
        bitso_objects.new_payment,
        bitso_webhooks.build,
        bitso_webhooks.sign,
        bitso_webhooks.send_again,
        bitso_webhooks.spoil,
    ),
}


def list_flows() -> dict[str, list[str]]:
    """Flow name -> the PSPs that have it."""
    names = sorted({name for simulator in SIMULATORS.values() for name in simulator.flows})
    return {name: [psp for psp, simulator in SIMULATORS.items() if name in simulator.flows] for name in names}


def find_flow(name: str, psp: str | None = None) -> tuple[str, Flow]:
    """The PSP and the flow called `name`: of `psp`, or of the first PSP that has it. Raises UnknownFlow."""
    if psp is not None and psp not in SIMULATORS:
        raise UnknownFlow(f"the sandbox has no PSP {psp!r}; it has {', '.join(SIMULATORS)}")
    for candidate in [psp] if psp else SIMULATORS:
        if name in SIMULATORS[candidate].flows:
            return candidate, SIMULATORS[candidate].flows[name]
    known = SIMULATORS[psp].flows if psp else list_flows()
    raise UnknownFlow(f"no flow {name!r}{f' for {psp}' if psp else ''}; there are {', '.join(sorted(known))}")


def play_flow(
    name: str, names: Identity, now: int, psp: str | None = None, payment: SimulatedPayment | None = None
) -> Played:
    """The life cycle `name` of a fresh payment (or of `payment`, made before), with its last event at about `now`.

    Events of one payment lie 2 to 30 s apart on the PSP's clock, closer where it was made a moment ago: none lies in the
    future. Raises UnknownFlow.
    """
    psp, flow = find_flow(name, psp)
    if payment is not None and payment.instrument != flow.instrument:
        raise UnknownFlow(f"{name} is a flow of {flow.instrument}, and {payment.id} is paid by {payment.instrument}")
    simulator = SIMULATORS[psp]
    pauses = [names.shape.randint(2, 30) for _ in flow.steps]
    at = now - sum(pauses) if payment is None else max(payment.updated, now - sum(pauses))
    payment = payment or simulator.new_payment(names, flow.instrument, at)
    webhooks = []
    for step, pause in zip(flow.steps, pauses, strict=True):
        at = min(at + pause, max(at, now))
        apply_step(payment, step, at)
        event_key, body = simulator.build(payment, step, at, names)
        webhooks.append(Webhook(psp, event_key, step.event, payment.id, at, body, simulator.make_query(body)))
    return Played(name, payment, tuple(webhooks), _expect(payment, flow))


def _expect(payment: SimulatedPayment, flow: Flow) -> Expected | None:
    if flow.final is None:
        return None
    return Expected(payment.psp, payment.id, flow.final.value, payment.received_minor, payment.refunded_minor)


def play_mixture(count: int, psps: Sequence[str], names: Identity, now: int) -> list[Played]:
    """Life cycles of many payments, PSP by PSP in turn, with exactly `count` webhooks together.

    Raises ValueError where no life cycle of these PSPs is short enough for what is left.
    """
    played: list[Played] = []
    left, turns = count, cycle(psps)
    while left > 0:
        fitting = {psp: _find_flows(psp, most_steps=left) for psp in psps}
        if not any(fitting.values()):
            raise ValueError(f"no life cycle of {', '.join(psps)} has {left} steps or fewer")
        psp = next(psp for psp in turns if fitting[psp])
        played.append(play_flow(names.shape.choice(fitting[psp]), names, now, psp))
        left -= len(played[-1].webhooks)
    return played


def _find_flows(psp: str, most_steps: int) -> list[str]:
    return [name for name, flow in SIMULATORS[psp].flows.items() if len(flow.steps) <= most_steps]


def in_order_of_time(played: Iterable[Played]) -> list[Webhook]:
    """All webhooks as their PSPs would first send them."""
    return sorted((webhook for life in played for webhook in life.webhooks), key=lambda webhook: webhook.occurred_at)
