"""One person in what PSPs tell: whether a text is about them, and the same text without anybody in it. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import unquote

from psps.clabe import is_clabe
from psps.json_trees import read_tree, rewrite, show
from psps.masking import mask_shape, mask_tree
from psps.nested_texts import list_texts
from psps.personal_fields import MASK

KINDS = ("clabe", "email", "phone", "rfc", "curp")
_LOOKS = {
    "email": re.compile(r"[^\s@]{1,64}@[^\s@]{1,253}"),
    "phone": re.compile(r"[0-9]{10}"),
    "rfc": re.compile(r"[A-ZÑ&]{3,4}[0-9]{6}[0-9A-Z]{3}"),
    "curp": re.compile(r"[A-ZÑ]{4}[0-9]{6}[HMX][A-ZÑ]{5}[0-9A-Z][0-9]"),
}
_PUNCTUATION = str.maketrans("", "", " -().+")
_ERASED = b'{"erased": true}'


class NoIdentifier(ValueError):
    """The text cannot be a value of its kind. The message does not show it."""


@dataclass(frozen=True, slots=True)
class Identifier:
    """One value that tells a person from others."""

    kind: str
    value: str = field(repr=False)


def read_identifier(kind: str, said: str) -> Identifier:
    """The value as it is compared: no blanks and dashes, of a telephone the last ten digits. Raises NoIdentifier."""
    value = said.strip().casefold() if kind == "email" else said.upper().translate(_PUNCTUATION).strip()
    value = value[-10:] if kind == "phone" else value
    if not (is_clabe(value) if kind == "clabe" else _LOOKS[kind].fullmatch(value)):
        raise NoIdentifier(f"that is no {kind}")
    return Identifier(kind, value)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is known by any of these."""

    identifiers: Sequence[Identifier]

    def is_in_body(self, body: bytes) -> bool:
        """Whether any value in it, also in a document within a text or in a token, is or holds one of theirs."""
        return self.is_in(list_texts(body))

    def is_in(self, texts: Iterable[str]) -> bool:
        """Whether one of these texts is or holds one of theirs."""
        return any(_holds(text, one) for text in texts for one in self.identifiers)

    def erase_body(self, body: bytes) -> bytes:
        """The JSON with everything masked that is about people, and what this person is known by wherever it stands.

        What is no JSON object or list, or has them in it still, says only that it was erased. They are not in what is given.
        """
        text = body.decode("utf-8", errors="replace").lstrip("\ufeff")
        if text.lstrip()[:1] not in ("{", "["):
            return _ERASED
        try:
            masked = mask_tree(read_tree(text), keeps_ends=False)
        except ValueError:
            return _ERASED
        told = rewrite(masked, lambda one: MASK if self.is_in([one]) else one)
        erased = show(told, indent=None).encode()
        return _ERASED if self.is_in_body(erased) else erased

    def erase_text(self, text: str) -> str:
        """As much of it as its shape, or nothing where they are in that."""
        shape = mask_shape(text)
        return MASK if self.is_in([shape]) else shape


def _holds(text: str, one: Identifier) -> bool:
    near = unquote(text).casefold() if one.kind == "email" else text.upper()
    return one.value[-2:] in near and bool(_pattern(one).search(near))


@cache
def _pattern(one: Identifier) -> re.Pattern[str]:
    """The value with nothing grown onto it; its digits and letters may stand in groups, but those of an address."""
    if one.kind == "email":
        return re.compile(rf"(?<![\w.+-]){re.escape(one.value)}(?![\w-]|\.\w)")
    gap = "[ ().-]{0,2}"
    before = (
        f"(?:(?<![0-9])(?:5{gap}2{gap}(?:1{gap})?|04[45]{gap}|1{gap})?)" if one.kind == "phone" else "(?<![0-9A-ZÑ])"
    )
    return re.compile(rf"{before}{gap.join(map(re.escape, one.value))}(?![0-9A-ZÑ])")
