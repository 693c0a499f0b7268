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
    """One payment at the PSP beside ours. `is_twin`: ours has another id, and may or may not be the same money. `twin` is
    what else we have that looks like it and is older, and `is_second` says that the PSP told of such a one just before."""

    theirs: Theirs
    ours: Ours | None = None
    is_twin: bool = False
    twin: Ours | None = None
    is_second: bool = False

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
    near = {one.psp_payment_id: list_twin_ids(one.psp_payment_id, one.operating_day) for one in theirs}
    twins = our_side.find_by_psp_id(run.psp, run.account, {id for ids in near.values() for id in ids})
    seconds = _find_seconds(strangers, near)
    return [
        Pair(one, by_id[one.psp_payment_id], twin=_find_older(one, twins, near))
        if one.psp_payment_id in by_id
        else _match_stranger(one, by_name, twins, one.psp_payment_id in seconds)
        for one in theirs
    ]


def _find_older(one: Theirs, twins: dict[str, Ours], near: dict[str, list[str]]) -> Ours | None:
    """A payment of ours that looks like this one under an earlier operating date: both came by webhook."""
    found = (twins[id] for id in near[one.psp_payment_id] if id in twins)
    return next((ours for ours in found if _is_before(ours, one) and is_same_money(ours, one)), None)


def _is_before(ours: Ours, one: Theirs) -> bool:
    days = ours.operating_day, one.operating_day
    return days[0] is not None and days[1] is not None and days[0] < days[1]


def _find_seconds(strangers: Sequence[Theirs], near: dict[str, list[str]]) -> set[str]:
    """Of payments that nobody knows here and that look like each other, all but the first."""
    known = {one.psp_payment_id: one for one in strangers}
    return {
        one.psp_payment_id
        for one in strangers
        for id in near[one.psp_payment_id]
        if id in known and id < one.psp_payment_id and _has_same_money(known[id], one)
    }


def _has_same_money(first: Theirs, second: Theirs) -> bool:
    return (first.amount_minor, first.clabe) == (second.amount_minor, second.clabe)


def _list_names(one: Theirs) -> list[str]:
    own = [OWN + one.merchant_reference] if one.merchant_reference else []
    return [*own, *one.refs]


def _match_stranger(one: Theirs, by_name: dict[str, Ours], twins: dict[str, Ours], is_second: bool) -> Pair:
    named = next((by_name[name] for name in _list_names(one) if name in by_name), None)
    if named is not None:
        return Pair(one, named, is_twin=named.psp_payment_id is not None)
    near = (twins[id] for id in list_twin_ids(one.psp_payment_id, one.operating_day) if id in twins)
    twin = next((ours for ours in near if is_same_money(ours, one)), None)
    return Pair(one, twin, is_twin=twin is not None, is_second=is_second)


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
