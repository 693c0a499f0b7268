"""What a mapping's JSON may hold."""

import re
from collections.abc import Mapping
from datetime import tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from models.states import LineKind

RULE = re.compile(f"[+-]?({'|'.join(LineKind)})")
TIMES = re.compile(r"unix|unix_ms|iso|.*%.*")
_WORD = validate.Length(1, 200)
_NAME = validate.Regexp(r"\A[a-z][a-z0-9_]{0,60}\Z")


class Columns(fields.Field[tuple[str, ...]]):
    """One name, or a list of names."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> tuple[str, ...]:
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list) or not all(isinstance(name, str) and 0 < len(name) <= 200 for name in names):
            raise ValidationError("give the name of a column, or a list of names")
        return tuple(names)


class WordSet(Columns):
    """A set of words or names."""

    def _deserialize(self, *args: Any, **kwargs: Any) -> Any:
        return frozenset(super()._deserialize(*args, **kwargs))


class Zone(fields.Field[tzinfo]):
    """The name of a time zone."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> tzinfo:
        try:
            return ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
            raise ValidationError("not a time zone, such as America/Mexico_City") from None


class Strict(Schema):
    """What is not known is refused."""

    class Meta:
        unknown = RAISE


class SumInput(Strict):
    """{"plus": columns, "minus": columns}"""

    plus = Columns(load_default=())
    minus = Columns(load_default=())


class RowsInput(Strict):
    """Which rows are lines."""

    column = fields.String(required=True, validate=_WORD)
    take = WordSet(required=True)
    skip = WordSet(load_default=frozenset())


def _optional_columns() -> Columns:
    return Columns(load_default=())


class MappingInput(Strict):
    """schedules.settlements.mapping.ReportMapping, member by member."""

    psp = fields.String(required=True, validate=_NAME)
    report = fields.String(required=True, validate=_NAME)
    title = fields.String(required=True, validate=_WORD)
    status = fields.String(required=True, validate=validate.OneOf(["documented", "partly", "unverified"]))
    source = fields.String(required=True, validate=validate.Length(1, 4000))
    format = fields.String(required=True, validate=validate.OneOf(["csv", "json"]))
    delimiters = Columns(load_default=(",",), validate=validate.ContainsOnly([",", ";", "\t", "|"]))
    rows_at = fields.String(load_default="data", validate=_WORD)
    line_key = Columns(required=True, validate=validate.Length(1))
    key_is_made_up = fields.Boolean(load_default=False, truthy={True}, falsy={False})
    kind = Columns(required=True, validate=validate.Length(1))
    kinds = fields.Dict(
        keys=fields.String(validate=_WORD),
        values=fields.String(validate=validate.Regexp(rf"\A(?:{RULE.pattern})\Z")),
        required=True,
        validate=validate.Length(1),
    )
    default_kind = fields.Enum(LineKind, by_value=True, load_default=None, allow_none=True)
    negate = WordSet(load_default=frozenset())
    amount = fields.Nested(SumInput, required=True)
    fee = fields.Nested(SumInput, required=True)
    net = fields.Nested(SumInput, load_default=None, allow_none=True)
    units = fields.String(required=True, validate=validate.OneOf(["minor", "major"]))
    decimal_mark = fields.String(load_default=".", validate=validate.OneOf([".", ","]))
    round_fee = fields.Boolean(load_default=False, truthy={True}, falsy={False})
    currency = _optional_columns()
    currency_constant = fields.String(load_default=None, allow_none=True, validate=validate.Regexp(r"\A[A-Z]{3}\Z"))
    converts = fields.Boolean(load_default=False, truthy={True}, falsy={False})
    occurred_at = Columns(required=True, validate=validate.Length(1))
    available_at = _optional_columns()
    times = fields.String(required=True, validate=validate.Regexp(rf"\A(?:{TIMES.pattern})\Z"))
    zone = Zone(load_default=None, allow_none=True)
    psp_payment_id = _optional_columns()
    psp_ref = _optional_columns()
    merchant_reference = _optional_columns()
    payout_ref = _optional_columns()
    optional = WordSet(load_default=frozenset())
    rows = fields.Nested(RowsInput, load_default=None, allow_none=True)
