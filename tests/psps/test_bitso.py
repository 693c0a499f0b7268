"""Bitso: who signed which bytes, and what they mean."""

import base64
import hashlib
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from models.states import Decision, Direction, EventKind, Method
from psps.base import CryptoLeg, Hint, Ignored, InvalidSignature, PaymentEvent, Reply, Unparseable
from psps.bitso import events, signature
from psps.bitso.authorization import Nonces, find_nonces, make_authorize, sign
from psps.bitso.signed import LONGEST_BODY, cut_payload, list_signed_forms
from psps.identity import LONGEST_KEY
from tests.psps.samples import DROP, changed, sample, sample_names, vectors
from workers.decisions import fold
from workers.facts import Fact, Standing

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
CREATED = datetime(2026, 11, 22, 5, 59, 58, tzinfo=UTC)
FID, WID = "037c4c00e17c592fc7b6d9bad2261be8", "7c28ccfc714940e5274d9fa9a219d479"
FUNDING = sample("bitso", "funding.complete")
TRACKING_KEY = "202611227110400800003230328"

# Who signed it --------------------------------------------------------------------------------------------------------

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def encode(key: Any) -> str:
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(public).decode()


SECRET = f"key-1={encode(KEY)}"


def seal(payload: bytes, key: rsa.RSAPrivateKey = KEY) -> str:
    return base64.b64encode(key.sign(payload, padding.PKCS1v15(), SHA256())).decode()


def verify(
    body: bytes, header: str | None, key_id: str | None = "key-1", secrets: list[str] | None = None, **more: str
) -> str:
    named = {"x-bitso-webhook-event-signature": header, "x-bitso-key-id": key_id}
    headers = {name: value for name, value in named.items() if value is not None} | more
    return signature.verify(headers, {}, body, [SECRET] if secrets is None else secrets, NOW)


PAYLOAD = b'{"fid":"f1","status":"complete","amount":"1.00"}'
BODY = b'{"event":"funding","payload":' + PAYLOAD + b"}"
SEAL = seal(PAYLOAD)
WEBHOOK_VECTORS = [v for v in vectors("bitso") if v.get("direction") != "outgoing-request"]


@pytest.mark.parametrize("vector", WEBHOOK_VECTORS, ids=lambda vector: vector["name"])
def test_vector(vector: dict[str, Any]) -> None:
    keys = vector["secret_or_keys"]
    headers = {name.lower(): value for name, value in vector["headers"].items()}
    secrets = [f"{keys['key_id']}={keys['public_key_b64_spki_der']}"]
    arguments = (headers, {}, vector["body_utf8"].encode(), secrets, datetime.fromtimestamp(vector["now_unix"], UTC))
    if vector["valid"]:
        assert signature.verify(*arguments) == f"key:{keys['key_id']}"
        assert cut_payload(arguments[2]) == vector["signed_bytes_utf8"].encode()
    else:
        with pytest.raises(InvalidSignature):
            signature.verify(*arguments)


@pytest.mark.parametrize(
    "body",
    [
        BODY,
        b'{"payload":' + PAYLOAD + b',"event":"funding"}',
        b' {\n"event" : "funding" , "payload"\t:\r\n '
        + PAYLOAD.replace(b",", b" ,\n\t").replace(b":", b" : ")
        + b" } ",
        # What stands around the payload is not signed.
        BODY.replace(b'"funding"', b'"withdrawal"'),
        b'{"payload":' + PAYLOAD + b"}",
        b'{"a":{"payload":{"fid":"evil"}},"b":["payload",{"payload":{}}],"payload":' + PAYLOAD + b',"c":"payload"}',
        b'{"p\\u0061yload":' + PAYLOAD + b"}",
        b'{"":"\\"payload\\":{}","payload":' + PAYLOAD + b"}",
    ],
)
def test_the_payload_alone_is_signed_wherever_it_stands(body: bytes) -> None:
    assert verify(body, SEAL) == "key:key-1"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"not json",
        PAYLOAD,
        b'{"event":"funding"}',
        b'{"payload":null}',
        b'{"payload":"' + PAYLOAD.replace(b'"', b'\\"') + b'"}',
        b'{"payload":[' + PAYLOAD + b"]}",
        b'{"data":{"payload":' + PAYLOAD + b"}}",
        b'[{"payload":' + PAYLOAD + b"}]",
        # Two payloads: whoever reads the other one than was verified can be fooled.
        b'{"payload":' + PAYLOAD + b',"payload":{"fid":"evil"}}',
        b'{"payload":{"fid":"evil"},"payload":' + PAYLOAD + b"}",
        b'{"payload":' + PAYLOAD + b',"p\\u0061yload":{"fid":"evil"}}',
        b'{"\\u0070ayload":{"fid":"evil"},"payload":' + PAYLOAD + b"}",
        b'{"payload":' + PAYLOAD + b',"payload":' + PAYLOAD + b"}",
        # No JSON at all, though the same bytes stand in it.
        BODY + b"x",
        BODY + BODY,
        BODY[:-1],
        b"\xef\xbb\xbf" + BODY,
        BODY.decode().encode("utf-16"),
        BODY.replace(b'"1.00"', b'"1. 00"'),
        BODY.replace(b'"status":', b'"status" "x":'),
        BODY.replace(b"{", b"{,"),
        BODY.replace(b'"f1"', b'"f2"'),
        BODY.replace(b'"fid"', b'"f\xc3\xafd"'),
        BODY.replace(b'"fid":"f1","status":"complete"', b'"status":"complete","fid":"f1"'),
        b'{"pad":"' + b"x" * LONGEST_BODY + b'","payload":' + PAYLOAD + b"}",
    ],
)
def test_a_body_that_was_changed_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidSignature):
        verify(body, SEAL)


