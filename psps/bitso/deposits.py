"""Whose money a deposit is: that of a one-time payment, which tells it by itself, or a payment of its own.

A funding does not say so, and it need not name the CLABE that it came to: the documented one does not. A one-time payment
names its funding once it is paid, so a deposit is looked for among them, by its fid. One that may still be going to
name it is waited for. Source: docs.bitso.com, receive a one-time payment, list one-time payments, payload of spei_payment.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from models.states import EventKind
from psps.base import Unparseable
from psps.bitso.fields import KINDS, OPEN, Fields, find_time, fold
from psps.bitso.transfers import find_deposit_clabe, find_origin
from psps.payload import find_object, hint_text, pesos_to_minor

PESO = "mxn"
# UNVERIFIED: that a list gives the funding of each one that is paid. One without it may be of any deposit of its amount.
MAY_NAME_ONE = OPEN | {EventKind.COMPLETED}
# How long one can be paid after it was made. The documented ones expire the next day; that none takes longer is UNVERIFIED.
LONGEST_LIFE = timedelta(days=7)
CLOCK_ERROR = timedelta(hours=1)


def may_be_of_one_time(funding: Fields) -> bool:
    """Whether that is a question at all: neither crypto nor a payout of ours that comes back is of one."""
    asset = fold(funding.get("asset")) or fold(funding.get("currency"))
    return asset == PESO and find_origin(funding) is None


def find_search_window(funding: Fields, as_of: datetime) -> tuple[datetime, datetime]:
    """When the one-time payment of this deposit can have been made."""
    arrived_at = find_time(funding, "created_at") or as_of
    return arrived_at - LONGEST_LIFE, arrived_at + CLOCK_ERROR


@dataclass(slots=True)
class OneTimePayments:
    """Those seen so far: which fundings they name, and which may name one yet: their amount and CLABE."""

    payers: dict[str, str] = field(default_factory=dict)  # fid -> payment_id
    waiting: set[tuple[int | None, str | None]] = field(default_factory=set)

    def note(self, row: Fields) -> None:
        """Take one into account."""
        fid = hint_text(find_object(row, "details").get("fid"))
        if fid:
            self.payers[fid] = str(row.get("payment_id"))
        elif KINDS.get(fold(row.get("status")) or "") in MAY_NAME_ONE:
            self.waiting.add((_find_amount(row), hint_text(row.get("clabe"))))

    def find_payment_id(self, funding: Fields) -> str | None:
        """The payment_id of the one that names this funding."""
        return self.payers.get(str(funding.get("fid")))

    def may_name_it_yet(self, funding: Fields) -> bool:
        """Whether one of them waits for just this money. Until it is paid or expires, a CLABE is linked to one of them
        alone; where the funding names none, the amount has to do. Such a deposit may have to wait until they expire: it is
        better counted late than twice."""
        amount, clabe = _find_amount(funding), find_deposit_clabe(funding)
        if clabe:
            return (amount, clabe) in self.waiting
        return any(amount == waited_for for waited_for, _ in self.waiting)


def _find_amount(row: Fields) -> int | None:
    try:
        return pesos_to_minor(row.get("amount"), "amount")
    except Unparseable:
        return None
