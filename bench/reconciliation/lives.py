"""Payments at simulated PSPs whose beginnings lie where we want them: close to the moments at which a day ends.

A life is told up to a step; what is left of it may be lived silently later, when no webhook tells it.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from models.states import PaymentState as S
from sandbox.flows import SIMULATORS
from sandbox.identity import Identity
from sandbox.payment import Flow, SimulatedPayment, Step, Webhook, apply_step
from schedules.calendar.banking import BankingCalendar
from schedules.calendar.days import ONE_DAY, civil_day, civil_interval

STP = "stp"
NEAR = timedelta(minutes=4)  # of the end of a day, on either side
SHARE_NEAR, SHARE_UNFINISHED = 0.5, 0.15
# (flow, steps that are told, where the payment stands then): what is told of a life may not be all of it.
UNFINISHED: dict[str, tuple[tuple[str, int, S], ...]] = {
    "stripe": (
        ("oxxo.paid", 2, S.PENDING),
        ("oxxo.expired", 2, S.PENDING),
        ("card.authorized_then_canceled", 2, S.PROCESSING),
        ("card.refunded", 4, S.COMPLETED),
        ("oxxo.paid_late", 3, S.EXPIRED),
    ),
    "conekta": (
        ("oxxo.paid", 2, S.PENDING),
        ("oxxo.expired", 2, S.PENDING),
        ("card.refunded", 3, S.COMPLETED),
        ("cash.reversed", 3, S.COMPLETED),
    ),
    "stp": (("spei.payout_returned", 1, S.COMPLETED),),
    "mercadopago": (
        ("oxxo.paid", 1, S.PENDING),
        ("spei.expired", 1, S.PENDING),
        ("card.reviewed_then_paid", 1, S.PROCESSING),
        ("card.refunded", 2, S.COMPLETED),
    ),
    "openpay": (
        ("oxxo.paid", 1, S.PENDING),
        ("spei.expired", 1, S.PENDING),
        ("card.refunded", 1, S.COMPLETED),
    ),
    "moonpay": (("crypto.bought", 1, S.PENDING), ("crypto.bought", 2, S.PROCESSING), ("crypto.expired", 1, S.PENDING)),
    "transak": (("crypto.bought", 1, S.PENDING), ("crypto.bought", 4, S.PROCESSING), ("crypto.expired", 1, S.PENDING)),
    "bitso": (
        ("spei.paid", 1, S.PENDING),
        ("spei.expired", 1, S.PENDING),
        ("spei.payout_settled", 2, S.PROCESSING),
        ("spei.payout_returned", 2, S.COMPLETED),
    ),
}
MAY_STAY_OPEN_DAYS = 1  # nothing that the PSP would have let run out by now is still open there


@dataclass
class Life:
    """One payment as its PSP has it, the webhooks that tell it, and the steps that nothing tells yet."""

    flow: str
    payment: SimulatedPayment
    state: S | None  # None: the messages make no payment of ours
    final: S | None
    left: tuple[Step, ...]
    day: date
    webhooks: tuple[Webhook, ...] = ()
    heard: list[Webhook] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str]:
        return self.payment.psp, self.payment.id

    @property
    def received_minor(self) -> int:
        """What the PSP says that has come. A payout of STP's is settled whole."""
        is_settled = self.payment.instrument == "payout" and self.payment.status == "LQ"
        return self.payment.amount_minor if is_settled else self.payment.received_minor

    @property
    def is_near_day_end(self) -> bool:
        """Whether it was made within minutes of 18:00 or midnight in Mexico City."""
        at = datetime.fromtimestamp(self.payment.created, UTC)
        return any(abs(at - end) <= NEAR for end in _list_day_ends(at - ONE_DAY, at + ONE_DAY))

    @property
    def is_clean(self) -> bool:
        """Whether we were told everything so far."""
        return len(self.heard) == len(self.webhooks)


