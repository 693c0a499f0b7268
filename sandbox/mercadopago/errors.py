"""Mercado Pago's error answers, and its X-Idempotency-Key."""

import hashlib
from collections.abc import Callable

from flask import Response, request

from sandbox.answers import answer
from sandbox.state import SandboxState, StoredReply

WORDS = {400: "bad_request", 401: "unauthorized", 404: "not_found", 409: "conflict", 423: "locked"}


class MercadoPagoError(Exception):
    """An answer {message, error, status, cause: [{code, description}]} with its HTTP status."""

    def __init__(self, status: int, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.status, self.message = status, message
        self.cause = [] if code is None else [{"code": code, "description": message, "data": None}]

    def reply(self) -> Response:
        error = {"message": self.message, "error": WORDS[self.status], "status": self.status, "cause": self.cause}
        return answer(error, self.status)


def require_key() -> str:
    """The idempotency key, which payments and refunds must have."""
    key = request.headers.get("X-Idempotency-Key")
    if not key:
        raise MercadoPagoError(400, "Header X-Idempotency-Key can't be null", 4292)
    return key


def answer_once(state: SandboxState, execute: Callable[[], Response]) -> Response:
    """`execute`, or its first answer where the key was used before on this address.

    Another body under the same key is 409, a first call that is still running 423. Errors are not kept.
    """
    place = f"mercadopago {request.path} {require_key()}"
    fingerprint = hashlib.sha256(request.get_data()).hexdigest()
    with state.lock:
        stored = state.replies.get(place)
        if stored is not None:
            return _give_again(stored, fingerprint)
        state.replies[place] = StoredReply(fingerprint)
    kept = None
    try:
        reply = execute()
        kept = StoredReply(fingerprint, reply.status_code, reply.get_data())
        return reply
    finally:
        with state.lock:
            if kept is None:
                del state.replies[place]
            else:
                state.replies[place] = kept


def _give_again(stored: StoredReply, fingerprint: str) -> Response:
    if stored.fingerprint != fingerprint:
        raise MercadoPagoError(409, "The idempotency key was used with another request")
    if not stored.status:
        raise MercadoPagoError(423, "The idempotency key is locked by a request in progress")
    return Response(stored.body, 200, mimetype="application/json")
