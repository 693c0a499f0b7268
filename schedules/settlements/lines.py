"""One row of a report as a line of settlement: what moved, what the PSP kept, and whose payment it was."""

import hashlib
import re
from collections.abc import Iterator

import orjson

from models.settlements import NewLine
from models.states import LineKind
from psps.currencies import find_exponent
from schedules.settlements.cells import (
    LARGEST,
    add_cells,
    find_text,
    find_time,
    read_currency,
    refuse,
    require_text,
    to_minor,
)
from schedules.settlements.copying import BadReport
from schedules.settlements.mapping import KindRule, ReportMapping, Sum
from schedules.settlements.read import Row

SHOWN_WORD = re.compile(r"[A-Za-z][A-Za-z_.:/-]{0,39}")
LONGEST_KEY = 400


def read_line(row: Row, mapping: ReportMapping) -> NewLine | None:
    """The line; None for a row that the mapping passes over. Raises BadReport."""
    if mapping.rows and not _is_taken(row, mapping):
        return None
    raw_kind, rule = _read_kind(row, mapping)
    currency = read_currency(row, mapping.currency, mapping.currency_constant)
    amount, fee, net = _read_money(row, mapping, currency, raw_kind in mapping.negate)
    if rule.sign * amount < 0:
        wanted = "positive" if rule.sign > 0 else "negative"
        raise refuse(row, _name(mapping.amount), f"{amount} minor units, where a line of {_show(raw_kind)} is {wanted}")
    occurred_at = find_time(row, mapping.occurred_at, mapping.times, mapping.zone)
    if occurred_at is None:
        raise refuse(row, " or ".join(mapping.occurred_at), "is empty")
    told = [raw_kind, amount, fee, net, currency, occurred_at]
    return NewLine(
        line_key=_read_key(row, mapping),
        kind=rule.kind,
        raw_kind=raw_kind,
        psp_payment_id=find_text(row, mapping.psp_payment_id),
        psp_ref=find_text(row, mapping.psp_ref),
        merchant_reference=find_text(row, mapping.merchant_reference),
        amount_minor=amount,
        fee_minor=fee,
        net_minor=net,
        currency=currency,
        occurred_at=occurred_at,
        available_at=find_time(row, mapping.available_at, mapping.times, mapping.zone),
        payout_ref=find_text(row, mapping.payout_ref),
        content_digest=hashlib.sha256(orjson.dumps(told)).hexdigest(),
    )


def _is_taken(row: Row, mapping: ReportMapping) -> bool:
    assert mapping.rows
    word = require_text(row, (mapping.rows.column,))
    if word not in mapping.rows.take | mapping.rows.skip:
        raise refuse(
            row, mapping.rows.column, f"{_show(word)} is not in `rows` of the mapping: say to take or to skip it"
        )
    return word in mapping.rows.take


def _read_kind(row: Row, mapping: ReportMapping) -> tuple[str, KindRule]:
    word = require_text(row, mapping.kind)
    rule = mapping.kinds.get(word)
    if rule is None and mapping.default_kind:
        rule = KindRule(mapping.default_kind, 0)
    if rule is None:
        why = f"{_show(word)} is not in `kinds` of the mapping {mapping.name}: say in a --mapping what it is"
        raise refuse(row, " or ".join(mapping.kind), f"{why} ({', '.join(LineKind)})")
    return word, rule


def _read_money(row: Row, mapping: ReportMapping, currency: str, is_negated: bool) -> tuple[int, int, int]:
    """Amount, fee and net in minor units. Raises BadReport, with the figures, where they do not add up."""
    sign = -1 if is_negated else 1
    amount, fee = _read_sum(row, mapping, mapping.amount, currency), _read_sum(row, mapping, mapping.fee, currency)
    if amount is None:
        raise refuse(row, _name(mapping.amount), "is empty")
    net = amount - (fee or 0)
    if abs(net) > LARGEST:
        raise refuse(row, _name(mapping.amount), "has too many digits")
    if mapping.net is not None:
        told = _read_sum(row, mapping, mapping.net, currency)
        if told is None:
            raise refuse(row, _name(mapping.net), "is empty")
        if told != net:
            figures = f"{amount} less the fee of {fee or 0} is {net}, and the report says {told}"
            raise refuse(row, _name(mapping.net), f"the line does not add up: {figures} (minor units of {currency})")
    return sign * amount, sign * (fee or 0), sign * net


def _read_sum(row: Row, mapping: ReportMapping, total: Sum, currency: str) -> int | None:
    amount = add_cells(row, total, mapping.units, mapping.decimal_mark)
    if amount is None:
        return None
    exponent = find_exponent(currency) if mapping.units == "major" else 0
    return to_minor(row, _columns(total), amount, exponent, mapping.round_fee and total is mapping.fee)


def _read_key(row: Row, mapping: ReportMapping) -> str:
    key = "|".join(require_text(row, (column,)) for column in mapping.line_key)
    if len(key) > LONGEST_KEY:
        raise BadReport(f"line {row.line}: the key of the line is longer than {LONGEST_KEY} characters")
    return key


def _columns(total: Sum) -> Iterator[str]:
    yield from total.plus
    yield from total.minus


def _name(total: Sum) -> str:
    return " and ".join(_columns(total))


def _show(word: str) -> str:
    """The word, if it looks like one: with the wrong column it may be somebody's name or account."""
    return f"the word {word!r}" if SHOWN_WORD.fullmatch(word) else f"a word of {len(word)} characters"
