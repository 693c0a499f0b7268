"""Stripe's error answers."""

from typing import Any

from flask import Response

from sandbox.answers import answer


class StripeError(Exception):
    """An answer {"error": {type, code, decline_code, message, param, payment_intent}} with its HTTP status."""

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        code: str | None = None,
        param: str | None = None,
        decline_code: str | None = None,
        payment_intent: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        fields: dict[str, Any] = {
            "type": kind,
            "code": code,
            "decline_code": decline_code,
            "message": message,
            "param": param,
        }
        fields |= {"payment_intent": payment_intent}
        self.error = {name: value for name, value in fields.items() if value is not None}

    def reply(self) -> Response:
        reply = answer({"error": self.error}, self.status)
        if self.status >= 500:
            # Stripe says so of most of its own errors: the same key would bring the same answer again.
            reply.headers["Stripe-Should-Retry"] = "false"
        return reply
