"""What a merchant's server remembers of the notifications it was sent, and how it answers them.

The check of the signature is written from the Standard Webhooks specification, and not with the code that signs.
"""

import base64
import binascii
import hashlib
import hmac
import threading
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

MOST_KEPT = 1000
TOLERANCE_SECONDS = 300  # how far the time that was signed may lie from the time of arrival
LONGEST_TIMESTAMP = 12
PREFIX = "whsec_"
HANG = "hang"
FEWEST_STATUS, MOST_STATUS = 200, 599
MOST_TIMES = 1_000_000
MOST_SECONDS = 600.0
AFTER_HANGING = 504

Answer = int | str
"""A status, or HANG."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request to the inbox `name`; the plain address has the name ''. `answered` is the status it got."""

    number: int
    name: str
    id: str
    timestamp: str
    signatures: str
    body: bytes
    arrived_at: float
    answered: int

    def is_signed_with(self, secrets: Collection[str]) -> bool | None:
        """Whether one of the secrets signed it, at about the time it came; None where no secret is known."""
        if not secrets:
            return None
        if not _is_near(self.timestamp, self.arrived_at):
            return False
        signed = f"{self.id}.{self.timestamp}.".encode("utf-8", "replace") + self.body
        wanted = [hmac.new(read_secret(secret), signed, hashlib.sha256).digest() for secret in secrets]
        given = [_read_base64(one.removeprefix("v1,")) for one in self.signatures.split() if one.startswith("v1,")]
        return any(hmac.compare_digest(one, other) for one in wanted for other in given)

    def as_dict(self, secrets: Collection[str]) -> dict[str, Any]:
        said = _read_json(self.body)
        return {
            "number": self.number,
            "name": self.name,
            "id": self.id,
            "type": said.get("type") if isinstance(said, dict) else None,
            "timestamp": self.timestamp,
            "verified": self.is_signed_with(secrets),
            "answered": self.answered,
            "arrived_at": self.arrived_at,
            "body": self.body.decode("utf-8", "replace") if said is None else said,
        }


@dataclass(slots=True)
class _Manner:
    answer: Answer
    times: int
    seconds: float


class MerchantInbox:
    """The last 1,000 notifications, in memory. Every name has secrets and manners of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._arrivals: deque[Arrival] = deque(maxlen=MOST_KEPT)
        self._number = 0
        self._secrets: dict[str, list[str]] = {}
        self._manners: dict[str, _Manner] = {}
        self._ending = threading.Event()

    def take(self, name: str, headers: Mapping[str, str], body: bytes, now: float) -> int:
        """Remember a notification and give the status of its answer, late where the inbox hangs."""
        with self._lock:
            manner, ending = self._manners.get(name), self._ending
            hangs = manner is not None and manner.answer == HANG
            status = 200 if manner is None else AFTER_HANGING if hangs else int(manner.answer)
            self._number += 1
            id, timestamp, signatures = (
                headers.get(f"webhook-{part}", "") for part in ("id", "timestamp", "signature")
            )
            self._arrivals.append(Arrival(self._number, name, id, timestamp, signatures, body, now, status))
            if manner is not None:
                manner.times -= 1
                if not manner.times:
                    del self._manners[name]
        if manner is not None and hangs:
            ending.wait(manner.seconds)
        return status

    def list_all(self, after: int = 0) -> list[dict[str, Any]]:
        """What has come, in order; with `after` only what came after the one with this number."""
        with self._lock:
            arrivals = [one for one in self._arrivals if one.number > after]
            secrets = {name: list(own) for name, own in self._secrets.items()}
        return [one.as_dict(secrets.get(one.name, [])) for one in arrivals]

    def know(self, name: str, secrets: list[str]) -> None:
        """From now on these are the secrets of `name`, also for what has come already. Raises ValueError."""
        for secret in secrets:
            read_secret(secret)
        with self._lock:
            self._secrets[name] = secrets

    def behave(self, name: str, answer: Answer, times: int = 1, seconds: float = 20.0) -> None:
        """Answer `name` so the next `times`: a status, or HANG for so many seconds. Raises ValueError."""
        if answer != HANG and (type(answer) is not int or not FEWEST_STATUS <= answer <= MOST_STATUS):
            raise ValueError(f"answer must be a status of {FEWEST_STATUS} to {MOST_STATUS}, or {HANG}")
        if type(times) is not int or not 1 <= times <= MOST_TIMES:
            raise ValueError(f"times must be a whole number of 1 to {MOST_TIMES}")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= MOST_SECONDS:
            raise ValueError(f"seconds must be more than 0 and at most {MOST_SECONDS:.0f}")
        with self._lock:
            self._manners[name] = _Manner(answer, times, seconds)

    def manners(self) -> dict[str, dict[str, Any]]:
        """Name -> {answer, times that are left, seconds}, where it does not answer 200."""
        with self._lock:
            return {
                name: {"answer": one.answer, "times": one.times, "seconds": one.seconds}
                for name, one in self._manners.items()
            }

    def clear(self) -> None:
        """Forget what has come and how to misbehave; who hangs is answered now. The secrets stay."""
        with self._lock:
            self._arrivals.clear()
            self._manners.clear()
            self._ending.set()
            self._ending = threading.Event()


def read_secret(secret: str) -> bytes:
    """The key that a secret stands for. Raises ValueError."""
    key = _read_base64(secret.removeprefix(PREFIX)) if isinstance(secret, str) else b""
    if not key or not secret.startswith(PREFIX):
        raise ValueError(f"a secret is {PREFIX} and base64")
    return key


def _is_near(timestamp: str, now: float) -> bool:
    is_number = timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= LONGEST_TIMESTAMP
    return is_number and abs(now - int(timestamp)) <= TOLERANCE_SECONDS


def _read_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _read_json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
