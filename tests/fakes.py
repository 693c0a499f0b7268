"""The unit of work over plain dictionaries, for tests that make thousands of them.

tests/models/test_unit_of_work.py runs one suite on this and on Postgres, so that it stays honest.
"""

import copy
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from models.discrepancies import NewDiscrepancy
from models.inbox import SWEEP_GRACE, Delivery
from models.notification_bodies import PaymentChange
from models.payments import LockedPayment, LostRace, MovedPayment, NewPayment, OwnPayment, PspKey, PspReference, expect
from models.states import InboxStatus, Outcome, Source
from models.transitions import NewTransition
from models.waiting import WAITING, WaitingReference
from models.work import ClaimedEvent, Due, Finished, LeaseLost, Postponed


class AlreadyDecided(Exception):
    """What Postgres says with a unique index."""


@dataclass
class FakeEvent:
    claimed: ClaimedEvent
    status: str = InboxStatus.RECEIVED
    reason: str | None = None
    next_attempt_at: datetime | None = None
    lease_until: datetime | None = None
    token: UUID | None = None


@dataclass
class Data:
    events: dict[int, FakeEvent] = field(default_factory=dict)
    payments: dict[UUID, LockedPayment] = field(default_factory=dict)
    psp_ids: dict[PspKey, UUID] = field(default_factory=dict)
    references: dict[PspKey, UUID] = field(default_factory=dict)
    deposit_accounts: dict[PspKey, UUID] = field(default_factory=dict)
    transitions: list[NewTransition] = field(default_factory=list)
    discrepancies: dict[tuple[int, UUID, str], NewDiscrepancy] = field(default_factory=dict)
    windows: set[tuple[str, datetime]] = field(default_factory=set)
    waiting: set[WaitingReference] = field(default_factory=set)
    closed: set[tuple[int, UUID, str]] = field(default_factory=set)


class FakeWork:
    def __init__(self, data: Data) -> None:
        self.data = data

    def claim_fresh(self, ids: Sequence[int], token: UUID, now: datetime, until: datetime, size: int) -> list[int]:
        unfinished = {i: e for i, e in self.data.events.items() if e.status == InboxStatus.RECEIVED}
        untried = {i: e for i, e in unfinished.items() if not e.claimed.attempts}
        rung = [i for i in dict.fromkeys(ids) if i in untried and (untried[i].lease_until or now) <= now]
        waiting = [i for i, e in untried.items() if i not in ids and not (e.reason or e.lease_until)]
        others = sorted(waiting, key=lambda i: untried[i].next_attempt_at or now)[: max(0, size - len(ids))]
        return [self._lease(i, token, until) for i in (*rung, *others)]

    def claim_tried(self, ids: Sequence[int], token: UUID, now: datetime, until: datetime) -> list[int]:
        return [self._lease(i, token, until) for i, _ in self.list_tried(ids, now)]

    def list_tried(self, ids: Sequence[int], now: datetime) -> list[tuple[int, int]]:
        events = {i: self.data.events[i] for i in sorted(set(ids)) if i in self.data.events}
        return [
            (i, e.claimed.attempts)
            for i, e in events.items()
            if e.status == InboxStatus.RECEIVED
            and e.claimed.attempts
            and e.next_attempt_at <= now
            and (e.lease_until or now) <= now
        ]

    def _lease(self, event_id: int, token: UUID, until: datetime) -> int:
        event = self.data.events[event_id]
        event.claimed = replace(event.claimed, attempts=event.claimed.attempts + 1)
        event.lease_until, event.token = until, token
        return event_id

    def list_claimed(self, ids: Sequence[int], token: UUID) -> list[ClaimedEvent]:
        ours = [e for i, e in sorted(self.data.events.items()) if i in ids and self._is_ours(e, token)]
        return [replace(e.claimed, has_waited=e.reason == WAITING) for e in ours]

    def finish(self, finished: Sequence[Finished], token: UUID, now: datetime) -> None:
        for one in finished:
            event = self._fenced(one.id, token)
            event.status, event.reason, event.token, event.lease_until = one.status, one.reason, None, None

    def postpone(self, postponed: Sequence[Postponed], token: UUID) -> None:
        for one in postponed:
            event = self._fenced(one.id, token)
            event.claimed = replace(event.claimed, attempts=one.attempts)
            event.reason, event.next_attempt_at = one.reason, one.next_attempt_at
            event.token, event.lease_until = None, None

    def turn_into_hints(self, ids: Sequence[int], token: UUID, now: datetime) -> None:
        for i in ids:
            event = self._fenced(i, token)
            event.claimed = replace(event.claimed, attempts=0)
            event.status, event.reason, event.next_attempt_at = InboxStatus.HINT, None, now
            event.token, event.lease_until = None, None

    def list_due(self, now: datetime, limit: int) -> list[Due]:
        due = [
            (event.next_attempt_at, i, not event.claimed.attempts and event.reason in (None, "replayed"))
            for i, event in self.data.events.items()
            if event.status == InboxStatus.RECEIVED
            and event.next_attempt_at <= now
            and (event.lease_until is None or event.lease_until < now)
        ]
        return [Due(i, is_backlog) for _, i, is_backlog in sorted(due)[:limit]]

    def ring_later(self, ids: Sequence[int], now: datetime, at: datetime) -> None:
        for i in set(ids) & {one.id for one in self.list_due(now, len(self.data.events))}:
            if not self.data.events[i].claimed.attempts:
                self.data.events[i].next_attempt_at = at

    def replay(self, ids: Sequence[int], now: datetime) -> list[int]:
        replayed = []
        for i in ids:
            event = self.data.events.get(i)
            if event and event.status in (InboxStatus.PARKED, InboxStatus.IGNORED):
                event.status, event.reason, event.next_attempt_at = InboxStatus.RECEIVED, None, now
                event.claimed = replace(event.claimed, attempts=0)
                replayed.append(i)
        return replayed

    def _is_ours(self, event: FakeEvent, token: UUID) -> bool:
        return event.token == token and event.status == InboxStatus.RECEIVED

    def _fenced(self, event_id: int, token: UUID) -> FakeEvent:
        event = self.data.events.get(event_id)
        if event is None or not self._is_ours(event, token):
            raise LeaseLost(str(event_id))
        return event


