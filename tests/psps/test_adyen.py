"""Adyen: the public vectors, and attacks on the signature. Items are signed here for real."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psps.adyen import signature
from psps.base import InvalidSignature
from psps.credentials import LABELS
from tests.psps.samples import DROP, changed, vectors

NOW = datetime.fromtimestamp(1_795_320_000, UTC)
VECTORS = vectors("adyen")
KEY = VECTORS[0]["secret_or_keys"]
OTHER_KEY = "0123456789abcdef" * 4
BODY = VECTORS[0]["body_utf8"].encode()
AT = ("notificationItems", 0, "NotificationRequestItem")


def verify(body: bytes, keys: list[str] | None = None, headers: dict[str, str] | None = None) -> str:
    return signature.verify(headers or {}, {}, body, [KEY] if keys is None else keys, NOW)


def refuse(body: bytes, keys: list[str] | None = None) -> str:
    with pytest.raises(InvalidSignature) as refused:
        verify(body, keys)
    return str(refused.value)


def mac(text: str, key: str = KEY) -> str:
    return base64.b64encode(hmac.digest(bytes.fromhex(key), text.encode(), "sha256")).decode()


def item(key: str = KEY, sign_as: str | None = None, **changes: Any) -> dict[str, Any]:
    """A signed notification item; `sign_as` is another text to be signed."""
    told: dict[str, Any] = {
        "amount": {"currency": "MXN", "value": 150_050},
        "eventCode": "AUTHORISATION",
        "merchantAccountCode": "TiendaMX",
        "merchantReference": "ORD-1001",
        "originalReference": None,
        "pspReference": "QFQTPCQ8HXSKGK82",
        "success": "true",
    } | changes
    amount = told.get("amount") or {}
    values = [
        told.get(name) for name in ("pspReference", "originalReference", "merchantAccountCode", "merchantReference")
    ]
    values += [amount.get("value"), amount.get("currency"), told.get("eventCode"), told.get("success")]
    text = ":".join("" if value is None else str(value) for value in values)
    return {"NotificationRequestItem": told | {"additionalData": {"hmacSignature": mac(sign_as or text, key)}}}


def delivery(*items: Any) -> bytes:
    return json.dumps({"live": "false", "notificationItems": list(items)}).encode()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_vector(vector: dict[str, Any]) -> None:
    body, keys = vector["body_utf8"].encode(), [vector["secret_or_keys"]]
    if vector["valid"]:
        assert verify(body, keys) == LABELS["hmac"](keys[0])
    else:
        refuse(body, keys)


def test_every_item_must_fit_wherever_it_stands() -> None:
    good, forged = item(), item(OTHER_KEY, pspReference="QFQTPCQ8HXSKGK83")
    assert verify(delivery(good, item(eventCode="CAPTURE"), good))
    for items in ([forged], [forged, good], [good, forged], [good, good, forged, good]):
        assert "no Adyen key fits" in refuse(delivery(*items))


def test_the_signature_of_one_item_does_not_serve_another() -> None:
    good, moved = item(), item(pspReference="QFQTPCQ8HXSKGK83")
    moved["NotificationRequestItem"]["additionalData"] = good["NotificationRequestItem"]["additionalData"]
    refuse(delivery(good, moved))


COVERED = {
    ("pspReference",): "X",
    ("originalReference",): "X",
    ("merchantAccountCode",): "Other",
    ("merchantReference",): "ORD-1002",
    ("amount", "value"): 150_051,
    ("amount", "currency"): "USD",
    ("eventCode",): "CAPTURE",
    ("success",): "false",
}


@pytest.mark.parametrize("path", COVERED, ids=".".join)
def test_each_covered_field_is_protected(path: tuple[str, ...]) -> None:
    refuse(changed(BODY, *AT, *path, to=COVERED[path]))
    if path != ("originalReference",):
        refuse(changed(BODY, *AT, *path, to=DROP))
        refuse(changed(BODY, *AT, *path, to=None))


@pytest.mark.parametrize("amount", [{}, None, {"currency": "MXN"}])
def test_a_member_that_is_called_like_a_path_is_not_the_amount(amount: object) -> None:
    signed = "QFQTPCQ8HXSKGK82::TiendaMX:ORD-1001:150050:MXN:AUTHORISATION:true"
    forged = item(sign_as=signed, amount=amount, **{"amount.value": 150_050, "amount.currency": "MXN"})
    assert verify(delivery(item(sign_as=signed)))
    assert "no Adyen key fits" in refuse(delivery(forged))


def test_the_covered_fields_are_those_that_are_documented() -> None:
    assert [".".join(path) for path in COVERED] == list(signature.SIGNED_FIELDS)


@pytest.mark.parametrize(
    "path", [("live",), *((*AT, name) for name in ("reason", "paymentMethod", "eventDate", "operations"))], ids=str
)
def test_whoever_reads_events_must_not_trust_what_is_not_covered(path: tuple[str | int, ...]) -> None:
    assert verify(changed(BODY, *path, to="forged"))


def test_either_key_of_a_rotation_signs_also_within_one_delivery() -> None:
    both = [KEY, OTHER_KEY]
    assert verify(delivery(item(KEY)), both) == LABELS["hmac"](KEY)
    assert verify(delivery(item(OTHER_KEY)), both) == LABELS["hmac"](OTHER_KEY)
    assert verify(delivery(item(OTHER_KEY), item(KEY)), both) == LABELS["hmac"](OTHER_KEY)
    refuse(delivery(item(OTHER_KEY)), [KEY])


def test_a_key_is_hex_of_any_case_and_never_the_text_itself() -> None:
    assert verify(BODY, [KEY.lower()]) and verify(BODY, [f" {KEY} "])
    text = item()
    told = text["NotificationRequestItem"]
    signed = "QFQTPCQ8HXSKGK82::TiendaMX:ORD-1001:150050:MXN:AUTHORISATION:true"
    told["additionalData"]["hmacSignature"] = base64.b64encode(
        hmac.digest(KEY.encode(), signed.encode(), "sha256")
    ).decode()
    refuse(delivery(text))


@pytest.mark.parametrize(
    "keys", [[], [""], [" "], ["not hex"], [KEY[:-1]], ["44 78"], ["\uff14\uff14"], ["\udc80"], ["0x44"]]
)
def test_without_a_usable_key_nothing_verifies(keys: list[str]) -> None:
    empty = item()
    told = empty["NotificationRequestItem"]
    signed = "QFQTPCQ8HXSKGK82::TiendaMX:ORD-1001:150050:MXN:AUTHORISATION:true"
    told["additionalData"]["hmacSignature"] = base64.b64encode(hmac.digest(b"", signed.encode(), "sha256")).decode()
    for body in (BODY, delivery(empty)):
        assert "no Adyen HMAC key" in refuse(body, keys)


def test_a_key_that_is_none_does_not_hide_the_one_that_is() -> None:
    assert verify(BODY, ["", "not hex", KEY]) == LABELS["hmac"](KEY)


GOOD = json.loads(BODY)["notificationItems"][0]["NotificationRequestItem"]["additionalData"]["hmacSignature"]
RAW = base64.b64decode(GOOD)


@pytest.mark.parametrize(
    "sent",
    [
        None,
        "",
        " ",
        [],
        [GOOD],
        {"a": GOOD},
        True,
        GOOD[:-1],
        GOOD + "=",
        GOOD + "\n",
        " " + GOOD,
        GOOD.rstrip("="),
        RAW.hex(),
        base64.b64encode(RAW[:-1]).decode(),
        base64.b64encode(RAW + b"\0").decode(),
        base64.b64encode(RAW.hex().encode()).decode(),
        base64.b64encode(hashlib.sha256(BODY).digest()).decode(),
        GOOD + "ñ",
    ],
)
def test_a_signature_of_another_form_is_refused(sent: object) -> None:
    refuse(changed(BODY, *AT, "additionalData", "hmacSignature", to=sent))


def test_a_value_cannot_be_moved_over_a_colon_into_its_neighbour() -> None:
    honest = item(merchantReference="ORD:1001")
    assert verify(delivery(honest))
    moved = json.loads(json.dumps(honest))
    moved["NotificationRequestItem"] |= {"merchantAccountCode": "TiendaMX:ORD", "merchantReference": "1001"}
    assert "merchantAccountCode holds a colon" in refuse(delivery(moved))
    for name in ("pspReference", "originalReference", "eventCode", "success"):
        assert f"{name} holds a colon" in refuse(delivery(item(**{name: "a:b"})))
    assert "amount.currency holds a colon" in refuse(delivery(item(amount={"currency": "MX:N", "value": 1})))


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": {"currency": "MXN", "value": "150050"}},
        {"amount": {"currency": "MXN", "value": 1500.5}},
        {"amount": {"currency": "MXN", "value": True}},
        {"amount": {"currency": ["MXN"], "value": 1}},
        {"pspReference": 7},
        {"eventCode": {"a": 1}},
        {"success": 1},
    ],
)
def test_a_value_of_another_type_is_refused_although_its_text_is_signed(changes: dict[str, Any]) -> None:
    assert "another type" in refuse(delivery(item(**changes)))


def test_success_may_be_a_flag_and_what_is_missing_is_empty() -> None:
    signed = "QFQTPCQ8HXSKGK82::TiendaMX:ORD-1001:150050:MXN:AUTHORISATION:"
    assert verify(delivery(item(success=True, sign_as=signed + "true")))
    assert verify(delivery(item(success=False, sign_as=signed + "false")))
    refuse(delivery(item(success=True, sign_as=signed + "True")))
    assert verify(delivery(item(amount=None)))
    assert verify(delivery(item(merchantReference="Señal 日本")))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff",
        b'{"notificationItems":null}',
        b'{"notificationItems":[]}',
        b'{"notificationItems":{}}',
        b'{"notificationItems":[null]}',
        b'{"notificationItems":[[]]}',
        b'{"notificationItems":[{}]}',
        b'{"notificationItems":[{"NotificationRequestItem":[]}]}',
        b'{"notificationItems":[{"NotificationRequestItem":{}}]}',
        b'{"notificationItems":[{"NotificationRequestItem":{"additionalData":[]}}]}',
        b'{"notificationItems":[{"NotificationRequestItem":{"additionalData":{}}}]}',
        b"[" * 5000,
        BODY[:-1],
        BODY + b"x",
        b"\xef\xbb\xbf" + BODY,
        BODY.decode().encode("utf-16"),
    ],
)
def test_a_body_that_lacks_its_parts_is_refused(body: bytes) -> None:
    refuse(body)


def test_one_good_item_does_not_cover_for_an_empty_one() -> None:
    for other in (None, {}, [], {"NotificationRequestItem": None}, "text"):
        refuse(delivery(item(), other))


def test_a_name_given_twice_is_refused() -> None:
    forged = BODY.replace(b'"value":150050', b'"value":1,"value":150050')
    assert forged != BODY
    refuse(forged)
    refuse(BODY.replace(b'"notificationItems":', b'"notificationItems":[],"notificationItems":', 1))


def test_the_header_of_other_webhooks_proves_nothing_here() -> None:
    bare = changed(BODY, *AT, "additionalData", to={})
    header = base64.b64encode(hmac.digest(bytes.fromhex(KEY), bare, "sha256")).decode()
    with pytest.raises(InvalidSignature):
        verify(bare, headers={"hmacsignature": header})


def test_messages_and_labels_hold_no_secret() -> None:
    for said in (refuse(changed(BODY, *AT, "success", to="false")), verify(BODY)):
        assert KEY not in said and GOOD not in said


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80), st.text(max_size=60))
def test_no_body_and_no_signature_whatever_gets_past_or_crashes(body: bytes, sent: str) -> None:
    refuse(body)
    refuse(changed(BODY, *AT, "additionalData", "hmacSignature", to=sent))
