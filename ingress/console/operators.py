"""Operators log in and out."""

import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ingress.account_terms import InvalidEmail, WrongCredentials, clean_email, count_try
from ingress.console.dependencies import ConsoleDeps
from ingress.tokens import digest_token, make_token
from models.operators import NewAction, StoredOperator
from models.states import OperatorAction

CONSOLE = "ct_"
SESSION_LASTS = timedelta(hours=8)


@dataclass(frozen=True, slots=True)
class SignedInOperator:
    """Who asks, and what every form of theirs must bring back."""

    operator: StoredOperator
    csrf: str = field(repr=False)


def log_in(deps: ConsoleDeps, email: str, password: str, address: str) -> str:
    """A token for the cookie. Raises TooManyTries, WrongCredentials and, where busy, TooBusy. Whatever is wrong takes as long
    as a wrong password."""
    try:
        known_as = clean_email(email)
    except InvalidEmail:
        known_as = None
    count_try(deps, known_as, address, kind="operator")
    with deps.open_front_work() as work:
        operator = work.operators.find(known_as) if known_as else None
    is_right = deps.passwords.verify(operator.password_hash if operator else None, password)
    token, now = make_token(CONSOLE), deps.clock()
    if operator is None or operator.disabled_at or not is_right:
        _log_refusal(deps, operator, "the password is wrong" if not is_right else "the operator is disabled", address)
        raise WrongCredentials("e-mail address or password are wrong")
    with deps.open_front_work() as work:
        if not work.operators.add_session(token.digest, operator, now, now + SESSION_LASTS):
            raise WrongCredentials("e-mail address or password are wrong")
        work.operators.log_action(_describe(OperatorAction.LOGIN, operator, "the password is right", address, now))
        work.commit()
    return token.text


def _log_refusal(deps: ConsoleDeps, operator: StoredOperator | None, why: str, address: str) -> None:
    """Of a known operator; the database is asked as much about an unknown one."""
    with deps.open_front_work() as work:
        if operator:
            work.operators.log_action(_describe(OperatorAction.LOGIN_REFUSED, operator, why, address, deps.clock()))
        else:
            work.operators.find("")
        work.commit_lazily()


def _describe(what: OperatorAction, operator: StoredOperator, why: str, address: str, now: datetime) -> NewAction:
    return NewAction(operator.id, what, f"operator {operator.id}", why, {"source": address}, now)


def find_operator(deps: ConsoleDeps, token: str) -> SignedInOperator | None:
    """Whose token it is; None where it stands for nobody (any more)."""
    with deps.open_front_work() as work:
        operator = work.operators.find_by_session(digest_token(token), deps.clock())
    return SignedInOperator(operator, make_csrf(token)) if operator else None


def log_out(deps: ConsoleDeps, token: str) -> None:
    """End this session at once."""
    with deps.open_front_work() as work:
        work.operators.end_session(digest_token(token))
        work.commit()


def make_csrf(token: str) -> str:
    """Known to whoever was sent a page of this session, and to nobody else."""
    return hmac.digest(token.encode("utf-8", "surrogatepass"), b"forms of the console", "sha256").hex()
