"""What the services about users have in common: what they need, whom they act for, and what can be wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Protocol
from uuid import UUID

from ingress.passwords import Passwords
from models.merchant_work import MerchantWork
from models.unit_of_work import UnitOfWork
from models.users import StoredUser
from notifications.sealing import Sealer

LONGEST_EMAIL = 254


class WrongCredentials(Exception):
    """The log-in is refused. It is not said whether there is such a user."""


class WrongPassword(Exception):
    """The password of the user who is logged in is another one."""


class CodeNeeded(Exception):
    """The password is right; a fresh code of the second factor is needed too."""


class WrongCode(Exception):
    """The code is wrong, or was used before."""


class AlreadyProtected(Exception):
    """There is a second factor already."""


class NotProtected(Exception):
    """There is no second factor to confirm or to remove."""


class InvalidReset(Exception):
    """The reset token is unknown, used or too old."""


class InvalidEmail(Exception):
    """This is no e-mail address that we take."""


class NoSuchUser(Exception):
    """There is no user with this e-mail address, or it is disabled."""


class NotConfigured(Exception):
    """Second factors need ACUSE_SECRET_KEYS."""


class TooManyTries(Exception):
    """Five log-ins were tried within a minute, for this account or from this address."""

    def __init__(self, seconds: float) -> None:
        super().__init__("too many log-ins were tried: come again after Retry-After seconds")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A user who shows a bearer token."""

    merchant_id: UUID
    user_id: UUID
    session_id: UUID


class AccountDeps(Protocol):
    """What the services need."""

    @property
    def open_work(self) -> Callable[[UUID], MerchantWork]: ...
    @property
    def open_front_work(self) -> Callable[[], UnitOfWork]: ...
    @property
    def clock(self) -> Callable[[], datetime]: ...
    @property
    def sealer(self) -> Sealer | None: ...
    @property
    def passwords(self) -> Passwords: ...


def clean_email(text: str) -> str:
    """The address in lower case. Raises InvalidEmail."""
    email = text.strip().lower()
    local, at, domain = email.rpartition("@")
    is_plain = email.isascii() and email.isprintable() and " " not in email and len(email) <= LONGEST_EMAIL
    if not (is_plain and local and at and "@" not in local and "." in domain.strip(".")):
        raise InvalidEmail("an e-mail address such as ana@example.com is needed")
    return email


class FrontDeps(Protocol):
    """What counting needs."""

    @property
    def open_front_work(self) -> Callable[[], UnitOfWork]: ...


def count_try(deps: FrontDeps, email: str | None, address: str, kind: str = "account") -> None:
    """Count one try of a password, for the account (of this kind) and from the address. Raises TooManyTries.

    It comes before anything else is looked at, in a transaction of its own, so that no fault makes it uncounted.
    """
    subjects = [f"address:{_find_network(address)}"]
    if email is not None:
        subjects.append(f"{kind}:{email.strip().lower()[:LONGEST_EMAIL]}")
    with deps.open_front_work() as work:
        seconds = work.access.login_tries.count(subjects)
        work.commit_lazily()
    if seconds is not None:
        raise TooManyTries(seconds)


def find_user(deps: AccountDeps, who: SignedIn) -> StoredUser:
    """The user who is logged in."""
    with deps.open_work(who.merchant_id) as work:
        user = work.access.users.get(who.merchant_id, who.user_id)
    if user is None or user.disabled_at:
        raise WrongPassword("the user is disabled")
    return user


def prove_password(deps: AccountDeps, who: SignedIn, password: str, address: str) -> StoredUser:
    """The user who is logged in and says the password again. Counted as a log-in. Raises WrongPassword, TooManyTries."""
    user = find_user(deps, who)
    count_try(deps, user.email, address)
    if not deps.passwords.verify(user.password_hash, password):
        raise WrongPassword("the password is wrong")
    return user


def _find_network(address: str) -> str:
    """Whoever has one IPv6 address has a /64 of them."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(parsed) if parsed.version == 4 else str(ip_network((parsed.packed, 64), strict=False))
