"""Passwords: Argon2id, a few at a time, and nothing hashed that is longer than a password may be."""

import base64
import secrets
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST, LONGEST = 12, 128
MOST_AT_ONCE = 2  # each takes 64 MiB and all the cores that it gets
LONGEST_WAIT = 5.0


class UnfitPassword(Exception):
    """A new password is too short, too long or no text. The message says which."""


class TooBusy(Exception):
    """Too many passwords are being looked at."""


def check_new_password(password: str) -> None:
    """Raises UnfitPassword."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise UnfitPassword(f"a password has {SHORTEST} to {LONGEST} characters")
    if not password.strip() or any("\ud800" <= letter <= "\udfff" for letter in password):
        raise UnfitPassword("a password is text, and more than spaces")


class Passwords:
    """Hashes and verifies. The defaults of argon2-cffi are the second recommendation of RFC 9106."""

    def __init__(
        self, hasher: PasswordHasher | None = None, most_at_once: int = MOST_AT_ONCE, wait_seconds: float = LONGEST_WAIT
    ) -> None:
        self._hasher = hasher or PasswordHasher()
        self._places = threading.BoundedSemaphore(most_at_once)
        self._wait_seconds = wait_seconds
        self._nobodys = _make_nobodys_hash(self._hasher)

    def hash(self, password: str) -> str:
        """The text to store for a new password. Raises UnfitPassword and TooBusy."""
        check_new_password(password)
        with self._place():
            return self._hasher.hash(_as_bytes(password))

    def verify(self, stored: str | None, password: str) -> bool:
        """Whether the password is right. Takes as long where nobody's hash is given, who has none. Raises TooBusy."""
        if len(password) > LONGEST:
            return False
        with self._place():
            try:
                return self._hasher.verify(stored or self._nobodys, _as_bytes(password)) and stored is not None
            except (VerificationError, InvalidHashError):
                return False

    def improve(self, stored: str, password: str) -> str | None:
        """The right password hashed anew, where it was hashed with other parameters than today's. Raises TooBusy."""
        if not self._hasher.check_needs_rehash(stored):
            return None
        with self._place():
            return self._hasher.hash(_as_bytes(password))

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(timeout=self._wait_seconds):
            raise TooBusy("too many log-ins at once: send it again")
        try:
            yield
        finally:
            self._places.release()


def _as_bytes(password: str) -> bytes:
    """The same for every way in which keyboards write an accent; what is no text fits no stored password."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _make_nobodys_hash(hasher: PasswordHasher) -> str:
    """A hash of today's parameters that no password is known to fit, made without hashing."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (hasher.salt_len, hasher.hash_len)
    )
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v=19${costs}${salt}${digest}"
