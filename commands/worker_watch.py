"""Whether one worker takes what is sent to it, judged by canaries that nobody took.

Two proofs are needed. A canary in a queue that several workers take from may go to any of them: on Redis the one that
asked first gets it, so a healthy worker may miss all of them for long. So each worker also has a queue of its own, to which
its watchdog sends: what is not taken there, this worker did not take. But a worker may take from its own queue and no
longer from another: that is seen where nobody at all takes what beat sends there.

Only canaries that were certainly sent count, one by one and by no clock: a dead beat, broker or database adds none, so
it restarts nobody.
"""

import math
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from models.canaries import (
    CANARY_ENTRY,
    CANARY_SECONDS,
    LANES,
    STALE_SECONDS,
    Sending,
    Taking,
    find_last,
    name_own_queue,
    patience_for,
    patience_for_lane,
)

START_SECONDS = 60.0  # for a worker that has taken nothing yet
LEAST_CANARIES = 2
OWN = "its own queue"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the database tells: what this worker took, when anybody took from each queue and lane last, what beat has sent."""

    own: Sequence[Taking]
    last_taken: Mapping[str, datetime]
    sendings: Sequence[Sending]


class Silence:
    """Counts by queue the canaries that were sent since something was taken last."""

    def __init__(self, most: Mapping[str, int]) -> None:
        self._most = most
        self._sent: dict[str, Hashable] = {}
        self._taken: dict[str, Hashable] = {}
        self._missed = dict.fromkeys(most, 0)

    def note(self, queue: str, sent: Hashable, taken: Hashable) -> None:
        """What a look saw: `sent` and `taken` are any marks that change whenever something is sent, or taken."""
        if queue not in self._sent or taken != self._taken[queue]:
            self._missed[queue] = 0
        elif sent != self._sent[queue]:
            self._missed[queue] += 1
        self._sent[queue], self._taken[queue] = sent, taken

    def find_deaf(self) -> list[str]:
        """The queues in which too many canaries were left."""
        return [queue for queue, missed in self._missed.items() if missed >= self._most[queue]]


class Watch:
    """Looks after one life of a worker, whose main process is `pid` of `host`.

    `read` tells what was taken and sent, where the database also writes; `send` sends a canary to the own queue of this name.
    Either may raise.
    """

    def __init__(
        self,
        read: Callable[[], Seen],
        send: Callable[[str], None],
        queues: Sequence[str],
        host: str,
        pid: int,
        every_seconds: float,
        stale_seconds: int = STALE_SECONDS,
        start_seconds: float = START_SECONDS,
    ) -> None:
        self._read, self._send, self._queues = read, send, queues
        self._own_queue = name_own_queue(host, pid)
        patience = {queue: patience_for(queue, stale_seconds) for queue in queues}
        most = {queue: _count(seconds, CANARY_SECONDS) for queue, seconds in patience.items()}
        for queue in LANES.keys() & set(queues):
            lane_most = _count(patience_for_lane(queue, stale_seconds), CANARY_SECONDS)
            most |= {_name_lane(lane): lane_most for lane in LANES[queue]}
        self._silence = Silence({OWN: _count(max(patience.values()), every_seconds)} | most)
        self._ends_start = time.monotonic() + start_seconds
        self._sent = 0

    def look(self) -> list[str]:
        """Look once, and send a canary for the next time. The queues that this worker should take from and does not."""
        seen = self._read()
        own = tuple(one.taken_at for one in seen.own)
        if not own and time.monotonic() < self._ends_start:
            self._send_own()
            return []
        self._silence.note(OWN, self._sent, own)
        sent = {one.entry.removeprefix(CANARY_ENTRY): one.sent_at for one in seen.sendings}
        for queue in self._queues:
            self._silence.note(queue, sent.get(queue), find_last(queue, seen.last_taken))
            for lane in LANES.get(queue, ()):
                self._silence.note(_name_lane(lane), sent.get(lane), seen.last_taken.get(lane))
        deaf = self._silence.find_deaf()
        self._send_own()
        return deaf

    def _send_own(self) -> None:
        self._send(self._own_queue)
        self._sent += 1


def _name_lane(lane: str) -> str:
    return f"the lane {lane}"


def _count(seconds: float, every_seconds: float) -> int:
    return max(LEAST_CANARIES, math.ceil(seconds / every_seconds))
