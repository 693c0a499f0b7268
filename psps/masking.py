"""Shows a delivery without the people in it: every view of a body or of headers goes through here. Pure.

What is about a person is found by the names of fields and by the look of values (psps/personal_fields.py). The structure,
ids, amounts, states and times stay readable. What cannot be read field by field is shown as its mere shape. What was masked
stays as it is when it is masked again.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote_plus

from psps.json_trees import Members, Number, read_tree, rewrite, show
from psps.nested_texts import MOST_WITHIN, unwrap
from psps.personal_fields import (
    MASK,
    is_about_person,
    is_hidden,
    is_personal,
    mask_key,
    mask_patterns,
    mask_value,
    says_nothing,
)

DEEPEST = 100  # what is nested deeper is not shown
MOST_PAIRS = 5000  # a text with more of them is shown as its shape
_WITHIN = DEEPEST // MOST_WITHIN  # a text within a text counts as so many levels
_FORM = "application/x-www-form-urlencoded"
_PAIR = r"[^\s=&<>\"]{1,100}=[^&\n]*"
_LOOKS_LIKE_FORM = re.compile(rf"{_PAIR}(?:[&\n]{_PAIR})*")
_MARKUP = re.compile(r"<[/?!A-Za-z]")
_KEY = re.compile(r'"([A-Za-z_][A-Za-z0-9_.-]{0,63})"(?=\s*:)')
_PLAIN = re.compile("[A-Za-z0-9 _./,-]{0,10}")  # too short for anything that is looked for
_LIKE_JSON = re.compile(r"[\"']\s*:")
_NAME = r"([^\s=:&?;,|<>\"'()\[\]{}]{1,100})[ \t]?[=:]"
_NAME_HERE, _NEXT_NAME = re.compile(_NAME), re.compile(rf"(?<![^\s&?;,|(\[{{]){_NAME}")
_BETWEEN = "&?;,|([{ \t\r\n"
_END = re.compile("•••• [0-9]{4}")
_LETTER, _DIGIT, _OTHER_DIGIT = re.compile(r"[^\W\d_]"), re.compile("[0-9]"), re.compile(r"[^\D0-9]")
_ESCAPED = {ord(mark): f"%{ord(mark):02X}" for mark in "%&+\r\n"}
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


def mask_body(body: bytes, content_type: str) -> str:
    """A text to show: JSON with an indent of two, a form as lines of name=value, anything else as its shape.

    Never raises, whatever the bytes. What the body is decides, not what the sender called it: JSON stays JSON behind the type
    of a form. A body of a JSON Web Token is shown as what it says.
    """
    text = body.decode("utf-8", errors="replace").lstrip("\ufeff")
    value = _read(text)
    if value is not None:
        return show(mask_tree(value))
    if text.lstrip()[:1] in ("{", "[", "<"):
        return mask_shape(text)
    is_form = content_type.partition(";")[0].strip().lower() == _FORM
    return _mask_form(text) if is_form or _LOOKS_LIKE_FORM.fullmatch(text.strip("\r\n")) else mask_shape(text)


def mask_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers with every value masked that may be a secret, a signature or a person's."""
    return {name: mask_patterns(value) if name.lower() in _OPEN_HEADERS else MASK for name, value in headers.items()}


def mask_shape(text: str) -> str:
    """x for each letter and 0 for each digit, so that its build alone can be seen; the keys of JSON stay."""
    parts, at, blank = [], 0, _blank(text)
    for key in _KEY.finditer(text):
        is_name = mask_key(key[1]) == key[1]
        parts += [blank[at : key.start()], key[0] if is_name else blank[key.start() : key.end()]]
        at = key.end()
    return "".join(parts) + blank[at:]


def mask_tree(value: Any, *, keeps_ends: bool = True) -> Any:
    """The same tree of `read_tree` without what is about people; of accounts the last four digits stay, or nothing."""
    masked = _mask(value, "", inside=False, depth=0)
    return masked if keeps_ends else rewrite(masked, lambda text: _END.sub(MASK, text))


