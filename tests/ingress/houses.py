"""Merchants with something in every table that merchants may read, and the words of it that nobody else may."""

import re
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
from sqlalchemy import Engine, text
from uuid_utils.compat import uuid7

from models.merchant_work import MerchantWork
from models.requests import make_reference
from tests.ingress.front_desk import make_cheap_passwords
from tests.ingress.merchants import Shop

NOW = datetime.now(UTC)
# What an answer may hold of its merchant that the test could not know before.
HARVEST = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|whsec_[\w+/=-]+|a[kt]_[\w-]+", re.IGNORECASE)

FILL = (
    "update users set password_hash = :hash where id = :user",
    "insert into payment_references values ('stripe', 'default', :w, :payment)",
    (
        "insert into transitions (payment_id, event_id, ordinal, kind, outcome, source, facts, recorded_at)"
        " values (:payment, (random() * 1e15)::bigint, 0, 'pending', 'APPLIED', 'webhook', '{}', :now)"
    ),
    (
        "insert into attempts (id, payment_id, psp, account, operation, idempotency_key, request, status, next_attempt_at,"
        " created_at, first_sent_at, settled_at, error_code) values (:attempt, :payment, 'stripe', 'default', 'create', :w,"
        " '{}', 'done', :now, :now, :now, :now, :w)"
    ),
    (
        "insert into endpoints (id, merchant_id, url, description, event_types, secret_sealed, created_at, updated_at)"
        " values (:endpoint, :m, 'https://' || :w || '.example.com', :w, '{}', '\\x00', :now, :now)"
    ),
    (
        "insert into notifications (id, merchant_id, payment_id, sequence, event_type, body, created_at)"
        " values (:notification, :m, :payment, 1, 'payment.completed', convert_to('{\"w\":\"' || :w || '\"}', 'utf8'), :now)"
    ),
    (
        "insert into notification_deliveries (notification_id, endpoint_id, merchant_id, next_attempt_at, created_at)"
        " values (:notification, :endpoint, :m, :now, :now)"
    ),
    (
        "insert into notification_attempts (notification_id, endpoint_id, merchant_id, number, sent_at, error, latency_ms)"
        " values (:notification, :endpoint, :m, 1, :now, :w, 5)"
    ),
    (
        "insert into api_keys (id, merchant_id, name, slot, prefix, key_hash, scopes, requests_per_minute, created_at)"
        " values (:key, :m, :w, 1, :w, convert_to(:w, 'utf8'), '{read}', 20, :now)"
    ),
    "insert into search_queue values (:payment)",
    "insert into idempotency_keys (merchant_id, key, request_hash, created_at) values (:m, :w, '\\x00', :now)",
)

ONE_MORE = """insert into endpoints (id, merchant_id, url, event_types, secret_sealed, created_at, updated_at)
    values (:id, :m, 'https://' || :w || '.example.com/more', '{}', '\\x00', now(), now())"""


class House(Shop):
    """One such merchant. `ids` are by kind; `names` fill the gaps of paths, queries and bodies."""

    def __init__(self, engine: Engine, base_url: str) -> None:
        super().__init__(engine, base_url, ("read", "write", "refund"), 1_000_000)
        self.token, self.password = self.log_in(), f"four long words {secrets.token_hex(6)}"
        self.word, self.psp_id = f"word{secrets.token_hex(6)}", f"pi_{secrets.token_hex(8)}"
        self.ids = {name: UUID(str(uuid7())) for name in ("endpoint", "notification", "attempt", "key")}
        told = {"merchant_reference": self.word, "description": f"about {self.word}", "payer_reference": self.word}
        self.ids["payment"] = self.add_payment(psp_payment_id=self.psp_id, **told)
        self.second_payment = self.add_payment(created_at=NOW - timedelta(hours=1))  # or there would be no cursor
        self._fill()
        page = self.client_with(self.token).get("/v1/payments?limit=1").json()
        self.names = {name: str(id) for name, id in self.ids.items()}
        self.names |= {"word": self.word, "psp_id": self.psp_id, "email": self.email, "cursor": page["next_cursor"]}
        self.words = {*self._words()}

    def _fill(self) -> None:
        with self.engine.begin() as connection:
            mine = {"m": self.merchant_id}
            for name, table in (("user", "users"), ("session", "sessions")):
                self.ids[name] = connection.scalar(text(f"select id from {table} where merchant_id = :m"), mine)
            about = {"w": self.word, "now": NOW, "hash": make_cheap_passwords().hash(self.password)}
            for statement in FILL:
                connection.execute(text(statement), self.ids | mine | about)
        with MerchantWork(self.engine, self.merchant_id) as work:
            work.search.put_new(self.merchant_id, self.ids["payment"], self.word, f"about {self.word}", self.psp_id)
            work.commit()

    def _words(self) -> Iterable[str]:
        yield from (self.word, self.psp_id, self.email, self.key, self.key.split("_")[1], self.token, self.password)
        for id in (self.merchant_id, self.second_payment, *self.ids.values()):
            yield from (str(id), id.hex, make_reference(id))

    def grow(self) -> None:
        """Have one more of what is counted and listed."""
        new = {"id": UUID(str(uuid7())), "m": self.merchant_id, "w": self.word}
        self.add_payment(), self.add_key()
        with self.engine.begin() as connection:
            connection.execute(text(ONE_MORE), new)
        self.words.add(str(new["id"]))

    def harvest(self, answer: httpx.Response) -> None:
        """Remember what the merchant itself was answered, in so far as it is nobody else's."""
        self.words |= set(HARVEST.findall(answer.text))

    def find_in(self, said: str) -> list[str]:
        """Words of this merchant that are said, in whatever case."""
        lower = said.lower()
        return [word for word in self.words if word.lower() in lower]

    def read_rows(self, tables: Iterable[str]) -> dict[str, list[str]]:
        """All rows of this merchant, as whoever owns the database finds them: the wall has no part in it."""
        whose = (
            "select relname, attname from pg_attribute join pg_class c on c.oid = attrelid where relname = any(:names)"
        )
        with self.engine.connect() as connection:
            columns = {tuple(row) for row in connection.execute(text(whose), {"names": list(tables)})}
            return {
                table: sorted(
                    connection.scalars(
                        text(f"select t::text from {table} t where {_find_condition(table, columns)}"),
                        {"m": self.merchant_id},
                    )
                )
                for table in tables
            }

    def read_json(self, table: str) -> str:
        """One of them as JSON, as the wall shows it."""
        with MerchantWork(self.engine, self.merchant_id) as work:
            return str(work.connection.scalar(text(f"select row_to_json(t)::text from {table} t limit 1")))


def _find_condition(table: str, columns: set[tuple[str, ...]]) -> str:
    if (table, "merchant_id") in columns:
        return "t.merchant_id = :m"
    return "t.id = :m" if table == "merchants" else "t.payment_id in (select id from payments where merchant_id = :m)"


def make_nobodys_names() -> dict[str, str]:
    """As the names of a merchant that is not there."""
    ids = {name: str(uuid4()) for name in ("payment", "endpoint", "notification", "attempt", "key", "user", "session")}
    return ids | {"word": secrets.token_hex(8), "psp_id": "pi_0", "email": f"{secrets.token_hex(6)}@example.com"}
