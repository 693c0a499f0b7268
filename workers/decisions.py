"""The pure functions that decide about a payment event. Nothing here knows a database or a clock.

A payment's state is a fold over the set of its facts in the order of the PSP's own clock, so it does not depend on
the order in which they arrive. A fact newer than all before it is one step; an older one is folded again with the rest.
"""

from collections.abc import Iterable
from dataclasses import replace

from models.states import EventKind as K
from models.states import Outcome
from models.states import PaymentState as S
from workers.facts import Decided, Fact, Place, Standing, Step
from workers.state_machine import NOT_PAID, PROVES_COMPLETION, TELLS_AMOUNT, find_fixed_target, is_legal

TELLS_MONEY = frozenset({K.COMPLETED, K.REFUNDED, K.REFUND_FAILED})
# Refunds and disputes that end one by one: which of them are left takes all of the history.
COUNTS_ONE_BY_ONE = frozenset({K.REFUND_FAILED, K.DISPUTE_WON})
NAMED_MOVES = ("implied", "dispute_over")  # they are told by their reason and not by the table
NONE: frozenset[str] = frozenset()
IS_NEWS_ANYWAY = frozenset({K.DISPUTE_INQUIRY, K.DISPUTE_LOST})  # they change no state, but a person must see them


def _by_refunds(standing: Standing) -> S:
    if not standing.refunded:
        return S.COMPLETED
    return S.REFUNDED if standing.refunded >= standing.received else S.PARTIALLY_REFUNDED


def _find_target(standing: Standing, kind: K) -> S:
    """The state that an event of this kind asks for; amounts are in `standing` already."""
    if kind is K.DISPUTE_WON:
        is_disputed = standing.open_disputes or standing.lost_disputes
        return S.DISPUTED if is_disputed else _by_refunds(standing)
    if kind in TELLS_MONEY and standing.state is not S.DISPUTED:
        return _by_refunds(standing)
    if kind is K.DISPUTE_INQUIRY or kind in TELLS_MONEY:
        return standing.state
    return find_fixed_target(standing.state, kind)


def _find_fault(standing: Standing, fact: Fact) -> str | None:
    """Why the money of a fact does not fit the payment, or None."""
    if fact.currency and standing.currency and fact.currency != standing.currency:
        return "currency_mismatch"
    if fact.kind not in TELLS_AMOUNT:
        return None
    if fact.amount is not None and standing.amount is not None and fact.amount != standing.amount:
        return "amount_mismatch"
    is_another_sum = fact.received is not None and standing.received not in (0, fact.received)
    return "received_mismatch" if is_another_sum and _tells_again(standing, fact) else None


def _tells_again(standing: Standing, fact: Fact) -> bool:
    """Whether it is a completion of a payment that has its money: not of one that was called off, or sent back."""
    return fact.kind is K.COMPLETED and is_legal(standing.state, fact.kind, standing.state)


def _find_payment_fault(amount: int | None, received: int) -> str | None:
    if amount is None or received == amount:
        return None
    return "underpaid" if received < amount else "overpaid"


def _learn(standing: Standing, fact: Fact) -> Standing:
    amount = fact.amount if standing.amount is None and fact.kind in TELLS_AMOUNT else standing.amount
    currency = standing.currency or fact.currency
    details = {**standing.details, **fact.details} if fact.details else standing.details
    if (amount, currency, details) == (standing.amount, standing.currency, standing.details):
        return standing
    return replace(standing, amount=amount, currency=currency, details=details)


def _count_disputes(standing: Standing, fact: Fact) -> Standing:
    ref = frozenset({fact.dispute_ref or ""})
    if fact.kind is K.DISPUTED:
        return replace(standing, open_disputes=standing.open_disputes | ref)
    if fact.kind is K.DISPUTE_WON:
        ended = ref | {""}  # a dispute that was told without its name is the same one
        return replace(
            standing, open_disputes=standing.open_disputes - ended, lost_disputes=standing.lost_disputes - ended
        )
    if fact.kind is K.DISPUTE_LOST:
        lost = standing.lost_disputes | ref
        return replace(standing, open_disputes=standing.open_disputes - ref, lost_disputes=lost)
    return standing


def _complete(standing: Standing, fact: Fact, state: S) -> Step:
    """The money has come: compare it with what was asked for before anything completes, which leads to `state`."""
    received = fact.received if fact.received is not None else (fact.amount if fact.kind in TELLS_AMOUNT else None)
    if received is None:
        received = standing.received or standing.amount or 0
    fault = _find_payment_fault(standing.amount, received)
    standing = replace(standing, received=received, state=standing.state if fault else state)
    return Step(standing, is_forbidden=fault is not None, reason=fault)


def _count_refunds(standing: Standing, fact: Fact) -> Standing:
    if fact.kind is K.REFUNDED and fact.refunded is not None:
        # A completion that was only implied may not have told how much had come.
        received = standing.received or fact.received or fact.amount or 0
        return replace(standing, refunded=fact.refunded, received=received)
    if fact.kind is K.REFUND_FAILED and (fact.refund_ref or "") not in standing.failed_refunds:
        left = max(0, standing.refunded - (fact.refund_minor or 0))
        return replace(standing, refunded=left, failed_refunds=standing.failed_refunds | {fact.refund_ref or ""})
    return standing


