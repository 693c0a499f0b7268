"""Finds what is a card number by its digits, its length and Luhn, in a time that depends on the text's length alone."""

import re
from array import array
from collections.abc import Iterator
from itertools import compress

from psps.clabe import is_clabe

Span = tuple[int, int]  # start and end of a part of the text

# Digits become 0, blanks and dashes become -, all else a dot: where card numbers can be is then a search for text.
_SHAPE = bytes(48 if byte in b"0123456789" else 45 if byte in b" -" else 46 for byte in range(256))
_THIRTEEN_DIGITS = b"0" * 13
_ZEROS = re.compile(rb"0+")
_VALUE = bytes(byte - 48 if 48 <= byte <= 57 else 0 for byte in range(256))
_DOUBLED = bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)[byte - 48] if 48 <= byte <= 57 else 0 for byte in range(256))
_LENGTHS = range(13, 20)
_LONG_ENOUGH = re.compile(rb"[0-9]{13,}")
_LANE = 8  # bits
_BEFORE = b"." * _LENGTHS[-1]  # so that no window begins before the text
# Card numbers by first digits and length: Visa, Mastercard, Maestro and Carnet, American Express, Diners, JCB,
# Discover and UnionPay.
_CARD = re.compile(
    rb"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|2[2-7])\d{14}|(?:50|5[6-9]|6\d)\d{11,17}|3[47]\d{13}|3(?:0|6|8|9)\d{12}|35\d{14}"
)
# By length: 0 for the first two digits (as a number) of card numbers, 1 for all others.
_NOT_CARD = {
    length: bytes(pair > 99 or not _CARD.fullmatch(b"%02d" % pair + b"0" * (length - 2)) for pair in range(256))
    for length in _LENGTHS
}
_NOT_LUHN = bytes(total % 10 != 0 for total in range(256))
_NOT_DIGIT = bytes(byte not in b"0123456789" for byte in range(256))
_ZERO_ONLY = bytes(byte == 48 for byte in range(256))
_IS_ZERO = bytes(byte == 0 for byte in range(256))


def may_hold_card(text: bytes) -> bool:
    """Whether the full search is worth its time: a plain number that is a card's, or enough digits with gaps."""
    shape = text.translate(_SHAPE)
    end = 0
    rest = []
    while (start := shape.find(_THIRTEEN_DIGITS, end)) != -1:
        rest.append(shape[end:start])
        end = _ZEROS.match(shape, start).end()  # type: ignore[union-attr]  # it starts with thirteen zeros
        if _is_card(text[start:end]) or shape[start - 2 : start] == b"0-" or shape[end : end + 2] == b"-0":
            return True
    rest.append(shape[end:])
    return _THIRTEEN_DIGITS in b".".join(rest).replace(b"-", b"")


def find_runs(text: bytes, most: int) -> Iterator[tuple[Span, list[Span]]]:
    """Every run of digit groups, with single blanks or dashes between, that holds card numbers, and where they are.

    A card number is a stretch of whole groups. Of those in one run `most` + 1 are given, and no more than that.
    """
    shape = _BEFORE + text.translate(_SHAPE)
    is_kept = shape.replace(b"-0", b"\0\1")  # without the blanks and dashes before digits, a run is plain digits
    packed = bytes(compress(_BEFORE + text, is_kept))
    ends = _find_ends(packed, shape.replace(b"-0", b"1"))
    if not ends:
        return
    places = array("q", compress(range(-len(_BEFORE), len(text)), is_kept))  # in the text, of each packed byte
    for run in _LONG_ENOUGH.finditer(packed):
        first, end = run.span()
        windows: list[Span] = []
        for length, marks in ends.items():
            last = marks.find(1, first, end)
            while last != -1 and len(windows) <= most:
                windows.append((places[last - length + 1], places[last] + 1))
                last = marks.find(1, last + 1, end)
        if windows:
            yield (places[first], places[end - 1] + 1), sorted(windows)


def _find_ends(packed: bytes, shape: bytes) -> dict[int, bytes]:
    """By length of card number, where there are any: 1 for every place of the packed text where one ends, 0 elsewhere.

    `shape` has a 1 for the first digit behind a blank or dash, 0 for other digits. All places are looked at at once:
    each is one byte of a large number, in which no sum of nineteen digits overflows.
    """
    plain, doubled = _lanes(packed.translate(_VALUE)), _lanes(packed.translate(_DOUBLED))
    breaks = _lanes(packed.translate(_NOT_DIGIT))
    digits = breaks ^ _lanes(b"\1" * len(packed))
    inside = _lanes(shape.translate(_ZERO_ONLY)) & (digits << _LANE)  # a digit right behind a digit: no group begins
    pairs = _bytes(plain * 10 + (plain >> _LANE), len(packed))
    total = broken = 0
    ends = {}
    for length in range(1, _LENGTHS[-1] + 1):
        shift = _LANE * (length - 1)
        total += (plain if length % 2 else doubled) << shift
        broken |= breaks << shift
        if length in _LENGTHS:
            not_luhn = _lanes(_bytes(total, len(packed)).translate(_NOT_LUHN))
            no_begin = (inside | _lanes(pairs.translate(_NOT_CARD[length]))) << shift
            bad = not_luhn | no_begin | broken | (inside >> _LANE)
            marks = _bytes(bad, len(packed)).translate(_IS_ZERO)
            if 1 in marks:
                ends[length] = marks
    return ends


def _lanes(values: bytes) -> int:
    return int.from_bytes(values, "little")


def _bytes(lanes: int, size: int) -> bytes:
    return (lanes & ((1 << _LANE * size) - 1)).to_bytes(size, "little")


def _is_card(number: bytes) -> bool:
    digits = number.translate(None, b" -")
    if not _CARD.fullmatch(digits):
        return False
    if (sum(digits[-1::-2].translate(_VALUE)) + sum(digits[-2::-2].translate(_DOUBLED))) % 10:
        return False
    return not is_clabe_number(number)


def is_clabe_number(number: bytes) -> bool:
    """Whether this is a CLABE, which is no card number whatever Luhn says."""
    return len(number) == 18 and is_clabe(number.decode("ascii"))
