"""Transak's body: {"data": "<JWT>"}. Anyone can read the claims in its middle part; the verifier alone says whose they are.

Source: Transak's guide on decrypting webhooks, which is about a signed token: nothing in it is encrypted.
"""

import base64
import binascii
import re

LONGEST_BODY = 64 * 1024
# One member whose text needs no escapes. So there is one way to read a body, and the verifier and the readers share it.
_BODY = re.compile(
    rb'[ \t\r\n]*\{[ \t\r\n]*"data"[ \t\r\n]*:[ \t\r\n]*"(?P<token>[\w-]+\.(?P<payload>[\w-]+)\.[\w-]+)"[ \t\r\n]*\}[ \t\r\n]*'
)


def find_token(body: bytes) -> bytes | None:
    """The JWT, not verified; None for every other body."""
    wrapped = _match(body)
    return wrapped["token"] if wrapped else None


def unwrap_claims(body: bytes) -> bytes | None:
    """The claims as the JSON that Transak wrote; None for a body that is not a JWT under `data`. Never raises."""
    wrapped = _match(body)
    if wrapped is None:
        return None
    payload = wrapped["payload"]
    try:
        return base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4))
    except binascii.Error:
        return None


def find_claims(body: bytes) -> bytes:
    """The claims, also where the body is the claims already: it is kept so where card data had to be taken out."""
    claims = unwrap_claims(body)
    return body if claims is None else claims


def _match(body: bytes) -> re.Match[bytes] | None:
    return _BODY.fullmatch(body) if len(body) <= LONGEST_BODY else None
