"""How requests are read: JSON in one way only, nothing that is not known, whole numbers that are whole numbers."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import flask_smorest
from flask import Request, request
from marshmallow import RAISE, Schema, ValidationError, fields, validate
from webargs import core
from webargs.flaskparser import FlaskParser

from ingress.api.problems import Problem
from psps.base import Unparseable
from psps.card_data import redact
from psps.payload import read_json

DIGITS = re.compile(r"-?[0-9]{1,19}")
MOST_MINOR = 10**12  # ten thousand million pesos: beyond any payment


class StrictParser(FlaskParser):
    """Refuses what it does not know, in the query too, and JSON that could be read in two ways."""

    DEFAULT_UNKNOWN_BY_LOCATION: dict[str, str | None] = {  # noqa: RUF012 - as the base class has it
        **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
        "json": RAISE,
        "query": RAISE,
    }

    def load_json(self, req: Request, schema: Schema) -> Any:
        """The object in the body. Raises Problem 415 and 400."""
        body = req.get_data(cache=True)
        if not body:
            raise Problem(422, "invalid", "send a JSON object, if only {}", errors=[])
        if not core.is_json(req.mimetype):
            raise Problem(415, "unsupported-media-type", "send application/json")
        try:
            return read_json(body)
        except Unparseable as error:
            raise Problem(400, "malformed-json", str(error)) from None

    def load_querystring(self, req: Request, schema: Schema) -> Any:
        """The query. Raises Problem 422 for one parameter given twice."""
        twice = [name for name, values in req.args.lists() if len(values) > 1]
        if twice:
            raise Problem(422, "invalid", f"{twice[0]} is given more than once", errors=[])
        return super().load_querystring(req, schema)


class Blueprint(flask_smorest.Blueprint):
    """A resource of the API."""

    ARGUMENTS_PARSER = StrictParser()


class Input(Schema):
    """What comes from a merchant: members that are not known are refused."""

    class Meta:
        unknown = RAISE


class MinorUnits(fields.Field[int]):
    """A JSON whole number of minor units; neither true, nor 12.0, nor "12"."""

    def __init__(self, **more: Any) -> None:
        bounds = {"type": "integer", "minimum": 1, "maximum": MOST_MINOR}
        super().__init__(**{**more, "metadata": bounds | more.get("metadata", {})})

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **more: Any) -> int:
        if type(value) is not int or not 1 <= value <= MOST_MINOR:
            raise ValidationError(f"must be a whole number of minor units (centavos) from 1 to {MOST_MINOR}")
        return value


class Whole(fields.Integer):
    """A whole number in a query, in plain digits; neither 1_000, nor +5."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **more: Any) -> Any:
        if isinstance(value, str) and not DIGITS.fullmatch(value):
            raise self.make_error("invalid")
        return super()._deserialize(value, attr, data, **more)


class Pattern(validate.Regexp):
    """The whole text is like this; after `$` alone a line end could follow."""

    def __call__(self, value: Any) -> Any:
        if not self.regex.fullmatch(value):
            raise ValidationError(self._format_error(value))
        return value


class Line(fields.String):
    """One line of printable text."""

    def __init__(self, longest: int, shortest: int = 1, **more: Any) -> None:
        super().__init__(validate=[validate.Length(shortest, longest)], **more)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **more: Any) -> Any:
        text = super()._deserialize(value, attr, data, **more)
        if not text.isprintable():
            raise ValidationError("must be one line of printable text")
        if redact(text.encode())[1]:
            raise ValidationError("looks like the number of a card, which must not be sent here")
        return text


class Moment(fields.AwareDateTime):
    """A time with its offset, such as 2026-11-25T18:00:00Z; aware UTC inside."""

    def __init__(self, **more: Any) -> None:
        super().__init__(format="iso", default_timezone=None, **more)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **more: Any) -> datetime:
        try:
            return super()._deserialize(value, attr, data, **more).astimezone(UTC)
        except OverflowError:
            raise ValidationError("must be a time of our age") from None


def refuse_body() -> None:
    """Raises Problem 422 where a request that takes no body has one."""
    if request.get_data(cache=True).strip() not in (b"", b"{}"):
        raise Problem(422, "invalid", "this request takes no body", errors=[])
