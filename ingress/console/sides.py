"""Ours beside what others say of the same payment, field by field, with what differs marked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ingress.console.dependencies import Bookkeeping
from ingress.console.formats import show_money, show_when
from ingress.console.reconciling_words import FIELDS
from models.console_reading import ConsoleReader
from models.our_side import Ours
from models.reading import Row
from models.states import EvidenceKind, Witness
from models.unit_of_work import UnitOfWork

OF_MONEY = "_minor"
OF_TIME = "_at"
OF_WORDS = ("state", "kind", "method", "direction")  # of the closed vocabularies
CANNOT_BE_COMPARED = ("received_minor", "fee_minor", "refunded_minor", "disputed_minor")  # with another currency's


@dataclass(frozen=True, slots=True)
class Told:
    """What somebody says of a payment: `title` and `at` are the heading, `event_id` or `difference_id` lead to it."""

    title: str
    at: datetime | None
    values: dict[str, Any]
    event_id: int | None = None
    difference_id: int | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """A value as it is shown, and whether it is not what we have."""

    text: str
    differs: bool = False
    is_word: bool = False  # of ours, to be said in the reader's language


def lay_beside(books: Bookkeeping, ours: dict[str, Any], told: Sequence[Told]) -> list[tuple[str, list[Cell]]]:
    """(field, cells) with ours first; the fields that anybody knows."""
    compared = [{row["field"]: row for row in books.compare_sides(ours, one.values)} for one in told]
    if not compared:
        compared = [{row["field"]: row for row in books.compare_sides(ours, {})}]
    known = {field for rows in compared for field in rows}
    return [(name, list(_list_cells(field, ours, told, compared))) for field, name in FIELDS.items() if field in known]


def _list_cells(
    field: str, ours: dict[str, Any], told: Sequence[Told], compared: Sequence[Mapping[str, Row]]
) -> Iterator[Cell]:
    first = next(rows[field] for rows in compared if field in rows)
    yield _make_cell(field, first["ours"], ours.get("currency"), differs=False)
    for one, rows in zip(told, compared, strict=False):
        row = rows.get(field, {"theirs": None, "differs": False})
        currency = one.values.get("currency") or ours.get("currency")
        is_other_money = field in CANNOT_BE_COMPARED and currency != ours.get("currency")
        yield _make_cell(field, row["theirs"], currency, row["differs"] and not is_other_money)


def _make_cell(field: str, value: Any, currency: str | None, differs: bool) -> Cell:
    return Cell(_show(field, value, currency), differs, isinstance(value, bool) or field in OF_WORDS)


def _show(field: str, value: Any, currency: str | None) -> str:
    if value is None:
        return ""
    if field.endswith(OF_MONEY) and isinstance(value, int):
        return show_money(value, currency or "")
    if field.endswith(OF_TIME):
        return show_when(datetime.fromisoformat(str(value)))
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def find_sides(books: Bookkeeping, difference: Row, payment: Ours | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both sides as they were when the difference was found. What the one door was told gets the state that it speaks of."""
    theirs = difference["theirs"]
    if difference["source"] == Witness.DOOR and payment and "kind" in theirs:
        theirs = books.read_message(theirs, payment)
    return difference["ours"], theirs


def read_payment(books: Bookkeeping, work: UnitOfWork, payment: Row) -> Row:
    """What the payment's page shows beside the payment: `told`, its `sides`, `check`, `differences`, `notifications`."""
    found = ConsoleReader(work.connection).read_payment(payment["id"])
    told = list(_list_told(books, found))
    ours = books.describe_ours(found["ours"]) | {"method": payment["method"], "direction": payment["direction"]}
    is_open = any(one["closed_at"] is None for one in found["differences"])
    return {
        "told": told,
        "sides": lay_beside(books, ours, told),
        "account_day": found["ours"].account_day,
        "check": found["check"],
        "is_open": is_open,
        "differences": found["differences"],
        "notifications": found["notifications"],
    }


def _list_told(books: Bookkeeping, found: Row) -> Iterator[Told]:
    if message := found["message"]:
        said = books.read_message(message["facts"], found["ours"])
        yield Told("The PSP's last message", message["said_at"], said, event_id=message["event_id"])
    witnessed = (one for one in found["differences"] if one["witness"] == EvidenceKind.PSP and one["theirs"])
    compared = next((o for o in witnessed if o["source"] == Witness.RECONCILIATION and o["closed_at"] is None), None)
    if compared:
        at = compared["last_seen_at"] or compared["opened_at"]
        yield Told("The last comparison", at, compared["theirs"], difference_id=compared["id"])
    if settled := found["settled"]:
        [*currencies] = settled["currencies"]
        named = {"currency": currencies[0]} if len(currencies) == 1 else {}
        amounts = {name: settled[name] for name in CANNOT_BE_COMPARED}
        yield Told("The settlement reports", settled["said_at"], amounts | named)