def test_white_space_that_splits_a_number_is_refused() -> None:
    payload = b'{"fid":"f1","amount":12}'
    assert verify(b'{"payload":' + payload + b"}", seal(payload))
    for forged in (b'{"payload":{"fid":"f1","amount":1 2}}', b'{"payload":{"fid":"f1","amount":1\n2}}'):
        with pytest.raises(InvalidSignature):
            verify(forged, seal(payload))


def test_digits_keys_and_escapes_stay_as_they_were_sent() -> None:
    payload = b'{"z":1500.250,"a":[1e3,-0.0],"b":"a \\/ \\" b","c":{ }}'
    compact = payload.replace(b"{ }", b"{}")
    assert cut_payload(b'{"payload": ' + payload + b"}") == compact
    assert verify(b'{"payload":' + payload + b"}", seal(compact))
    with pytest.raises(InvalidSignature):
        verify(b'{"payload":' + payload.replace(b"1500.250", b"1500.25") + b"}", seal(compact))


ACCENTED = '{"fid":"f1","details":{"sender_name":"MARÍA 😀"}}'
ESCAPED = json.dumps(json.loads(ACCENTED), separators=(",", ":")).encode()


@pytest.mark.parametrize("sent", [ACCENTED.encode(), ESCAPED])
@pytest.mark.parametrize("signed", [ACCENTED.encode(), ESCAPED])
def test_letters_outside_ascii_may_be_signed_either_way(sent: bytes, signed: bytes) -> None:
    assert verify(b'{"payload":' + sent + b"}", seal(signed)) == "key:key-1"
    with pytest.raises(InvalidSignature):
        verify(b'{"payload":' + sent.replace(b"MAR", b"MAS") + b"}", seal(signed))


def test_there_is_one_form_to_try_for_plain_ascii_and_never_more_than_three() -> None:
    assert list(list_signed_forms(PAYLOAD)) == [PAYLOAD]
    assert len(list(list_signed_forms(ACCENTED.encode()))) == 2
    assert len(list(list_signed_forms('{"a":"\\u00e9 é"}'.encode()))) == 3


ATTACKS: dict[str, tuple[str | None, str | None]] = {
    "no signature": (None, "key-1"),
    "empty signature": ("", "key-1"),
    "blank signature": (" ", "key-1"),
    "no key id": (SEAL, None),
    "empty key id": (SEAL, ""),
    "blank key id": (SEAL, " "),
    "unknown key id": (SEAL, "key-2"),
    "key id in another case": (SEAL, "KEY-1"),
    "key id with its key": (SEAL, SECRET),
    "NUL in the key id": (SEAL, "key-1\x00"),
    "wide key id": (SEAL, "clé€\udc80"),
    "truncated": (SEAL[:-4], "key-1"),
    "without padding": (SEAL.rstrip("="), "key-1"),
    "longer": (SEAL + "AAAA", "key-1"),
    "twice": (f"{SEAL},{SEAL}", "key-1"),
    "with a blank": (SEAL + " ", "key-1"),
    "hex": (base64.b64decode(SEAL).hex(), "key-1"),
    "not base64": ("*" * 344, "key-1"),
    "non-ASCII": (SEAL[:-1] + "é", "key-1"),
    "lone surrogate": ("\udc80", "key-1"),
    "all zero": (base64.b64encode(bytes(256)).decode(), "key-1"),
    "one": (base64.b64encode(bytes(255) + b"\x01").decode(), "key-1"),
    "of another key": (seal(PAYLOAD, OTHER_KEY), "key-1"),
    "of the whole body": (seal(BODY), "key-1"),
    "of the digest": (seal(hashlib.sha256(PAYLOAD).digest()), "key-1"),
    "PSS": (
        base64.b64encode(KEY.sign(PAYLOAD, padding.PSS(padding.MGF1(SHA256()), 32), SHA256())).decode(),
        "key-1",
    ),
}


@pytest.mark.parametrize(("header", "key_id"), ATTACKS.values(), ids=ATTACKS.keys())
def test_an_attack_is_refused(header: str | None, key_id: str | None) -> None:
    with pytest.raises(InvalidSignature) as refused:
        verify(BODY, header, key_id)
    assert SEAL[:20] not in str(refused.value) and "f1" not in str(refused.value)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "=",
        "key-1",
        "key-1=",
        "key-1= ",
        "key-1=AAAA",
        "key-1=é",
        f"={encode(KEY)}",
        f" ={encode(KEY)}",
        encode(KEY),
        f"key-1={encode(rsa.generate_private_key(public_exponent=65537, key_size=1024))}",
        f"key-1={encode(ec.generate_private_key(ec.SECP256R1()))}",
        f"key-2={encode(KEY)}",
    ],
)
def test_without_a_usable_key_of_that_name_nothing_matches(secret: str) -> None:
    for key_id in ("key-1", "", " "):
        with pytest.raises(InvalidSignature):
            verify(BODY, SEAL, key_id, [secret])


