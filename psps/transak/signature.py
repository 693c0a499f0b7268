"""The body is a JWT under `data`, HS256, whose key is the Partner Access Token itself, a text that is a JWT too.

The token is renewed every seven days, so the one before is accepted as well. Whether a webhook carries `iat` or `exp` is
UNVERIFIED, so no time in it is looked at: a replay is caught by the order and its status.

Source: Transak's guides on decrypting webhooks and on the Partner Access Token.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from jwt import PyJWS, PyJWTError

from psps.base import InvalidSignature
from psps.credentials import fingerprint
from psps.transak.envelope import find_token

# Pinned: what the token's own header asks for (none, RS256) never decides how it is verified.
ALGORITHMS = ["HS256"]
# The signature alone: the claims are left to the strict reader, which keeps the digits of amounts.
_VERIFIER = PyJWS(algorithms=ALGORITHMS)


def verify(
    headers: Mapping[str, str],
    query: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    now: datetime,
) -> str:
    """The fingerprint of the access token that signed. Raises InvalidSignature, nothing else."""
    token = find_token(body)
    if token is None:
        raise InvalidSignature("the body is not a JWT under data")
    for secret in secrets:
        if secret.strip() and _fits(secret.encode("utf-8", "surrogatepass"), token):
            return fingerprint(secret)
    raise InvalidSignature("no Transak access token fits the JWT")


def _fits(key: bytes, token: bytes) -> bool:
    try:
        _VERIFIER.decode(token, key, ALGORITHMS)
    except (PyJWTError, ValueError, RecursionError):
        return False
    return True
