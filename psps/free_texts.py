"""What people and PSPs wrote in their own words, shown without the people in it. Pure."""

from collections.abc import Mapping
from typing import Any

from psps.personal_fields import is_personal, mask_patterns, mask_value

# Fields of a row that hold free words, whole objects among them. Ids, states, amounts and times stay as they are.
FREE = frozenset(
    {"reason", "why", "decided_why", "closed_reason", "error", "error_message", "last_error", "instructions", "details"}
)


def mask_free(value: Any, name: str = "") -> Any:
    """A text or a tree of dictionaries and lists; `name` is the field that it is the value of. Never raises."""
    if isinstance(value, Mapping):
        return {key: mask_free(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [mask_free(item, name) for item in value]
    if not isinstance(value, str):
        return value
    return mask_value(value) if value and name and is_personal(name) else mask_patterns(value)


def mask_rows(value: Any) -> Any:
    """Rows as they are looked up: their free words masked, the rest as it is."""
    if isinstance(value, Mapping):
        return {key: mask_free(item) if key in FREE else mask_rows(item) for key, item in value.items()}
    return [mask_rows(item) for item in value] if isinstance(value, list | tuple) else value
