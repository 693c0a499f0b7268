"""Mercado Pago's own package as the referee. It verifies and has no signer: the sandbox signs, and so does its guide's text."""

import hashlib
import hmac
import json
import random
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mercadopago.webhook import InvalidWebhookSignatureError, WebhookSignatureValidator

from psps.mercadopago import signature
from sandbox.mercadopago import webhooks
from tests.psps.mutations import Edit, edits
from tests.referees.rounds import BODIES, accepts

NOW = 1_795_320_000
SECRET = "9fQ2researchVectorKey0123456789abcdef"


def sign(request_id: str, data_id: str, time: str = f"{NOW}000", secret: str = SECRET) -> str:
    """As the guide has it: a pair whose value is missing is left out."""
    pairs = (("id", data_id), ("request-id", request_id), ("ts", time))
    text = "".join(f"{name}:{value};" for name, value in pairs if value)
    return f"ts={time},v1={hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()}"


def we_accept(header: str, request_id: str, data_id: str, secret: str = SECRET) -> bool:
    given = ({"x-signature": header, "x-request-id": request_id}, {"data.id": data_id}, b"", [secret])
    now = datetime.fromtimestamp(NOW, UTC)
    return accepts(lambda: signature.verify(*given, now, past_seconds=None, future_seconds=None))


def they_accept(header: str, request_id: str, data_id: str, secret: str = SECRET) -> bool:
    """A header that makes the package itself fail is not accepted by it."""
    try:
        WebhookSignatureValidator.validate(header, request_id, data_id, secret)
    except (InvalidWebhookSignatureError, TypeError, UnicodeError):
        return False
    return True


def random_ids() -> list[tuple[str, str]]:
    chance = random.Random("mercadopago")
    letters = "abcdef0123456789-"
    return [
        ("".join(chance.choices(letters, k=chance.choice((0, 36)))), str(chance.randrange(10**12)))
        for _ in range(BODIES)
    ]


def test_what_the_guide_says_to_sign_both_accept_and_a_flipped_bit_neither_does() -> None:
    for request_id, data_id in random_ids():
        header = sign(request_id, data_id)
        assert we_accept(header, request_id, data_id)
        assert they_accept(header, request_id, data_id)
        other = header[:-1] + ("0" if header[-1] != "0" else "1")
        for changed in (
            (other, request_id, data_id),
            (header, request_id + "0", data_id),
            (header, request_id, data_id + "0"),
        ):
            assert not we_accept(*changed)
            assert not they_accept(*changed)


def test_what_the_sandbox_signs_their_package_accepts() -> None:
    for _, data_id in random_ids():
        body = json.dumps({"id": 1, "type": "payment", "data": {"id": data_id}}).encode()
        headers = webhooks.sign(body, {"webhook_secret": SECRET}, NOW)
        query = dict(parse_qsl(webhooks.make_query(body)))
        assert they_accept(headers["x-signature"], headers["x-request-id"], query["data.id"])
        assert we_accept(headers["x-signature"], headers["x-request-id"], query["data.id"])


REQUEST_ID, DATA_ID = "3be21ba5-8746-45b5-9622-3b057927089b", "123456789"
GOOD = sign(REQUEST_ID, DATA_ID)
MAC = GOOD.rpartition("=")[2]
LONG, WIDE = "1" * 16, "".join(chr(0x660 + int(digit)) for digit in f"{NOW}000")
STRICTER = {
    "two times, of which they take the last": (f"ts=1,{GOOD}", REQUEST_ID, DATA_ID),
    "two signatures, of which they take the last": (f"v1=00,{GOOD}", REQUEST_ID, DATA_ID),
    "a signature that is empty beside one that is not": (f"{GOOD},v1=", REQUEST_ID, DATA_ID),
    "a time of more than 15 digits": (sign(REQUEST_ID, DATA_ID, LONG), REQUEST_ID, DATA_ID),
    "a time of digits that are not ASCII": (sign(REQUEST_ID, DATA_ID, WIDE), REQUEST_ID, DATA_ID),
    "a semicolon, by which one id passes for two": (sign("b", "1"), "", "1;request-id:b"),
}
LAXER = {"an id whose lower-case form is signed, as by their packages before 2026": (sign("b", "abc"), "b", "ABC")}


@pytest.mark.parametrize("given", STRICTER.values(), ids=STRICTER)
def test_what_can_be_read_in_two_ways_only_they_accept(given: tuple[str, str, str]) -> None:
    assert they_accept(*given)
    assert not we_accept(*given)


@pytest.mark.parametrize("given", LAXER.values(), ids=LAXER)
def test_only_we_still_accept(given: tuple[str, str, str]) -> None:
    assert we_accept(*given)
    assert not they_accept(*given)


def test_an_empty_secret_opens_theirs_and_not_ours() -> None:
    given = (sign(REQUEST_ID, DATA_ID, secret=""), REQUEST_ID, DATA_ID, "")
    assert they_accept(*given)
    assert not we_accept(*given)


def is_plain(header: str, request_id: str, data_id: str) -> bool:
    """One time and one signature, digits of ASCII, and no semicolons."""
    names = [part.partition("=")[0].strip().lower() for part in header.split(",")]
    times = [
        part.partition("=")[2].strip() for part in header.split(",") if part.partition("=")[0].strip().lower() == "ts"
    ]
    is_time = len(times) == 1 and times[0].isascii() and times[0].isdigit() and len(times[0]) <= 15
    return is_time and names.count("v1") == 1 and ";" not in request_id + data_id


@settings(max_examples=300, deadline=None)
@given(edits=edits, data_id=st.sampled_from(("123456789", "", "0")), request_id=st.sampled_from((REQUEST_ID, "")))
def test_of_any_header_whatever_our_verdict_is_theirs_where_it_is_written_plainly(
    edits: list[Edit], data_id: str, request_id: str
) -> None:
    texts = [part.encode() for part in (sign(request_id, data_id), request_id, data_id)]
    for edit in edits:
        texts[edit.text % 3] = edit.apply(texts[edit.text % 3])
    header, request_id, data_id = (text.decode("latin-1") for text in texts)
    ours, theirs = we_accept(header, request_id, data_id), they_accept(header, request_id, data_id)
    assert theirs or not ours or data_id != data_id.lower(), "we are laxer with ids of letters alone"
    assert ours == theirs or not is_plain(header, request_id, data_id)
