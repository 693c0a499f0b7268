"""Payouts that came back. The deposit that brings the money names its withdrawal, as well as it can, and the withdrawal goes
on to say that it is complete: so a list puts the two together."""

from dataclasses import dataclass, field
from typing import Any

from psps.bitso.fields import find_tracking_key
from psps.bitso.transfers import find_origin, find_origin_id
from psps.http import HttpAnswer
from psps.payload import hint_text

# Where our client puts the deposit that brought a withdrawal back.
RETURNED_BY = "returned_by"

Names = tuple[tuple[str, str | None], ...]


@dataclass(slots=True)
class Returns:
    """Deposits that bring payouts back, as a list shows them."""

    found: list[tuple[HttpAnswer, dict[str, Any]]] = field(default_factory=list)
    _by_name: dict[tuple[str, str | None], dict[str, Any]] = field(default_factory=dict)
    _taken: set[int] = field(default_factory=set)

    def note(self, answer: HttpAnswer, funding: dict[str, Any]) -> bool:
        """Keep this deposit if it brings a payout back, and say whether it does."""
        origin = find_origin(funding)
        if origin is None:
            return False
        self.found.append((answer, funding))
        names: Names = (("wid", origin.wid), ("key", origin.tracking_key), ("origin", origin.origin_id))
        told = next((name for name in names if name[1]), None)
        if told is not None:
            self._by_name.setdefault(told, funding)
        return True

    def attach(self, withdrawal: dict[str, Any]) -> dict[str, Any]:
        """The withdrawal, with the deposit that brought it back where there is one."""
        names: Names = (
            ("wid", hint_text(withdrawal.get("wid"))),
            ("key", find_tracking_key(withdrawal)),
            ("origin", find_origin_id(withdrawal)),
        )
        funding = next((self._by_name[name] for name in names if name in self._by_name), None)
        if funding is None:
            return withdrawal
        self._taken.add(id(funding))
        return {**withdrawal, RETURNED_BY: funding}

    def list_left(self) -> list[tuple[HttpAnswer, dict[str, Any]]]:
        """Those whose withdrawal did not come by."""
        return [(answer, funding) for answer, funding in self.found if id(funding) not in self._taken]