def step(before: Standing, fact: Fact) -> Step:
    """Apply one fact that is newer than all before it. A refused one changes no state."""
    if fact.by_clock and before.state is not S.PENDING:
        return Step(before)
    fault = _find_fault(before, fact)
    if fault:
        return Step(before, is_forbidden=True, reason=fault)
    arrival = _take_money(_learn(before, fact), fact)
    if arrival.is_forbidden:
        return arrival
    now = _count_disputes(_count_refunds(arrival.standing, fact), fact)
    if now.refunded > now.received:
        return Step(before, is_forbidden=True, reason="refund_exceeds_received")
    if now.state is S.DISPUTED and fact.ends_disputes and fact.kind in TELLS_MONEY:
        return Step(replace(now, state=_by_refunds(now), open_disputes=NONE, lost_disputes=NONE), reason="dispute_over")
    # A completion that took place just now is not asked about again: it is what the event says, or what it supposes.
    kind_is_done = fact.kind is K.COMPLETED and before.state in NOT_PAID
    target = now.state if kind_is_done else _find_target(now, fact.kind)
    if not kind_is_done and not is_legal(now.state, fact.kind, target):
        return Step(before, is_forbidden=True, reason="illegal_move")
    return Step(now if now.state is target else replace(now, state=target), reason=arrival.reason)


def _take_money(standing: Standing, fact: Fact) -> Step:
    """What a fact says, or supposes, about money that has come; with the state that this leads to."""
    if standing.state in NOT_PAID:
        implied = fact.kind in PROVES_COMPLETION
        if fact.kind is K.COMPLETED or implied:
            completion = _complete(standing, fact, S.COMPLETED)
            if completion.is_forbidden:
                return completion
            return Step(completion.standing, reason=_name_completion(standing.state, implied))
        if fact.kind is K.PARTIALLY_FUNDED and fact.received is not None:
            return Step(replace(standing, received=fact.received))
    elif _tells_again(standing, fact) and fact.received not in (None, standing.received):
        # A completion that was only implied did not tell how much had come.
        return _complete(standing, fact, standing.state)
    return Step(standing)


def _name_completion(state: S, implied: bool) -> str | None:
    if implied:
        return "implied"
    return {S.EXPIRED: "late_payment", S.FAILED: "new_attempt"}.get(state)


def fold(base: Standing, facts: Iterable[Fact]) -> tuple[Standing, dict[str, Step]]:
    """Apply facts in their place order; the standing at the end and the step of each by its key."""
    steps = {}
    for fact in sorted(facts, key=lambda f: f.place):
        steps[fact.key] = step(base, fact)
        base = steps[fact.key].standing
    return base, steps


def needs_history(fact: Fact, place: Place | None) -> bool:
    """Whether deciding about this fact takes all the facts before it."""
    return place is not None and (fact.place <= place or fact.kind in COUNTS_ONE_BY_ONE)


def decide(base: Standing, current: Standing, place: Place | None, past: Iterable[Fact], fact: Fact) -> Decided:
    """Decide about one fact of a payment.

    `base` is the payment before any fact, `current` and `place` where it stands and the newest fact so far;
    `past` holds the facts decided before and is read only where `needs_history` says so.
    """
    if not needs_history(fact, place):
        own = step(current, fact)
        standing, place_now = own.standing, fact.place
        forbidden: tuple[tuple[Fact, str], ...] = ((fact, own.reason or ""),) if own.is_forbidden else ()
        allowed: tuple[Fact, ...] = ()
    else:
        facts = {f.key: f for f in (*past, fact)}
        standing, steps = fold(base, facts.values())
        own, place_now = steps[fact.key], max(place or fact.place, fact.place)
        forbidden = tuple((facts[key], s.reason or "") for key, s in steps.items() if s.is_forbidden)
        allowed = tuple(facts[key] for key, s in steps.items() if not s.is_forbidden)
    if standing.failed_refunds or standing.open_disputes or standing.lost_disputes:
        standing = replace(standing, failed_refunds=NONE, open_disputes=NONE, lost_disputes=NONE)
    outcome, reason = _name_outcome(own, current, standing, fact, place)
    return Decided(outcome, reason, standing, place_now, forbidden, allowed)


def _name_outcome(
    own: Step, current: Standing, standing: Standing, fact: Fact, place: Place | None
) -> tuple[Outcome, str | None]:
    if own.is_forbidden:
        return Outcome.FORBIDDEN, own.reason
    if place is not None and standing == current:
        if fact.place < place:
            return Outcome.STALE, None
        return (Outcome.APPLIED, "noted") if fact.kind in IS_NEWS_ANYWAY else (Outcome.DUPLICATE, None)
    if not is_legal(current.state, fact.kind, standing.state) and own.reason not in NAMED_MOVES:
        return Outcome.APPLIED, "reordered"
    is_late = current.state is S.EXPIRED and standing.state is S.COMPLETED
    return Outcome.APPLIED, own.reason or ("late_payment" if is_late else None)
