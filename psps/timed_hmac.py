"""Signatures over a time and the body: `t=<unix seconds>,<scheme>=<hex>` with HMAC-SHA256 over `<t>.<body>`; and how old a
signed time may be.
"""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psps.base import InvalidSignature
from psps.credentials import fingerprint

UNIX_SECONDS = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class TimedHmac:
    """One PSP's header: its name, and the scheme of the signatures that count, of which there may be several."""

    psp: str
    header: str
    scheme: str

    def verify(
        self,
        value: str | None,
        body: bytes,
        secrets: Sequence[str],
        now: datetime,
        past_seconds: int | None,
        future_seconds: int | None,
    ) -> str:
        """The fingerprint of the secret that signed. Raises InvalidSignature, nothing else.

        Checks run in the order of Stripe's own SDK: header, secret, parse, at least one signature, MAC, time.
        """
        if not value:
            raise InvalidSignature(f"{self.header} is missing")
        usable = [secret for secret in secrets if secret.strip()]
        if not usable:
            raise InvalidSignature(f"no {self.psp} webhook secret is configured")
        timestamp, signatures = self._parse(value)
        label = find_signer([timestamp.encode("ascii") + b"." + body], signatures, usable)
        if label is None:
            raise InvalidSignature(f"no {self.psp} signature matches the body")
        check_age(now.timestamp() - int(timestamp), past_seconds, future_seconds, self.psp)
        return label

    def _parse(self, value: str) -> tuple[str, list[bytes]]:
        timestamps = []
        signatures = []
        for item in value.split(","):
            key, separator, part = item.partition("=")
            if not separator:
                raise InvalidSignature(f"{self.header} is malformed")
            if key == "t":
                timestamps.append(part)
            elif key == self.scheme:
                signatures.append(part.encode("utf-8", "replace"))
        if len(timestamps) != 1 or not UNIX_SECONDS.fullmatch(timestamps[0]):
            raise InvalidSignature(f"{self.header} needs exactly one timestamp")
        if not signatures:
            raise InvalidSignature(f"{self.header} has no {self.scheme} signature")
        return timestamps[0], signatures


def find_signer(texts: Sequence[bytes], signatures: Sequence[bytes], secrets: Sequence[str]) -> str | None:
    """The fingerprint of the secret under which one of the texts has one of the signatures, in lower hex."""
    for secret in secrets:
        key = secret.encode("utf-8", "surrogatepass")
        for text in texts:
            expected = hmac.digest(key, text, "sha256").hex().encode("ascii")
            if any(hmac.compare_digest(expected, signature) for signature in signatures):
                return fingerprint(secret)
    return None


def check_age(age: float, past_seconds: int | None, future_seconds: int | None, psp: str) -> None:
    """A signed time, `age` seconds ago (less than 0: ahead). None sets no bound, a time exactly at a bound passes."""
    if past_seconds is not None and age > past_seconds:
        raise InvalidSignature(f"the {psp} timestamp is too old")
    if future_seconds is not None and -age > future_seconds:
        raise InvalidSignature(f"the {psp} timestamp is too far in the future")
