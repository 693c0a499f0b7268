"""What the services about users and keys raise, as problems; and the user of a request, as they want it."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

from ingress.account_terms import (
    AlreadyProtected,
    CodeNeeded,
    InvalidReset,
    NotConfigured,
    NotProtected,
    SignedIn,
    TooManyTries,
    WrongCode,
    WrongCredentials,
    WrongPassword,
)
from ingress.api.callers import current_caller
from ingress.api.problems import Problem
from ingress.keys import InvalidKey
from ingress.passwords import TooBusy, UnfitPassword
from models.api_keys import TwoAreActive

ANSWERS: dict[type[Exception], tuple[int, str]] = {
    WrongCredentials: (401, "wrong-credentials"),
    CodeNeeded: (401, "totp-required"),
    WrongPassword: (403, "wrong-password"),
    WrongCode: (403, "wrong-code"),
    InvalidReset: (403, "reset-token-invalid"),
    AlreadyProtected: (409, "second-factor-exists"),
    NotProtected: (409, "no-second-factor"),
    TwoAreActive: (409, "two-keys-active"),
    NotConfigured: (503, "not-configured"),
    TooBusy: (503, "busy"),
}
FIELDS: dict[type[Exception], str] = {UnfitPassword: "new_password", InvalidKey: ""}


@contextmanager
def explained() -> Iterator[None]:
    """Turn what the services raise into the answer that it stands for."""
    try:
        yield
    except TooManyTries as error:
        headers = {"Retry-After": str(math.ceil(error.seconds))}
        raise Problem(429, "too-many-requests", str(error), headers) from None
    except tuple(FIELDS) as error:
        errors = [{"in": "json", "field": FIELDS[type(error)], "message": str(error)}]
        raise Problem(422, "invalid", str(error), errors=errors) from None
    except tuple(ANSWERS) as error:
        raise Problem(*ANSWERS[type(error)], str(error)) from None


def current_user() -> SignedIn:
    """The user of this request. Only for views that need one."""
    caller = current_caller()
    assert caller.user_id is not None
    return SignedIn(caller.merchant_id, caller.user_id, caller.id)
