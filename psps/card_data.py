"""Takes card data out of a body before it is stored: PANs keep their BIN and last four, secrets of a card keep nothing.

It runs for every delivery, so bodies without thirteen digits in a row and without a suspicious key cost microseconds,
and the worst that anybody can write costs less than half a microsecond for each byte.
Whatever it finds it replaces in place: a JSON body stays valid JSON, texts stay texts and numbers stay numbers.
"""

import re

from psps.card_numbers import Span, find_runs, is_clabe_number, may_hold_card

_SECRETS = rb"cvv2?|cvc2?|cv2|track[12]?|pin"
_NUMBERS = rb"pan|card_number|cuentaordenante"
# A value under its key; with a backslash before every quote inside a JSON document that is itself sent as text.
_KEYED = re.compile(
    rb'(?P<esc>\\)?"(?P<key>%b|%b)(?(esc)\\)"(?P<colon>\s*:\s*)(?P<value>'
    rb'(?(esc)\\"[^"\\]*\\"|"(?:[^"\\]|\\.)*+")|-?[0-9][0-9.eE+-]*|\[[^\[\]{}]*\])' % (_SECRETS, _NUMBERS),
    re.IGNORECASE | re.DOTALL,
)
# Where a key may be one of ours, in lower case. STP's payer account is a card when it is no CLABE (18 digits) and no
# telephone (10).
_MAY_HOLD_KEYS = re.compile(
    rb'"(?:cv|pan|pin|track|card_number|cuentaordenante\\?"\s*:\s*\\?"?(?:[0-9]{13,17}|[0-9]{19})(?![0-9]))'
)
_IS_SECRET = re.compile(_SECRETS, re.IGNORECASE)
_ESCAPE = re.compile(
    rb"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|.)", re.DOTALL
)
# Where more card numbers than this can be seen in one run, none can be told from the others: all of it is masked.
_MOST_IN_ONE_RUN = 8
_FAR = 256  # bytes; a value that begins further back is no identifier
_WORD = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")
_UUID = re.compile(rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_WHOLE_PART = re.compile(rb"[:,\[]\s*-?[0-9]+\.\Z")
_KEY_BEFORE = re.compile(rb'"([^"\\]{1,64})\\?"\s*:\s*\\?\Z')
# Values that identify a transfer or an object and merely look like a card number one time in ten.
IDENTIFIER_KEYS = frozenset(
    b"id idef clave claverastreo claverastreodevolucion folioorigen referencianumerica referenciacobranza"
    b" cuentabeneficiario cuentabeneficiario2 clabe receiving_account_number reference reference_id reference_number"
    b" order_id charge_id tracking_code tsliquidacion tscaptura tsacuserecibo client_reference_id idempotency_key".split()
)


def redact(body: bytes) -> tuple[bytes, bool]:
    """The body to store and whether card data was taken out; without any, the same bytes. Never raises."""
    text = _ESCAPE.sub(_unescape, body) if b"\\" in body else body
    kept = text
    if _MAY_HOLD_KEYS.search(text.lower()):
        kept = _KEYED.sub(_mask_keyed, kept)
    if may_hold_card(kept):
        kept = _mask_cards(kept)
    return (body, False) if kept == text else (kept, True)


def _unescape(escape: re.Match[bytes]) -> bytes:
    r"""4 for \u0034: digits and letters must not hide behind an escape. What JSON needs escaped stays so."""
    if escape[1]:
        code = 0x10000 + ((int(escape[1], 16) & 0x3FF) << 10) + (int(escape[2], 16) & 0x3FF)
    elif escape[3]:
        code = int(escape[3], 16)
    else:
        return escape[0]
    if code < 0x20 or code in (0x22, 0x5C) or 0xD800 <= code <= 0xDFFF:
        return escape[0]
    return chr(code).encode("utf-8")


def _mask_keyed(found: re.Match[bytes]) -> bytes:
    value, escape = found["value"], found["esc"] or b""
    masked = _mask_secret(value, escape) if _IS_SECRET.fullmatch(found["key"]) else _mask_number(value)
    return found[0][: found.start("value") - found.start()] + masked


def _mask_secret(value: bytes, escape: bytes) -> bytes:
    if value[:1] not in b'"\\[':
        return b"0"
    return value if not value.strip(b'\\"[]*') else escape + b'"***' + escape + b'"'


def _mask_number(value: bytes) -> bytes:
    """By its key it is a card number, whatever Luhn says; eighteen digits are a CLABE, and masked ones stay."""
    digits = value.translate(None, b'"\\ -')
    if not digits.isdigit() or not 13 <= len(digits) <= 19 or len(digits) == 18:
        return value
    return _mask_digits(value, b"0" if value[:1].isdigit() else b"*")


def _mask_cards(text: bytes) -> bytes:
    """Every stretch of whole digit groups, with single blanks or dashes between, that is a card number."""
    masked = bytearray(text)
    for run, windows in find_runs(text, _MOST_IN_ONE_RUN):
        _mask_run(text, masked, run, windows)
    return bytes(masked)


def _mask_run(text: bytes, masked: bytearray, run: Span, windows: list[Span]) -> None:
    """Mask the windows (start, end) of one run of digit groups, but for those that only look like card numbers."""
    if _key_of(text, run[0]) in IDENTIFIER_KEYS:
        return
    if len(windows) > _MOST_IN_ONE_RUN:
        masked[slice(*run)] = _mask_digits(masked[slice(*run)], b"*")
        return
    no_start = run[0] if _is_rest_of_word(text, run[0]) else -1
    no_end = run[1] if run[1] < len(text) and text[run[1]] in _WORD else -1
    for start, end in windows:
        if start == no_start or end == no_end or is_clabe_number(text[start:end]) or _is_in_uuid(text, start, end):
            continue
        filler = b"0" if _is_bare_number(text, start, end) else b"*"
        masked[start:end] = _mask_digits(masked[start:end], filler)


def _is_rest_of_word(text: bytes, start: int) -> bool:
    """Whether what begins here grows out of a word or of a fraction."""
    if text[start - 1 : start] == b"." and _WHOLE_PART.search(text, max(0, start - 40), start):
        return True
    return _is_word_before(text, start)


def _is_in_uuid(text: bytes, start: int, end: int) -> bool:
    if text.find(b"-", max(0, start - 36), end + 36) == -1:
        return False
    near = _UUID.finditer(text, max(0, start - 36), end + 36)
    return any(found.start() < end and start < found.end() for found in near)


def _is_word_before(text: bytes, start: int) -> bool:
    r"""A letter or digit right before; but the n of a `\n` is a line break."""
    if start == 0 or text[start - 1] not in _WORD:
        return False
    slashes = text[max(0, start - 65) : start - 1]
    return not (text[start - 1] in b"nrtbf" and (len(slashes) - len(slashes.rstrip(b"\\"))) % 2)


def _key_of(text: bytes, start: int) -> bytes:
    """The lower-case JSON key of the value at or around this place; empty where there is none."""
    opening = start
    if text[start - 1 : start].strip() not in (b":", b""):
        opening = text.rfind(b'"', max(0, start - _FAR), start)
    key = _KEY_BEFORE.search(text, max(0, opening - 80), max(0, opening))
    return key[1].lower() if key else b""


def _is_bare_number(text: bytes, start: int, end: int) -> bool:
    """Whether this may be a JSON number. In doubt yes: zeros are valid in a text too, stars in a number are not."""
    before, after = text[max(0, start - 20) : start].rstrip(), text[end : end + 20].lstrip()
    return (not before or before[-1:] in b":,[-") and (not after or after[:1] in b",]}.")


def _mask_digits(number: bytes | bytearray, filler: bytes) -> bytes:
    """424242******4242: the first six and the last four digits stay, and so does what is between the groups."""
    if number.isdigit():
        return bytes(number[:6]) + filler * (len(number) - 10) + bytes(number[-4:])
    places = [place for place, byte in enumerate(number) if byte in b"0123456789*"]
    masked = bytearray(number)
    for place in places[6:-4]:
        masked[place : place + 1] = filler
    return bytes(masked)
