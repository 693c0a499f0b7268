"""Events that an operator sets going by hand: only what is stored as it came, and can be opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ingress.console.dependencies import workbench
from models.states import NEVER_TRUSTED, Verification
from models.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Again:
    """Ids of events: those that go again, those of them whose key is gone, and those that are left with what is wrong with them."""

    going: list[int]
    rotated: list[int]
    refused: dict[int, Verification]

    @property
    def details(self) -> dict[str, Any]:
        """What the log of actions keeps, where there is anything to be said."""
        said = {"key_rotated": self.rotated, "refused": {str(id): why for id, why in self.refused.items()}}
        return {name: value for name, value in said.items() if value}


def set_going(work: UnitOfWork, ids: Sequence[int], now: datetime) -> Again:
    """Verify these events again, and replay those that nobody changed. The caller commits."""
    found = workbench().verify(work, ids)
    refused = {id: verification for id, verification in found.items() if verification in NEVER_TRUSTED}
    going = sorted(work.inbox.replay([id for id in ids if id not in refused], now))
    return Again(going, [id for id in going if found.get(id) is Verification.ROTATED], refused)
