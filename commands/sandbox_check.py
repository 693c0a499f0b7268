"""Compare what the sandbox played with what the stack believes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from commands.stack_payments import PspPayment, SeenPayment

COMPARED = ("state", "received_minor", "refunded_minor")
NEEDED = frozenset({"psp", "psp_payment_id", *COMPARED})


class NotExpectations(Exception):
    """The file is not what a flood writes. The message is one line that says where."""


@dataclass(frozen=True, slots=True)
class Difference:
    psp: str
    psp_payment_id: str
    field: str
    expected: str | int
    found: str | int | None


def read_expected(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The lines to compare, and how many payments are left out because events of theirs were dropped on purpose.

    Raises NotExpectations.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise NotExpectations(f"{path} cannot be read as text") from None
    lines = [_read_line(line, f"line {number} of {path}") for number, line in enumerate(text.splitlines(), 1) if line]
    whole = [line for line in lines if not line.get("dropped")]
    return whole, len(lines) - len(whole)


def _read_line(line: str, place: str) -> dict[str, Any]:
    try:
        expected = json.loads(line)
    except (ValueError, RecursionError):
        expected = None
    if not isinstance(expected, dict) or not expected.keys() >= NEEDED:
        raise NotExpectations(f"{place} is not what `acuse sandbox flood --expected` writes")
    return expected


def compare(expected: Sequence[dict[str, Any]], seen: Mapping[PspPayment, SeenPayment]) -> list[Difference]:
    """One Difference per field that is not as expected; a payment that is not there is one of its state."""
    differences = []
    for line in expected:
        psp, payment_id = line["psp"], line["psp_payment_id"]
        payment = seen.get((psp, payment_id))
        if payment is None:
            differences.append(Difference(psp, payment_id, "state", line["state"], None))
            continue
        for name in COMPARED:
            found = getattr(payment, name)
            if found != line[name]:
                differences.append(Difference(psp, payment_id, name, line[name], found))
    return differences


def keys_of(expected: Sequence[dict[str, Any]]) -> list[PspPayment]:
    return [(line["psp"], line["psp_payment_id"]) for line in expected]
