"""The key that `acuse up` prints: made once, kept privately, made again when it is no use any more."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from bootstrap_starting import utc_now
from commands.merchant_key import FILE_NAME, ensure_merchant_key
from config import Config, load_config
from embedded import RunningEngine
from ingress.tokens import digest_token
from models.api_keys import StoredApiKey
from models.merchants import DEFAULT_MERCHANT_ID
from models.unit_of_work import UnitOfWork
from tests.ingress.senders import environment


@pytest.fixture
def config(database_url: str, redis_server: RunningEngine) -> Config:
    return load_config(environment(database_url, redis_server.url))


@pytest.fixture
def find(engine: Engine) -> Callable[[str], StoredApiKey | None]:
    def find(key: str) -> StoredApiKey | None:
        with UnitOfWork(engine) as work:
            return work.access.api_keys.find(digest_token(key), utc_now())

    return find


def revoke(engine: Engine, stored: StoredApiKey) -> None:
    with UnitOfWork(engine) as work:
        work.access.api_keys.revoke(stored.merchant_id, stored.id, utc_now())
        work.commit()


def test_it_is_made_once_and_kept_privately(tmp_path: Path, config: Config, find: Callable) -> None:
    key = ensure_merchant_key(tmp_path, config)
    assert ensure_merchant_key(tmp_path, config) == key
    file = tmp_path / FILE_NAME
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == (f"{key}\n", 0o600)
    assert [one.name for one in tmp_path.iterdir()] == [FILE_NAME]
    stored = find(key)
    assert (stored.merchant_id, stored.name, stored.requests_per_minute) == (DEFAULT_MERCHANT_ID, "local", 600)
    assert set(stored.scopes) == {"read", "write", "refund"}


@pytest.mark.parametrize("content", [b"", b"ak_nobody", b"\xff\xfe", b"ak_nobody\n" * 1000])
def test_a_file_without_a_valid_key_is_replaced(tmp_path: Path, config: Config, find: Callable, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    key = ensure_merchant_key(tmp_path, config)
    assert find(key)
    assert (tmp_path / FILE_NAME).read_text() == f"{key}\n"


def test_a_key_that_was_revoked_is_replaced(tmp_path: Path, config: Config, engine: Engine, find: Callable) -> None:
    first = ensure_merchant_key(tmp_path, config)
    revoke(engine, find(first))
    second = ensure_merchant_key(tmp_path, config)
    assert (find(first), find(second) is not None) == (None, True)


def test_where_the_file_is_lost_again_and_again_the_oldest_key_ends(
    tmp_path: Path, config: Config, find: Callable
) -> None:
    keys = []
    for _ in range(4):
        (tmp_path / FILE_NAME).unlink(missing_ok=True)
        keys.append(ensure_merchant_key(tmp_path, config))
    assert [find(key) is not None for key in keys] == [False, False, True, True]
