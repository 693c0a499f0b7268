"""The clients of the configured accounts, each behind its gate."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from config import PspAccount
from models.unit_of_work import Contention, DatabaseUnavailable, UnitOfWork, refuse_inside_transaction
from psps.gate import CallLimits, Gate
from psps.outbound import Client, ClientSettings, NotNow
from psps.registry import PSPS
from workers.watching import CallWatch, WatchedClient

TURN_TRIES = 3


def build_clients(
    accounts: Mapping[tuple[str, str], PspAccount],
    limits: CallLimits,
    unit_of_work: Callable[[], UnitOfWork],
    patience: float = 0.0,
    make_watch: Callable[[str, str], CallWatch] | None = None,
) -> Callable[[str, str], Client | None]:
    """A function that gives the client of a PSP's account, made once, or None where its calls are not configured.

    `patience` is for how many seconds a call waits for its turn at the most; for three turns in any case. `make_watch`
    makes what counts the calls of a PSP's account.
    """
    made: dict[tuple[str, str], Client | None] = {}

    def find(psp: str, account: str) -> Client | None:
        if (psp, account) not in made:
            one = accounts.get((psp, account))
            watch = make_watch(psp, account) if make_watch else None
            made[psp, account] = (
                _make_client(one, limits, unit_of_work, patience, watch) if one and one.can_call else None
            )
        return made[psp, account]

    return find


def _make_client(
    account: PspAccount,
    limits: CallLimits,
    unit_of_work: Callable[[], UnitOfWork],
    patience: float,
    watch: CallWatch | None,
) -> Client:
    settings = ClientSettings(account.account, account.api_url, account.livemode, account.options, account.secrets)
    gate = Gate(limits, check=refuse_inside_transaction, take_turn=partial(_take_turn, account, unit_of_work, patience))
    if watch is None:
        return PSPS[account.psp].make_client(settings, gate)
    return WatchedClient(PSPS[account.psp].make_client(settings, replace(gate, watch=watch)), watch)


def _take_turn(account: PspAccount, unit_of_work: Callable[[], UnitOfWork], patience: float) -> None:
    """Wait a moment for the account's turn, which all processes share. Raises NotNow where it does not come."""
    rate = float(account.calls_per_second)
    try:
        for _ in range(max(TURN_TRIES, round(patience * rate))):
            with unit_of_work() as work:
                is_ours = work.calls.take_turn(account.psp, account.account, rate, burst=max(rate, 1.0))
                work.commit_lazily()
            if is_ours:
                return
            time.sleep(1 / rate)
    except (Contention, DatabaseUnavailable) as error:
        raise NotNow("no_turn", type(error).__name__, retry_after=2.0, is_held_back=True) from error
    raise NotNow("no_turn", "too many calls of this account", retry_after=1.0, is_held_back=True)
