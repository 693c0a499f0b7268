"""What the merchant API needs, as one parameter, and how a view finds it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import current_app

from config import PspAccount
from ingress.api.waiting import Waiting
from ingress.passwords import Passwords
from models.merchant_work import MerchantWork
from models.states import Method
from models.unit_of_work import UnitOfWork
from notifications.sealing import Sealer

NAME = "acuse-merchant-api"


@dataclass(frozen=True, slots=True)
class MerchantDeps:
    """Built once for each process that serves the API."""

    open_work: Callable[[UUID], MerchantWork]  # everything that belongs to one merchant
    open_front_work: Callable[[], UnitOfWork]  # who is it? The merchant is not known yet
    accounts: Mapping[tuple[str, str], PspAccount]
    routes: Mapping[Method, tuple[str, ...]]  # PSPs in the order in which they are chosen for a method
    ring_account: Callable[[str, str], None]  # rings the worker that calls this account; may raise
    ring_notify: Callable[[], None]  # rings the worker that delivers notifications; may raise
    clock: Callable[[], datetime]  # aware UTC
    sealer: Sealer | None  # None: ACUSE_SECRET_KEYS is not set
    trusted_proxies: int = 0
    requests_per_minute: int = 20  # of an address, and of whoever has no other number
    redis_url: str | None = None  # of the rate limits; None: each process counts by itself
    waiting: Waiting = field(default_factory=Waiting)  # of a POST for the PSP's answer
    allow_loopback_endpoints: bool = False
    passwords: Passwords = field(default_factory=Passwords)


def deps() -> MerchantDeps:
    """The dependencies of the application that serves this request."""
    found: Any = current_app.extensions[NAME]
    assert isinstance(found, MerchantDeps)
    return found
