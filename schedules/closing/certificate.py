"""The certificate of a closed day: what is in it, and its hash.

certificate_hash is the SHA-256 over the certificate as canonical JSON: members sorted by name, no spaces, UTF-8 that is not
escaped beyond what JSON demands. Python's json.dumps(certificate, sort_keys=True, ensure_ascii=False,
separators=(",", ":")) writes exactly this. `previous_hash` is the certificate_hash of the certificate before it in the
account's chain, 64 zeros for the first. Times are ISO 8601 in UTC, money is in minor units.
"""

import hashlib
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from models.closings import Closing, DayKey
from models.reading import Row
from schedules.closing.crypto import sum_crypto
from schedules.closing.days import AccountDay
from schedules.closing.lines import LINES_FORMAT, DayTally, sum_by, sum_money
from schedules.closing.reasons import Standing

FORMAT = 2
ZONE = "America/Mexico_City"
NO_HASH = bytes(32)


@dataclass(frozen=True, slots=True)
class Contents:
    """What can change after a day was closed: its lines, its differences (and all that are open), its settlement."""

    tally: DayTally
    open_ids: list[int]
    differences: list[Row]
    settlement: list[Row]


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that was read about a day, at one moment."""

    day: AccountDay
    standing: Standing
    contents: Contents


@dataclass(frozen=True, slots=True)
class Signature:
    """Who closes, when, why against what is in the way, with which software, and after which certificate."""

    closed_by: str
    closed_at: datetime
    forced_why: str | None
    software: str
    version: int
    previous: Closing | None

    @property
    def previous_hash(self) -> bytes:
        """32 bytes, zeros for the first of its account."""
        return self.previous.certificate_hash if self.previous else NO_HASH


def build_certificate(key: DayKey, found: Found, signature: Signature, change: dict[str, Any] | None) -> dict[str, Any]:
    """The certificate as JSON values. `change` tells what is different from the version before."""
    forced = signature.forced_why is not None
    return {
        "format": FORMAT,
        "software": signature.software,
        "psp": key.psp,
        "account": key.account,
        **describe_day(found.day),
        "version": signature.version,
        "closed_at": write_time(signature.closed_at),
        "closed_by": signature.closed_by,
        "forced_why": signature.forced_why,
        "reasons": [asdict(reason) for reason in found.standing.reasons],
        **sum_up(found),
        "open_differences_total": found.standing.open_total,
        "open_differences": [_name_difference(row) for row in found.standing.open_differences] if forced else [],
        "open_difference_ids": found.contents.open_ids,
        "lines_format": LINES_FORMAT,
        "lines": found.contents.tally.lines,
        "lines_hash": found.contents.tally.lines_hash.hex(),
        "follows": name_followed(signature.previous),
        "previous_hash": signature.previous_hash.hex(),
        "change": change,
    }


def name_followed(previous: Closing | None) -> dict[str, Any] | None:
    """Day and version of the certificate that one follows, for people; `previous_hash` is what proves it."""
    return {"day": previous.day.isoformat(), "version": previous.version} if previous else None


def describe_day(day: AccountDay) -> dict[str, Any]:
    """The day, by which clock it is one, and when it begins and ends."""
    return {
        "day": day.day.isoformat(),
        "day_is": day.day_is,
        "zone": ZONE,
        "starts_at": write_time(day.start),
        "ends_at": write_time(day.end),
    }


def sum_up(found: Found) -> dict[str, Any]:
    """Counts and sums of the day as JSON values."""
    return {
        "by_state": sum_by(found.contents.tally, "state"),
        "by_method": sum_by(found.contents.tally, "method"),
        "money": sum_money(found.contents.tally),
        "crypto": sum_crypto(found.contents.tally.crypto),
        "differences": found.contents.differences,
        "settlement": found.contents.settlement,
        "run": _name_run(found.standing.run),
    }


def write_canonical(certificate: dict[str, Any]) -> bytes:
    """The bytes that are hashed."""
    return orjson.dumps(certificate, option=orjson.OPT_SORT_KEYS)


def hash_certificate(certificate: dict[str, Any]) -> bytes:
    """32 bytes."""
    return hashlib.sha256(write_canonical(certificate)).digest()


def write_time(at: datetime) -> str:
    """ISO 8601 in UTC, to the microsecond, as 2026-11-20T18:00:00Z."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def sign(key: DayKey, certificate: dict[str, Any], found: Found, signature: Signature) -> Closing:
    """The certificate as it is stored."""
    return Closing(
        psp=key.psp,
        account=key.account,
        day=key.day,
        version=signature.version,
        lines=found.contents.tally.lines,
        lines_hash=found.contents.tally.lines_hash,
        previous_hash=signature.previous_hash,
        certificate_hash=hash_certificate(certificate),
        certificate=certificate,
        forced_why=signature.forced_why,
        closed_by=signature.closed_by,
        closed_at=signature.closed_at,
    )


def _name_run(run: Row | None) -> dict[str, Any] | None:
    if run is None:
        return None
    started, finished = write_time(run["started_at"]), write_time(run["finished_at"])
    return {"id": run["id"], "started_at": started, "finished_at": finished, "counts": run["counts"]}


def _name_difference(row: Row) -> dict[str, Any]:
    named = ("id", "kind", "source", "psp_payment_id", "amount_minor", "currency", "healing")
    return {name: row[name] for name in named} | {"opened_at": write_time(row["opened_at"])}
