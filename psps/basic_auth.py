"""HTTP Basic (RFC 7617), for PSPs that sign nothing and send the user and password that were agreed with them."""

import hmac
from collections.abc import Mapping, Sequence

from psps.base import InvalidSignature
from psps.credentials import decode_base64, label_login

HEADER = "authorization"


def verify_login(headers: Mapping[str, str], secrets: Sequence[str]) -> str:
    """The label of the `user:password` that was sent, which names the user alone. Raises InvalidSignature, nothing else.

    The whole of it is compared as UTF-8 bytes, so a password may hold colons and any letters.
    """
    header = headers.get(HEADER)
    if not header:
        raise InvalidSignature("Authorization is missing")
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidSignature("Authorization is not Basic")
    sent = decode_base64(token.strip(" "), "Authorization")
    for secret in secrets:
        if _is_usable(secret) and hmac.compare_digest(sent, secret.encode("utf-8", "surrogatepass")):
            return label_login(secret)
    raise InvalidSignature("the user or password of Authorization is wrong")


def _is_usable(secret: str) -> bool:
    user, _, password = secret.partition(":")
    return bool(user.strip() and password.strip())
