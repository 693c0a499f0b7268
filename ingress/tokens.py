"""What callers show: keys and tokens of 256 random bits. They are shown once; the database has their SHA-256."""

import hashlib
import secrets
import string
from dataclasses import dataclass, field

API_KEY, SESSION, RESET = "ak_", "at_", "rt_"
PREFIX_LETTERS = string.ascii_lowercase + string.digits
RANDOM_BYTES = 32  # 43 characters
LONGEST_TOKEN = 64


@dataclass(frozen=True, slots=True)
class Token:
    """A new token and what is stored of it."""

    text: str = field(repr=False)
    digest: bytes = field(repr=False)
    prefix: str = ""  # of an API key: what may be shown


def make_api_key() -> Token:
    """`ak_` with eight letters, which may be shown, and 43 that may not."""
    prefix = API_KEY + "".join(secrets.choice(PREFIX_LETTERS) for _ in range(8))
    text = f"{prefix}_{secrets.token_urlsafe(RANDOM_BYTES)}"
    return Token(text, digest_token(text), prefix)


def make_token(kind: str) -> Token:
    """A bearer token (SESSION) or one that resets a password (RESET)."""
    text = kind + secrets.token_urlsafe(RANDOM_BYTES)
    return Token(text, digest_token(text))


def digest_token(text: str) -> bytes:
    """What is stored of a token, and looked up. They are random, so that a plain digest is enough."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