def test_while_a_key_is_rotated_both_are_taken_each_under_its_name() -> None:
    both = [f"key-2={encode(OTHER_KEY)}", SECRET]
    assert verify(BODY, SEAL, "key-1", both) == "key:key-1"
    assert verify(BODY, seal(PAYLOAD, OTHER_KEY), "key-2", both) == "key:key-2"
    for key_id, header in (("key-2", SEAL), ("key-1", seal(PAYLOAD, OTHER_KEY))):
        with pytest.raises(InvalidSignature):
            verify(BODY, header, key_id, both)


def test_a_key_given_anew_under_its_old_name_is_tried_too() -> None:
    assert verify(BODY, SEAL, "key-1", [f"key-1={encode(OTHER_KEY)}", SECRET]) == "key:key-1"


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.text(max_size=60), st.text(max_size=20))
def test_no_input_gets_past_or_crashes(body: bytes, header: str, key_id: str) -> None:
    for given_key in (key_id, "key-1"):
        with pytest.raises(InvalidSignature):
            verify(body, header, given_key)
        with pytest.raises(InvalidSignature):
            verify(b'{"payload":{"a":' + body + b"}}", SEAL, given_key)


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**50), 2**50) | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
        max_leaves=20,
    ),
    st.booleans(),
    st.sampled_from([None, 0, 2, "\t"]),
)
def test_what_is_cut_out_is_the_compact_payload_whatever_stands_around(value: Any, escaped: bool, indent: Any) -> None:
    payload = {"fid": value}
    expected = json.dumps(payload, separators=(",", ":"), ensure_ascii=escaped).encode()
    for around in (
        {"event": {"payload": value}, "payload": payload, "more": [value, {"payload": {}}]},
        {"event": "funding", "payload": payload},
        {"payload": payload, "event": "payload"},
        {"event": "payload", "payload": payload},
    ):
        assert cut_payload(json.dumps(around, ensure_ascii=escaped, indent=indent).encode()) == expected


@pytest.mark.wall_clock
@pytest.mark.parametrize(
    "part", [b'"\\"', b'"', b"[", b'{"a":', b'"\\u0041",', b'"payload":{},', b" ", b"\\", b'["\\"",', b"1,"]
)
def test_hostile_bodies_cost_no_more_than_their_length(part: bytes) -> None:
    began = time.monotonic()
    for body in (part * 20_000, b'{"payload":{"a":"' + part * 20_000, b'{"payload":[' + part * 5_000 + b"1]}"):
        with pytest.raises(InvalidSignature):
            verify(body, SEAL)
    assert time.monotonic() - began < 2


# How our own calls are signed -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "vector", [v for v in vectors("bitso") if v.get("direction") == "outgoing-request"], ids=lambda v: v["name"]
)
def test_vector_of_a_call(vector: dict[str, Any]) -> None:
    keys, body = vector["secret_or_keys"], vector["body_utf8"]
    nonce, rest = vector["signed_string"][:13], vector["signed_string"][13:].removesuffix(body)
    method = "POST" if rest.startswith("POST") else "GET"
    signed = sign(keys["api_key"], keys["api_secret"], int(nonce), method, rest.removeprefix(method), body.encode())
    assert signed == vector["headers"]["Authorization"]


def test_nonces_grow_within_one_millisecond_and_when_the_clock_goes_back() -> None:
    nonces, at = Nonces(), datetime(2026, 11, 22, 6, 0, 0, 123999, tzinfo=UTC)
    assert [nonces.take(at), nonces.take(at), nonces.take(at - timedelta(hours=1))] == [
        1795327200123,
        1795327200124,
        1795327200125,
    ]
    assert nonces.take(at + timedelta(seconds=1)) == 1795327201123


def test_all_clients_of_a_key_take_their_nonces_from_one_source() -> None:
    one, two = (make_authorize("bx_one_source", "secret", lambda: NOW) for _ in range(2))
    taken = [authorize("GET", "/", b"")["authorization"].split(":")[1] for authorize in (one, two, one, two)]
    assert len(set(taken)) == 4 and taken == sorted(taken)
    assert find_nonces("bx_one_source") is not find_nonces("bx_another")


# What it means --------------------------------------------------------------------------------------------------------


def event(kind: EventKind, raw_type: str, payment_id: str | None, at: datetime | None, **fields: Any) -> PaymentEvent:
    return PaymentEvent(kind, raw_type, payment_id, at, **fields)


SPEI = {"currency": "MXN", "method": Method.SPEI}
ORDER = {"amount_minor": 150_025, **SPEI}
FUNDED = {"created_at": CREATED, **ORDER}
PAYOUT = {"amount_minor": 20_050, "direction": Direction.OUT, "merchant_reference": "ord-1001-refund-1", **SPEI}
SENT = datetime(2026, 11, 22, 5, 40, tzinfo=UTC)
BACK = datetime(2026, 11, 22, 6, 10, tzinfo=UTC)
ONE_TIME = {
    "merchant_reference": "ord-1001",
    "clabe": "710969000032685688",
    "expires_at": datetime(2026, 11, 25, 5, 59, 59, tzinfo=UTC),
    "created_at": SENT,
    **ORDER,
}
RETURN = {"reason": "Cuenta cancelada (Cancelled Account)", "psp_refs": (f"tracking:{TRACKING_KEY}",)}

