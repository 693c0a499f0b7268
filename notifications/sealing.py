"""Secrets that we must be able to read again, such as those that sign notifications: encrypted before they are stored."""

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class CannotOpen(Exception):
    """None of the keys fits: the key that sealed it has been removed from ACUSE_SECRET_KEYS."""


class Sealer:
    """Seals with the first key and opens with any. Keys are Fernet keys: 32 bytes in URL-safe base64."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def seal(self, secret: str) -> bytes:
        """Encrypted and authenticated."""
        return self._fernet.encrypt(secret.encode())

    def open(self, sealed: bytes) -> str:
        """What was sealed. Raises CannotOpen."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            raise CannotOpen("a sealed secret cannot be opened: ACUSE_SECRET_KEYS lacks its key") from None
