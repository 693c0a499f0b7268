"""DIGEST: RSA PKCS#1 v1.5 with SHA-256 over the raw body, standard base64.

The request names no key, so every active key is tried. There is no timestamp: a replay is caught by the event id.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from cryptography import exceptions as crypto
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from psps.base import InvalidSignature
from psps.credentials import decode_base64, fingerprint

HEADER = "digest"
LEAST_KEY_BITS = 2048


def verify(
    headers: Mapping[str, str],
    query: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    now: datetime,
) -> str:
    """The fingerprint of the public key (PEM) that fits. Raises InvalidSignature, nothing else."""
    header = headers.get(HEADER)
    if not header:
        raise InvalidSignature("DIGEST is missing")
    signature = decode_base64(header, "DIGEST")
    for secret in secrets:
        key = _load_key(secret)
        if key is not None and _fits(key, signature, body):
            return fingerprint(_normalise_pem(secret))
    raise InvalidSignature("no Conekta key fits the DIGEST")


def _fits(key: RSAPublicKey, signature: bytes, body: bytes) -> bool:
    try:
        key.verify(signature, body, PKCS1v15(), SHA256())
    except crypto.InvalidSignature:
        return False
    return True


def _normalise_pem(pem: str) -> str:
    """A PEM kept in an environment variable often has literal backslash-n; the fingerprint must not depend on it."""
    return pem.replace("\\n", "\n").replace("\r\n", "\n").strip()


@lru_cache(maxsize=256)
def _load_key(pem: str) -> RSAPublicKey | None:
    """Loading costs more than verifying, so it is done once. None: no RSA key of at least 2048 bits, matches nothing."""
    try:
        key = load_pem_public_key(_normalise_pem(pem).encode("ascii"))
    except (ValueError, crypto.UnsupportedAlgorithm):
        return None
    return key if isinstance(key, RSAPublicKey) and key.key_size >= LEAST_KEY_BITS else None