ONE_TIME_FID = "b55e46e2049f694ae53745f4274fdcac"
CLIENT_FID, MXNB_FID = "a17c4c00e17c592fc7b6d9bad2261be9", "c37c4c00e17c592fc7b6d9bad2261bf1"
# What a delivery tells us to fetch.
HINTS: dict[str, Hint | Ignored] = {
    "funding.pending": Hint("funding pending", FID),
    "funding.complete": Hint("funding complete", FID),
    "funding.complete.client_clabe": Hint("funding complete", CLIENT_FID),
    "funding.complete.mxnb": Hint("funding complete", MXNB_FID),
    # The return of a payout is told by a funding, and that is fetched.
    "funding.complete.return": Hint("funding complete", "b27c4c00e17c592fc7b6d9bad2261bf0"),
    "funding.complete.refunded_withdrawal": Hint("funding complete", "b27c4c00e17c592fc7b6d9bad2261bf0"),
    "funding.complete.return_by_tracking_key": Hint("funding complete", "b27c4c00e17c592fc7b6d9bad2261bf0"),
    "withdrawal.complete": Hint("withdrawal complete", f"withdrawal:{WID}"),
    "withdrawal.failed": Hint("withdrawal failed", f"withdrawal:{WID}"),
    "spei_payment.pending": Hint("spei_payment pending", "payment:ord-1001"),
    "spei_payment.completed": Hint("spei_payment completed", "payment:ord-1001"),
    "spei_payment.expired": Hint("spei_payment expired", "payment:ord-1002"),
    "payment_intent.completed": Hint("payment_intent completed", "intent:7fb1011c-e451-48d5-85c4-207d1ea97b1d"),
    "account_validation.completed": Ignored("mx_spei", "an account validation: no money of a payment moves"),
    "payin.completed.colombia": Ignored("co_breb", "a payment in another country than Mexico"),
}

# What it means once our own key has fetched it.
MEANINGS: dict[str, list[PaymentEvent] | Ignored] = {
    "funding.pending": [event(EventKind.PENDING, "funding pending", FID, CREATED, psp_refs=(f"fid:{FID}",), **FUNDED)],
    "funding.complete": [
        event(
            EventKind.COMPLETED,
            "funding complete",
            FID,
            CREATED,
            psp_refs=(f"fid:{FID}",),
            received_minor=150_025,
            **FUNDED,
        )
    ],
    "funding.complete.client_clabe": [
        event(
            EventKind.COMPLETED,
            "funding complete",
            CLIENT_FID,
            CREATED,
            psp_refs=(f"fid:{CLIENT_FID}",),
            received_minor=150_025,
            clabe="710969000000351083",
            **FUNDED,
        )
    ],
    "funding.complete.mxnb": [
        event(
            EventKind.COMPLETED,
            "funding complete",
            "c37c4c00e17c592fc7b6d9bad2261bf1",
            CREATED,
            psp_refs=("fid:c37c4c00e17c592fc7b6d9bad2261bf1",),
            method=Method.CRYPTO_ONRAMP,
            created_at=CREATED,
            crypto=CryptoLeg(
                "mxnb",
                "arbitrum",
                1_500_250_000,
                6,
                "0x2c8a3f0d6ce64ad2b35e6e0d1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c",
            ),
        )
    ],
    "funding.complete.return": [
        event(EventKind.RETURNED, "funding complete", f"withdrawal:{WID}", BACK, **PAYOUT, **RETURN)
    ],
    "funding.complete.refunded_withdrawal": [
        event(EventKind.RETURNED, "funding complete", f"withdrawal:{WID}", BACK, **PAYOUT, **RETURN)
    ],
    "funding.complete.return_by_tracking_key": [
        event(EventKind.RETURNED, "funding complete", None, BACK, **{**PAYOUT, "merchant_reference": None}, **RETURN)
    ],
    "withdrawal.complete": [
        event(
            EventKind.COMPLETED,
            "withdrawal complete",
            f"withdrawal:{WID}",
            SENT,
            psp_refs=(f"tracking:{TRACKING_KEY}",),
            received_minor=20_050,
            created_at=SENT,
            untold=frozenset({EventKind.RETURNED}),
            **PAYOUT,
        )
    ],
    "withdrawal.failed": [
        event(
            EventKind.FAILED,
            "withdrawal failed",
            f"withdrawal:{WID}",
            SENT,
            psp_refs=(f"tracking:{TRACKING_KEY}",),
            reason="Cuenta inexistente",
            created_at=SENT,
            untold=frozenset({EventKind.RETURNED}),
            **PAYOUT,
        )
    ],
    "spei_payment.pending": [event(EventKind.PENDING, "spei_payment pending", "payment:ord-1001", SENT, **ONE_TIME)],
    "spei_payment.completed": [
        event(
            EventKind.COMPLETED,
            "spei_payment completed",
            "payment:ord-1001",
            CREATED,
            psp_refs=(f"fid:{ONE_TIME_FID}",),
            received_minor=150_025,
            **ONE_TIME,
        )
    ],
    "spei_payment.expired": [
        event(
            EventKind.EXPIRED,
            "spei_payment expired",
            "payment:ord-1002",
            NOW,
            amount_minor=9_900,
            merchant_reference="ord-1002",
            clabe="710969000032685688",
            expires_at=datetime(2026, 11, 22, 5, 59, 59, tzinfo=UTC),
            created_at=datetime(2026, 11, 20, 18, tzinfo=UTC),
            **SPEI,
        )
    ],
    "payment_intent.completed": [
        event(
            EventKind.COMPLETED,
            "payment_intent completed",
            "intent:7fb1011c-e451-48d5-85c4-207d1ea97b1d",
            datetime(2026, 11, 22, 5, 18, 0, 11332, tzinfo=UTC),
            amount_minor=10_050,
            received_minor=10_050,
            currency="MXN",
            merchant_reference="ord-1003",
            expires_at=datetime(2026, 11, 22, 6, 17, 13, 806476, tzinfo=UTC),
            created_at=datetime(2026, 11, 22, 5, 17, 13, 821281, tzinfo=UTC),
        )
    ],
    "account_validation.completed": Ignored("mx_spei", "an account validation: no money of a payment moves"),
    "payin.completed.colombia": Ignored("co_breb", "a payment in another country than Mexico"),
}