@dataclass(frozen=True)
class Days:
    """The account days of a run: those of SPEI where banks work, and those of Mexico City; each the latest last."""

    operating: tuple[date, ...]
    civil: tuple[date, ...]
    calendar: BankingCalendar

    @classmethod
    def before(cls, now: datetime, count: int, calendar: BankingCalendar) -> "Days":
        """The last `count` of either that were over a day ago."""
        last = civil_day(now) - 2 * ONE_DAY
        operating = [calendar.previous_banking_day(last + ONE_DAY)]
        while len(operating) < count:
            operating.append(calendar.previous_banking_day(operating[-1]))
        return cls(tuple(operating[::-1]), tuple(last - n * ONE_DAY for n in reversed(range(count))), calendar)

    def list(self, psp: str) -> tuple[date, ...]:
        return self.operating if psp == STP else self.civil

    def find(self, psp: str, at: datetime) -> date:
        """The account day of a payment that is made then."""
        return self.calendar.find_operating_day(at) if psp == STP else civil_day(at)

    def interval(self, psp: str, day: date) -> tuple[datetime, datetime]:
        return self.calendar.operating_interval(day) if psp == STP else civil_interval(day)


class Player:
    """Makes lives. The same seed makes the same shapes."""

    def __init__(self, names: Identity, days: Days, seed: int) -> None:
        self.names, self.days, self.chance = names, days, random.Random(f"planting/{seed}")
        self._amounts: dict[str, set[int]] = {}

    def play(self, psp: str, flow: str | None = None, told: int | None = None) -> Life:
        """A life of any flow, or of this one up to this step."""
        simulator = SIMULATORS[psp]
        state = None
        if flow is None:
            flow, told, state = self._choose(psp)
        whole: Flow = simulator.flows[flow]
        at = self._choose_moment(psp, is_recent=state in (S.PENDING, S.PROCESSING))
        payment = simulator.new_payment(self.names, whole.instrument, at, self._choose_amount(psp))
        steps = whole.steps[:told]
        webhooks = tuple(self.tell(payment, step, at := at + self.chance.randint(2, 30)) for step in steps)
        day = self.days.find(psp, datetime.fromtimestamp(payment.created, UTC))
        left = whole.steps[len(steps) :]
        return Life(flow, payment, state or whole.final, whole.final, left, day, webhooks)

    def tell(self, payment: SimulatedPayment, step: Step, at: int) -> Webhook:
        """One step of a payment, and what its PSP says about it."""
        simulator = SIMULATORS[payment.psp]
        apply_step(payment, step, at)
        event_key, body = simulator.build(payment, step, at, self.names)
        return Webhook(payment.psp, event_key, step.event, payment.id, at, body, simulator.make_query(body))

    def live_on(self, life: Life) -> None:
        """The rest of a life, of which nobody tells."""
        for step in life.left:
            self.tell(life.payment, step, life.payment.updated + self.chance.randint(2, 30))
        life.left, life.state = (), life.final

    def _choose(self, psp: str) -> tuple[str, int | None, S | None]:
        if self.chance.random() < SHARE_UNFINISHED:
            return self.chance.choice(UNFINISHED[psp])
        return self.chance.choice(list(SIMULATORS[psp].flows)), None, None

    def _choose_amount(self, psp: str) -> int:
        """No two payments of a PSP are of the same amount, so that no deposit may be that of another payment."""
        taken = self._amounts.setdefault(psp, set())
        while (amount := self.chance.randint(50_000, 9_000_000)) in taken:
            pass
        taken.add(amount)
        return amount

    def _choose_moment(self, psp: str, is_recent: bool) -> int:
        """Half of them within minutes of 18:00 or of midnight in Mexico City, which is also 00:00 UTC or 06:00 UTC."""
        days = self.days.list(psp)[-MAY_STAY_OPEN_DAYS if is_recent else 0 :]
        while True:
            start, end = self.days.interval(psp, self.chance.choice(days))
            at = start + self.chance.random() * (end - start)
            if self.chance.random() < SHARE_NEAR:
                moment = self.chance.choice(list(_list_day_ends(start, end)))
                at = moment + self.chance.uniform(-1, 1) * NEAR
            if self.days.find(psp, at) in days:
                return int(at.timestamp())


def _list_day_ends(start: datetime, end: datetime) -> Iterator[datetime]:
    """Every 18:00 and midnight of Mexico City from the beginning of a day to its end, both included."""
    at = start.replace(hour=0, minute=0, second=0, microsecond=0)
    while at <= end:
        yield from (moment for moment in (at, at + timedelta(hours=6)) if start <= moment <= end)
        at += ONE_DAY


def list_webhooks(lives: Sequence[Life]) -> list[Webhook]:
    """All of them in the order of their times."""
    return sorted((one for life in lives for one in life.webhooks), key=lambda webhook: webhook.occurred_at)
