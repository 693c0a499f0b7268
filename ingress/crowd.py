"""All connections of a server: how many they may be and how much they may hold, and who has to go when it is too much."""

from collections import OrderedDict
from itertools import islice
from operator import attrgetter
from typing import Protocol

from ingress.answers import Refusal, Refused

LOOKED_AT = 64  # of those that have been quiet the longest, when one must go


class Member(Protocol):
    """One connection; `held` is how many bytes it holds of requests that nobody has verified."""

    held: int

    def is_waited_for(self) -> bool: ...
    def give_way(self) -> None: ...
    def check(self, now: float) -> None: ...
    def finish(self) -> None: ...
    def close(self) -> None: ...


class Crowd:
    """Where there are too many, the one goes whose last whole request is the longest ago; where they hold too many bytes, the
    one that holds most. So nobody who sends what is small and whole is kept out by those who only take up room."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._members: OrderedDict[Member, None] = OrderedDict()  # the longest quiet first
        self._held = 0

    def __len__(self) -> int:
        return len(self._members)

    def members(self) -> tuple[Member, ...]:
        """As they are now, whoever leaves meanwhile."""
        return tuple(self._members)

    def enter(self, member: Member) -> None:
        self._members[member] = None
        if len(self._members) > self._most:
            self._find_idle().give_way()

    def leave(self, member: Member) -> None:
        self._members.pop(member, None)

    def touch(self, member: Member) -> None:
        """It has sent a whole request."""
        self._members.move_to_end(member)

    def hold(self, member: Member, change: int) -> None:
        """It holds so many bytes more than before. Raises Refusal if they are too many and it holds the most itself."""
        self._held += change
        while change > 0 and self._held > self._most_bytes:
            largest = max(self._members, key=attrgetter("held"))
            if largest is member:
                raise Refusal(Refused.BUSY)
            largest.give_way()

    def _find_idle(self) -> Member:
        for member in islice(self._members, LOOKED_AT):
            if not member.is_waited_for():
                return member
        return next(reversed(self._members))  # everybody waits for answers of ours: the newcomer goes
