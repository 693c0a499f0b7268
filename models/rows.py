"""Many rows in one parameter: the set-based statements take them as one JSON document."""

from collections.abc import Sequence
from typing import Any

import orjson


def to_json(rows: Sequence[Any]) -> str:
    """Dataclasses to the JSON array that json_to_recordset reads. Times become ISO 8601, UUIDs text."""
    return orjson.dumps(rows).decode()
