"""Which PSP account makes a payment: the one that is named, or the first that can, in the order set for its method."""

from collections.abc import Mapping

from config import DEFAULT_ACCOUNT, PspAccount
from models.states import Method
from psps.registry import PSPS


class NoAccount(Exception):
    """No account fits what was asked for. The message says what would."""


def choose_account(
    accounts: Mapping[tuple[str, str], PspAccount],
    routes: Mapping[Method, tuple[str, ...]],
    method: Method,
    psp: str | None,
    account: str | None,
) -> PspAccount:
    """The account for a payment of this method. Raises NoAccount."""
    if psp is not None:
        return _find_named(accounts, method, psp, account or DEFAULT_ACCOUNT)
    order = routes.get(method) or tuple(dict.fromkeys(name for name, _ in accounts))
    for name in order:
        found = accounts.get((name, DEFAULT_ACCOUNT))
        if found and found.can_call and method in PSPS[name].creates:
            return found
    raise NoAccount(f"no PSP is set up here that makes {method} payments")


def _find_named(accounts: Mapping[tuple[str, str], PspAccount], method: Method, psp: str, account: str) -> PspAccount:
    found = accounts.get((psp, account))
    if found is None or not found.can_call:
        raise NoAccount(f"{psp}/{account} is not set up here for making payments")
    if method not in PSPS[psp].creates:
        makes = ", ".join(PSPS[psp].creates) or "no payments of this kind"
        raise NoAccount(f"{psp} does not make {method} payments; it makes {makes}")
    return found
