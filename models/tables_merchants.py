"""The tables of merchants and of who may speak for them: users and keys. Secrets are kept as digests, or sealed."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from models.table_base import Table


class Merchant(Table):
    """Whose money it is."""

    __tablename__ = "merchants"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class DepositAccount(Table):
    """A CLABE that we gave to someone: deposits to it are known and kept."""

    __tablename__ = "deposit_accounts"

    psp: Mapped[str]
    account: Mapped[str]
    clabe: Mapped[str]
    merchant_id: Mapped[UUID] = mapped_column(ForeignKey("merchants.id", name="fk_deposit_accounts_merchant_id"))
    created_at: Mapped[datetime]

    __table_args__ = (
        PrimaryKeyConstraint("psp", "account", "clabe", name="pk_deposit_accounts"),
        CheckConstraint("clabe ~ '^[0-9]{18}$'", name="clabe"),
    )


class User(Table):
    """A person of a merchant. The e-mail address is kept in lower case."""

    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    merchant_id: Mapped[UUID] = mapped_column(ForeignKey("merchants.id", name="fk_users_merchant_id"))
    email: Mapped[str]
    password_hash: Mapped[str]
    totp_sealed: Mapped[bytes | None]  # the secret of the second factor
    totp_confirmed_at: Mapped[datetime | None]  # asked for at log-in from then on
    totp_last_step: Mapped[int | None]  # of the code that was used last: none is taken twice
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("email", name="uq_users_email"),
        UniqueConstraint("merchant_id", "id", name="uq_users_merchant_id_id"),
        CheckConstraint("email = lower(email)", name="email_is_lower"),
        CheckConstraint("totp_confirmed_at is null or totp_sealed is not null", name="totp_has_secret"),
    )


class Session(Table):
    """A bearer token that a log-in gave out; the database has its SHA-256 alone."""

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    merchant_id: Mapped[UUID]
    user_id: Mapped[UUID]
    token_hash: Mapped[bytes]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]

    __table_args__ = (
        ForeignKeyConstraint(["merchant_id", "user_id"], ["users.merchant_id", "users.id"], name="fk_sessions_user"),
        UniqueConstraint("token_hash", name="uq_sessions_token_hash"),
        Index("ix_sessions_user", "user_id", postgresql_where=text("revoked_at is null")),
        Index("ix_sessions_expires_at", "expires_at"),
    )


class PasswordReset(Table):
    """A token that sets a new password once; the database has its SHA-256 alone."""

    __tablename__ = "password_resets"

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    merchant_id: Mapped[UUID]
    user_id: Mapped[UUID]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]

    __table_args__ = (
        ForeignKeyConstraint(
            ["merchant_id", "user_id"], ["users.merchant_id", "users.id"], name="fk_password_resets_user"
        ),
    )


class LoginTry(Table):
    """A log-in that was tried, under the digest of its account and under that of its address."""

    __tablename__ = "login_tries"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    subject: Mapped[bytes]
    tried_at: Mapped[datetime]

    __table_args__ = (Index("ix_login_tries_subject", "subject", "tried_at"),)


class ApiKey(Table):
    """A key of a merchant. Of one name two may be active at a time, so that one can follow the other."""

    __tablename__ = "api_keys"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    merchant_id: Mapped[UUID] = mapped_column(ForeignKey("merchants.id", name="fk_api_keys_merchant_id"))
    name: Mapped[str]
    slot: Mapped[int] = mapped_column(SmallInteger)
    prefix: Mapped[str]  # the part that may be shown
    key_hash: Mapped[bytes]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text()))
    requests_per_minute: Mapped[int]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("key_hash", name="uq_api_keys_key_hash"),
        UniqueConstraint("prefix", name="uq_api_keys_prefix"),
        CheckConstraint("slot in (1, 2)", name="slot"),
        CheckConstraint("scopes <@ array['read', 'write', 'refund'] and scopes <> '{}'", name="scopes"),
        CheckConstraint("requests_per_minute > 0", name="requests_per_minute"),
        Index(
            "uq_api_keys_two_active",
            "merchant_id",
            "name",
            "slot",
            unique=True,
            postgresql_where=text("revoked_at is null"),
        ),
    )


class IdempotencyKey(Table):
    """What was asked for under an Idempotency-Key, and what it was answered. The row is the lock."""

    __tablename__ = "idempotency_keys"

    merchant_id: Mapped[UUID] = mapped_column(ForeignKey("merchants.id", name="fk_idempotency_keys_merchant_id"))
    key: Mapped[str]
    request_hash: Mapped[bytes]  # SHA-256 over method, path and body
    resource_id: Mapped[UUID | None]  # what the request made
    answer_status: Mapped[int | None] = mapped_column(SmallInteger)
    answer: Mapped[bytes | None]  # sealed where it holds a secret
    is_sealed: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime]

    __table_args__ = (
        PrimaryKeyConstraint("merchant_id", "key", name="pk_idempotency_keys"),
        CheckConstraint("(answer is null) = (answer_status is null)", name="answered"),
        Index("ix_idempotency_keys_created_at", "created_at"),
    )


class PaymentSearch(Table):
    """What a payment can be found by. The tokens stand for three letters each, see models/search.py."""

    __tablename__ = "payment_search"

    payment_id: Mapped[UUID] = mapped_column(primary_key=True)
    merchant_id: Mapped[UUID]
    document: Mapped[str]
    tokens: Mapped[list[int]] = mapped_column(ARRAY(Integer()))

    __table_args__ = (
        ForeignKeyConstraint(
            ["merchant_id", "payment_id"], ["payments.merchant_id", "payments.id"], name="fk_payment_search_payment"
        ),
        Index("ix_payment_search_tokens", "tokens", postgresql_using="gin", postgresql_with={"fastupdate": "off"}),
    )


class SearchQueue(Table):
    """Payments whose search entry is behind."""

    __tablename__ = "search_queue"

    payment_id: Mapped[UUID] = mapped_column(primary_key=True)