def test_every_sample_has_a_line() -> None:
    assert set(HINTS) == set(MEANINGS) == set(sample_names("bitso"))


@pytest.mark.parametrize("name", HINTS)
def test_a_delivery_says_what_to_fetch_and_nothing_else(name: str) -> None:
    assert events.read({}, sample("bitso", name)) == HINTS[name]
    assert events.parse({}, sample("bitso", name)) == []


@pytest.mark.parametrize("name", MEANINGS)
def test_what_was_fetched_is_read_to_the_last_field(name: str) -> None:
    assert read_fetched(name) == MEANINGS[name]


@pytest.mark.parametrize("name", HINTS)
@pytest.mark.parametrize("claimed", ["funding", "withdrawal", "spei_payment", "payin", "newly_invented", None, 7, DROP])
def test_the_name_of_the_event_is_not_signed_and_changes_nothing(name: str, claimed: object) -> None:
    body = changed(sample("bitso", name), "event", to=claimed)
    assert events.read({}, body) == HINTS[name]
    assert events.event_key({}, body) == events.event_key({}, sample("bitso", name))


@pytest.mark.parametrize(
    "fields", [{"amount": "9999999.99"}, {"amount": None}, {"status": "FAILED"}, {"currency": 7}, {"of_payment": "x"}]
)
def test_what_another_customer_has_bitso_sign_with_our_id_is_a_hint_with_a_key_of_its_own(fields: Any) -> None:
    for name in ("funding.complete", "withdrawal.complete", "spei_payment.completed", "payment_intent.completed"):
        theirs, ours = wrap(payload_of(name, **fields)), sample("bitso", name)
        said, true = events.read({}, theirs), HINTS[name]
        assert isinstance(said, Hint) and isinstance(true, Hint)
        assert said.psp_payment_id == true.psp_payment_id
        assert events.event_key({}, theirs) != events.event_key({}, ours)


def payload_of(name: str, **fields: Any) -> dict[str, Any]:
    body = json.loads(sample("bitso", name))["payload"]
    return {key: value for key, value in {**body, **fields}.items() if value is not DROP}


def wrap(payload: Mapping[str, Any]) -> bytes:
    return json.dumps({"event": "x", "payload": payload}).encode()


def read_fetched(name: str, at: datetime = NOW, **fields: Any) -> list[PaymentEvent] | Ignored:
    return events.read_snapshot(json.dumps(payload_of(name, **fields)).encode(), at)


def read_one(name: str, at: datetime = NOW, **fields: Any) -> PaymentEvent:
    outcome = read_fetched(name, at, **fields)
    assert isinstance(outcome, list)
    return outcome[0]


STATUSES = [
    ("pending", EventKind.PENDING),
    ("PENDING", EventKind.PENDING),
    ("CREATED", EventKind.PENDING),
    ("processing", EventKind.PROCESSING),
    ("PROCESSING", EventKind.PROCESSING),
    ("IN_PROGRESS", EventKind.PROCESSING),
    ("complete", EventKind.COMPLETED),
    ("COMPLETE", EventKind.COMPLETED),
    ("COMPLETED", EventKind.COMPLETED),
    ("Completed", EventKind.COMPLETED),
    ("failed", EventKind.FAILED),
    ("FAILED", EventKind.FAILED),
    ("EXPIRED", EventKind.EXPIRED),
]


@pytest.mark.parametrize(("status", "kind"), STATUSES)
@pytest.mark.parametrize(
    "name", ["funding.complete", "withdrawal.complete", "spei_payment.completed", "payment_intent.completed"]
)
def test_statuses(name: str, status: str, kind: EventKind) -> None:
    said = read_one(name, status=status)
    assert said.kind is kind
    assert said.received_minor == (said.amount_minor if kind is EventKind.COMPLETED else None)


@pytest.mark.parametrize(
    "name", ["funding.complete", "withdrawal.complete", "spei_payment.completed", "payment_intent.completed"]
)
def test_an_unknown_status_raises_the_alert_and_parks_nothing(name: str) -> None:
    outcome = read_fetched(name, status="Newly_Invented")
    assert isinstance(outcome, Ignored) and not outcome.known
    assert outcome.raw_type.endswith(" newly_invented")


@pytest.mark.parametrize(
    ("status", "word"), [("Newly_Invented", "newly_invented"), (None, "without status"), ({}, "without status")]
)
def test_a_delivery_of_any_status_is_a_reason_to_look(status: object, word: str) -> None:
    assert events.read({}, wrap(payload_of("funding.complete", status=status))) == Hint(f"funding {word}", FID)


@pytest.mark.parametrize("status", ["pending", "processing", "failed"])
def test_a_payout_that_is_still_coming_back_moves_nothing(status: str) -> None:
    outcome = read_fetched("funding.complete.return", status=status)
    assert isinstance(outcome, Ignored) and outcome.known


