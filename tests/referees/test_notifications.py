"""The package of Standard Webhooks as the referee of what we send to merchants, and of the sandbox's merchant who verifies it.

The package of Svix is no second one: its verifier calls this one and adds the older names of the headers.
"""

import random
import re
import time
from datetime import UTC, datetime

from hypothesis import given, settings
from standardwebhooks import Webhook, WebhookVerificationError

from notifications.signing import new_secret, sign
from sandbox.merchant_inbox import Arrival
from tests.psps.mutations import Edit, edits
from tests.referees.rounds import flip, random_texts

NAMES = ("webhook-id", "webhook-timestamp", "webhook-signature")


def they_accept(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """What makes the package itself fail is not accepted by it."""
    try:
        Webhook(secret).verify(body, headers, json_parse=False)
    except (WebhookVerificationError, ValueError):
        return False
    return True


def the_sandbox_accepts(secret: str, headers: dict[str, str], body: bytes) -> bool:
    arrival = Arrival(1, "shop", *(headers[name] for name in NAMES), body, time.time(), 200)
    return bool(arrival.is_signed_with([secret]))


def test_what_we_sign_their_package_accepts_and_a_flipped_bit_it_does_not() -> None:
    chance = random.Random("notifications")
    for number, text in enumerate(random_texts("notifications")):
        new, old, stranger = new_secret(), new_secret(), new_secret()
        body = text.encode()
        headers = dict(sign([new, old], f"msg_{number}", datetime.now(UTC), body))
        assert they_accept(new, headers, body)
        assert they_accept(old, headers, body)
        assert the_sandbox_accepts(new, headers, body)
        assert not they_accept(stranger, headers, body)
        changed = flip(body, chance) if body else b" "
        assert not they_accept(new, headers, changed)
        assert not the_sandbox_accepts(new, headers, changed)


def test_what_their_package_signs_is_what_we_sign() -> None:
    for number, text in enumerate(random_texts("the package signs")):
        secret, now = new_secret(), datetime.now(UTC)
        theirs = Webhook(secret).sign(f"msg_{number}", now, text)
        headers = dict(sign([secret], f"msg_{number}", now, text.encode()))
        assert headers["webhook-signature"] == theirs
        assert the_sandbox_accepts(secret, headers, text.encode())


@settings(max_examples=300, deadline=None)
@given(edits=edits)
def test_of_any_headers_whatever_the_sandbox_is_never_laxer_than_their_package(edits: list[Edit]) -> None:
    secret, body = new_secret(), '{"type":"payment.completed","note":"peñón"}'.encode()
    headers = dict(sign([secret], "msg_1", datetime.now(UTC), body))
    for edit in edits:
        name = NAMES[edit.text % 3]
        headers[name] = edit.apply(headers[name].encode("latin-1")).decode("latin-1")
    is_laxer = the_sandbox_accepts(secret, headers, body) and not they_accept(secret, headers, body)
    assert not is_laxer or not is_list(headers["webhook-signature"])


def is_list(signatures: str) -> bool:
    """Versions and values with one blank between: anything else makes their package fail, and the sandbox passes over it."""
    return all(re.fullmatch(r"[^\s,]+,[A-Za-z0-9+/=]+", one, re.ASCII) for one in signatures.split(" "))