class FakePayments:
    def __init__(self, data: Data) -> None:
        self.data = data

    def find_ids(self, keys: Collection[PspKey]) -> dict[PspKey, UUID]:
        return {key: self.data.psp_ids[key] for key in keys if key in self.data.psp_ids}

    def find_ids_by_reference(self, keys: Collection[PspKey]) -> dict[PspKey, UUID]:
        return {key: self.data.references[key] for key in keys if key in self.data.references}

    def find_own(self, keys: Collection[PspKey]) -> dict[PspKey, OwnPayment]:
        found = {key: self.data.references[key] for key in keys if key in self.data.references}
        return {key: OwnPayment(i, self.data.payments[i].psp_payment_id) for key, i in found.items()}

    def find_by_id(self, ids: Collection[UUID]) -> dict[UUID, OwnPayment]:
        return {i: OwnPayment(i, self.data.payments[i].psp_payment_id) for i in ids if i in self.data.payments}

    def find_deposit_merchants(self, keys: Collection[PspKey]) -> dict[PspKey, UUID]:
        return {key: self.data.deposit_accounts[key] for key in keys if key in self.data.deposit_accounts}

    def add_once(self, payments: Sequence[NewPayment], moved: Mapping[UUID, MovedPayment]) -> set[UUID]:
        made = set()
        for new in payments:
            key = (new.psp, new.account, new.psp_payment_id)
            if key not in self.data.psp_ids:
                made.add(new.id)
                self.data.psp_ids[key] = new.id
                self.data.payments[new.id] = expect(new)
        self.move([move for id, move in moved.items() if id in made])
        return made

    def lock(self, ids: Collection[UUID]) -> dict[UUID, LockedPayment]:
        return {i: self.data.payments[i] for i in sorted(ids) if i in self.data.payments}

    def move(self, moved: Sequence[MovedPayment]) -> None:
        for one in moved:
            before = self.data.payments[one.id]
            if (before.version, before.state) != (one.version, one.from_state):
                raise LostRace(str(one.id))
            names = ("state", "amount_minor", "received_minor", "refunded_minor", "currency")
            places = ("place_at", "place_rank", "place_key")
            changes: dict[str, Any] = {name: getattr(one, name) for name in (*names, *places)}
            first_told = {n: v for n, v in before.details.items() if n in ("psp_created_at", "operating_day")}
            details = {**before.details, **one.details, **first_told}
            self.data.payments[one.id] = replace(before, version=before.version + 1, details=details, **changes)

    def add_references(self, references: Sequence[PspReference]) -> set[UUID]:
        new = {(r.psp, r.account, r.psp_ref): r.payment_id for r in reversed(references)}
        new = {key: payment_id for key, payment_id in new.items() if key not in self.data.references}
        self.data.references |= new
        return set(new.values())


class FakeSearch:
    """On paper nobody searches."""

    def enqueue(self, payment_ids: Collection[UUID]) -> None:
        return


