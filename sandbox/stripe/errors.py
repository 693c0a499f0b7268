"""Stripe's error answers."""

from flask import Response

from sandbox.answers import answer


class StripeError(Exception):
    """An answer {"error": {type, code, decline_code, message, param}} with its HTTP status."""

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        code: str | None = None,
        param: str | None = None,
        decline_code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        fields = {"type": kind, "code": code, "decline_code": decline_code, "message": message, "param": param}
        self.error = {name: value for name, value in fields.items() if value is not None}

    def reply(self) -> Response:
        return answer({"error": self.error}, self.status)
