"""Payloads at rest: sealed with AES-256-GCM where keys are set, and stored as they are where none is.

A sealed row holds headers and body in one box: nonce (12 bytes), ciphertext, tag (16 bytes). Its key stands beside it by its
id, so that one that opens is known at once, and what the box belongs to is authenticated with it: a box that was moved to
another event does not open.
"""

import base64
import hashlib
import os
from collections.abc import Sequence
from typing import Any, Protocol

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, Engine

from models.record import record

KEY_MISSING = "payload key missing"
CANNOT_OPEN = "payload cannot be opened"
CLEAR = "clear"  # in front of the keys: nothing is sealed yet, and they open all the same
LOST = "lost:"  # before the id of a key that will never come back
OPTION = "acuse_payload_vault"  # of an engine: whoever works on it stores and reads with these keys
NONCE_BYTES, KEY_ID_LENGTH, LENGTH_BYTES = 12, 16, 4
SEALED_BYTES = NONCE_BYTES + LENGTH_BYTES + len(b"[]") + 16  # that a sealed body without headers is longer

Headers = list[tuple[str, str]]


class PayloadLocked(Exception):
    """A payload cannot be read. The message begins with KEY_MISSING or CANNOT_OPEN, and may be shown."""


@record
class StoredPayload:
    """Headers and body as their columns hold them. Without a key id they are in clear."""

    key_id: str | None
    headers: Any
    body: bytes


class Whose(Protocol):
    """What a box belongs to, which is authenticated with it."""

    def digest(self) -> bytes: ...


@record
class Belonging:
    """Which event a payload belongs to."""

    psp: str
    account: str
    event_key: str

    def digest(self) -> bytes:
        """Its name, of one length whatever is in it."""
        named = orjson.dumps(["acuse.payload.1", self.psp, self.account, self.event_key])
        return hashlib.sha256(named).digest()


class PayloadVault:
    """Seals with the first key, unless it is told to seal nothing, and opens with the one that a row names. Without keys it
    leaves everything in clear."""

    def __init__(self, keys: Sequence[bytes] = (), is_sealing: bool = True, lost: Sequence[str] = ()) -> None:
        self._keys = {name_key(key): AESGCM(key) for key in keys}
        self.newest: str | None = next(iter(self._keys), None) if is_sealing else None
        self.lost = frozenset(lost)

    @classmethod
    def from_texts(cls, entries: Sequence[str]) -> "PayloadVault":
        """From 32 bytes each in URL-safe base64, the newest first; CLEAR may stand in front of them, ids of LOST ones between."""
        lost = [entry.removeprefix(LOST) for entry in entries if entry.startswith(LOST)]
        keys = [base64.urlsafe_b64decode(entry) for entry in entries if entry != CLEAR and not entry.startswith(LOST)]
        return cls(keys, is_sealing=CLEAR not in entries, lost=lost)

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of the keys, the newest first."""
        return tuple(self._keys)

    def seal(self, whose: Whose, headers: Headers, body: bytes) -> StoredPayload:
        """What is to be stored."""
        if self.newest is None:
            return StoredPayload(None, headers, body)
        nonce, above = os.urandom(NONCE_BYTES), orjson.dumps(headers)
        inside = b"".join((len(above).to_bytes(LENGTH_BYTES, "big"), above, body))
        return StoredPayload(self.newest, [], nonce + self._keys[self.newest].encrypt(nonce, inside, whose.digest()))

    def open(self, whose: Whose, stored: StoredPayload) -> tuple[Headers, bytes]:
        """Headers and body as they arrived. Raises PayloadLocked."""
        if stored.key_id is None:
            return [(name, value) for name, value in stored.headers], stored.body
        key = self._keys.get(stored.key_id)
        if key is None and stored.key_id in self.lost:
            raise PayloadLocked(f"{CANNOT_OPEN}: its key {stored.key_id} is lost")
        if key is None:
            raise PayloadLocked(f"{KEY_MISSING}: {stored.key_id}")
        try:
            inside = key.decrypt(stored.body[:NONCE_BYTES], stored.body[NONCE_BYTES:], whose.digest())
        except (InvalidTag, ValueError):
            raise PayloadLocked(f"{CANNOT_OPEN}: it was changed, or belongs to another event") from None
        end = LENGTH_BYTES + int.from_bytes(inside[:LENGTH_BYTES], "big")
        return [(name, value) for name, value in orjson.loads(inside[LENGTH_BYTES:end])], inside[end:]


def name_key(key: bytes) -> str:
    """The id of a key, which tells nothing about it."""
    return hashlib.sha256(b"acuse.payload-key.1" + key).hexdigest()[:KEY_ID_LENGTH]


_IN_CLEAR = PayloadVault()


def use_vault(engine: Engine, vault: PayloadVault) -> Engine:
    """The same engine; whatever stores or reads payloads through it does it with these keys."""
    engine.update_execution_options(**{OPTION: vault})
    return engine


def find_vault(connection: Connection) -> PayloadVault:
    """What payloads of this connection are stored and read with."""
    vault: PayloadVault = connection.get_execution_options().get(OPTION, _IN_CLEAR)
    return vault
