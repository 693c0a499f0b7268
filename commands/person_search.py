"""Looking for one person in everything that is stored, a little at a time, and masking where they were found."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from commands.day_files import open_unit, show_bar
from models.payload_reading import Payload, PayloadReader, walk
from models.persons import JSON_COLUMNS, PLACES, PersonRepository, Place
from models.schema import months_from
from models.unit_of_work import UnitOfWork
from psps.masking import list_texts
from psps.persons import Person, erase_body, erase_text

BATCH = 500
FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
Visit = Callable[[UnitOfWork], None]


@dataclass(slots=True)
class Found:
    """Where the person stands: payloads by event, and (place, key, columns) elsewhere; and what could not be looked into."""

    payloads: list[Payload] = field(default_factory=list)
    rows: list[tuple[Place, Any, dict[str, str | bytes]]] = field(default_factory=list)
    locked: list[int] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)  # events that are not finished, and so were not erased

    def count(self) -> dict[str, int]:
        """How many rows of each table."""
        counts = {"events": len(self.payloads) - len(self.kept)}
        for place, _, _ in self.rows:
            counts[place.table] = counts.get(place.table, 0) + 1
        return counts


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


def erase(work: UnitOfWork, found: Found) -> None:
    """Mask everybody in what was found, and leave events that are not finished as they are. The caller commits."""
    persons = PersonRepository(work.connection)
    finished = persons.lock_finished([payload.event_id for payload in found.payloads])
    found.kept = [payload.event_id for payload in found.payloads if payload.event_id not in finished]
    for payload in found.payloads:
        if payload.event_id in finished:
            persons.replace_payload(payload, erase_body(payload.body))
    for place, key, columns in found.rows:
        for column, value in columns.items():
            persons.replace(place, key, column, _erase_column(column, value))
    work.search.enqueue({key for place, key, _ in found.rows if place.table == "payments"})


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
        elif person.is_in_body(payload.body, payload.content_type) or person.is_in(v for _, v in payload.headers):
            found.payloads.append(payload)


def _search_place(
    begin: Callable[[], UnitOfWork], person: Person, place: Place, found: Found, advance: Callable[[int, int], None]
) -> None:
    after, done = None, 0
    while True:
        with begin() as work:
            rows = PersonRepository(work.connection).list_next(place, after, BATCH)
        if not rows:
            return
        for row in rows:
            after = row.pop("key")
            hits = {name: value for name, value in row.items() if value is not None and _is_in(person, value)}
            if hits:
                found.rows.append((place, after, hits))
        done += len(rows)
        advance(done, done)


def _is_in(person: Person, value: str | bytes) -> bool:
    return person.is_in(list_texts(value if isinstance(value, bytes) else value.encode(), ""))


def _erase_column(column: str, value: str | bytes) -> str | bytes:
    if isinstance(value, bytes):
        return erase_body(value)
    return erase_body(value.encode()).decode() if column in JSON_COLUMNS else erase_text(value)
