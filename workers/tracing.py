"""What the services tell of their work to whoever traces it. Ids, names of PSPs and closed vocabularies; never what arrived."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from uuid import UUID

from models.work import ClaimedEvent

NOTHING: AbstractContextManager[None] = nullcontext()


class Untraced:
    """Traces nothing, which costs next to nothing. What does trace overrides it; what happens inside of its blocks is a part
    of what they tell, and their errors pass through."""

    def batch(self, events: Sequence[ClaimedEvent]) -> AbstractContextManager[None]:
        """Inbox events that are applied together."""
        return NOTHING

    def follow(self, event: ClaimedEvent) -> AbstractContextManager[None]:
        """The payment that a hint names is fetched."""
        return NOTHING

    def attempt(self, attempt_id: UUID, psp: str, operation: str) -> AbstractContextManager[None]:
        """Something is asked of a PSP, or it is looked up what became of that."""
        return NOTHING

    def call(self, psp: str, account: str, operation: str) -> AbstractContextManager[None]:
        """One request to a PSP's API."""
        return NOTHING

    def notification(self, notification_id: UUID, attempt: int) -> AbstractContextManager[None]:
        """One attempt at a notification."""
        return NOTHING

    def lead_to_event(self, event_id: int, received_at: datetime) -> None:
        """What is being done has brought an inbox event."""

    def lead_to_notifications(self, ids: Sequence[UUID]) -> None:
        """What is being done has brought notifications."""


UNTRACED = Untraced()
