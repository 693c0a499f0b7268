"""What must be found: what follows from the webhooks that never came, by the messages that did, without any snapshot.

Limits of PSPs, and not of ours: MoonPay has no list and Bitso none of payment intents, so a payment of theirs of which
nobody ever told is known to nobody. Conekta's orders do not tell disputes. STP never says how much a settled order was of.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from bench.reconciliation.lives import STP, Life
from models.states import Difference
from models.states import PaymentState as S
from psps.base import Ignored, PaymentEvent
from psps.registry import PSPS
from sandbox.flows import SIMULATORS
from sandbox.keys import Keys
from sandbox.payment import Webhook
from schedules.reconciling.comparing import HAS_MONEY
from workers.decisions import fold
from workers.facts import Fact, Standing

D = Difference

TOLD_BY_ITSELF = {
    "spei": "spei_payment"
}  # by Bitso's instrument: the deposit of a one-time payment makes none of its own
NAMELESS = "spei.payout_returned_by_tracking_key"


@dataclass(frozen=True)
class Planted:
    """One difference that is there. `has_day`: it stands on its account day from the beginning; where we were told of a
    payment, but not when it was made, it stood on the day on which we heard of it."""

    psp: str
    psp_payment_id: str
    kind: D
    day: date
    is_healable: bool
    why: str
    has_day: bool = True

    @property
    def key(self) -> tuple[str, str, str]:
        return self.psp, self.psp_payment_id, self.kind.value


def has_no_list(life: Life) -> bool:
    """Whether its PSP never shows it to who does not know its id."""
    return life.payment.psp == "moonpay" or (life.payment.psp == "bitso" and life.payment.instrument == "wallet")


def foresee(life: Life, keys: Keys) -> Planted | None:
    """The difference that the heard webhooks leave between us and the PSP's record of this payment; None for none."""
    if life.state is None:
        return None
    standing = _hear_of_hints(life) if PSPS[life.payment.psp].is_hint else _hear(life, keys)
    if standing is None:
        return Planted(*life.key, D.MISSING_HERE, life.day, True, "no webhook of it came")
    if _agrees(life, standing):
        return None
    is_healable = standing.refunded <= life.payment.refunded_minor  # no answer tells that a sum was larger once
    return Planted(*life.key, D.STATE, life.day, is_healable, "its last webhooks did not come", has_day=False)


def _agrees(life: Life, standing: Standing) -> bool:
    payment, ours, theirs = life.payment, standing.state, life.state
    if payment.psp == "conekta":
        ours, theirs = (S.COMPLETED if state is S.DISPUTED else state for state in (ours, theirs))
    if ours != theirs:
        return False
    if theirs not in HAS_MONEY or (payment.psp, theirs) == (STP, S.RETURNED):
        return True
    return (standing.received, standing.refunded) == (life.received_minor, payment.refunded_minor)


def _hear_of_hints(life: Life) -> Standing | None:
    """What is fetched is the record as it is, whichever hint it was that came."""
    payment = life.payment
    told_by = [webhook.event_type for webhook in life.heard]
    if payment.psp == "bitso":
        told_by = [told for told in told_by if told.startswith(TOLD_BY_ITSELF.get(payment.instrument, ""))]
        returns = [told for told in told_by if told == "return"]
        if life.flow == NAMELESS and told_by == returns:
            return None
        if "return" in [webhook.event_type for webhook in life.webhooks] and not returns and told_by:
            state = S.FAILED if payment.status == "failed" else S.COMPLETED
            return Standing(state, payment.amount_minor, "MXN", payment.received_minor, payment.refunded_minor)
    if not told_by:
        return None
    return Standing(
        life.state or S.PENDING, payment.amount_minor, "MXN", payment.received_minor, payment.refunded_minor
    )


def _hear(life: Life, keys: Keys) -> Standing | None:
    """The fold of what was told; None where nothing of it names the payment."""
    events = list(_read(life.heard, keys))
    names = {ref for _, event in events if event.psp_payment_id for ref in event.psp_refs}
    known = [(key, event) for key, event in events if event.psp_payment_id or names.intersection(event.psp_refs)]
    if not known:
        return None
    standing, _ = fold(Standing(), [_as_fact(event, key) for key, event in known])
    return standing


def _read(webhooks: Iterable[Webhook], keys: Mapping[str, dict[str, str]]) -> Iterable[tuple[str, PaymentEvent]]:
    now = int(datetime.now(UTC).timestamp())
    for webhook in webhooks:
        simulator = SIMULATORS[webhook.psp]
        body = simulator.seal(webhook.body, keys[webhook.psp], now)
        headers = {name.lower(): value for name, value in simulator.sign(body, keys[webhook.psp], now).items()}
        said = PSPS[webhook.psp].events.read(headers, body)
        if isinstance(said, Ignored) or not isinstance(said, list):
            continue
        yield from ((f"{webhook.event_key}/{number}", event) for number, event in enumerate(said))


def _as_fact(event: PaymentEvent, key: str) -> Fact:
    return Fact(
        kind=event.kind,
        key=key,
        at=event.occurred_at,
        amount=event.amount_minor,
        received=event.received_minor,
        refunded=event.refunded_minor,
        currency=event.currency,
        refund_ref=event.refund_ref,
        refund_minor=event.refund_minor,
        dispute_ref=event.dispute_ref,
        ends_disputes=event.ends_disputes or None,
    )