def test_a_return_that_names_no_withdrawal_waits_for_a_person() -> None:
    with pytest.raises(Unparseable):
        read_fetched("funding.complete", details={"deposit_type": "fail_withdrawal_compensation"})


@pytest.mark.parametrize(
    ("fields", "clabe"),
    [
        ({"details": {"receive_clabe": "710969000000351083"}}, "710969000000351083"),
        (
            {"receiver_clabe": "710969000000351083", "network": DROP, "details": {"clave_rastreo": "A1"}},
            "710969000000351083",
        ),
        ({"details": {"receive_clabe": ""}}, None),
        ({"details": {"receive_clabe": None}}, None),
        ({"details": {"receive_clabe": "*****900000035*****"}}, None),
        ({"details": {}}, None),
        ({"details": None}, None),
        ({"details": "none"}, None),
        ({"asset": "btc", "details": {"receive_clabe": "710969000000351083"}}, None),
    ],
)
def test_a_deposit_is_a_payment_of_its_own_and_may_name_its_clabe(fields: dict[str, Any], clabe: str | None) -> None:
    said = read_one("funding.complete", **fields)
    assert (said.psp_payment_id, said.clabe) == (FID, clabe)


@pytest.mark.parametrize("name", ["funding.pending", "funding.complete", "funding.complete.client_clabe"])
def test_a_deposit_that_the_client_found_to_be_of_a_one_time_payment_is_left_to_that(name: str) -> None:
    said = read_fetched(name, of_payment="ord-1001")
    assert isinstance(said, Ignored) and said.known
    assert said.reason == "the deposit of a one-time payment, which tells it by itself"


def test_both_events_of_one_deposit_carry_the_reference_that_can_join_them() -> None:
    funding = read_one("funding.complete", fid=ONE_TIME_FID)
    assert funding.psp_refs == read_one("spei_payment.completed").psp_refs


@pytest.mark.parametrize(
    ("fields", "method", "currency"),
    [
        ({}, Method.SPEI, "MXN"),
        ({"network": "SPEI"}, Method.SPEI, "MXN"),
        ({"network": "bt"}, Method.UNKNOWN, "MXN"),
        ({"network": DROP}, Method.SPEI, "MXN"),
        ({"network": DROP, "details": {}}, Method.UNKNOWN, "MXN"),
        ({"asset": DROP}, Method.SPEI, "MXN"),
        ({"asset": "MXN", "currency": DROP}, Method.SPEI, "MXN"),
        ({"asset": "brl", "network": "pix"}, Method.UNKNOWN, "BRL"),
    ],
)
def test_methods_and_currencies(fields: dict[str, Any], method: Method, currency: str) -> None:
    said = read_one("funding.complete", **fields)
    assert (said.method, said.currency, said.amount_minor) == (method, currency, 150_025)


@pytest.mark.parametrize(
    ("fields", "leg"),
    [
        ({"asset": "btc", "amount": "0.00005000", "network": "BTC"}, CryptoLeg("btc", "btc", 5_000, 8)),
        ({"asset": DROP, "currency": "usdc", "amount": "12"}, CryptoLeg("usdc", "spei", 12, 0)),
        ({"asset": "mxnb", "amount": "100.50", "network": DROP}, CryptoLeg("mxnb", "unknown", 10_050, 2)),
        ({"asset": "btc", "details": {"tx_hash": "*****4693e9fb****"}}, CryptoLeg("btc", "spei", 150_025, 2)),
        (
            {"asset": "xrp", "details": {"ripple_transaction_hash": "33EA"}},
            CryptoLeg("xrp", "spei", 150_025, 2, "33EA"),
        ),
    ],
)
def test_every_asset_that_is_no_money_is_a_crypto_leg_of_whole_units(fields: dict[str, Any], leg: CryptoLeg) -> None:
    said = read_one("funding.complete", **fields)
    assert (said.crypto, said.amount_minor, said.received_minor, said.currency) == (leg, None, None, None)


def test_a_crypto_payout_goes_out() -> None:
    said = read_one("withdrawal.complete", asset="usdc", network="solana", amount="1.5")
    assert (said.direction, said.crypto) == (Direction.OUT, CryptoLeg("usdc", "solana", 15, 1))


@pytest.mark.parametrize(
    ("amount", "minor"), [("1500.25", 150_025), ("57", 5_700), ("9.00", 900), (120, 12_000), ("0.01", 1), ("0", 0)]
)
def test_amounts_are_pesos(amount: object, minor: int) -> None:
    assert read_one("funding.complete", amount=amount).amount_minor == minor


@pytest.mark.parametrize(
    ("name", "fields", "at"),
    [
        ("funding.complete", {"updated_at": "2026-11-22T06:01:00+00:00"}, datetime(2026, 11, 22, 6, 1, tzinfo=UTC)),
        ("funding.complete", {"updated_at": "soon"}, CREATED),
        ("funding.complete", {"created_at": "2026-11-21T23:59:58.000-0600"}, CREATED),
        ("funding.complete", {"created_at": None}, NOW),
        # An open one has stood so since it was made, whatever was changed about it.
        ("funding.pending", {"updated_at": "2026-11-22T06:01:00+00:00"}, CREATED),
        # A withdrawal that says complete after its money came back must not come after the return.
        ("withdrawal.complete", {"updated_at": "2026-11-23T00:00:00+00:00"}, SENT),
        ("spei_payment.completed", {"updated_at": None}, NOW),
        ("spei_payment.pending", {"updated_at": "2026-11-22T05:50:00"}, SENT),
        ("spei_payment.pending", {"created_at": None}, None),
    ],
)
def test_times(name: str, fields: dict[str, Any], at: datetime | None) -> None:
    assert read_one(name, **fields).occurred_at == at


