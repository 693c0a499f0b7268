"""What a PSP keeps of a payment, where its messages tell it: good to have, and never worth parking a payment for."""

from collections.abc import Iterable

from psps.base import Unparseable
from psps.payload import LARGEST_AMOUNT, pesos_to_minor


def hint_fee(value: object) -> int | None:
    """A fee that the PSP sends as a whole number of minor units."""
    return value if type(value) is int and 0 <= value <= LARGEST_AMOUNT else None


def hint_fee_in_pesos(value: object) -> int | None:
    """Centavos of a fee in pesos, exactly; None for one of more than two decimals, too."""
    try:
        return pesos_to_minor(value, "fee")
    except Unparseable:
        return None


def add_fees(parts: Iterable[int | None]) -> int | None:
    """The sum of all parts; None where there is none, or where one of them is not known: half a fee compares with nothing."""
    told = list(parts)
    known = [part for part in told if part is not None]
    total = sum(known)
    return total if told and len(known) == len(told) and total <= LARGEST_AMOUNT else None
