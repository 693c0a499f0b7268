"""`Idempotency-Key`: a POST under a key has one effect and one answer, however often and however close together it comes."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import structlog
from flask import Response, request

from ingress.api.callers import current_caller
from ingress.api.dependencies import MerchantDeps, deps
from ingress.api.problems import Problem
from models.idempotency import KnownRequest
from models.merchant_work import MerchantWork
from models.unit_of_work import Contention, DatabaseUnavailable
from psps.card_data import redact

log = structlog.get_logger(__name__)

HEADER, REPLAYED = "Idempotency-Key", "Idempotent-Replayed"
LONGEST_KEY = 255


@dataclass(frozen=True, slots=True)
class Made:
    """What a request did within its transaction. Without a `body` the answer is made afterwards, from `resource_id`."""

    resource_id: UUID
    after: Callable[[], None] = lambda: None  # once it is committed, such as to ring somebody; must not raise
    body: dict[str, Any] | None = None
    at_first: dict[str, Any] | None = None  # how it stood then: the answer where it cannot be read again
    holds_secret: bool = False


Perform = Callable[[MerchantWork], Made]
Show = Callable[[UUID], dict[str, Any]]


def once(perform: Perform, show: Show | None = None, status: int = 201) -> Response:
    """Do it and answer with `status`; under a key that was used before, give the answer that it got then.

    What raises has no effect and leaves the key free. Raises Problem 409 where the key was used for something else.
    """
    need, caller = deps(), current_caller()
    key, digest = _read_key(), _digest()
    known, made = None, None
    with need.open_work(caller.merchant_id) as work:
        if key and not work.idempotency.take(key, digest, need.clock()):
            known = work.idempotency.get(key)
        else:
            made = perform(work)
            _remember(need, work, key, status, made)
            work.commit()
    if made is None:
        assert key is not None and known is not None
        return _replay(need, key, digest, known, show, status)
    made.after()
    if made.body is not None:
        return _respond(status, orjson.dumps(made.body))
    body = _show_made(show, made)
    if key:
        _keep_later(need, key, status, body)
    return _respond(status, orjson.dumps(body))


def _show_made(show: Show | None, made: Made) -> dict[str, Any]:
    """It is done and durable: from here on nothing may say otherwise."""
    try:
        return _show(show, made.resource_id)
    except (Contention, DatabaseUnavailable) as error:
        log.warning("api.answer_from_before", error=type(error).__name__)
        if made.at_first is None:
            raise
        return made.at_first


def _remember(need: MerchantDeps, work: MerchantWork, key: str | None, status: int, made: Made) -> None:
    if key:
        work.idempotency.bind(key, made.resource_id)
        if made.body is not None:
            _keep(need, work, key, status, made.body, made.holds_secret)


def _read_key() -> str | None:
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not 1 <= len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise Problem(422, "invalid", f"{HEADER} must be 1 to {LONGEST_KEY} printable ASCII characters", errors=[])
    if redact(key.encode())[1]:
        raise Problem(
            422, "invalid", f"{HEADER} looks like the number of a card, which must not be sent here", errors=[]
        )
    return key


def _digest() -> bytes:
    """Over all that makes the request what it is."""
    head = f"{request.method} {request.path}\n".encode()
    return hashlib.sha256(head + request.get_data(cache=True)).digest()


def _replay(
    need: MerchantDeps, key: str, digest: bytes, known: KnownRequest, show: Show | None, status: int
) -> Response:
    if known.request_hash != digest:
        raise Problem(409, "idempotency-key-reused", f"this {HEADER} was used for another request: take a new one")
    if known.answer is None:
        known = _wait_for_answer(need, key)
    if known.answer is not None:
        return _respond(known.answer_status or status, _open(need, known), replayed=True)
    if known.resource_id is None:
        raise Problem(409, "in-progress", f"the first request under this {HEADER} is under way", {"Retry-After": "1"})
    body = _show(show, known.resource_id)  # whoever made it died before answering
    _keep_later(need, key, status, body)
    return _respond(status, orjson.dumps(body), replayed=True)


def _wait_for_answer(need: MerchantDeps, key: str) -> KnownRequest:
    """The first request may be waiting for its PSP."""

    def look() -> KnownRequest:
        with need.open_work(current_caller().merchant_id) as work:
            return work.idempotency.get(key)

    return need.waiting.wait_for(look, lambda known: known.answer is not None, more=0.5)


def _show(show: Show | None, resource_id: UUID) -> dict[str, Any]:
    assert show is not None, "an answer is given with what was made, or can be made from it"
    return show(resource_id)


def _keep(need: MerchantDeps, work: MerchantWork, key: str, status: int, body: dict[str, Any], secret: bool) -> None:
    written = orjson.dumps(body)
    if secret:
        if need.sealer is None:
            raise Problem(503, "not-configured", f"without ACUSE_SECRET_KEYS leave {HEADER} out: secrets are not kept")
        written = need.sealer.seal(written.decode())
    work.idempotency.answer(key, status, written, secret)


def _keep_later(need: MerchantDeps, key: str, status: int, body: dict[str, Any]) -> None:
    """The effect is durable already. Without its answer a repetition is answered with what there is by then."""
    try:
        with need.open_work(current_caller().merchant_id) as work:
            _keep(need, work, key, status, body, secret=False)
            work.commit()
    except (Contention, DatabaseUnavailable) as error:
        log.warning("api.answer_not_kept", error=type(error).__name__)


def _open(need: MerchantDeps, known: KnownRequest) -> bytes:
    answer = known.answer or b""
    if not known.is_sealed:
        return answer
    if need.sealer is None:
        raise Problem(
            503, "not-configured", "the kept answer holds a secret, and ACUSE_SECRET_KEYS is not set any more"
        )
    return need.sealer.open(answer).encode()


def _respond(status: int, body: bytes, replayed: bool = False) -> Response:
    response = Response(body, status, content_type="application/json")
    if replayed:
        response.headers[REPLAYED] = "true"
    return response
