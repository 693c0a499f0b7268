"""The lines of a closed day and their hash, in a form that anybody can compute again from the CSV.

lines_hash, format 2 (`lines_format` in the certificate), is the SHA-256 over one line for each payment whose account day is the closed day:

- in the order of the bytes (UTF-8) of psp_payment_id, an absent one first, then of id;
- each a JSON array without spaces, text as UTF-8 and not escaped beyond what JSON demands, null for what is not known:
  [psp_payment_id, id, state, method, direction, amount_minor, received_minor, refunded_minor, fee_minor, currency,
  livemode, merchant_id, operating_day, crypto_asset, crypto_base_units, crypto_scale], where livemode is true or false,
  crypto_base_units is text, and all others but the amounts and crypto_scale are text too;
- each ended by one LF. A day without payments has the SHA-256 of nothing.

Python's json.dumps(fields, ensure_ascii=False, separators=(",", ":")) writes exactly this. In lines.csv an empty cell is
null, and an apostrophe before = + - @ or an apostrophe is there for spreadsheets alone and is taken off.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import orjson

from models.closings import DayLine
from models.states import Direction, PaymentState
from schedules.closing.crypto import CryptoKey, CryptoSums

LINES_FORMAT = 2
TAKEN_BACK = frozenset({PaymentState.RETURNED, PaymentState.DISPUTED})
REPORT_EVERY = 1000  # lines

GroupKey = tuple[str, str, str, str | None]  # state, method, direction, currency


@dataclass(slots=True)
class Sums:
    """Of some payments of one currency, in minor units. `taken_back_minor` is what was received, not refunded, and has
    gone all the same: returned or disputed."""

    count: int = 0
    amount_minor: int = 0
    received_minor: int = 0
    refunded_minor: int = 0
    fee_minor: int = 0
    fees_known: int = 0
    taken_back_minor: int = 0

    def add(self, other: "Sums") -> None:
        """Count the others in."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True, slots=True)
class DayTally:
    """What the lines of a day come to. Its size does not depend on how many there are."""

    lines: int
    lines_hash: bytes
    groups: dict[GroupKey, Sums]
    crypto: dict[CryptoKey, CryptoSums]


def write_line(line: DayLine) -> bytes:
    """The canonical text of a line, with its LF."""
    return orjson.dumps((line.psp_payment_id or None, *line[1:]), option=orjson.OPT_APPEND_NEWLINE)


def tally_lines(lines: Iterable[DayLine], on_lines: Callable[[int], None] = lambda count: None) -> DayTally:
    """Hash and sum up the lines, which come in their order; `on_lines` hears of every thousand."""
    count, digest, groups = 0, hashlib.sha256(), defaultdict[GroupKey, Sums](Sums)
    crypto = defaultdict[CryptoKey, CryptoSums](CryptoSums)
    for count, line in enumerate(lines, 1):
        digest.update(write_line(line))
        _add(groups[line.state, line.method, line.direction, line.currency], line)
        if line.crypto_asset:
            crypto[line.crypto_asset, line.direction, line.state].add(line)
        if count % REPORT_EVERY == 0:
            on_lines(REPORT_EVERY)
    on_lines(count % REPORT_EVERY)
    return DayTally(count, digest.digest(), dict(groups), dict(crypto))


def _add(sums: Sums, line: DayLine) -> None:
    sums.count += 1
    sums.amount_minor += line.amount_minor or 0
    sums.received_minor += line.received_minor
    sums.refunded_minor += line.refunded_minor
    if line.fee_minor is not None:
        sums.fee_minor += line.fee_minor
        sums.fees_known += 1
    if line.state in TAKEN_BACK:
        sums.taken_back_minor += line.received_minor - line.refunded_minor


def sum_money(tally: DayTally) -> list[dict[str, str | int | None]]:
    """For each currency what came in, what went and what is left of it, in minor units.

    net = received - refunded - taken_back - paid_out - fee, where the first three are of money that comes in.
    """
    found: dict[str | None, dict[str, int]] = {}
    for (_, _, direction, currency), sums in tally.groups.items():
        money = found.setdefault(
            currency,
            dict.fromkeys(("received", "refunded", "taken_back", "paid_out", "fee", "payments", "fees_known"), 0),
        )
        money["payments"] += sums.count
        money["fees_known"] += sums.fees_known
        money["fee"] += sums.fee_minor
        if direction == Direction.OUT:
            money["paid_out"] += sums.received_minor - sums.refunded_minor - sums.taken_back_minor
        else:
            money["received"] += sums.received_minor
            money["refunded"] += sums.refunded_minor
            money["taken_back"] += sums.taken_back_minor
    return [_name_money(currency, found[currency]) for currency in sorted(found, key=lambda known: known or "")]


def _name_money(currency: str | None, money: dict[str, int]) -> dict[str, str | int | None]:
    gone = ("refunded", "taken_back", "paid_out", "fee")
    named: dict[str, str | int | None] = {f"{name}_minor": money[name] for name in ("received", *gone)}
    net = money["received"] - sum(money[name] for name in gone)
    counts = {"payments": money["payments"], "fees_known": money["fees_known"]}
    return {"currency": currency, **named, "net_minor": net, **counts}


def sum_by(tally: DayTally, name: Literal["state", "method"]) -> list[dict[str, str | int | None]]:
    """The sums by `state` or `method`, direction and currency, in their order."""
    found: dict[tuple[str, str, str | None], Sums] = defaultdict(Sums)
    for key, sums in tally.groups.items():
        found[key[0] if name == "state" else key[1], key[2], key[3]].add(sums)
    ordered = sorted(found.items(), key=lambda item: (item[0][0], item[0][1], item[0][2] or ""))
    return [
        {
            name: key[0],
            "direction": key[1],
            "currency": key[2],
            "count": sums.count,
            "amount_minor": sums.amount_minor,
            "received_minor": sums.received_minor,
            "refunded_minor": sums.refunded_minor,
            "fee_minor": sums.fee_minor,
        }
        for key, sums in ordered
    ]
