"""Bitso's envelope: {"success": true, "payload"} or {"success": false, "error": {"code", "message"}}."""

from typing import Any

from flask import Response

from sandbox.answers import answer


class BitsoError(Exception):
    """An answer {"success": false, "error": {"code", "message"}}."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status

    def reply(self) -> Response:
        return answer({"success": False, "error": {"code": self.code, "message": self.message}}, self.status)


def succeed(payload: Any, status: int = 200) -> Response:
    return answer({"success": True, "payload": payload}, status)
