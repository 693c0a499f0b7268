"""The second factor: codes of an authenticator app (TOTP, RFC 6238), each good for one log-in."""

import hmac
from dataclasses import dataclass, field
from datetime import datetime

import pyotp

from ingress.account_terms import (
    AccountDeps,
    AlreadyProtected,
    NotConfigured,
    NotProtected,
    SignedIn,
    WrongCode,
    WrongPassword,
    find_user,
    prove_password,
)
from models.users import StoredUser
from notifications.sealing import Sealer

ISSUER = "Acuse"
STEP_SECONDS = 30
DIGITS = 6


@dataclass(frozen=True, slots=True)
class NewSecret:
    """What an authenticator app needs. It is shown once."""

    secret: str = field(repr=False)  # base32
    uri: str = field(repr=False)  # for a QR code


def find_step(secret: str, code: str, now: datetime) -> int:
    """The time step that the code belongs to: the present one, the one before or the one after. Raises WrongCode."""
    digits = code.replace(" ", "")
    present = int(now.timestamp()) // STEP_SECONDS
    if len(digits) == DIGITS and digits.isascii():
        totp = pyotp.TOTP(secret, digits=DIGITS, interval=STEP_SECONDS)
        steps = [s for s in (present + 1, present, present - 1) if hmac.compare_digest(totp.generate_otp(s), digits)]
        if steps:
            return steps[0]
    raise WrongCode("the code is wrong")


def check_code(deps: AccountDeps, user: StoredUser, code: str) -> tuple[bytes, int]:
    """The sealed secret and the step of a code of this user; it is still to be used up. Raises WrongCode, NotProtected."""
    if user.totp_sealed is None:
        raise NotProtected("there is no second factor")
    return user.totp_sealed, find_step(_need_sealer(deps).open(user.totp_sealed), code, deps.clock())


def begin_totp(deps: AccountDeps, who: SignedIn, password: str, address: str) -> NewSecret:
    """A new secret; it counts from its confirmation on. Raises WrongPassword, AlreadyProtected, NotConfigured."""
    sealer = _need_sealer(deps)
    user = prove_password(deps, who, password, address)
    secret = pyotp.random_base32()
    with deps.open_work(who.merchant_id) as work:
        if not work.access.users.begin_totp(who.merchant_id, who.user_id, sealer.seal(secret)):
            raise AlreadyProtected("there is a second factor already: remove it first")
        work.commit()
    return NewSecret(secret, pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name=ISSUER))


def confirm_totp(deps: AccountDeps, who: SignedIn, code: str) -> None:
    """Show that the app has the secret; log-ins need its codes from now on. Raises WrongCode, NotProtected."""
    user = find_user(deps, who)
    if user.totp_confirmed_at:
        raise AlreadyProtected("the second factor is confirmed already")
    sealed, step = check_code(deps, user, code)
    with deps.open_work(who.merchant_id) as work:
        if not work.access.users.confirm_totp(who.merchant_id, who.user_id, sealed, step, deps.clock()):
            raise NotProtected("the second factor was changed meanwhile: begin again")
        work.commit()


def remove_totp(deps: AccountDeps, who: SignedIn, password: str, code: str, address: str) -> None:
    """Let log-ins do without codes again; it takes the password and a fresh code. Raises WrongPassword, WrongCode,
    NotProtected. Where it was never confirmed, no code is asked for.
    """
    user = prove_password(deps, who, password, address)
    with deps.open_work(who.merchant_id) as work:
        users = work.access.users
        if not users.hold(user):
            raise WrongPassword("password or second factor were changed meanwhile")
        if user.totp_confirmed_at:
            sealed, step = check_code(deps, user, code)
            if not users.use_step(who.merchant_id, who.user_id, sealed, step):
                raise WrongCode("the code was used before: wait for the next one")
        if not users.remove_totp(who.merchant_id, who.user_id):
            raise NotProtected("there is no second factor")
        work.commit()


def _need_sealer(deps: AccountDeps) -> Sealer:
    if deps.sealer is None:
        raise NotConfigured("second factors need ACUSE_SECRET_KEYS to be set")
    return deps.sealer
