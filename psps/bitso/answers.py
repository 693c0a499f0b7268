"""What Bitso's answers say: {"success": true, "payload"} or {"success": false, "error": {"code", "message"}}.

Source: docs.bitso.com (general, error codes 02 and 03), and recorded traffic, in which the answer for one funding or one
withdrawal is a list of one.
"""

from typing import Any

from psps.base import Unparseable
from psps.bitso.fields import ID_PREFIXES, WITHDRAWAL, Fields, find_expiry, find_id, fold, name_resource
from psps.bitso.transfers import find_origin
from psps.http import Fault, HttpAnswer, clean_words
from psps.identity import is_storable_key
from psps.outbound import Answer, Instructions, NotNow, NotThere, OutcomeUnknown, PspError, Refused
from psps.payload import find_object, hint_text, read_json

CONFLICT, TOO_MANY = 409, 429
BANK = "NVIO"  # what a payer's bank calls the bank of a CLABE that begins with 710
NONCE = "nonce"
KINDS: dict[str, type[PspError]] = {
    "0207": NotNow,  # the nonce is not larger than the last one: nothing was done, and the next try has a new one
    # Both come with HTTP 400.
    "0310": NotThere,
    "0311": NotThere,
}
# Older servers give one code to a wrong nonce and to a wrong key; their message names both then.
CREDENTIALS = "0201"


def read_fault(status: int, body: bytes) -> Fault:
    """Code and message of an answer that is no success. A lock for too many calls lasts a minute, and grows if calls go on."""
    try:
        error = find_object(read_json(body), "error")
    except Unparseable:
        error = {}
    code, message = hint_text(error.get("code")) or "", error.get("message")
    words = message if type(message) is str else ""
    return Fault(code, words, _find_kind(status, code, words), may_repeat=status != TOO_MANY)


def _find_kind(status: int, code: str, message: str) -> type[PspError] | None:
    if status == CONFLICT:
        return OutcomeUnknown  # it is there already: most likely made by a call whose answer was lost
    if code == CREDENTIALS and NONCE in message.casefold():
        return NotNow
    return KINDS.get(code)


def read_payload(answer: HttpAnswer) -> Any:
    """The payload. An answer of 2xx may still say that the call did not succeed."""
    told = answer.object()
    if told.get("success") is False:
        fault = read_fault(answer.status, answer.body)
        kind = fault.kind or Refused
        raise kind(clean_words(fault.code) or "no_success", clean_words(fault.message), answer.status)
    return told.get("payload", told)


def read_one(answer: HttpAnswer) -> dict[str, Any]:
    """The one thing that was asked for. Raises NotThere for an empty list."""
    payload = read_payload(answer)
    if payload == []:
        raise NotThere("not_found", "Bitso shows no such thing", answer.status)
    if type(payload) is list and len(payload) == 1:
        payload = payload[0]
    if type(payload) is not dict:
        raise answer.unexpected("no payload")
    return payload


def read_id(answer: HttpAnswer, row: Fields) -> str:
    """The thing's own id at Bitso; a thing without one is no answer."""
    found = find_id(row, name_resource(row))
    if not is_storable_key(found):
        raise answer.unexpected("a payload without an id")
    return str(found)


def read_page(answer: HttpAnswer) -> dict[str, Any]:
    """One page of the Multi-CLABE API: {"total_items", "total_pages", "current_page", "page_size", "response"}."""
    payload = read_payload(answer)
    if type(payload) is not dict:
        raise answer.unexpected("no page")
    return payload


def find_pages(page: Fields) -> int | None:
    """How many pages there are; it is written as text."""
    told = hint_text(page.get("total_pages")) or ""
    return int(told) if told.isascii() and told.isdecimal() else None


def show(answer: HttpAnswer, row: dict[str, Any]) -> Answer:
    """One thing as an answer."""
    resource = name_resource(row)
    if resource is None:
        raise answer.unexpected("a payload of another kind")
    payment_id: str | None = ID_PREFIXES[resource] + read_id(answer, row)
    origin = find_origin(row) if resource != WITHDRAWAL else None
    if origin:
        payment_id = ID_PREFIXES[WITHDRAWAL] + origin.wid if origin.wid else None
    return Answer(answer.as_of, answer.write(row), payment_id, instructions=_read_instructions(row))


def _read_instructions(row: Fields) -> Instructions | None:
    """What the payer of an open one-time payment needs."""
    clabe = hint_text(row.get("clabe"))
    if clabe is None or fold(row.get("status")) != "pending":
        return None
    return Instructions(clabe=clabe, bank=BANK, expires_at=find_expiry(row))