class FakeOutbox:
    """On paper nobody has endpoints."""

    def add(self, changes: Sequence[PaymentChange]) -> int:
        return 0


class FakeTransitions:
    def __init__(self, data: Data) -> None:
        self.data = data

    def add(self, transitions: Sequence[NewTransition]) -> None:
        decided = {(t.event_id, t.ordinal) for t in self.data.transitions if t.outcome is not Outcome.UNMATCHED}
        for new in transitions:
            if new.outcome is not Outcome.UNMATCHED and (new.event_id, new.ordinal) in decided:
                raise AlreadyDecided(str(new.event_id))
            self.data.transitions.append(new)

    def list_facts(self, payment_ids: Sequence[UUID]) -> dict[UUID, list[tuple[int, dict[str, Any]]]]:
        found = defaultdict(list)
        for t in self.data.transitions:
            if t.payment_id in payment_ids and t.outcome is not Outcome.UNMATCHED:
                found[t.payment_id].append((t.event_id, t.facts))
        return dict(found)


class FakeDiscrepancies:
    def __init__(self, data: Data) -> None:
        self.data = data

    def add_once(self, discrepancies: Sequence[NewDiscrepancy]) -> None:
        for one in discrepancies:
            self.data.discrepancies.setdefault((one.event_id, one.payment_id, one.kind), one)
            self.data.closed.discard((one.event_id, one.payment_id, one.kind))

    def close(self, explained: Sequence[tuple[UUID, int]], reason: str, now: datetime) -> None:
        for event_id, payment_id, kind in self.data.discrepancies:
            if (payment_id, event_id) in explained:
                self.data.closed.add((event_id, payment_id, kind))


class FakeAttempts:
    """Nothing is ever asked of a PSP on paper."""

    def find_in_flight(self, accounts: Collection[tuple[str, str]]) -> set[tuple[str, str, str]]:
        return set()


class FakeHints:
    def list_due_accounts(self, now: datetime) -> list[tuple[str, str]]:
        return []


class FakeWaiting:
    def __init__(self, data: Data) -> None:
        self.data = data

    def add(self, waiting: Sequence[WaitingReference]) -> None:
        self.data.waiting |= set(waiting)

    def take(self, references: Sequence[PspReference], now: datetime) -> list[int]:
        known = {(r.psp, r.account, r.psp_ref) for r in references}
        taken = {w for w in self.data.waiting if (w.psp, w.account, w.psp_ref) in known}
        self.data.waiting -= taken
        for event in (self.data.events[w.event_id] for w in taken):
            event.next_attempt_at = min(event.next_attempt_at, now)
        return sorted({w.event_id for w in taken})


class FakeWindows:
    def __init__(self, data: Data) -> None:
        self.data = data

    def take(self, job: str, window_start: datetime) -> bool:
        if (job, window_start) in self.data.windows:
            return False
        self.data.windows.add((job, window_start))
        return True

    def forget(self, before: datetime) -> None:
        self.data.windows = {w for w in self.data.windows if w[1] >= before}


class FakeUnitOfWork:
    """Works on a copy of the stored data; only a commit puts it back."""

    def __init__(self, stored: Data) -> None:
        self.stored = stored

    def __enter__(self) -> Self:
        self.data = copy.deepcopy(self.stored)
        self.inbox, self.payments = FakeWork(self.data), FakePayments(self.data)
        self.transitions, self.discrepancies = FakeTransitions(self.data), FakeDiscrepancies(self.data)
        self.windows, self.waiting = FakeWindows(self.data), FakeWaiting(self.data)
        self.attempts, self.hints, self.search = FakeAttempts(), FakeHints(), FakeSearch()
        self.outbox = FakeOutbox()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def commit(self) -> None:
        self.stored.__dict__.update(copy.deepcopy(self.data).__dict__)

    commit_lazily = commit


def put_delivery(data: Data, delivery: Delivery) -> int:
    """Store a delivery as the receiver does; the id of the first one with its key."""
    for i, event in data.events.items():
        known = event.claimed
        if (known.psp, known.account, known.event_key) == (delivery.psp, delivery.account, delivery.event_key):
            return i
    i = len(data.events) + 1
    claimed = ClaimedEvent(
        i,
        delivery.psp,
        delivery.account,
        delivery.event_key,
        Source.WEBHOOK,
        0,
        delivery.received_at,
        None,
        False,
        dict(delivery.headers),
        delivery.body,
    )
    data.events[i] = FakeEvent(claimed, next_attempt_at=delivery.received_at + SWEEP_GRACE)
    return i
