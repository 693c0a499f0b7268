"""Merchants over HTTP: the API as it is shipped, with keys of its own."""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import Engine, create_engine, text
from uuid_utils.compat import uuid7

from config import Config
from ingress.api.waiting import Waiting
from ingress.app import ApiDeps
from tests.ingress.conftest import serve_edge


class Shop:
    """One merchant, its key and a client that sends it."""

    def __init__(self, engine: Engine, base_url: str, scopes: tuple[str, ...], rate: int) -> None:
        self.engine, self.merchant_id = engine, UUID(str(uuid7()))
        with engine.begin() as connection:
            connection.execute(
                text("insert into merchants (id, name) values (:id, :name)"),
                {"id": self.merchant_id, "name": f"shop {self.merchant_id}"},
            )
        self.base_url = base_url
        self.key = self.add_key(scopes, rate)
        self.client = self.client_with(self.key)

    def add_key(self, scopes: tuple[str, ...] = ("read", "write", "refund"), rate: int = 100_000) -> str:
        prefix = secrets.token_hex(4)
        key = f"ak_{prefix}_{secrets.token_urlsafe(32)}"
        with self.engine.begin() as connection:
            connection.execute(
                text(
                    "insert into api_keys (id, merchant_id, name, slot, prefix, key_hash, scopes, requests_per_minute,"
                    " created_at) values (:id, :merchant_id, :name, 1, :prefix, :key_hash, :scopes, :rate, :now)"
                ),
                {
                    "id": UUID(str(uuid7())),
                    "merchant_id": self.merchant_id,
                    "name": prefix,
                    "prefix": prefix,
                    "key_hash": hashlib.sha256(key.encode()).digest(),
                    "scopes": list(scopes),
                    "rate": rate,
                    "now": datetime.now(UTC),
                },
            )
        return key

    def log_in(self) -> str:
        """A user of the merchant, and a token of that user."""
        token, user_id, now = f"at_{secrets.token_urlsafe(32)}", UUID(str(uuid7())), datetime.now(UTC)
        self.email = f"{secrets.token_hex(6)}@example.com"
        about = {"user": user_id, "merchant": self.merchant_id, "email": self.email, "now": now}
        session = {"id": UUID(str(uuid7())), "hash": hashlib.sha256(token.encode()).digest()}
        with self.engine.begin() as connection:
            connection.execute(
                text(
                    "insert into users (id, merchant_id, email, password_hash, created_at)"
                    " values (:user, :merchant, :email, 'none', :now)"
                ),
                about,
            )
            connection.execute(
                text(
                    "insert into sessions (id, merchant_id, user_id, token_hash, created_at, expires_at)"
                    " values (:id, :merchant, :user, :hash, :now, :until)"
                ),
                about | session | {"until": now + timedelta(hours=1)},
            )
        return token

    def client_with(self, key: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=self.base_url, headers=headers, timeout=10, trust_env=False)

    def add_payment(self, **columns: Any) -> UUID:
        """A payment that is there already."""
        now = datetime.now(UTC)
        row: dict[str, Any] = {
            "id": UUID(str(uuid7())),
            "merchant_id": self.merchant_id,
            "psp": "stripe",
            "account": "default",
            "psp_payment_id": f"pi_{secrets.token_hex(8)}",
            "method": "card",
            "state": "completed",
            "amount_minor": 15_000,
            "received_minor": 15_000,
            "currency": "MXN",
            "livemode": False,
            "origin": "api",
            "created_at": now,
            "updated_at": now,
        } | columns
        names = ", ".join(row)
        with self.engine.begin() as connection:
            marks = ", ".join(f":{name}" for name in row)
            connection.execute(text(f"insert into payments ({names}) values ({marks})"), row)
        return UUID(str(row["id"]))


class Market:
    """A served API and its merchants."""

    def __init__(self, port: int, engine: Engine) -> None:
        self.base_url, self.engine = f"http://127.0.0.1:{port}", engine

    def open_shop(self, scopes: tuple[str, ...] = ("read", "write", "refund"), rate: int = 100_000) -> Shop:
        return Shop(self.engine, self.base_url, scopes, rate)


@contextmanager
def serve_market(config: Config, answer_wait: float = 2.0) -> Iterator[Market]:
    """The API behind the edge, on a database of its own. No worker runs, so a POST that asks a PSP waits in vain."""
    engine = create_engine(config.database_url)

    def wait_less(deps: ApiDeps) -> ApiDeps:
        return replace(deps, merchants=replace(deps.merchants, waiting=Waiting(answer_wait)))

    with serve_edge(config, wait_less) as served:
        yield Market(served.port, engine)
    engine.dispose()
