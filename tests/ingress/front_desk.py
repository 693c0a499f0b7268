"""What the services about users need, on a real database: a clock that tests set, and passwords that cost little."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

from argon2 import PasswordHasher
from cryptography.fernet import Fernet
from sqlalchemy import Engine, create_engine, text

from ingress.account_terms import SignedIn
from ingress.accounts import OpenedSession, add_user, log_in
from ingress.passwords import Passwords
from ingress.tokens import digest_token
from models.merchant_work import MerchantWork
from models.merchants import DEFAULT_MERCHANT_ID
from models.unit_of_work import UnitOfWork
from notifications.sealing import Sealer

NOON = datetime(2026, 11, 20, 18, tzinfo=UTC)
EMAIL, PASSWORD, ADDRESS = "ana@example.com", "correcto caballo batería", "203.0.113.7"


def make_cheap_passwords() -> Passwords:
    return Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1), most_at_once=4)


def open_database(url: str) -> Engine:
    """A pool that is large enough for the threads of a test."""
    return create_engine(url, pool_size=12, connect_args={"options": "-c timezone=UTC"})


@dataclass
class FrontDesk:
    """Account dependencies, and what tests ask of them."""

    engine: Engine
    passwords: Passwords = field(default_factory=make_cheap_passwords)
    sealer: Sealer | None = field(default_factory=lambda: Sealer([Fernet.generate_key().decode()]))
    now: datetime = NOON

    def clock(self) -> datetime:
        return self.now

    @property
    def open_work(self) -> Callable[[UUID], MerchantWork]:
        return partial(MerchantWork, self.engine)

    @property
    def open_front_work(self) -> Callable[[], UnitOfWork]:
        return partial(UnitOfWork, self.engine)

    def add_merchant(self, name: str = "shop") -> UUID:
        id = uuid4()
        with self.open_front_work() as work:
            work.access.merchants.add(id, name, self.now)
            work.commit()
        return id

    def add_user(self, email: str = EMAIL, password: str = PASSWORD, merchant_id: UUID | None = None) -> UUID:
        merchant_id = merchant_id or self.add_merchant()
        with self.open_front_work() as work:
            id = add_user(work, merchant_id, email, self.passwords.hash(password), self.now)
            work.commit()
        return id

    def log_in(
        self, email: str = EMAIL, password: str = PASSWORD, code: str | None = None, address: str = ADDRESS
    ) -> OpenedSession:
        """As if the minute before were over."""
        self.forget_tries()
        return log_in(self, email, password, code, address)

    def find(self, token: str) -> SignedIn | None:
        with self.open_front_work() as work:
            session = work.access.sessions.find(digest_token(token), self.now)
        return session and SignedIn(session.merchant_id, session.user_id, session.id)

    def enter(self, **more: str) -> SignedIn:
        who = self.find(self.log_in(**more).token)
        assert who
        return who

    def forget_tries(self, seconds: float = 3600) -> None:
        """Make all tries older: they go by the database's clock."""
        with self.engine.begin() as connection:
            connection.execute(text("update login_tries set tried_at = tried_at - :by"), {"by": timedelta(0, seconds)})

    def clear(self) -> None:
        """Leave the database as it was made, for the next test: that costs less than another database."""
        with self.engine.begin() as connection:
            for table in ("sessions", "password_resets", "users", "login_tries", "api_keys", "idempotency_keys"):
                connection.execute(text(f"delete from {table}"))
            connection.execute(text("delete from merchants where id <> :id"), {"id": DEFAULT_MERCHANT_ID})

    def dump(self) -> str:
        """Every row of every table as text."""
        tables = "select format('%I', tablename) from pg_tables where schemaname = current_schema()"
        with self.engine.connect() as connection:
            return "\n".join(
                str(line)
                for table in connection.scalars(text(tables)).all()
                for line in connection.scalars(text(f"select {table}::text from {table}"))
            )
