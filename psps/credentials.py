"""What every verifier needs: strict base64 and a name for a secret that is not the secret."""

import base64
import binascii
import hashlib
from functools import lru_cache

from psps.base import InvalidSignature


@lru_cache(maxsize=256)
def fingerprint(secret: str) -> str:
    """`sha256:` and the first 8 hex digits of the secret's hash: enough to tell keys apart, useless to forge with."""
    return "sha256:" + hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def decode_base64(text: str, header: str) -> bytes:
    """The bytes of standard, padded, canonical base64; anything else raises InvalidSignature naming the header."""
    try:
        encoded = text.encode("ascii")
        decoded = base64.b64decode(encoded, validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise InvalidSignature(f"{header} is not base64") from None
    if base64.b64encode(decoded) != encoded:
        raise InvalidSignature(f"{header} is not canonical base64")
    return decoded
