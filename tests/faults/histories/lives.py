"""Payments at simulated PSPs that live one step at a time, whenever somebody lets them."""

from dataclasses import dataclass, field

from models.states import PaymentState
from sandbox.flows import SIMULATORS
from sandbox.payment import Flow, SimulatedPayment, Webhook, apply_step
from sandbox.state import SandboxState

PLAYED = ("stripe", "conekta", "mercadopago")
FLOWS = [(psp, name) for psp in PLAYED for name, flow in SIMULATORS[psp].flows.items() if flow.final is not None]


@dataclass
class Life:
    """One payment; `told` are the webhooks of the steps that are behind it."""

    psp: str
    flow: Flow
    payment: SimulatedPayment
    told: list[Webhook] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str]:
        return self.psp, self.payment.id

    @property
    def is_over(self) -> bool:
        return len(self.told) == len(self.flow.steps)

    @property
    def end(self) -> tuple[PaymentState, int, int]:
        """What the PSP says of it when it is over."""
        assert self.is_over and self.flow.final is not None
        return self.flow.final, self.payment.received_minor, self.payment.refunded_minor

    def go_on(self, sandbox: SandboxState, at: int) -> Webhook:
        """Its next step, at a unix second that is later than those of all the steps before."""
        simulator, step = SIMULATORS[self.psp], self.flow.steps[len(self.told)]
        with sandbox.lock:
            apply_step(self.payment, step, at)
            event_key, body = simulator.build(self.payment, step, at, sandbox.names)
            sandbox.add(self.payment)
        query = simulator.make_query(body)
        self.told.append(Webhook(self.psp, event_key, step.event, self.payment.id, at, body, query))
        return self.told[-1]


def begin_life(sandbox: SandboxState, psp: str, name: str, at: int) -> Life:
    """A fresh payment that the PSP knows, and nobody was told about yet."""
    flow = SIMULATORS[psp].flows[name]
    with sandbox.lock:
        return Life(psp, flow, SIMULATORS[psp].new_payment(sandbox.names, flow.instrument, at))
