"""Openpay's error answers."""

from flask import Response

from sandbox.answers import answer

MALFORMED, UNAUTHORIZED, WRONG_VALUE, NOT_FOUND, ORDER_EXISTS, NOT_ALLOWED = 1001, 1002, 1003, 1005, 1006, 3006
STATUSES = {
    MALFORMED: 400,
    UNAUTHORIZED: 401,
    WRONG_VALUE: 422,
    NOT_FOUND: 404,
    ORDER_EXISTS: 409,
    3001: 402,
    3003: 402,
    NOT_ALLOWED: 412,
}


class OpenpayError(Exception):
    """An answer {category, error_code, description, http_code, request_id, fraud_rules} with the code's status."""

    def __init__(self, code: int, description: str, category: str = "request") -> None:
        super().__init__(description)
        self.status = STATUSES[code]
        self.error = {
            "category": category,
            "error_code": code,
            "description": description,
            "http_code": self.status,
            "request_id": "sandbox",
            "fraud_rules": None,
        }

    def reply(self) -> Response:
        return answer(self.error, self.status)