@pytest.mark.parametrize(
    ("date", "at"),
    [
        ("2026-11-24", datetime(2026, 11, 25, 5, 59, 59, tzinfo=UTC)),
        ("2021-07-01", datetime(2021, 7, 2, 4, 59, 59, tzinfo=UTC)),  # summer time, then
        (None, None),
        ("soon", None),
        ("9999-12-31", None),
        (20261124, datetime(2026, 11, 25, 5, 59, 59, tzinfo=UTC)),
        (["2026-11-24"], None),
    ],
)
def test_a_payer_has_until_the_end_of_the_day_in_mexico_city(date: object, at: datetime | None) -> None:
    assert read_one("spei_payment.pending", expiration_date=date).expires_at == at


def test_the_reason_of_a_rejected_deposit_is_the_first_error() -> None:
    errors = [{"code": "EXPIRED_PAYMENT", "message": "..."}, {"code": "CLABE_BLOCKED"}]
    assert read_one("funding.complete", status="FAILED", errors=errors).reason == "EXPIRED_PAYMENT"
    for odd in ([], [7], "EXPIRED_PAYMENT", None):
        assert read_one("funding.complete", status="FAILED", errors=odd).reason is None


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        *[("funding.complete", "amount", v) for v in (None, True, "1,500", "12.345", "-1", "", [], {}, "1e3")],
        ("funding.complete", "status", None),
        ("funding.complete", "status", ["complete"]),
        ("funding.complete", "fid", ""),
        ("funding.complete", "fid", 7),
        ("funding.complete", "asset", {}),
        ("withdrawal.complete", "wid", ["x"]),
        ("withdrawal.complete", "amount", "lots"),
        ("spei_payment.completed", "payment_id", "a\nb"),
        ("spei_payment.completed", "amount", None),
        ("payment_intent.completed", "id", None),
        ("payment_intent.completed", "asset", "pesos"),
        ("payment_intent.completed", "amount", 10.055),
        # The ids of two things: no guess about money.
        ("funding.complete", "wid", WID),
        ("spei_payment.completed", "fid", FID),
    ],
)
def test_what_cannot_be_read_is_unparseable(name: str, field: str, value: object) -> None:
    payload = payload_of(name, **{field: value})
    if field == "asset" and name == "funding.complete":
        payload.pop("currency")
    with pytest.raises(Unparseable):
        events.read_snapshot(json.dumps(payload).encode(), NOW)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("funding.complete", "fid", ""),
        ("funding.complete", "fid", 7),
        ("funding.complete", "fid", "x" * (LONGEST_KEY + 1)),
        ("withdrawal.complete", "wid", ["x"]),
        ("spei_payment.completed", "payment_id", "a\nb"),
        ("payment_intent.completed", "id", None),
        ("funding.complete", "wid", WID),
        ("spei_payment.completed", "fid", FID),
    ],
)
def test_a_delivery_that_does_not_say_what_to_fetch_is_unparseable(name: str, field: str, value: object) -> None:
    with pytest.raises(Unparseable):
        events.read({}, wrap(payload_of(name, **{field: value})))


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"\xff", b'{"payload":7}', b'{"event":"funding"}', b'{"payload":{"fid":"a","fid":"b"}}'],
)
def test_a_body_without_a_payload_is_unparseable(body: bytes) -> None:
    with pytest.raises(Unparseable):
        events.read({}, body)


@pytest.mark.parametrize(
    ("payload", "known"),
    [
        ({"id": "1", "type": "CO_ACH", "status": "COMPLETED"}, True),
        ({"id": "1", "type": "CO_PSE", "status": "COMPLETED"}, True),
        ({"id": "1", "type": "BR_PIX", "status": "COMPLETED"}, True),
        ({"id": "1", "type": "PIX_QR", "status": "paid"}, True),
        ({"id": "1", "type": "MX_SPEI", "status": "FAILED", "mx_spei": {"account": {"type": "CLABE"}}}, True),
        # A payment by a rail of Mexico that nobody documents yet must not pass unseen.
        ({"id": "1", "type": "MX_SPEI", "status": "COMPLETED", "amount": "10.00"}, False),
        ({"id": "1", "type": "MX_CODI", "status": "COMPLETED"}, False),
        ({"id": "1", "status": "COMPLETED"}, False),
        ({"type": 7}, False),
        ({}, False),
    ],
)
def test_other_things_move_no_payment(payload: dict[str, Any], known: bool) -> None:
    for outcome in (events.read({}, wrap(payload)), events.read_snapshot(json.dumps(payload).encode(), NOW)):
        assert isinstance(outcome, Ignored) and outcome.known is known


def test_bitso_wants_any_2xx_and_never_asks_about_a_deposit() -> None:
    for body in (FUNDING, b"", b"\xff"):
        for decision in Decision:
            assert events.reply(body, decision) == Reply(200, b'{"received":true}')
        assert events.deposit_clabe(body) is None


