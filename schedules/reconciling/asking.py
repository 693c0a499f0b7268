"""What the PSP is asked for: its list, slice by slice, and single payments. Never inside a transaction."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice

import structlog

from psps.base import EventsModule, Ignored, Unparseable
from psps.calls import TOO_MANY_REQUESTS
from psps.outbound import Answer, Client, NotNow, NotOffered, NotThere, OutcomeUnknown, Refused
from schedules.reconciling.theirs import Theirs, read_theirs

log = structlog.get_logger(__name__)

BATCH = 200
MOST_FAILURES = 5  # of single payments, one after the other: then it is the PSP that fails


class Asker:
    """Asks one account's client and reads what it says; what cannot be read is counted and left alone."""

    def __init__(
        self, client: Client, reader: EventsModule, psp: str, counts: Counter[str], interruption: type[BaseException]
    ) -> None:
        self._client, self._reader, self._psp, self._counts = client, reader, psp, counts
        self._interruption = interruption
        self.failures = 0  # of the last payments that were asked for, in a row

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
            except self._interruption:
                raise
            except Exception as error:  # noqa: BLE001 - one answer that breaks the reader must not stop the others
                self._counts["unreadable"] += 1
                reason = str(error) if isinstance(error, Unparseable) else type(error).__name__
                log.warning("answer_unreadable", psp=self._psp, reason=reason)
                continue
            if isinstance(theirs, Ignored):
                self._counts["ignored"] += 1
            else:
                read.append(theirs)
        return read

    def fetch(self, psp_payment_id: str) -> Theirs | NotThere | None:
        """One payment; NotThere where the PSP does not know it, None where it does not say.

        Raises PspError where calls are held back, and where several payments in a row could not be asked for.
        """
        self._counts["fetched"] += 1
        try:
            read = self.read([self._client.fetch(psp_payment_id)])
        except NotThere as error:
            self.failures = 0
            return error
        except (Refused, NotNow, OutcomeUnknown, NotOffered) as error:
            self._tell_unanswered(error)
            return None
        self.failures = 0
        return read[0] if read else None

    def _tell_unanswered(self, error: Exception) -> None:
        """Raises what was raised where the next payment would fare no better."""
        self._counts["unanswered"] += 1
        log.warning("fetch_failed", psp=self._psp, error=str(error)[:200])
        if isinstance(error, (Refused, NotOffered)):
            self.failures = 0
            return
        self.failures += 1
        if self.failures >= MOST_FAILURES or _asks_for_a_pause(error):
            raise error


def _asks_for_a_pause(error: Exception) -> bool:
    is_told = isinstance(error, NotNow) and (error.is_held_back or error.retry_after is not None)
    return is_told or getattr(error, "status", None) == TOO_MANY_REQUESTS
