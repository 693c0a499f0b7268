"""Everything the simulated PSPs remember while the service runs. In memory; gone when it stops."""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from sandbox.api_faults import ApiFaults
from sandbox.cep.switches import CepSwitches
from sandbox.effects import Effect, EffectLog
from sandbox.identity import Identity
from sandbox.keys import Keys
from sandbox.merchant_inbox import MerchantInbox
from sandbox.payment import Expected, Played, SimulatedPayment


@dataclass(frozen=True, slots=True)
class StoredReply:
    """The first answer to an idempotency key; `status` 0 while the first call is still running."""

    fingerprint: str
    status: int = 0
    body: bytes = b""


@dataclass(slots=True)
class SandboxState:
    """Take `lock` around every use of the dictionaries and of `names`."""

    keys: Keys
    names: Identity
    target: str
    payments: dict[str, dict[str, SimulatedPayment]] = field(default_factory=dict)  # psp -> payment id -> payment
    replies: dict[str, StoredReply] = field(default_factory=dict)
    expected: dict[tuple[str, str], Expected] = field(default_factory=dict)
    effects: EffectLog = field(default_factory=EffectLog)
    api_faults: ApiFaults = field(default_factory=ApiFaults)
    inbox: MerchantInbox = field(default_factory=MerchantInbox)
    cep: CepSwitches = field(default_factory=CepSwitches)
    # So many of the next changes at Stripe answer 500, kept under their key: every second one after its effect.
    stripe_stored_errors: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def add(self, payment: SimulatedPayment) -> None:
        self.payments.setdefault(payment.psp, {})[payment.id] = payment

    def record_effect(
        self,
        payment: SimulatedPayment,
        operation: str,
        key: str,
        psp_id: str | None = None,
        amount_minor: int | None = None,
        currency: str = "MXN",
    ) -> None:
        """Write down that something happened to `payment`: `create`, `refund` (of `amount_minor`) or `cancel`."""
        amount = payment.amount_minor if amount_minor is None else amount_minor
        made = psp_id or payment.id
        self.effects.record(Effect(payment.psp, operation, key, made, payment.id, amount, currency, time.time()))

    def find(self, psp: str, payment_id: str) -> SimulatedPayment | None:
        return self.payments.get(psp, {}).get(payment_id)

    def newest_first(self, psp: str) -> list[SimulatedPayment]:
        """All payments of `psp`, the latest created first."""
        return sorted(self.payments.get(psp, {}).values(), key=lambda payment: payment.created)[::-1]

    def remember(self, played: Iterable[Played]) -> None:
        for life in played:
            self.add(life.payment)
            if life.expected:
                self.expected[life.payment.psp, life.payment.id] = life.expected


def new_state(keys: Keys, target: str, seed: int) -> SandboxState:
    return SandboxState(keys=keys, names=Identity(seed, int(time.time())), target=target)
