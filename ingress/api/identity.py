"""What a bearer text stands for: a merchant's key, or a user's session."""

import hashlib
from datetime import timedelta

import structlog

from ingress.api.callers import Caller
from ingress.api.dependencies import MerchantDeps
from models.unit_of_work import Contention, DatabaseUnavailable

log = structlog.get_logger(__name__)

KEY_MARK, TOKEN_MARK = "ak_", "at_"
LONGEST = 200
USE_NOTED_EVERY = timedelta(minutes=1)
ALL_SCOPES = frozenset({"read", "write", "refund"})


def find_caller(need: MerchantDeps, bearer: str) -> Caller | None:
    """The caller, or None where the text stands for nobody (any more)."""
    if len(bearer) > LONGEST or not bearer.startswith((KEY_MARK, TOKEN_MARK)):
        return None
    digest = hashlib.sha256(bearer.encode("utf-8", "surrogateescape")).digest()
    return _find_key(need, digest) if bearer.startswith(KEY_MARK) else _find_session(need, digest)


def _find_key(need: MerchantDeps, digest: bytes) -> Caller | None:
    now = need.clock()
    with need.open_front_work() as work:
        key = work.access.api_keys.find(digest, now)
    if key is None:
        return None
    if key.last_used_at is None or now - key.last_used_at >= USE_NOTED_EVERY:
        try:
            with need.open_front_work() as work:
                work.access.api_keys.note_use(key.merchant_id, key.id, now)
                work.commit_lazily()
        except (Contention, DatabaseUnavailable) as error:  # it is noted at the next use
            log.info("api.key_use_not_noted", error=type(error).__name__)
    return Caller(key.merchant_id, "key", key.id, frozenset(key.scopes), key.requests_per_minute)


def _find_session(need: MerchantDeps, digest: bytes) -> Caller | None:
    with need.open_front_work() as work:
        session = work.access.sessions.find(digest, need.clock())
    if session is None:
        return None
    return Caller(
        session.merchant_id, "user", session.id, ALL_SCOPES, need.requests_per_minute, user_id=session.user_id
    )
