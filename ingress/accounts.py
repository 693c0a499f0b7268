"""Users: log in, log out, change and reset passwords."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from uuid_utils.compat import uuid7

from ingress.account_terms import (
    AccountDeps,
    CodeNeeded,
    InvalidEmail,
    InvalidReset,
    NoSuchUser,
    SignedIn,
    WrongCode,
    WrongCredentials,
    WrongPassword,
    clean_email,
    count_try,
    prove_password,
)
from ingress.passwords import check_new_password
from ingress.second_factor import check_code
from ingress.tokens import RESET, SESSION, digest_token, make_token
from models.sessions import NewSession
from models.unit_of_work import UnitOfWork
from models.users import StoredUser

SESSION_LASTS = timedelta(hours=1)
RESET_LASTS = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """What a log-in gives out, once."""

    token: str = field(repr=False)
    expires_at: datetime


def log_in(deps: AccountDeps, email: str, password: str, code: str | None, address: str) -> OpenedSession:
    """A bearer token of an hour. Raises TooManyTries, WrongCredentials, CodeNeeded and, where busy, TooBusy.

    Whatever is wrong takes as long as a wrong password.
    """
    count_try(deps, email, address)
    user = _find_by_email(deps, email)
    is_right = deps.passwords.verify(user.password_hash if user else None, password)
    if user is None or user.disabled_at or not is_right:
        raise WrongCredentials("e-mail address or password are wrong")
    better_hash = deps.passwords.improve(user.password_hash, password)
    used = _check_second_factor(deps, user, code)
    now, token = deps.clock(), make_token(SESSION)
    session = NewSession(uuid7(), user.merchant_id, user.id, token.digest, now, now + SESSION_LASTS)
    with deps.open_front_work() as work:
        _open_session(work, user, used, session)
        if better_hash:
            work.access.users.set_password(user.merchant_id, user.id, better_hash, user.password_hash)
        work.commit()
    return OpenedSession(token.text, session.expires_at)


def log_out(deps: AccountDeps, who: SignedIn) -> None:
    """End this session at once."""
    with deps.open_work(who.merchant_id) as work:
        work.access.sessions.revoke(who.merchant_id, who.session_id, deps.clock())
        work.commit()


def log_out_everywhere(deps: AccountDeps, who: SignedIn) -> None:
    """End all sessions of the user at once."""
    with deps.open_work(who.merchant_id) as work:
        work.access.sessions.revoke_all(who.merchant_id, who.user_id, deps.clock())
        work.commit()


def change_password(deps: AccountDeps, who: SignedIn, old: str, new: str, address: str) -> None:
    """Set a new password and end the user's other sessions. Raises UnfitPassword, WrongPassword, TooManyTries, TooBusy."""
    check_new_password(new)
    user = prove_password(deps, who, old, address)
    new_hash = deps.passwords.hash(new)
    with deps.open_work(who.merchant_id) as work:
        if not work.access.users.set_password(who.merchant_id, who.user_id, new_hash, user.password_hash):
            raise WrongPassword("the password was changed meanwhile")
        work.access.sessions.revoke_all(who.merchant_id, who.user_id, deps.clock(), but=who.session_id)
        work.commit()


def reset_password(deps: AccountDeps, token: str, new: str, address: str) -> None:
    """Set a new password by a reset token, once, and end all sessions. Raises InvalidReset, UnfitPassword, TooManyTries."""
    count_try(deps, None, address)
    check_new_password(new)
    digest = digest_token(token)
    with deps.open_front_work() as work:
        if not work.access.users.has_reset(digest, deps.clock()):
            raise InvalidReset("the token is unknown, used or too old")
    new_hash, now = deps.passwords.hash(new), deps.clock()
    with deps.open_front_work() as work:
        whose = work.access.users.use_reset(digest, now)
        if whose is None or not work.access.users.set_password(*whose, new_hash, None):
            raise InvalidReset("the token is unknown, used or too old")
        work.access.sessions.revoke_all(*whose, now)
        work.commit()


def add_user(work: UnitOfWork, merchant_id: UUID, email: str, password_hash: str, now: datetime) -> UUID:
    """Make a user; the caller commits. Raises InvalidEmail and EmailTaken."""
    id = uuid7()
    work.access.users.add(id, merchant_id, clean_email(email), password_hash, now)
    return id


def issue_reset(work: UnitOfWork, email: str, now: datetime) -> str:
    """A token that sets a new password within an hour, once; the caller commits. Raises InvalidEmail and NoSuchUser."""
    user = work.access.users.find(clean_email(email))
    if user is None or user.disabled_at:
        raise NoSuchUser("there is no such user, or it is disabled")
    token = make_token(RESET)
    work.access.users.add_reset(user.merchant_id, user.id, token.digest, now, now + RESET_LASTS)
    return token.text


def _find_by_email(deps: AccountDeps, email: str) -> StoredUser | None:
    try:
        cleaned = clean_email(email)
    except InvalidEmail:
        return None
    with deps.open_front_work() as work:
        return work.access.users.find(cleaned)


def _check_second_factor(deps: AccountDeps, user: StoredUser, code: str | None) -> tuple[bytes, int] | None:
    if user.totp_confirmed_at is None:
        return None
    if not code:
        raise CodeNeeded("send the code of your authenticator app as `totp`")
    try:
        return check_code(deps, user, code)
    except WrongCode as error:
        raise CodeNeeded(str(error)) from None


def _open_session(work: UnitOfWork, user: StoredUser, used: tuple[bytes, int] | None, session: NewSession) -> None:
    """Nobody can change the password, or show the same code, between the look at them and the new session."""
    if not work.access.users.hold(user):
        raise WrongCredentials("e-mail address or password are wrong")
    if used and not work.access.users.use_step(user.merchant_id, user.id, *used):
        raise CodeNeeded("the code was used before: wait for the next one")
    work.access.sessions.add(session)