def _mask(value: Any, name: str, *, inside: bool, depth: int) -> Any:
    """`inside`: of an object that is about a person."""
    if depth > DEEPEST:
        return MASK
    if isinstance(value, Members):
        inside = inside or is_about_person(name) or is_personal(name)
        return Members((mask_key(key), _mask(item, key, inside=inside, depth=depth + 1)) for key, item in value)
    if isinstance(value, list):
        return [_mask(item, name, inside=inside, depth=depth + 1) for item in value]
    if not isinstance(value, str):
        return value
    hides = is_hidden(name, value) or (inside and not says_nothing(name))
    if not hides and _PLAIN.fullmatch(value):
        return value
    if not isinstance(value, Number):
        return _mask_text(value, hides=hides, depth=depth)
    masked = mask_value(value) if hides else mask_patterns(value)
    return value if masked == value else masked


def _mask_text(value: str, *, hides: bool, depth: int) -> Any:
    """A text; one that is itself a JSON document or a token is shown as what it says."""
    if not value or depth > DEEPEST:
        return MASK if value else value
    nested = unwrap(value)
    if nested is not None:
        return _mask(nested, "", inside=hides, depth=depth + _WITHIN)
    if hides:
        return mask_value(value)
    if _MARKUP.search(value) or _LIKE_JSON.search(value):
        return mask_shape(value)
    if value.count("=") + value.count(":") > MOST_PAIRS:
        return mask_shape(value)
    return MASK if "&lt;" in value or "&#" in value else _mask_pairs(mask_patterns(value), depth)


def _mask_pairs(text: str, depth: int) -> str:
    """A text in which names may stand before their values, as in name=Juan+Perez&phone=5512345678 or Nombre: Juan."""
    if "=" not in text and ":" not in text:
        return _mask_escaped(text, depth)
    parts, at = [], 0
    while found := _NAME_HERE.match(text, at) or _NEXT_NAME.search(text, at):
        parts += [_mask_escaped(text[at : found.start()], depth), found[0]]
        at = found.end()
        if is_hidden(unquote_plus(found[1]), ""):
            following = _NEXT_NAME.search(text, at)
            value = text[at : following.start()].rstrip(_BETWEEN) if following else text[at:]
            if value and is_hidden(unquote_plus(found[1]), value.strip()):
                parts.append(mask_value(value))
                at += len(value)
    return "".join(parts) + _mask_escaped(text[at:], depth)


def _mask_escaped(text: str, depth: int) -> str:
    """The same text; what says something about a person once it is decoded is hidden."""
    bare = text.strip(_BETWEEN)
    plain = unquote_plus(bare)
    if not bare or (plain == bare and unwrap(bare) is None):
        return text
    masked = _mask_text(plain, hides=False, depth=depth + _WITHIN)
    return text if masked == plain else text.replace(bare, MASK)


def _mask_form(text: str) -> str:
    lines = []
    for pair in filter(None, re.split(r"[&\n]", text.strip("\r\n"))):
        name, equals, value = (unquote_plus(part) for part in pair.partition("="))
        masked = _mask(value, name, inside=False, depth=1)
        told = masked if isinstance(masked, str) else show(masked, indent=None)
        lines.append(f"{quote(mask_key(name), safe='[]*$')}={told.translate(_ESCAPED)}" if equals else MASK)
    return "\n".join(lines)


def _read(text: str) -> Any:
    """What a body says; None if it is neither JSON nor a token."""
    try:
        return read_tree(text)
    except ValueError:
        within = unwrap(text)
        return within if isinstance(within, Members | list) else None


def _blank(text: str) -> str:
    return _OTHER_DIGIT.sub("x", _DIGIT.sub("0", _LETTER.sub("x", text)))
