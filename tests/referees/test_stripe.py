"""Stripe's own package as the referee: it signs and we verify, it verifies what the sandbox signs, and verdicts agree."""

import random
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from stripe import SignatureVerificationError, WebhookSignature

from psps.stripe import signature
from sandbox.stripe import webhooks
from tests.psps.mutations import Edit, edits
from tests.referees.rounds import accepts, flip, random_texts

NOW = 1_795_320_000
SECRET = "whsec_9fQ2researchVectorKey0123456789"
BODY = '{"id":"evt_1","note":"peñón"}'
HEADER = WebhookSignature.generate_signature_header(BODY, SECRET, NOW)
GOOD = HEADER.rpartition("=")[2]


def we_accept(body: str | bytes, header: str, secret: str = SECRET) -> bool:
    sent = body.encode() if isinstance(body, str) else body
    given = ({"stripe-signature": header}, {}, sent, [secret], datetime.fromtimestamp(NOW, UTC))
    return accepts(lambda: signature.verify(*given, past_seconds=None))


def they_accept(body: str | bytes, header: str, secret: str = SECRET) -> bool:
    """A header or body that makes the package itself fail is not accepted by it."""
    try:
        return WebhookSignature.verify_header(body, header, secret, tolerance=None)
    except (SignatureVerificationError, UnicodeError, TypeError):
        return False


def test_what_their_package_signs_we_accept_and_a_flipped_bit_neither_does() -> None:
    chance = random.Random("stripe")
    for text in random_texts("stripe"):
        header = WebhookSignature.generate_signature_header(text, SECRET, NOW)
        assert we_accept(text, header)
        assert they_accept(text, header)
        changed = flip(text.encode(), chance) if text else b" "
        assert not we_accept(changed, header)
        assert not they_accept(changed, header)


def test_what_the_sandbox_signs_their_package_accepts() -> None:
    for text in random_texts("sandbox of stripe"):
        header = webhooks.sign(text.encode(), {"webhook_secret": SECRET}, NOW)["Stripe-Signature"]
        assert they_accept(text, header)
        assert we_accept(text, header)
        assert not they_accept(text + " ", header)


# Where they accept what we refuse.
STRICTER = {
    "the time in other digits, or with a sign, a blank, zeros or _": f"t= {NOW},v1={GOOD}",
    "a time of signs": f"t=+{NOW},v1={GOOD}",
    "two times, of which they take the first": f"t={NOW},t=1,v1={GOOD}",
    "a part without =, which they pass over": f"{HEADER},x",
    "a second = in a part, behind which they do not read": f"t={NOW},v1={GOOD}=x",
}


@pytest.mark.parametrize("header", STRICTER.values(), ids=STRICTER)
def test_a_header_that_can_be_read_in_two_ways_only_they_accept(header: str) -> None:
    assert they_accept(BODY, header)
    assert not we_accept(BODY, header)


def test_a_letter_outside_ascii_in_one_signature_hides_the_next_one_from_them_alone() -> None:
    """Their comparison raises at it, so that their verdict is none."""
    header = f"t={NOW},v1=\xe9,v1={GOOD}"
    assert we_accept(BODY, header)
    assert not they_accept(BODY, header)


def is_written_plainly(header: str) -> bool:
    """ASCII, with one time of plain digits without zeros before them, and parts that have one = each."""
    parts = [part.split("=") for part in header.split(",")]
    times = [part[1] for part in parts if part[0] == "t" and len(part) > 1]
    return (
        header.isascii()
        and all(len(part) == 2 for part in parts)
        and len(times) == 1
        and re.fullmatch(r"[1-9][0-9]{0,11}", times[0], re.ASCII) is not None
    )


@settings(max_examples=300, deadline=None)
@given(edits=edits)
def test_of_any_header_whatever_our_verdict_is_theirs_where_it_is_written_plainly(edits: list[Edit]) -> None:
    header = HEADER.encode()
    for edit in edits:
        header = edit.apply(header)
    text = header.decode("latin-1")
    ours, theirs = we_accept(BODY, text), they_accept(BODY, text)
    assert theirs or not ours or not text.isascii(), "we are never laxer"
    assert ours == theirs or not is_written_plainly(text)


def test_only_we_can_verify_bytes_that_are_no_text() -> None:
    body = b"\xff\xfe{}"
    header = webhooks.sign(body, {"webhook_secret": SECRET}, NOW)["Stripe-Signature"]
    assert we_accept(body, header)
    assert not they_accept(body, header)


@pytest.mark.parametrize("secret", ["", " ", "\t\n"])
def test_a_blank_secret_opens_nothing_for_either(secret: str) -> None:
    header = WebhookSignature.generate_signature_header(BODY, secret, NOW)
    assert not we_accept(BODY, header, secret)
    assert not they_accept(BODY, header, secret)
