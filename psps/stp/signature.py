"""Basic auth: STP signs nothing, so the agreed user and password, sent over TLS, are all there is."""

import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime

from psps.base import InvalidSignature
from psps.credentials import decode_base64, label_login

HEADER = "authorization"


def verify(
    headers: Mapping[str, str],
    query: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    now: datetime,
) -> str:
    """The label of the `user:password` that was sent, which names the user alone. Raises InvalidSignature, nothing else."""
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
