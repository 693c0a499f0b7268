"""DIGEST: RSA PKCS#1 v1.5 with SHA-256 over the raw body, standard base64.

The request names no key, so every active key is tried. There is no timestamp: a replay is caught by the event id.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from psps.base import InvalidSignature
from psps.credentials import decode_base64, fits_rsa, label_key, load_rsa_key

HEADER = "digest"


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
        key = load_rsa_key(secret)
        if key is not None and fits_rsa(key, signature, body):
            return label_key(secret)
    raise InvalidSignature("no Conekta key fits the DIGEST")
