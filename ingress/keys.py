"""API keys: made, shown once, revoked."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from ingress.tokens import make_api_key
from models.api_keys import NewApiKey
from models.unit_of_work import UnitOfWork

SCOPES = ("read", "write", "refund")
REQUESTS_PER_MINUTE = 20
LONGEST_NAME = 64


class InvalidKey(Exception):
    """Such a key cannot be made. The message says why."""


@dataclass(frozen=True, slots=True)
class WantedKey:
    """A key to be made. Without `requests_per_minute` it gets what active keys of its name have, or the default."""

    name: str
    scopes: tuple[str, ...]
    expires_at: datetime | None = None
    requests_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A key, and its text, which nobody can show again."""

    text: str = field(repr=False)
    stored: NewApiKey


def create_key(
    work: UnitOfWork, merchant_id: UUID, wanted: WantedKey, now: datetime, is_operator: bool = False
) -> MadeKey:
    """Make a key; the caller commits. Raises InvalidKey and, where two of the name are active, TwoAreActive.

    A merchant cannot get beyond the default number of requests, or what an operator gave one of its active keys.
    """
    if not 1 <= len(wanted.name) <= LONGEST_NAME or not wanted.name.isprintable():
        raise InvalidKey(f"the name of a key is one line of 1 to {LONGEST_NAME} characters")
    scopes = tuple(scope for scope in SCOPES if scope in wanted.scopes)
    if not scopes or len(scopes) != len(set(wanted.scopes)):
        raise InvalidKey(f"the scopes of a key are one or more of {', '.join(SCOPES)}")
    if wanted.expires_at is not None and wanted.expires_at <= now:
        raise InvalidKey("expires_at lies in the past")
    token = make_api_key()
    key = NewApiKey(
        id=uuid7(),
        merchant_id=merchant_id,
        name=wanted.name,
        prefix=token.prefix,
        key_hash=token.digest,
        scopes=scopes,
        requests_per_minute=_find_rate(work, merchant_id, wanted, now, is_operator),
        created_at=now,
        expires_at=wanted.expires_at,
    )
    work.access.api_keys.add(key)
    return MadeKey(token.text, key)


def _find_rate(work: UnitOfWork, merchant_id: UUID, wanted: WantedKey, now: datetime, is_operator: bool) -> int:
    of_name, of_any = work.access.api_keys.find_rates(merchant_id, wanted.name, now)
    rate = wanted.requests_per_minute or of_name or REQUESTS_PER_MINUTE
    most = max(REQUESTS_PER_MINUTE, of_any or 0)
    if rate > most and not is_operator:
        raise InvalidKey(f"requests_per_minute can be {most} at most: more is given by whoever runs Acuse")
    return rate