# How deliveries are told apart ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("funding.complete", f"funding:{FID}:complete"),
        ("spei_payment.completed", "spei_payment:ord-1001:completed"),
        ("spei_payment.expired", "spei_payment:ord-1002:expired"),
        ("withdrawal.failed", f"withdrawal:{WID}:failed"),
        ("payment_intent.completed", "payment_intent:7fb1011c-e451-48d5-85c4-207d1ea97b1d:completed"),
        ("account_validation.completed", "mx_spei:e7a12b34-f56c-7890-abcd-ef1234567890:completed"),
        ("payin.completed.colombia", "co_breb:550238a2_2eed_440e_a6d0_a227a0520f00:completed"),
    ],
)
def test_the_key_is_kind_id_status_and_the_start_of_a_digest(name: str, key: str) -> None:
    payload = json.dumps(payload_of(name), separators=(",", ":"), ensure_ascii=False).encode()
    assert events.event_key({}, sample("bitso", name)) == f"{key}:{hashlib.sha256(payload).hexdigest()[:16]}"


@pytest.mark.parametrize("sent", [ACCENTED.encode(), ESCAPED])
def test_how_a_payload_is_written_makes_no_other_event(sent: bytes) -> None:
    body, other = (b'{"payload":' + text + b"}" for text in (sent, ACCENTED.encode()))
    assert events.event_key({}, body) == events.event_key({}, other)
    assert events.content_digest(body) == events.content_digest(other)


@pytest.mark.parametrize(
    "payload",
    [
        payload_of("funding.complete", fid=DROP),
        payload_of("funding.complete", fid=7),
        payload_of("funding.complete", fid="x" * LONGEST_KEY),
        payload_of("funding.complete", fid="a\nb"),
        payload_of("funding.complete", status=DROP),
        payload_of("funding.complete", status={}),
        {},
    ],
)
def test_without_id_or_status_the_payload_is_the_key_and_what_stands_around_it_is_not(payload: dict[str, Any]) -> None:
    digest = hashlib.sha256(json.dumps(payload, separators=(",", ":")).encode())
    for body in (wrap(payload), json.dumps({"payload": payload, "event": "y", "z": 1}, indent=1).encode()):
        assert events.event_key({}, body) == f"sha256:{digest.hexdigest()}"
        assert events.content_digest(body) == digest.digest()


def test_a_payload_too_deep_for_any_message_is_refused_and_keyed_all_the_same() -> None:
    body = b'{"payload":{"fid":' + b"[" * 900 + b"]" * 900 + b"}}"
    with pytest.raises(InvalidSignature):
        verify(body, SEAL)
    assert events.event_key({}, body).startswith("sha256:")
    assert len(events.content_digest(body)) == 32


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_keys_and_digests_never_raise(body: bytes) -> None:
    for odd in (body, b'{"payload":' + body + b"}", b'{"payload":{"fid":' + body + b"}}"):
        assert events.event_key({}, odd)
        assert len(events.content_digest(odd)) == 32


# Where they lead ------------------------------------------------------------------------------------------------------


def settle(*said: PaymentEvent) -> tuple[str, int]:
    """The end of these events, and the same for every order of arrival, since that is the order of their places."""
    facts = [
        Fact(e.kind, str(i), e.occurred_at, e.amount_minor, e.received_minor, e.refunded_minor, e.currency)
        for i, e in enumerate(said)
    ]
    standing, steps = fold(Standing(), facts)
    assert not any(step.is_forbidden for step in steps.values())
    return standing.state, standing.received


def test_equal_times_are_ordered_by_the_kind() -> None:
    pending, processing = (read_one("withdrawal.complete", status=s) for s in ("pending", "processing"))
    complete = read_one("withdrawal.complete")
    assert {one.occurred_at for one in (pending, processing, complete)} == {SENT}
    assert settle(complete, processing, pending) == ("completed", 20_050)
    assert settle(read_one("withdrawal.failed"), processing, pending) == ("failed", 0)


def test_a_payout_that_came_back_stays_returned_whatever_the_withdrawal_goes_on_to_say() -> None:
    returned = read_one("funding.complete.return")
    later = read_one("withdrawal.complete", NOW + timedelta(days=2))
    assert settle(read_one("withdrawal.complete"), returned, later) == ("returned", 20_050)
    assert settle(read_one("withdrawal.failed"), returned) == ("returned", 20_050)
    assert settle(read_one("withdrawal.failed", NOW + timedelta(days=2)), returned) == ("returned", 20_050)


def test_a_one_time_payment_that_was_looked_at_before_it_was_paid_is_completed() -> None:
    made = read_one("spei_payment.pending", NOW, created_at=DROP, updated_at=DROP)
    seen = read_one("spei_payment.pending", NOW)
    assert (made.occurred_at, seen.occurred_at) == (None, SENT)
    assert settle(made, seen, read_one("spei_payment.completed")) == ("completed", 150_025)


def test_a_payment_that_is_seen_complete_without_a_time_stands_at_the_time_of_the_call() -> None:
    assert read_one("spei_payment.completed", NOW, updated_at=DROP).occurred_at == NOW
    assert read_one("funding.complete", NOW, created_at=DROP).occurred_at == NOW
    assert read_one("funding.complete", NOW).occurred_at == CREATED


def test_an_expired_payment_that_was_paid_all_the_same_is_completed() -> None:
    expired = read_one("spei_payment.completed", status="EXPIRED", details=DROP, updated_at="2026-11-22T05:59:00")
    assert settle(read_one("spei_payment.completed"), expired) == ("completed", 150_025)
