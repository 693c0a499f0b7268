"""Which payment of ours a payment at the PSP is: by its id, by what else names it, or by being its twin."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from models.our_side import Ours, OurSide
from models.reconciliations import Run
from models.requests import OWN
from schedules.reconciling.theirs import Theirs

DAYS_BETWEEN_TWINS = 7  # the longest row of days without a bank, and some


@dataclass(frozen=True, slots=True)
class Pair:
    """One payment at the PSP beside ours. `is_twin`: ours has another id, and may or may not be the same money."""

    theirs: Theirs
    ours: Ours | None = None
    is_twin: bool = False

    @property
    def is_unbound(self) -> bool:
        """Ours carries this reference and does not know its PSP id yet."""
        return self.ours is not None and self.ours.psp_payment_id is None


def match(our_side: OurSide, run: Run, theirs: Sequence[Theirs]) -> list[Pair]:
    """A pair for each of `theirs`, in their order."""
    by_id = our_side.find_by_psp_id(run.psp, run.account, {one.psp_payment_id for one in theirs})
    strangers = [one for one in theirs if one.psp_payment_id not in by_id]
    names = {name for one in strangers for name in _list_names(one)}
    by_name = our_side.find_by_reference(run.psp, run.account, names)
    twins = our_side.find_by_psp_id(
        run.psp, run.account, {id for one in strangers for id in list_twin_ids(one.psp_payment_id, one.operating_day)}
    )
    return [
        Pair(one, by_id[one.psp_payment_id]) if one.psp_payment_id in by_id else _match_stranger(one, by_name, twins)
        for one in theirs
    ]


def _list_names(one: Theirs) -> list[str]:
    own = [OWN + one.merchant_reference] if one.merchant_reference else []
    return [*own, *one.refs]


def _match_stranger(one: Theirs, by_name: dict[str, Ours], twins: dict[str, Ours]) -> Pair:
    named = next((by_name[name] for name in _list_names(one) if name in by_name), None)
    if named is not None:
        return Pair(one, named, is_twin=named.psp_payment_id is not None)
    near = (twins[id] for id in list_twin_ids(one.psp_payment_id, one.operating_day) if id in twins)
    twin = next((ours for ours in near if is_same_money(ours, one)), None)
    return Pair(one, twin, is_twin=twin is not None)


def is_same_money(ours: Ours, theirs: Theirs) -> bool:
    """A tracking key is unique for an institution and a day only, so another day's may be another deposit: with the same
    amount for the same account it is suspicious."""
    return ours.amount_minor == theirs.amount_minor and (ours.clabe or theirs.clabe) == (theirs.clabe or ours.clabe)


def list_twin_ids(psp_payment_id: str, operating_day: date | None) -> list[str]:
    """The ids that a SPEI deposit, `<institution>:<tracking key>:<YYYYMMDD>`, would have under the dates near its own."""
    if operating_day is None:
        return []
    near = (operating_day + timedelta(days=n) for n in range(-DAYS_BETWEEN_TWINS, DAYS_BETWEEN_TWINS + 1) if n)
    return [id for day in near if (id := move_to_day(psp_payment_id, operating_day, day))]


def move_to_day(psp_payment_id: str, operating_day: date, day: date) -> str | None:
    """The id that a SPEI deposit would have under another operating date; None for what is no deposit."""
    start, _, own = psp_payment_id.rpartition(":")
    return f"{start}:{day:%Y%m%d}" if ":" in start and own == f"{operating_day:%Y%m%d}" else None
