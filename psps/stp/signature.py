"""Basic auth: STP signs nothing, so the agreed user and password, sent over TLS, are all there is."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from psps.basic_auth import verify_login


def verify(
    headers: Mapping[str, str],
    query: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    now: datetime,
) -> str:
    """The label of the `user:password` that was sent, which names the user alone. Raises InvalidSignature, nothing else."""
    return verify_login(headers, secrets)
