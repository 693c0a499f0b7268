"""Play life cycles: fresh payments, the webhooks of their lives in order, and how each must end."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sandbox.conekta import flows as conekta_flows
from sandbox.conekta import objects as conekta_objects
from sandbox.conekta import webhooks as conekta_webhooks
from sandbox.identity import Identity
from sandbox.payment import Expected, Flow, Played, Sign, SimulatedPayment, Step, Webhook, apply_step
from sandbox.stp import flows as stp_flows
from sandbox.stp import objects as stp_objects
from sandbox.stp import webhooks as stp_webhooks
from sandbox.stripe import flows as stripe_flows
from sandbox.stripe import objects as stripe_objects
from sandbox.stripe import webhooks as stripe_webhooks


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

    Events of one payment lie 2 to 30 s apart on the PSP's clock. Raises UnknownFlow.
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
        at += pause
        apply_step(payment, step, at)
        event_key, body = simulator.build(payment, step, at, names)
        webhooks.append(Webhook(psp, event_key, step.event, payment.id, at, body))
    return Played(name, payment, tuple(webhooks), _expect(payment, flow))


def _expect(payment: SimulatedPayment, flow: Flow) -> Expected | None:
    if flow.final is None:
        return None
    return Expected(payment.psp, payment.id, flow.final.value, payment.received_minor, payment.refunded_minor)


def play_mixture(count: int, psps: Sequence[str], names: Identity, now: int) -> list[Played]:
    """Life cycles of many payments, PSP by PSP in turn, with exactly `count` webhooks together."""
    played: list[Played] = []
    left = count
    while left > 0:
        psp = psps[len(played) % len(psps)]
        fitting = [name for name, flow in SIMULATORS[psp].flows.items() if len(flow.steps) <= left]
        played.append(play_flow(names.shape.choice(fitting), names, now, psp))
        left -= len(played[-1].webhooks)
    return played


def in_order_of_time(played: Iterable[Played]) -> list[Webhook]:
    """All webhooks as their PSPs would first send them."""
    return sorted((webhook for life in played for webhook in life.webhooks), key=lambda webhook: webhook.occurred_at)
