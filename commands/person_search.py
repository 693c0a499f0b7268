"""Looking for one person in everything that is stored, a little at a time, and masking where they were found."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from commands.day_files import open_unit, show_bar
from models.payload_reading import Payload, PayloadReader, walk
from models.persons import JSON_COLUMNS, PLACES, PersonRepository, Place
from models.schema import months_from
from models.states import InboxStatus
from models.unit_of_work import UnitOfWork
from psps.nested_texts import list_texts
from psps.persons import Person

BATCH = 200  # rows that are in memory, or changed by one transaction, at a time
FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
FINISHED = (InboxStatus.PROCESSED, InboxStatus.IGNORED, InboxStatus.CONFLICT)


@dataclass(slots=True)
class Found:
    """Where the person stands, by ids alone, and what could not be looked into."""

    events: list[int] = field(default_factory=list)
    rows: dict[Place, list[Any]] = field(default_factory=dict)  # keys
    locked: list[int] = field(default_factory=list)
    locked_rows: Counter[str] = field(default_factory=Counter)  # by table, of what is sealed and does not open
    kept: list[int] = field(default_factory=list)  # events that are not finished, and so are not erased
    kept_rows: Counter[str] = field(default_factory=Counter)  # by table, of what is still to be used

    def count(self) -> dict[str, int]:
        """How many rows of each table, without those that are kept."""
        return {"events": len(self.events) - len(self.kept)} | {
            place.table: len(keys) for place, keys in self.rows.items()
        }


def search(work: UnitOfWork, person: Person, since: datetime | None, now: datetime, is_shown: bool) -> Found:
    """Read every payload that arrived since then, and the other places whole."""
    found = Found()
    months = [one.month for one in work.payloads.list_months(now, months_kept=1200)]
    work.rollback()
    begin = open_unit(work)
    with ExitStack() as stack:
        advance = stack.enter_context(show_bar("payloads", is_shown))
        spans = list(_list_spans(begin, months, since or FIRST))
        total, done = sum(last - first + 1 for _, _, first, last in spans), 0
        for start, end, first, last in spans:
            for batch in _read_payloads(begin, start, end):
                _sort(person, batch, found)
                advance(done + batch[-1].event_id - first + 1, total)
            done += last - first + 1
    for place in PLACES:
        with show_bar(place.table, is_shown) as advance:
            _search_place(begin, person, place, found, advance)
    return found


def erase(begin: Callable[[], UnitOfWork], person: Person, found: Found, done: Counter[str], is_shown: bool) -> None:
    """Mask everybody in what was found, a batch in a transaction, and leave events that are not finished as they are.

    `done` tells at any time how many rows of each table are masked for good. What was masked is not found again, so whoever
    was interrupted begins anew.
    """
    found.kept, found.kept_rows = [], Counter()
    total, at = len(found.events) + sum(map(len, found.rows.values())), 0
    with show_bar("masking", is_shown) as advance:
        for events in split(found.events):
            with begin() as work:
                count = _erase_payloads(work, person, events, found)
                work.commit()
            done["events"] += count
            at += len(events)
            advance(at, total)
        for place, keys in found.rows.items():
            for some in split(keys):
                with begin() as work:
                    count = _erase_rows(work, person, place, some, found)
                    work.commit()
                done[place.table] += count
                at += len(some)
                advance(at, total)


def split(keys: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """They, a batch at a time."""
    return (keys[at : at + BATCH] for at in range(0, len(keys), BATCH))


def _erase_payloads(work: UnitOfWork, person: Person, events: Sequence[int], found: Found) -> int:
    persons = PersonRepository(work.connection)
    finished = persons.lock_finished(events)
    found.kept += [event for event in events if event not in finished]
    payloads = PayloadReader(work.connection).list_these(finished)
    there = [one for one in payloads if not one.locked and is_in_payload(person, one)]
    for payload in there:
        persons.replace_payload(payload, person.erase_body(payload.body))
    return len(there)


def _erase_rows(work: UnitOfWork, person: Person, place: Place, keys: Sequence[Any], found: Found) -> int:
    persons, changed = PersonRepository(work.connection), set()
    rows = persons.lock_these(place, keys)
    found.kept_rows[place.table] += len(persons.list_these(place, keys)) - len(rows)
    for row in rows:
        for column, value in list_hits(person, row).items():
            persons.replace(place, row["key"], column, _erase_column(person, column, value))
            changed.add(row["key"])
    if place.table == "payments":
        work.search.enqueue(changed)
    return len(changed)


def is_in_payload(person: Person, payload: Payload) -> bool:
    """Whether the person stands in a body or its headers."""
    return person.is_in_body(payload.body) or person.is_in(value for _, value in payload.headers)


def list_hits(person: Person, row: dict[str, Any]) -> dict[str, str | bytes]:
    """The columns of a row in which the person stands, with what they hold."""
    return {
        name: value for name, value in row.items() if isinstance(value, str | bytes) and _is_in(person, name, value)
    }


def _list_spans(
    begin: Callable[[], UnitOfWork], months: list[datetime], since: datetime
) -> Iterator[tuple[datetime, datetime, int, int]]:
    """(from, to, first event, last event) of every month with payloads, and of what came before its month had a partition."""
    edges = sorted({FIRST, *months, *(months_from(month, count=2)[1] for month in months), LAST})
    for start, end in pairwise(edges):
        if end > since:
            with begin() as work:
                span = PayloadReader(work.connection).find_span(max(start, since), end)
            if span:
                yield max(start, since), end, *span


def _read_payloads(begin: Callable[[], UnitOfWork], start: datetime, end: datetime) -> Iterator[list[Payload]]:
    with begin() as work:
        for batch in walk(PayloadReader(work.connection), start, end, BATCH):
            work.rollback()
            yield batch


def _sort(person: Person, batch: list[Payload], found: Found) -> None:
    for payload in batch:
        if payload.locked:
            found.locked.append(payload.event_id)
        elif is_in_payload(person, payload):
            found.events.append(payload.event_id)
            if payload.status not in FINISHED:
                found.kept.append(payload.event_id)


def _search_place(
    begin: Callable[[], UnitOfWork], person: Person, place: Place, found: Found, advance: Callable[[int, int], None]
) -> None:
    after, done = None, 0
    while True:
        with begin() as work:
            rows = PersonRepository(work.connection).list_next(place, after, BATCH)
        if not rows:
            return
        found.locked_rows[place.table] += sum("body" in row and row["body"] is None for row in rows)
        hits = [row["key"] for row in rows if list_hits(person, row)]
        if hits:
            found.rows.setdefault(place, []).extend(hits)
        after, done = rows[-1]["key"], done + len(rows)
        advance(done, done)


def _is_in(person: Person, name: str, value: str | bytes) -> bool:
    return name != "key" and person.is_in(list_texts(value if isinstance(value, bytes) else value.encode()))


def _erase_column(person: Person, column: str, value: str | bytes) -> str | bytes:
    if isinstance(value, bytes):
        return person.erase_body(value)
    return person.erase_body(value.encode()).decode() if column in JSON_COLUMNS else person.erase_text(value)
