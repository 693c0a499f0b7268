"""Cursors: the place of a row in a list, as a text that means nothing to a merchant."""

import base64
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

import orjson

from ingress.api.problems import Problem

Place = tuple[datetime, UUID]  # created_at and id


def write_cursor(place: Place) -> str:
    """The text for a place."""
    written = orjson.dumps([place[0].astimezone(UTC), place[1]])
    return base64.urlsafe_b64encode(written).decode().rstrip("=")


def read_cursor(cursor: str | None) -> Place | None:
    """The place, or None where there is no text. Raises Problem 422."""
    if cursor is None:
        return None
    with suppress(ValueError, TypeError, AttributeError, OverflowError):
        created_at, id = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        at = datetime.fromisoformat(created_at)
        if at.tzinfo is not None:
            return at.astimezone(UTC), UUID(id)
    raise Problem(422, "invalid", "this cursor is not one of ours: begin with the first page", errors=[])
