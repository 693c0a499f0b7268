"""Stripe's Idempotency-Key: the first answer is kept and given again, also when it was an error of execution."""

import hashlib
from collections.abc import Callable

from flask import Response, request

from sandbox.state import SandboxState, StoredReply
from sandbox.stripe.errors import StripeError


def answer_once(state: SandboxState, execute: Callable[[], Response]) -> Response:
    """`execute`, or the stored answer where this key was used before with the same parameters.

    Other parameters give 400 idempotency_error, a first call that is still running 409. Refusals before execution
    (400, 401, 404) are not stored.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return _execute(state, execute)
    if len(key) > 255:
        raise StripeError(400, "invalid_request_error", "Idempotency keys may have at most 255 characters.")
    fingerprint = _fingerprint()
    with state.lock:
        stored = state.replies.get(key)
        if stored is not None:
            return _give_again(stored, fingerprint)
        state.replies[key] = StoredReply(fingerprint)
    kept = None
    try:
        reply = _execute(state, execute)
        kept = StoredReply(fingerprint, reply.status_code, reply.get_data())
        return reply
    except StripeError as error:
        if error.status in (402, 500):
            kept = StoredReply(fingerprint, error.status, error.reply().get_data())
        raise
    finally:
        with state.lock:
            if kept is None:
                del state.replies[key]
            else:
                state.replies[key] = kept


def _execute(state: SandboxState, execute: Callable[[], Response]) -> Response:
    """`execute`, unless Stripe is to break down now: before the effect, or after it and before the answer."""
    with state.lock:
        left = state.stripe_stored_errors
        state.stripe_stored_errors = max(0, left - 1)
    if not left:
        return execute()
    if left % 2 == 0:
        execute()
    raise StripeError(500, "api_error", "An unknown error occurred.")


def _give_again(stored: StoredReply, fingerprint: str) -> Response:
    if stored.fingerprint != fingerprint:
        message = "Keys for idempotent requests can only be used with the parameters of their first use."
        raise StripeError(400, "idempotency_error", message)
    if not stored.status:
        raise StripeError(
            409, "invalid_request_error", "A request with this key is in progress.", "idempotency_key_in_use"
        )
    reply = Response(stored.body, stored.status, mimetype="application/json")
    reply.headers["Idempotent-Replayed"] = "true"
    if stored.status >= 500:
        reply.headers["Stripe-Should-Retry"] = "false"
    return reply


def _fingerprint() -> str:
    return hashlib.sha256(repr((request.path, sorted(request.form.items(multi=True)))).encode()).hexdigest()
