"""What is done about a difference: reported, proposed to a person, or healed by the PSP's own answer through the inbox."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from models.differences import NewEvidence, Opened
from models.inbox import Delivery
from models.states import EvidenceKind, Healing, Source
from models.unit_of_work import UnitOfWork
from psps.card_data import redact
from schedules.reconciling.comparing import Found
from schedules.reconciling.dependencies import ReconcileRules
from schedules.reconciling.theirs import Theirs

AS_OF = ":as-of"  # what workers read beside an answer's body
SENT, SENT_MINOR = "sent", "sent_minor"  # in a run's counts


@dataclass(frozen=True, slots=True)
class Healer:
    """The rules of one account, what was used up of them within the hour, and what is taken now."""

    rules: ReconcileRules
    used_up: tuple[int, int]  # differences, and the money in question in them
    taken: Counter[str] = field(default_factory=Counter)

    def choose(self, found: Found) -> Healing:
        """What a difference begins with: PROPOSED for what waits for a person in any case."""
        if not found.may_heal or self.rules.healing == "report":
            return Healing.NONE
        return Healing.PROPOSED if found.needs_person or self.rules.healing == "propose" else Healing.NONE

    def take(self, opened: Opened, found: Found) -> bool:
        """Whether this difference is healed now; it counts against the run's caps then."""
        if not self.is_automatic(opened, found) or not self._may_send(found):
            return False
        self.taken[SENT] += 1
        self.taken[SENT_MINOR] += found.at_stake or 0
        return True

    def is_automatic(self, opened: Opened, found: Found) -> bool:
        """Whether it would be healed without a person, if the run's caps allow it."""
        return found.may_heal and opened.healing is Healing.NONE and self.rules.healing == "auto"

    def _may_send(self, found: Found) -> bool:
        return (
            self.used_up[0] + self.taken[SENT] < self.rules.heal_most
            and self.used_up[1] + self.taken[SENT_MINOR] + (found.at_stake or 0) <= self.rules.heal_most_minor
        )


def send_answers(
    work: UnitOfWork, psp: str, account: str, healed: Mapping[int, tuple[bytes, datetime]], now: datetime
) -> list[int]:
    """Put the PSP's answer (body, as of) to each difference (by id) into the inbox, once; the ids of the events.

    The event's key is the difference, so that nothing heals one twice.
    """
    if not healed:
        return []
    deliveries = [_write(psp, account, id, body, as_of, now) for id, (body, as_of) in healed.items()]
    stored = work.put_answers(deliveries)
    work.healing.send({id: event.event_id for id, event in zip(healed, stored, strict=True)})
    return [event.event_id for event in stored]


def _write(psp: str, account: str, difference_id: int, body: bytes, as_of: datetime, now: datetime) -> Delivery:
    kept, redacted = redact(body)
    return Delivery(
        psp=psp,
        account=account,
        event_key=f"reconciliation:{difference_id}",
        content_digest=hashlib.sha256(body).digest(),
        body_sha256=hashlib.sha256(body).digest(),
        headers=[(AS_OF, as_of.isoformat())],
        body=kept,
        verified_with=None,
        redacted=redacted,
        received_at=now,
        source=Source.RECONCILIATION,
    )


def write_evidence(opened: Sequence[Opened], theirs: Mapping[str, Theirs]) -> list[NewEvidence]:
    """The PSP's answer to everything that is new among these."""
    return [
        NewEvidence(one.id, EvidenceKind.PSP, redact(said.body)[0], said.as_of)
        for one in opened
        if one.is_new and (said := theirs.get(one.psp_payment_id)) is not None
    ]
