"""Merchants and their payments, written straight into the tables."""

from typing import Any
from uuid import UUID

from sqlalchemy import Engine, text
from uuid_utils.compat import uuid7

from models.merchant_payments import PaymentFilters
from models.merchant_work import MerchantWork
from models.unit_of_work import UnitOfWork
from tests.paper import NOON


def put(engine: Engine, table: str, **values: Any) -> None:
    """One row."""
    names = ", ".join(values)
    with engine.begin() as connection:
        marks = ", ".join(f":{name}" for name in values)
        connection.execute(text(f"insert into {table} ({names}) values ({marks})"), values)


def add_merchant(engine: Engine, name: str = "Comercio") -> UUID:
    id = uuid7()
    put(engine, "merchants", id=id, name=name)
    return id


def add_payment(engine: Engine, merchant: UUID, **values: Any) -> UUID:
    """A completed card payment of 100.00 MXN made at NOON, but for `values`; it waits for the indexer."""
    id = uuid7()
    usual = {
        "psp": "paper", "account": "default", "method": "card", "state": "completed", "amount_minor": 10_000,
        "received_minor": 10_000, "currency": "MXN", "livemode": True, "origin": "webhook", "created_at": NOON,
        "updated_at": NOON,
    }  # fmt: skip
    put(engine, "payments", **usual | {"id": id, "merchant_id": merchant} | values)
    put(engine, "search_queue", payment_id=id)
    return id


def index_all(engine: Engine) -> int:
    with UnitOfWork(engine) as work:
        indexed = work.search.index(1000)
        work.commit()
    return indexed


def find(engine: Engine, merchant: UUID, needle: str) -> list[UUID]:
    """Ids of what the merchant finds, the newest first."""
    with MerchantWork(engine, merchant) as work:
        return [row["id"] for row in work.own_payments.list(PaymentFilters(search=needle), None, 100)]
