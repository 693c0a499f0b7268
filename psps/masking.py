"""Shows a delivery without the people in it: every view of a body or of headers goes through here. Pure.

What is about a person is found by the names of fields and by the look of values (psps/personal_fields.py). The structure,
ids, amounts, states and times stay readable. What cannot be read field by field is shown as its mere shape.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from psps.personal_fields import MASK, is_about_person, is_personal, mask_patterns, mask_value, says_nothing

DEEPEST = 100  # what is nested deeper is not shown
_FORM = "application/x-www-form-urlencoded"
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{2,}\.([A-Za-z0-9_-]{2,})\.[A-Za-z0-9_-]*")
_KEY = re.compile(r'"[A-Za-z_][A-Za-z0-9_.-]{0,63}"(?=\s*:)')
_END = re.compile(rf"{re.escape(MASK)}[0-9]{{4}}")
_LETTER, _DIGIT = re.compile(r"[^\W\d_]"), re.compile(r"\d")
# Headers that tell how a delivery came and nothing about anybody.
_OPEN_HEADERS = (
    "content-type",
    "content-length",
    "user-agent",
    "accept",
    "accept-encoding",
    "host",
    "date",
    "x-request-id",
)


class _Members(list[tuple[str, Any]]):
    """An object whose repeated keys are kept."""


@dataclass(frozen=True)
class _Number:
    """A JSON number as it was written."""

    digits: str


def mask_body(body: bytes, content_type: str) -> str:
    """A text to show: JSON with an indent of two, a form as lines of name=value, anything else as its shape.

    Never raises, whatever the bytes. A body of a JSON Web Token is shown as what it says.
    """
    text = body.decode("utf-8-sig", errors="replace")
    if content_type.partition(";")[0].strip().lower() == _FORM:
        return _mask_form(text)
    token = _claims_of(text.strip())
    value = _read(text) if token is None else token
    return mask_shape(text) if value is None else show(mask_tree(value))


def mask_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers with every value masked that may be a secret, a signature or a person's."""
    return {name: mask_patterns(value) if name.lower() in _OPEN_HEADERS else MASK for name, value in headers.items()}


def mask_shape(text: str) -> str:
    """x for each letter and 0 for each digit, so that its build alone can be seen; the keys of JSON stay."""
    parts, at = [], 0
    for key in _KEY.finditer(text):
        parts += [_blank(text[at : key.start()]), mask_patterns(key[0])]
        at = key.end()
    return "".join(parts) + _blank(text[at:])


def mask_tree(value: Any, *, keeps_ends: bool = True) -> Any:
    """The same tree of `read_tree` without what is about people; of accounts the last four digits stay, or nothing."""
    masked = _mask(value, "", inside=False, depth=0)
    return masked if keeps_ends else rewrite(masked, lambda _, text: _END.sub(MASK, text))


def list_texts(body: bytes, content_type: str) -> Iterator[str]:
    """Every key, text and number in a body, also those of documents and tokens within texts. Never raises."""
    text = body.decode("utf-8-sig", errors="replace")
    if content_type.partition(";")[0].strip().lower() == _FORM:
        for name, value in parse_qsl(text, keep_blank_values=True, errors="replace"):
            yield name
            yield from _list_within(value, 0)
    else:
        yield from _list_within(text, 0)


def read_tree(text: str) -> Any:
    """The value of a JSON text, with repeated keys and numbers as they were written. ValueError if it is none."""
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deep") from None


def show(value: Any, indent: int | None = 2, depth: int = 0) -> str:
    """A tree as JSON text; without an indent on one line."""
    if isinstance(value, _Members):
        texts = [f"{json.dumps(name, ensure_ascii=False)}: {show(item, indent, depth + 1)}" for name, item in value]
        return _join("{", texts, "}", indent, depth)
    if isinstance(value, list):
        return _join("[", [show(item, indent, depth + 1) for item in value], "]", indent, depth)
    return value.digits if isinstance(value, _Number) else json.dumps(value, ensure_ascii=False)


def rewrite(value: Any, change: Callable[[str, str], str], name: str = "") -> Any:
    """The same tree with every text, number and key replaced by what `change(name of its field, text)` says."""
    if isinstance(value, _Members):
        return _Members((change("", key), rewrite(item, change, key)) for key, item in value)
    if isinstance(value, list):
        return [rewrite(item, change, name) for item in value]
    if isinstance(value, _Number):
        changed = change(name, value.digits)
        return value if changed == value.digits else changed
    return change(name, value) if isinstance(value, str) else value


def _mask(value: Any, name: str, *, inside: bool, depth: int) -> Any:
    """`inside`: of an object that is about a person."""
    if depth > DEEPEST:
        return MASK
    if isinstance(value, _Members):
        inside = inside or is_about_person(name)
        return _Members((mask_patterns(key), _mask(item, key, inside=inside, depth=depth + 1)) for key, item in value)
    if isinstance(value, list):
        return [_mask(item, name, inside=inside, depth=depth + 1) for item in value]
    if not isinstance(value, str | _Number):
        return value
    hides = not name or is_personal(name) or (inside and not says_nothing(name))
    if isinstance(value, _Number):
        masked = mask_value(value.digits) if hides else mask_patterns(value.digits)
        return value if masked == value.digits else masked
    return _mask_text(value, hides, depth)


def _mask_text(value: str, hides: bool, depth: int) -> Any:
    """A text; one that is itself a JSON document or a token is shown as what it says."""
    nested = _claims_of(value) if value.startswith("eyJ") else None
    if nested is None and value.lstrip()[:1] in ("{", "["):
        nested = _read(value)
    if nested is not None:
        return _mask(nested, "", inside=hides, depth=depth + 1)
    if hides:
        return mask_value(value) if value else value
    return mask_patterns(value)


def _list_within(text: str, depth: int) -> Iterator[str]:
    nested = _claims_of(text.strip())
    if nested is None and text.lstrip()[:1] in ("{", "["):
        nested = _read(text)
    if nested is None or depth > DEEPEST:
        yield text
        return
    found: list[str] = []
    rewrite(nested, lambda _, one: found.append(one) or one)  # type: ignore[func-returns-value]
    for one in found:
        yield from _list_within(one, depth + 1)


def _mask_form(text: str) -> str:
    pairs = parse_qsl(text, keep_blank_values=True, errors="replace")
    if not pairs:
        return mask_shape(text)
    masked = [(mask_patterns(name), _mask(value, name, inside=False, depth=0)) for name, value in pairs]
    return "\n".join(f"{name}={value if isinstance(value, str) else show(value)}" for name, value in masked)


def _read(text: str) -> Any:
    try:
        return read_tree(text)
    except ValueError:
        return None


def _claims_of(text: str) -> Any:
    token = _JWT.fullmatch(text)
    if token is None:
        return None
    try:
        claims = base64.urlsafe_b64decode(token[1] + "=" * (-len(token[1]) % 4))
        return _read(claims.decode("utf-8"))
    except (binascii.Error, ValueError):
        return None


def _join(opening: str, texts: list[str], closing: str, indent: int | None, depth: int) -> str:
    if not texts or indent is None:
        return f"{opening}{', '.join(texts)}{closing}"
    margin = " " * indent * (depth + 1)
    lines = ",\n".join(f"{margin}{text}" for text in texts)
    return f"{opening}\n{lines}\n{margin[indent:]}{closing}"


def _blank(text: str) -> str:
    return _DIGIT.sub("0", _LETTER.sub("x", text))


_DECODER = json.JSONDecoder(object_pairs_hook=_Members, parse_float=_Number, parse_int=_Number, parse_constant=_Number)
