"""What every verifier needs: strict base64, public keys, and a name for a secret that is not the secret."""

import base64
import binascii
import hashlib
from collections.abc import Callable
from functools import lru_cache

from cryptography import exceptions as crypto
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)

from psps.base import InvalidSignature

LEAST_KEY_BITS = 2048


@lru_cache(maxsize=256)
def fingerprint(secret: str) -> str:
    """`sha256:` and the first 8 hex digits of the secret's hash: enough to tell keys apart, useless to forge with.

    For long random secrets and public keys alone: what a person chose can be guessed and compared with its hash.
    """
    return "sha256:" + hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def label_key(pem: str) -> str:
    """The fingerprint of a public key, however its PEM is kept."""
    return fingerprint(_normalise_pem(pem))


def label_login(login: str) -> str:
    """`user:` and the fingerprint of the user's name in `user:password`: nothing of it comes from the password."""
    return "user:" + fingerprint(login.partition(":")[0])


def label_key_id(named_key: str) -> str:
    """The id in `key_id=<base64 DER>`: the PSP's own name of the key."""
    return "key:" + named_key.partition("=")[0].strip()


# By Psp.credential: what verify() returns when this secret fits.
LABELS: dict[str, Callable[[str], str]] = {
    "hmac": fingerprint,
    "pem": label_key,
    "basic": label_login,
    "key_ids": label_key_id,
    "tokens": fingerprint,
}


@lru_cache(maxsize=256)
def load_rsa_key(pem: str) -> RSAPublicKey | None:
    """Loading costs more than verifying, so it is done once. None: no RSA key of at least 2048 bits."""
    try:
        key = load_pem_public_key(_normalise_pem(pem).encode("ascii"))
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, RSAPublicKey) and key.key_size >= LEAST_KEY_BITS else None


@lru_cache(maxsize=256)
def load_der_key(encoded: str) -> RSAPublicKey | None:
    """An RSA key of at least 2048 bits from base64 of its X.509 DER; None for anything else."""
    try:
        key = load_der_public_key(base64.b64decode(encoded, validate=True))
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, RSAPublicKey) and key.key_size >= LEAST_KEY_BITS else None


def fits_rsa(key: RSAPublicKey, signature: bytes, signed: bytes) -> bool:
    """Whether this is the key's RSA PKCS#1 v1.5 signature with SHA-256."""
    try:
        key.verify(signature, signed, PKCS1v15(), SHA256())
    except crypto.InvalidSignature:
        return False
    return True


@lru_cache(maxsize=64)
def load_private_key(pem: str, passphrase: str | None = None) -> RSAPrivateKey | None:
    """An RSA key of ours to sign with, of at least 2048 bits; None for anything else, or where the passphrase is wrong."""
    try:
        key = load_pem_private_key(_normalise_pem(pem).encode("ascii"), passphrase.encode() if passphrase else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, RSAPrivateKey) and key.key_size >= LEAST_KEY_BITS else None


def _normalise_pem(pem: str) -> str:
    """A PEM kept in an environment variable often has literal backslash-n; the fingerprint must not depend on it."""
    return pem.replace("\\n", "\n").replace("\r\n", "\n").strip()


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
