"""What the PSP is asked for: its list, slice by slice, and single payments. Never inside a transaction."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice

import structlog

from psps.base import EventsModule, Ignored, Unparseable
from psps.outbound import Answer, Client, NotOffered, NotThere, Refused
from schedules.reconciling.theirs import Theirs, read_theirs

log = structlog.get_logger(__name__)

BATCH = 200


class Asker:
    """Asks one account's client and reads what it says; what cannot be read is counted and left alone."""

    def __init__(self, client: Client, reader: EventsModule, psp: str, counts: Counter[str]) -> None:
        self._client, self._reader, self._psp, self._counts = client, reader, psp, counts

    def walk(self, start: datetime, end: datetime) -> Iterator[Sequence[Theirs]]:
        """Payments of this window in handfuls, as the pages come. Raises psps.outbound.PspError."""
        answers = iter(self._client.list_by_window(start, end))
        while handful := list(islice(answers, BATCH)):
            yield self.read(handful)

    def read(self, answers: Iterable[Answer]) -> list[Theirs]:
        """What can be read of them."""
        read = []
        for answer in answers:
            try:
                theirs = read_theirs(self._reader, answer)
            except Unparseable as error:
                self._counts["unreadable"] += 1
                log.warning("answer_unreadable", psp=self._psp, reason=str(error))
                continue
            if isinstance(theirs, Ignored):
                self._counts["ignored"] += 1
            else:
                read.append(theirs)
        return read

    def fetch(self, psp_payment_id: str) -> Theirs | NotThere | None:
        """One payment; NotThere where the PSP does not know it, None where it does not say."""
        self._counts["fetched"] += 1
        try:
            read = self.read([self._client.fetch(psp_payment_id)])
        except NotThere as error:
            return error
        except (Refused, NotOffered) as error:
            self._counts["unanswered"] += 1
            log.warning("fetch_refused", psp=self._psp, error=str(error)[:200])
            return None
        return read[0] if read else None
