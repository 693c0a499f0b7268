"""Transak: the JWT that signs, what its claims mean, and what comes of odd bytes. Bodies are signed here for real."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt import PyJWS

from models.states import Decision, Direction, EventKind, Method
from psps.base import CryptoLeg, Ignored, InvalidSignature, PaymentEvent, Unparseable
from psps.card_data import redact
from psps.credentials import LABELS, fingerprint
from psps.transak import events, signature
from psps.transak.envelope import LONGEST_BODY
from tests.psps.samples import DROP, changed, sample, vectors

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
TOKEN = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJBUElfS0VZIjoiaW52ZW50ZWQifQ.kQm9newestTokenOfThisTest012345"
OLD_TOKEN = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJBUElfS0VZIjoiaW52ZW50ZWQifQ.kQm9formerTokenOfThisTest012345"
COMPLETED, EXPIRED = sample("transak", "ORDER_COMPLETED"), sample("transak", "ORDER_FAILED.expired")
ORDER_ID = "9151faa1-e69b-4a36-b959-3c4f894afb68"
HASH = "0x6751c8fce2e0fb5d57bb4801b31b35a7160fa362e0c5703d44cfd508317ee2f8"


def encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def sign(claims: bytes, token: str = TOKEN) -> str:
    return PyJWS().encode(claims, token.encode(), "HS256")


def wrap(jwt: str) -> bytes:
    return json.dumps({"data": jwt}, separators=(",", ":")).encode()


def sealed(claims: bytes = COMPLETED, token: str = TOKEN) -> bytes:
    return wrap(sign(claims, token))


def forged(header: object, claims: bytes = COMPLETED, key: bytes = TOKEN.encode()) -> bytes:
    """A JWT with any header, its MAC right for HS256."""
    signed = f"{encode(json.dumps(header).encode())}.{encode(claims)}"
    return wrap(f"{signed}.{encode(hmac.digest(key, signed.encode(), hashlib.sha256))}")


def verify(body: bytes, secrets: list[str] | None = None) -> str:
    return signature.verify({}, {}, body, [TOKEN] if secrets is None else secrets, NOW)


def order(body: bytes = COMPLETED, **to: Any) -> bytes:
    for name, value in to.items():
        body = changed(body, "webhookData", name, to=value)
    return body


def only(body: bytes) -> PaymentEvent:
    (event,) = events.parse({}, body)
    return event


def snapshot_of(claims: bytes) -> bytes:
    return json.dumps(json.loads(claims)["webhookData"]).encode()


# The signature


@pytest.mark.parametrize("vector", vectors("transak"), ids=lambda vector: vector["name"])
def test_vector(vector: dict[str, Any]) -> None:
    body = vector["body_utf8"].encode()
    keys = vector["secret_or_keys"]
    tokens = [token for token in (keys["access_token"], keys.get("previous_access_token")) if token]
    at = datetime.fromtimestamp(vector["now_unix"], UTC)
    if not vector["valid"]:
        with pytest.raises(InvalidSignature):
            signature.verify({}, {}, body, tokens, at)
        return
    assert signature.verify({}, {}, body, tokens, at) == fingerprint(tokens[-1])
    if "decoded" in vector:
        claims = events.unwrap(body)
        assert claims is not None
        assert json.loads(claims) == vector["decoded"]


def test_rotation_names_the_token_that_signed() -> None:
    both = [TOKEN, OLD_TOKEN]
    assert verify(sealed(token=TOKEN), both) == LABELS["tokens"](TOKEN) == fingerprint(TOKEN)
    assert verify(sealed(token=OLD_TOKEN), both) == fingerprint(OLD_TOKEN)
    with pytest.raises(InvalidSignature):
        verify(sealed(token=OLD_TOKEN), [TOKEN])


def test_the_label_and_the_complaint_tell_nothing_of_the_token() -> None:
    assert TOKEN not in verify(sealed())
    with pytest.raises(InvalidSignature) as refused:
        verify(sealed(token=OLD_TOKEN))
    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize("claims", [{"exp": 1}, {"nbf": 2**40}, {"iat": 2**40}, {"exp": "soon", "sub": 7, "aud": [1]}])
def test_no_time_and_no_other_registered_claim_is_looked_at(claims: dict[str, Any]) -> None:
    assert verify(sealed(json.dumps({**json.loads(COMPLETED), **claims}).encode()))


def test_json_with_blanks_is_read() -> None:
    assert verify(b'\r\n{ "data" :\t"' + sign(COMPLETED).encode() + b'" }\n')


RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
GOOD = sign(COMPLETED)
HEADER, PAYLOAD, MAC = GOOD.split(".")
OTHER_PAYLOAD = encode(order(fiatAmount=9500.25))
ATTACKS = {
    "empty": b"",
    "an empty object": b"{}",
    "the bare claims": COMPLETED,
    "a list": b'["' + GOOD.encode() + b'"]',
    "the JWT alone": GOOD.encode(),
    "another member": json.dumps({"data": GOOD, "eventID": "ORDER_COMPLETED"}).encode(),
    "two members of one name, the good one first": f'{{"data":"{GOOD}","data":"{HEADER}.{OTHER_PAYLOAD}.{MAC}"}}'.encode(),
    "two members of one name, the good one last": f'{{"data":"{HEADER}.{OTHER_PAYLOAD}.{MAC}","data":"{GOOD}"}}'.encode(),
    "another name": json.dumps({"Data": GOOD}).encode(),
    "an escaped name": f'{{"\\u0064ata":"{GOOD}"}}'.encode(),
    "data as an object": json.dumps({"data": {"webhookData": {}}}).encode(),
    "data as null": b'{"data":null}',
    "a byte order mark": b"\xef\xbb\xbf" + wrap(GOOD),
    "something behind": wrap(GOOD) + b"{}",
    "something before": b"0" + wrap(GOOD),
    "UTF-16": wrap(GOOD).decode().encode("utf-16"),
    "other claims": wrap(f"{HEADER}.{OTHER_PAYLOAD}.{MAC}"),
    "no MAC": wrap(f"{HEADER}.{PAYLOAD}."),
    "two parts": wrap(f"{HEADER}.{PAYLOAD}"),
    "four parts": wrap(f"{GOOD}.{MAC}"),
    "a padded MAC": wrap(GOOD + "="),
    "a truncated MAC": wrap(GOOD[:-1]),
    "a longer MAC": wrap(GOOD + "A"),
    "a blank in the JWT": wrap(f"{HEADER}. {PAYLOAD}.{MAC}"),
    "standard base64": wrap(GOOD[:-1] + "+"),
    "another token": sealed(token=OLD_TOKEN),
    "none": wrap(f"{encode(json.dumps({'alg': 'none', 'typ': 'JWT'}).encode())}.{PAYLOAD}."),
    "none with the MAC": forged({"alg": "none"}),
    "None": forged({"alg": "None"}),
    "no alg": forged({"typ": "JWT"}),
    "alg null": forged({"alg": None}),
    "alg as a list": forged({"alg": ["HS256"]}),
    "alg as an object": forged({"alg": {"HS256": 1}}),
    "alg in lower case": forged({"alg": "hs256"}),
    "HS384": wrap(PyJWS().encode(COMPLETED, TOKEN.encode(), "HS384")),
    "HS512": wrap(PyJWS().encode(COMPLETED, TOKEN.encode(), "HS512")),
    "RS256": wrap(PyJWS().encode(COMPLETED, RSA, "RS256")),
    "RS256 with the MAC": forged({"alg": "RS256"}),
    "the key in the header": forged({"alg": "HS256", "jwk": {"kty": "oct", "k": "QUFBQQ"}}, key=b"AAAA"),
    "an extension that is critical": forged({"alg": "HS256", "crit": ["exp"], "exp": 1}),
    "a payload that is not in it": forged({"alg": "HS256", "b64": False, "crit": ["b64"]}),
    "kid as a number": forged({"alg": "HS256", "kid": 7}),
    "a header that is a list": forged(["HS256"]),
    "a header that is no JSON": wrap(f"{encode(b'HS256')}.{PAYLOAD}.{MAC}"),
    "a header that is no UTF-8": wrap(f"{encode(bytes([123, 255, 125]))}.{PAYLOAD}.{MAC}"),
    "a header of endless nesting": wrap(f"{encode(b'[' * 20_000)}.{PAYLOAD}.{MAC}"),
    "a header with an endless number": wrap(f"{encode(b'9' * 20_000)}.{PAYLOAD}.{MAC}"),
    "signed by the empty token": forged({"alg": "HS256"}, key=b""),
    "signed by the API key": forged({"alg": "HS256"}, key=b"invented"),
    "the access token as the JWT": wrap(TOKEN),
    "too large": sealed(order(partnerCustomerId="x" * LONGEST_BODY)),
}


@pytest.mark.parametrize("body", ATTACKS.values(), ids=ATTACKS.keys())
def test_attack_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidSignature):
        verify(body, [TOKEN])


@pytest.mark.parametrize("secrets", [[], [""], [" "], ["", "\t\n"]])
def test_without_a_usable_token_what_the_empty_one_signed_is_refused(secrets: list[str]) -> None:
    for key in ("", *secrets):
        with pytest.raises(InvalidSignature):
            verify(forged({"alg": "HS256"}, key=key.encode()), secrets)


@pytest.mark.parametrize(
    "odd", ["-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "ssh-rsa AAAA", "\udc80" * 40]
)
def test_a_secret_that_is_no_token_does_not_stand_in_the_way_of_one_that_is(odd: str) -> None:
    assert verify(sealed(), [odd, TOKEN]) == fingerprint(TOKEN)


def test_one_bit_anywhere_is_refused() -> None:
    body = sealed(EXPIRED)
    for place in range(len(body)):
        for bit in (1, 32):
            flipped = bytearray(body)
            flipped[place] ^= bit
            with pytest.raises(InvalidSignature):
                verify(bytes(flipped))


@settings(max_examples=300)
@given(st.binary(max_size=300) | st.binary(max_size=60).map(lambda raw: wrap(f"{encode(raw)}.{encode(raw)}.{MAC}")))
def test_any_bytes_are_refused_and_read_without_surprise(body: bytes) -> None:
    with pytest.raises(InvalidSignature):
        verify(body)
    assert events.event_key({}, body).startswith("sha256:")
    assert len(events.content_digest(body)) == 32
    with pytest.raises(Unparseable):
        events.read({}, body)


# Keys, digests, the bare claims


def test_the_key_is_the_order_and_its_status() -> None:
    assert events.event_key({}, sealed()) == f"{ORDER_ID}:COMPLETED"
    assert events.event_key({}, sealed(EXPIRED)) == f"{ORDER_ID}:EXPIRED"


@pytest.mark.parametrize("claims", [
    changed(COMPLETED, "webhookData", to=DROP), changed(COMPLETED, "webhookData", to=[]), order(id=7), order(id=""),
    order(status=None), order(id="x" * 150, status="y" * 150), order(id="a\nb"), b"[]", b"\xff", b"{",
])  # fmt: skip
def test_where_no_key_can_be_read_it_is_the_digest_of_the_body(claims: bytes) -> None:
    body = sealed(claims)
    assert events.event_key({}, body) == "sha256:" + hashlib.sha256(body).hexdigest()


def test_the_digest_is_the_same_for_every_delivery_of_an_event() -> None:
    first = events.content_digest(sealed())
    again = json.dumps({"iat": 1, "jti": "other", **json.loads(COMPLETED)}, indent=1, sort_keys=True).encode()
    assert events.content_digest(sealed(again, OLD_TOKEN)) == first
    assert events.content_digest(COMPLETED) == first


@pytest.mark.parametrize(
    "claims", [order(fiatAmount=1500.26), order(status="FAILED"), order(more=1), changed(COMPLETED, "eventID", to="X")]
)
def test_the_digest_differs_with_what_the_event_says(claims: bytes) -> None:
    assert events.content_digest(sealed(claims)) != events.content_digest(sealed())


@pytest.mark.parametrize(
    "claims", [b"", b"{}", b'{"eventID":1}', b"\xff", order(deep=json.loads("[" * 300 + "]" * 300)), order(n=10**40)]
)
def test_a_digest_is_made_of_anything(claims: bytes) -> None:
    assert len(events.content_digest(sealed(claims))) == len(events.content_digest(claims)) == 32


def test_unwrap_gives_the_claims_byte_for_byte_and_nothing_for_other_bodies() -> None:
    assert events.unwrap(sealed()) == COMPLETED
    for body in (
        COMPLETED,
        b"",
        b"{}",
        b'{"data":"x"}',
        b'{"data":"a.b.c"}'[:-1],
        b'{"data":"aaaa.aaaaa.aaaa"}',
        b"\xff",
    ):
        assert events.unwrap(body) is None


def test_card_data_inside_the_jwt_is_found_and_what_is_kept_without_it_reads_the_same() -> None:
    body = sealed(order(note="4242 4242 4242 4242"))
    assert redact(body) == (body, False)
    assert redact(COMPLETED) == (COMPLETED, False)
    kept, redacted = redact(events.unwrap(body) or b"")
    assert redacted
    assert b"4242 4242 4242 4242" not in kept
    assert events.read({}, kept) == events.read({}, body)
    assert events.event_key({}, kept) == events.event_key({}, body)


# What it means


@pytest.mark.parametrize("wrapped", [True, False], ids=["as a JWT", "as bare claims"])
def test_the_completed_sample(wrapped: bool) -> None:
    assert only(sealed() if wrapped else COMPLETED) == PaymentEvent(
        kind=EventKind.COMPLETED,
        raw_type="ORDER_COMPLETED:COMPLETED",
        psp_payment_id=ORDER_ID,
        occurred_at=datetime(2026, 11, 22, 5, 59, 41, 100_000, tzinfo=UTC),
        amount_minor=150_025,
        received_minor=150_025,
        currency="MXN",
        method=Method.CRYPTO_ONRAMP,
        direction=Direction.IN,
        merchant_reference="ord-1001",
        created_at=datetime(2026, 11, 22, 5, 40, 5, 95_000, tzinfo=UTC),
        crypto=CryptoLeg("usdc", "polygon", 81_402_913, 6, HASH),
    )


@pytest.mark.parametrize("wrapped", [True, False], ids=["as a JWT", "as bare claims"])
def test_the_failed_sample_which_has_no_amounts_is_an_order_that_expired(wrapped: bool) -> None:
    assert only(sealed(EXPIRED) if wrapped else EXPIRED) == PaymentEvent(
        kind=EventKind.EXPIRED,
        raw_type="ORDER_FAILED:EXPIRED",
        psp_payment_id=ORDER_ID,
        occurred_at=datetime(2026, 11, 22, 6, 40, 6, tzinfo=UTC),
        method=Method.CRYPTO_ONRAMP,
        merchant_reference="ord-1001",
    )


def test_the_vector_of_a_former_token_is_read_too() -> None:
    body = vectors("transak")[1]["body_utf8"].encode()
    event = only(body)
    assert (event.kind, event.amount_minor, event.received_minor) == (EventKind.EXPIRED, 150_025, None)


STATUSES = {
    "AWAITING_PAYMENT_FROM_USER": (EventKind.PENDING, None, None),
    "PAYMENT_DONE_MARKED_BY_USER": (EventKind.PENDING, None, None),
    "PROCESSING": (EventKind.PROCESSING, None, None),
    "PENDING_DELIVERY_FROM_TRANSAK": (EventKind.PROCESSING, None, None),
    "ON_HOLD_PENDING_DELIVERY_FROM_TRANSAK": (EventKind.PROCESSING, None, None),
    "COMPLETED": (EventKind.COMPLETED, 150_025, None),
    "CANCELLED": (EventKind.CANCELED, None, None),
    "FAILED": (EventKind.FAILED, None, None),
    "REFUNDED": (EventKind.REFUNDED, 150_025, 150_025),
    "EXPIRED": (EventKind.EXPIRED, None, None),
}


@pytest.mark.parametrize("event_id", ["ORDER_FAILED", "ORDER_COMPLETED", "ORDER_REFUNDED", None, 7])
@pytest.mark.parametrize(("status", "meaning"), STATUSES.items(), ids=STATUSES.keys())
def test_the_status_decides_and_never_the_event_id(status: str, meaning: tuple, event_id: object) -> None:
    event = only(changed(order(status=status), "eventID", to=event_id))
    assert (event.kind, event.received_minor, event.refunded_minor) == meaning
    assert event.raw_type == (f"{event_id}:{status}" if event_id else status)
    assert (event.amount_minor, event.currency) == (150_025, "MXN")


@pytest.mark.parametrize("status", ["ON_HOLD", "completed", "COMPLETED ", "x" * 200])
def test_a_status_that_is_not_known_moves_nothing_and_is_shown(status: str) -> None:
    outcome = events.read({}, order(status=status))
    assert isinstance(outcome, Ignored)
    assert not outcome.known
    assert outcome.raw_type == f"ORDER_COMPLETED:{status}"[:200]
    assert events.parse({}, order(status=status)) == []


@pytest.mark.parametrize("status", ["COMPLETED", "SOMETHING_ELSE"])
def test_crypto_that_is_sold_is_nobodys_payment(status: str) -> None:
    outcome = events.read({}, order(isBuyOrSell="SELL", status=status))
    assert isinstance(outcome, Ignored)
    assert outcome.known


def test_an_order_that_does_not_say_buy_is_bought() -> None:
    assert only(order(isBuyOrSell=DROP)).kind is EventKind.COMPLETED


@pytest.mark.parametrize(
    ("amount", "paid", "expected"),
    [
        (1500.25, 1500.25, (150_025, 150_025)),
        (1500, 1500, (150_000, 150_000)),
        (1500.5, 1499.99, (150_050, 149_999)),
        (19.99, None, (1_999, 1_999)),
        (19.99, DROP, (1_999, 1_999)),
        (19.99, 0, (1_999, 0)),
        (DROP, 19.99, (None, 1_999)),
        ("1500.25", "1500.25", (150_025, 150_025)),
    ],
)
def test_what_came_is_the_amount_paid_digit_by_digit(amount: object, paid: object, expected: tuple) -> None:
    event = only(order(fiatAmount=amount, amountPaid=paid))
    assert (event.amount_minor, event.received_minor) == expected


@pytest.mark.parametrize(("paid", "back"), [(1500.25, 150_025), (1400, 140_000), (0, 150_025), (DROP, 150_025)])
def test_a_refund_gives_all_back_that_was_paid(paid: object, back: int) -> None:
    event = only(order(status="REFUNDED", amountPaid=paid))
    assert event.received_minor == event.refunded_minor == back


@pytest.mark.parametrize(
    ("currency", "amount", "minor"), [("CLP", 15000, 15_000), ("jpy", 7, 7), ("KWD", 1.005, 1_005), ("EUR", 0.1, 10)]
)
def test_currencies_have_their_own_decimals(currency: str, amount: object, minor: int) -> None:
    event = only(order(fiatCurrency=currency, fiatAmount=amount, amountPaid=amount))
    assert (event.amount_minor, event.currency) == (minor, currency.upper())


@pytest.mark.parametrize(
    ("amount", "units"),
    [
        ("81.402913", (81_402_913, 6)),
        ("7", (7, 0)),
        ("1e-7", (1, 7)),
        ("1.5E-8", (15, 9)),
        ("0.000000000000000001", (1, 18)),
        ('"0.1"', (1, 1)),
    ],
)
def test_crypto_keeps_every_digit(amount: str, units: tuple[int, int]) -> None:
    event = only(COMPLETED.replace(b"81.402913", amount.encode()))
    assert event.crypto is not None
    assert (event.crypto.base_units, event.crypto.scale) == units


def test_older_orders_spell_cryptocurrency_in_one_word() -> None:
    older = order(cryptoCurrency=DROP, cryptocurrency="ETH", network="ethereum")
    assert only(older).crypto == CryptoLeg("eth", "ethereum", 81_402_913, 6, HASH)


@pytest.mark.parametrize("missing", ["cryptoAmount", "cryptoCurrency", "network"])
def test_half_a_crypto_leg_is_none(missing: str) -> None:
    event = only(order(**{missing: DROP}))
    assert (event.crypto, event.received_minor) == (None, 150_025)


@pytest.mark.parametrize(
    ("status", "told", "expected"),
    [
        ("COMPLETED", "2026-11-22T05:59:41.100+00:00", "2026-11-22T05:59:41.100000+00:00"),
        ("COMPLETED", "2026-11-21T23:59:41-06:00", "2026-11-22T05:59:41+00:00"),
        ("COMPLETED", DROP, "2026-11-22T05:59:40+00:00"),
        ("COMPLETED", 1795327181, "2026-11-22T05:59:40+00:00"),
        ("AWAITING_PAYMENT_FROM_USER", None, "2026-11-22T05:40:05.095000+00:00"),
        ("FAILED", DROP, None),
        ("REFUNDED", "yesterday", None),
    ],
)
def test_the_time_is_the_events_own_else_the_orders(status: str, told: object, expected: str | None) -> None:
    at = only(changed(order(status=status), "createdAt", to=told)).occurred_at
    assert (at and at.isoformat()) == expected
    assert at is None or at.tzinfo is UTC


@pytest.mark.parametrize(
    "claims",
    [
        order(id=DROP), order(id=""), order(id=7), order(status=DROP), order(status=None), order(status=["COMPLETED"]),
        order(fiatCurrency="PESOS"), order(fiatCurrency=7), order(fiatCurrency=DROP), order(fiatAmount=1500.255),
        order(fiatAmount=-1), order(fiatAmount=True), order(fiatAmount="1,500"), order(amountPaid="x"),
        order(fiatAmount=DROP, amountPaid=DROP), order(fiatCurrency="CLP"), order(cryptoAmount=-1), order(cryptoAmount="x"),
        order(fiatAmount=1e21), changed(COMPLETED, "webhookData", to=DROP), changed(COMPLETED, "webhookData", to="x"),
        COMPLETED.replace(b"1500.25", b"NaN"), COMPLETED.replace(b'"BUY"', b'"BUY","id":"x"'),
        COMPLETED.replace(b"cus-77", b"\\u0000"), COMPLETED.replace(b"cus-77", b"\xff"), b"[]", b"", b"null",
    ],
)  # fmt: skip
def test_a_signed_order_that_cannot_be_understood_is_set_aside(claims: bytes) -> None:
    for body in (claims, sealed(claims)):
        with pytest.raises(Unparseable) as said:
            events.read({}, body)
        assert len(str(said.value)) < 100
        assert "1500" not in str(said.value)


def test_an_odd_reference_is_left_out_and_the_payment_kept() -> None:
    assert only(order(partnerOrderId={"a": 1})).merchant_reference is None
    assert only(order(partnerOrderId=1001)).merchant_reference == "1001"


# Snapshots, and the answers


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("AWAITING_PAYMENT_FROM_USER", "2026-11-22T05:40:05.095000+00:00"),
        ("COMPLETED", "2026-11-22T05:59:40+00:00"),
        ("PROCESSING", NOW.isoformat()),
        ("EXPIRED", NOW.isoformat()),
        ("REFUNDED", NOW.isoformat()),
    ],
)
def test_a_snapshot_means_the_same_at_its_own_time(status: str, expected: str) -> None:
    outcome = events.read_snapshot(snapshot_of(order(status=status)), NOW)
    assert isinstance(outcome, list)
    webhook = only(order(status=status))
    assert (outcome[0].kind, outcome[0].raw_type) == (webhook.kind, status)
    assert (outcome[0].received_minor, outcome[0].crypto) == (webhook.received_minor, webhook.crypto)
    assert outcome[0].occurred_at is not None
    assert outcome[0].occurred_at.isoformat() == expected


def test_a_snapshot_without_times_of_its_own_is_as_of_the_call() -> None:
    outcome = events.read_snapshot(snapshot_of(order(completedAt=None)), NOW)
    assert isinstance(outcome, list)
    assert outcome[0].occurred_at == NOW


def test_a_snapshot_may_be_ignored_or_unreadable() -> None:
    assert isinstance(events.read_snapshot(snapshot_of(order(status="NEW")), NOW), Ignored)
    with pytest.raises(Unparseable):
        events.read_snapshot(sealed(), NOW)


@pytest.mark.parametrize("body", [sealed(), COMPLETED, b"", b"\xff"])
def test_the_reply_is_200_whatever_the_body(body: bytes) -> None:
    reply = events.reply(body, Decision.RETURN)
    assert (reply.status, reply.body) == (200, b'{"received":true}')
    assert events.deposit_clabe(body) is None
