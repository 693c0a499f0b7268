"""Reading what a client of Stripe's API sent."""

import re

from flask import request

from sandbox.stripe.errors import StripeError

METADATA = re.compile(r"metadata\[([^\]]{1,40})\]")


def read_amount(name: str, least: int, most: int) -> int:
    """A whole number of centavos within limits."""
    text = request.form.get(name)
    if text is None:
        raise StripeError(400, "invalid_request_error", f"Missing required param: {name}.", "parameter_missing", name)
    if not re.fullmatch(r"\d{1,15}", text):
        raise StripeError(400, "invalid_request_error", f"Invalid integer: {name}", "parameter_invalid_integer", name)
    if not least <= int(text) <= most:
        code = "amount_too_small" if int(text) < least else "amount_too_large"
        raise StripeError(400, "invalid_request_error", f"Amount must be {least} to {most} centavos.", code, name)
    return int(text)


def read_metadata() -> dict[str, str]:
    """metadata[name]=value, which Stripe gives back as it is."""
    found = ((METADATA.fullmatch(name), value) for name, value in request.form.items())
    return {match[1]: value for match, value in found if match}


def read_idempotency_key() -> str:
    """The key of this request; empty where it has none."""
    return request.headers.get("Idempotency-Key", "")
