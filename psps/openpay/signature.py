"""Basic auth with the user and password that were given when the webhook was made. The body is not protected at all.

A delivery is therefore only a hint: whoever knows the password could write any body, so the charge is fetched. There is
no time in it either; a replay is caught by the event key and brings nothing but one more fetch.
"""

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
    """The label of the `user:password` that was sent, which names the user alone. Raises InvalidSignature, nothing else.

    Two logins may be active: Openpay rotates them by a second webhook, after which the first is deleted.
    """
    return verify_login(headers, secrets)
