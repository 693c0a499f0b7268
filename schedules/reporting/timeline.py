"""The story of one difference: ours beside theirs, field by field and moment by moment."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from models.reading import Row
from models.states import Difference, Witness
from psps.clabe import mask_clabes
from schedules.closing.certificate import write_time
from schedules.reporting.words import FIELDS, SOURCES, WITNESSES, name

HERE, THERE, BOTH = "here", "there", "both"
# How the one door names what it was told (workers/facts.py) in our words.
OF_DOOR = {"amount": "amount_minor", "received": "received_minor", "refunded": "refunded_minor", "at": "changed_at"}


def tell_difference(row: Row, transitions: list[Row], evidence: list[Row]) -> dict[str, Any]:
    """A difference as JSON values: what is the same and what is not, and its timeline. Nobody's name or account is in it,
    but for that of the person who decided."""
    told = ("id", "kind", "source", "fate", "healing", "psp_payment_id", "amount_minor", "currency", "decided_by")
    return {
        **{member: row[member] for member in told},
        "payment_id": str(row["payment_id"]) if row["payment_id"] else None,
        "decided_why": _mask(row["decided_why"]),
        "closed_reason": _mask(row["closed_reason"]),
        "opened_at": write_time(row["opened_at"]),
        "closed_at": write_time(row["closed_at"]) if row["closed_at"] else None,
        "currencies": {"ours": row["ours"].get("currency"), "theirs": row["theirs"].get("currency")},
        "sides": compare_sides(row["ours"], row["theirs"]),
        "timeline": tell_timeline(row, transitions, evidence),
    }


def compare_sides(ours: dict[str, Any], theirs: dict[str, Any]) -> list[dict[str, Any]]:
    """The fields that either side knows, of those that are nobody's secret; `differs` where both know it otherwise."""
    here, there = ({OF_DOOR.get(field, field): value for field, value in side.items()} for side in (ours, theirs))
    return [
        {
            "field": field,
            "ours": here.get(field),
            "theirs": there.get(field),
            "differs": None not in (here.get(field), there.get(field)) and here[field] != there[field],
        }
        for field in FIELDS
        if here.get(field) is not None or there.get(field) is not None
    ]


def tell_timeline(row: Row, transitions: list[Row], evidence: list[Row]) -> list[dict[str, Any]]:
    """Everything that happened, the oldest first: side is `here`, `there` or `both`."""
    entries = [
        *(_tell_transition(one, row["healing_event_id"]) for one in transitions),
        *(_tell_evidence(one) for one in evidence),
        *_tell_life(row),
    ]
    entries.sort(key=lambda entry: entry[0])
    return [
        {"at": write_time(at), "side": side, "what": what, "detail": mask_clabes(detail), "mark": mark}
        for at, side, what, detail, mark in entries
    ]


Entry = tuple[datetime, str, str, str, str]  # at, side, what, detail, mark


def _tell_transition(one: Row, healing_event_id: int | None) -> Entry:
    moved = one["from_state"] != one["to_state"] and one["to_state"] is not None
    what = f"{one['from_state'] or 'new'} → {one['to_state']}" if moved else f"stays {one['to_state']}"
    said = [f"told {name({}, one['kind']).lower()} ({name(SOURCES, one['source'])}, event {one['event_id']})"]
    said += [one["outcome"] + (f", {one['reason'].replace('_', ' ')}" if one["reason"] else "")]
    if one["occurred_at"]:
        said.append(f"by the PSP's clock {one['occurred_at']:%Y-%m-%d %H:%M:%S} UTC")
    mark = "healing" if healing_event_id is not None and one["event_id"] == healing_event_id else ""
    return one["recorded_at"], HERE, what, "; ".join(said), mark


def _tell_evidence(one: Row) -> Entry:
    detail = f"kept as it came: {one['bytes']:,} bytes, SHA-256 {one['sha256'][:16]}…"
    return one["told_at"], THERE, name(WITNESSES, one["kind"]), detail, ""


def _tell_life(row: Row) -> Iterator[Entry]:
    by = "by the one door, which refused an event" if row["source"] == Witness.DOOR else "by reconciliation"
    yield row["opened_at"], BOTH, "Difference found", by, "opened"
    if row["decided_at"]:
        what = "Dismissed" if row["fate"] == "dismissed" else "Healing approved"
        yield row["decided_at"], BOTH, f"{what} by {row['decided_by']}", row["decided_why"], "decision"
    if row["closed_at"]:
        yield row["closed_at"], BOTH, "Difference closed", row["closed_reason"], "closed"


def _mask(text: str | None) -> str | None:
    return None if text is None else mask_clabes(text)


def find_absent(kind: str) -> str | None:
    """The side on which there is no such payment, for the classes that say so."""
    return {Difference.MISSING_HERE.value: HERE, Difference.MISSING_THERE.value: THERE}.get(kind)
