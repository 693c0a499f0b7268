"""How a PSP's report is read: a mapping, which is JSON that an operator can write anew."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import tzinfo
from pathlib import Path
from typing import Any, Literal

from marshmallow import ValidationError

from models.states import LineKind
from schedules.settlements.mapping_schema import MappingInput

FOLDER = Path(__file__).parent / "mappings"
SIGNS = {"+": 1, "-": -1}
Columns = tuple[str, ...]


class BadMapping(ValueError):
    """A mapping cannot be used. The message names the file and the member."""


class NoMapping(ValueError):
    """No mapping, or more than one, fits what was asked for. The message lists those there are."""


@dataclass(frozen=True, slots=True)
class Sum:
    """An amount: what stands in some columns, less what stands in others."""

    plus: Columns
    minus: Columns


@dataclass(frozen=True, slots=True)
class KindRule:
    """What a word of the PSP means, and the sign that the amount of such a line must have; 0 for either."""

    kind: LineKind
    sign: int


@dataclass(frozen=True, slots=True)
class RowRule:
    """Which rows are lines: those with a word of `take`, by this column. Those with a word of `skip` are passed over."""

    column: str
    take: frozenset[str]
    skip: frozenset[str]


@dataclass(frozen=True, slots=True)
class ReportMapping:
    """How one report of one PSP is read.

    `line_key` columns together identify a line for ever. All other tuples of columns are alternatives: the first that is
    not empty counts; but of `currency` all that are not empty must agree. A name in a JSON report may be a path with dots.

    Where the key is made up, lines of one key are numbered in the order of their file, from `#2` on. So the same lines have
    the same keys in every report that has all lines of their moment in the same order: take reports of full days, and do
    not join overlapping ones into one file.
    """

    psp: str
    report: str
    title: str
    status: Literal["documented", "partly", "unverified"]
    source: str
    format: Literal["csv", "json"]
    delimiters: Columns
    rows_at: str  # the member of the top object that holds the rows, where JSON has one
    line_key: Columns
    key_is_made_up: bool  # the report has no id of its lines: what stands twice in a file is two lines
    kind: Columns
    kinds: Mapping[str, KindRule]
    default_kind: LineKind | None  # of words that are not in `kinds`; None: they are refused
    negate: frozenset[str]  # words whose lines are written without the minus that they mean
    amount: Sum
    fee: Sum
    net: Sum | None  # None: the report has none, and it is not checked
    units: Literal["minor", "major"]
    decimal_mark: Literal[".", ","]
    round_fee: bool  # fees may have more decimals than the currency: half up, after adding them
    currency: Columns
    currency_constant: str | None
    converts: bool  # the PSP settles in its own currency: a line of another one than the payment's is no difference
    occurred_at: Columns
    available_at: Columns
    times: str  # unix, unix_ms, iso, or a pattern of strptime
    zone: tzinfo | None  # of times that tell no offset; None: those are refused
    psp_payment_id: Columns
    psp_ref: Columns
    merchant_reference: Columns
    payout_ref: Columns
    optional: frozenset[str]  # columns without which the report is still whole
    rows: RowRule | None

    @property
    def name(self) -> str:
        """psp_report: its file's name."""
        return f"{self.psp}_{self.report}"

    @property
    def columns(self) -> frozenset[str]:
        """Every column that is read."""
        named = {name for field in fields(self) for name in _find_columns(field.name, getattr(self, field.name))}
        return frozenset(named | ({self.rows.column} if self.rows else set()))


NOT_COLUMNS = {"delimiters"}


def _find_columns(field: str, value: Any) -> Iterable[str]:
    if isinstance(value, Sum):
        return value.plus + value.minus
    return value if isinstance(value, tuple) and field not in NOT_COLUMNS else ()


def load_mappings() -> tuple[ReportMapping, ...]:
    """The mappings that come with Acuse, by name. Raises BadMapping."""
    return tuple(read_mapping(path.read_text("utf-8"), path.name) for path in sorted(FOLDER.glob("*.json")))


def find_converting() -> frozenset[str]:
    """The PSPs that have a report whose lines may be in another currency than their payments. Raises BadMapping."""
    return frozenset(one.psp for one in load_mappings() if one.converts)


def find_mapping(psp: str, report: str | None, written_as: str | None) -> ReportMapping:
    """The mapping of this PSP's report; without a name the only one that is written so (csv, json). Raises NoMapping."""
    known = [one for one in load_mappings() if one.psp == psp]
    fitting = [one for one in known if (one.report == report if report else written_as in (None, one.format))]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(one.report for one in known) or "none"
    asked = f"is no report {report!r}" if report else "are several reports" if fitting else "is no such report"
    raise NoMapping(f"there {asked} of {psp}; known are: {names}. Say --report, or give a --mapping of your own")


def read_mapping(text: str, where: str) -> ReportMapping:
    """A mapping from its JSON; `where` is named in errors. Raises BadMapping."""
    try:
        told = MappingInput().load(json.loads(text, object_pairs_hook=_refuse_twice))
    except ValidationError as error:
        raise BadMapping(f"{where}: {json.dumps(error.messages)}") from None
    except (ValueError, RecursionError) as error:
        raise BadMapping(f"{where}: {error}") from None
    kinds = {word: _read_kind(rule) for word, rule in told.pop("kinds").items()}
    sums = {name: Sum(**told[name]) if told[name] else None for name in ("amount", "fee", "net")}
    row_rule = RowRule(**told["rows"]) if told["rows"] else None
    mapping = ReportMapping(**told | sums | {"kinds": kinds, "rows": row_rule})
    _check(mapping, where)
    return mapping


def _read_kind(rule: str) -> KindRule:
    sign = SIGNS.get(rule[0], 0)
    return KindRule(LineKind(rule[1:] if sign else rule), sign)


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _check(mapping: ReportMapping, where: str) -> None:
    flaws = {
        "amount: names no column": not (mapping.amount.plus or mapping.amount.minus),
        "currency: name columns, or a currency_constant": not mapping.currency and not mapping.currency_constant,
        "negate: holds a word that is not in kinds": not mapping.negate <= mapping.kinds.keys(),
        "optional: holds a name that is no column": not mapping.optional <= mapping.columns,
        "optional: a line_key must always be there": bool(mapping.optional & set(mapping.line_key)),
        "round_fee: not in a report with a net, which decides": mapping.round_fee and mapping.net is not None,
        "nothing to match by: name psp_payment_id, psp_ref or merchant_reference": not (
            mapping.psp_payment_id or mapping.psp_ref or mapping.merchant_reference
        ),
    }
    for flaw, is_there in flaws.items():
        if is_there:
            raise BadMapping(f"{where}: {flaw}")
