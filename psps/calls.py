"""One call to a PSP as plain data: what is asked, what came back, and what a bad answer means. No network here."""

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from psps.base import Unparseable
from psps.outbound import NotNow, NotThere, OutcomeUnknown, PspError, Refused
from psps.payload import read_any_json
from psps.writing import write_json

LONGEST_WORDS = 200
TOO_MANY_REQUESTS, NOT_FOUND = 429, 404
# 4xx that leave open what was done: a timeout, a conflict with another call or state, a lock, too early after another call.
UNCLEAR_STATUSES = frozenset({408, 409, 423, 425})
# A Date that differs more from our own clock is not the PSP's time but a mistake on the way.
MOST_CLOCK_ERROR = timedelta(hours=1)
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\u00a1-\u00ac\u00ae-\u024f]+")
# Account and card numbers, mail addresses, API keys (of Stripe, Conekta, Mercado Pago) and JWTs, which PSPs like to repeat
# in their messages.
_PRIVATE = re.compile(
    r"[0-9][0-9 -]{8,}[0-9]|[^\s'\"<>]+@[^\s'\"<>]+"
    r"|\b(?:(?:sk|rk|pk|whsec)_[\w*]+|key_[A-Za-z0-9]{12,}|(?:APP_USR|TEST)-[\w*-]+|eyJ[\w-]{6,}(?:\.[\w-]*)*)"
)


# In which headers of our requests our credentials stand.
_CREDENTIALS = ("authorization", "api-secret", "access-token")
_LEAST_CREDENTIAL = 8


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request. At most one of `form` and `content` is its body."""

    method: str
    path: str  # behind the account's API address, from the slash on
    params: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    form: Sequence[tuple[str, str]] | None = field(default=None, repr=False)
    content: bytes | None = field(default=None, repr=False)  # JSON already written
    changes: bool = False  # it makes, moves or cancels something: never repeated once the PSP may have got it


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A whole answer with a status of 2xx. `as_of` is explained at psps.outbound.Answer.

    What cannot be read in it is OutcomeUnknown after a change, else NotNow.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)  # lower-case names
    body: bytes = field(repr=False)
    as_of: datetime
    changes: bool = False

    def json(self) -> Any:
        """The body, strictly read, fractions as Decimal."""
        try:
            return read_any_json(self.body)
        except Unparseable:
            raise lost(self.changes, "unreadable_answer", self.status) from None

    def object(self) -> dict[str, Any]:
        """As `json`, for an answer that must be an object."""
        value = self.json()
        if type(value) is not dict:
            raise lost(self.changes, "unreadable_answer", self.status)
        return value

    def objects(self, value: Any) -> list[dict[str, Any]]:
        """A part of the answer that must be a list of objects."""
        if type(value) is not list or not all(type(item) is dict for item in value):
            raise self.unexpected("no list of objects")
        return value

    def write(self, value: Any) -> bytes:
        """A part of the answer as JSON of its own."""
        try:
            return write_json(value)
        except TypeError:  # a whole number of more than 64 bits
            raise self.unexpected("a number that is too large") from None

    def unexpected(self, what: str) -> PspError:
        """The error for an answer that lacks something: `raise answer.unexpected("no id")`."""
        return lost(self.changes, "unexpected_answer", self.status, what)


@dataclass(frozen=True, slots=True)
class Fault:
    """What a PSP says in an answer of 4xx or 5xx. `kind` overrides what the status means by itself.

    `payment_id` and `payment`, its JSON, are of a payment that was made all the same (Refused.answer).
    """

    code: str
    message: str = ""
    kind: type[PspError] | None = None
    payment_id: str | None = None
    payment: bytes | None = field(default=None, repr=False)
    may_repeat: bool = True  # False: the PSP asks not to be called again at once


ReadFault = Callable[[int, bytes], Fault]
HeedHeaders = Callable[[Fault, Mapping[str, str]], Fault]
Authorize = Callable[[str, str, bytes], Mapping[str, str]]  # method, path with query, body -> headers


def lost(changes: bool, code: str, status: int | None = None, message: str = "") -> PspError:
    """An answer that did not come, or not whole."""
    return OutcomeUnknown(code, message, status) if changes else NotNow(code, message, status)


def find_kind(status: int, changes: bool) -> type[PspError]:
    """What a status other than 2xx means where the PSP says nothing else."""
    if status == NOT_FOUND:
        return NotThere
    if status == TOO_MANY_REQUESTS:
        return NotNow
    if status >= 500 or status < 400 or status in UNCLEAR_STATUSES:
        return OutcomeUnknown if changes else NotNow
    return Refused


def find_as_of(date: str | None, elapsed: float, started_at: datetime) -> datetime:
    """When the request was sent, by the PSP's clock: its Date, less the `elapsed` seconds until the answer was there."""
    at = read_date(date)
    if at is None or abs(at - started_at) > MOST_CLOCK_ERROR + timedelta(seconds=elapsed):
        return started_at.replace(microsecond=0)
    return (at - timedelta(seconds=elapsed)).replace(microsecond=0)


def read_retry_after(value: str | None, now: datetime, longest: float) -> float | None:
    """Seconds, given as such or as a date, up to what we are ready to wait."""
    if re.fullmatch(r"\s*[0-9]{1,9}\s*", value or "", re.ASCII):
        return min(float(value or 0), longest)
    at = read_date(value)
    return min(max((at - now).total_seconds(), 0.0), longest) if at else None


def read_date(value: str | None) -> datetime | None:
    """An HTTP date as aware UTC; None for anything else."""
    try:
        at = parsedate_to_datetime(value) if value else None
        # "-0000" is UTC too, and comes without a zone.
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC) if at else None
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def clean_words(text: object) -> str:
    """A PSP's code or message for a log or a person: short, printable, and without what could be somebody's secret."""
    if not isinstance(text, str | int):
        return ""
    plain = _UNPRINTABLE.sub(" ", str(text)[: 4 * LONGEST_WORDS])
    return _PRIVATE.sub("***", plain)[:LONGEST_WORDS].strip()


def take_out_credentials(body: bytes, sent: Mapping[str, str]) -> bytes:
    """The body of an answer, with *** where it says the credentials of its own request back, as some errors do.

    `sent` are the request's headers. What is kept of an answer is read by people and stored for years.
    """
    values = {part for name in _CREDENTIALS for part in _list_parts(sent.get(name, ""))}
    for value in sorted(values, key=len, reverse=True):
        body = body.replace(value.encode(), b"***")
    return body


def _list_parts(value: str) -> Iterator[str]:
    """The header's value without its scheme, what is between colons in it, and the same of a Basic login."""
    scheme, _, token = value.rpartition(" ")
    tokens = [token]
    if scheme.lower() == "basic":
        with suppress(binascii.Error, UnicodeDecodeError):
            tokens.append(base64.b64decode(token).decode())
    for one in (part for token in tokens for part in (token, *token.split(":"))):
        if len(one) >= _LEAST_CREDENTIAL and not one.isdigit():  # digits alone are a nonce, and may be an amount
            yield from (one, one.replace("/", "\\/"))
