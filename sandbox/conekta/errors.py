"""Conekta's error answers."""

from typing import Any

from flask import Response

from sandbox.answers import answer


class ConektaError(Exception):
    """An answer {object: "error", type, log_id, details: [{code, param, message, debug_message}]} with its status.

    `data` is the order that a declined card leaves behind.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        code: str,
        message: str,
        param: str | None = None,
        data: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        detail = {"code": f"conekta.errors.{code}", "debug_message": message, "message": message, "param": param}
        self.error: dict[str, Any] = {"object": "error", "type": kind, "log_id": "sandbox", "details": [detail]}
        if data:
            self.error["data"] = data

    def reply(self) -> Response:
        return answer(self.error, self.status)


def invalid_parameter(code: str, message: str, param: str) -> ConektaError:
    return ConektaError(422, "parameter_validation_error", f"parameter_validation.{code}", message, param)


def missing_precondition(code: str, message: str) -> ConektaError:
    return ConektaError(428, "precondition_required_error", code, message)
