"""What the console needs, as one parameter, and how a view finds it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask import current_app

from config import PspAccount
from ingress.passwords import Passwords
from models.unit_of_work import UnitOfWork

NAME = "acuse-console"


@dataclass(frozen=True, slots=True)
class ConsoleDeps:
    """Built once for each process that serves the API."""

    open_front_work: Callable[[], UnitOfWork]
    accounts: Mapping[tuple[str, str], PspAccount]
    publish: Callable[[Sequence[int]], None]  # rings for events; may raise
    clock: Callable[[], datetime]  # aware UTC
    is_secure: bool = True  # whether browsers may send the cookie over https alone
    trusted_proxies: int = 0
    passwords: Passwords = field(default_factory=Passwords)


def deps() -> ConsoleDeps:
    """The dependencies of the application that serves this request."""
    found: Any = current_app.extensions[NAME]
    assert isinstance(found, ConsoleDeps)
    return found
