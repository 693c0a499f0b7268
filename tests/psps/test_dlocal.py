"""dLocal: the public vectors, and attacks on the signature. Bodies are signed here for real."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psps.base import InvalidSignature
from psps.credentials import LABELS
from psps.dlocal import signature
from tests.psps.samples import vectors

NOW = datetime.fromtimestamp(1_795_320_000, UTC)
VECTORS = vectors("dlocal")
BODY = VECTORS[0]["body_utf8"].encode()
LOGIN, KEY = VECTORS[0]["secret_or_keys"]["x_login"], VECTORS[0]["secret_or_keys"]["secret_key"]
SECRET = f"{LOGIN}:{KEY}"
DATE = "2026-11-22T03:59:58.310Z"


def mac(body: bytes = BODY, login: str = LOGIN, date: str = DATE, key: str = KEY) -> str:
    return hmac.new(key.encode(), login.encode() + date.encode() + body, hashlib.sha256).hexdigest()


def write_headers(sent: str | None = None, login: str = LOGIN, date: str = DATE) -> dict[str, str]:
    sent = mac(login=login, date=date) if sent is None else sent
    return {"x-login": login, "x-date": date, "authorization": f"V2-HMAC-SHA256, Signature: {sent}"}


def verify(
    headers: dict[str, str], body: bytes = BODY, secrets: list[str] | None = None, **tolerance: int | None
) -> str:
    return signature.verify(headers, {}, body, [SECRET] if secrets is None else secrets, NOW, **tolerance)


def refuse(
    headers: dict[str, str], body: bytes = BODY, secrets: list[str] | None = None, **tolerance: int | None
) -> str:
    with pytest.raises(InvalidSignature) as refused:
        verify(headers, body, secrets, **tolerance)
    return str(refused.value)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_vector(vector: dict[str, Any]) -> None:
    headers = {name.lower(): value for name, value in vector["headers"].items()}
    keys = vector["secret_or_keys"]
    secret, body = f"{keys['x_login']}:{keys['secret_key']}", vector["body_utf8"].encode()
    if vector["valid"]:
        assert verify(headers, body, [secret]) == LABELS["hmac"](secret)
    else:
        refuse(headers, body, [secret])


def test_the_body_counts_byte_for_byte() -> None:
    written_anew = json.dumps(json.loads(BODY), separators=(",", ":")).encode()
    assert b"1500.50" in BODY and b"1500.5," in written_anew
    for forged in (written_anew, BODY + b"\n", b" " + BODY, BODY[:-1], b""):
        refuse(write_headers(), forged)
    for place in range(len(BODY)):
        changed = bytearray(BODY)
        changed[place] ^= 1
        refuse(write_headers(), bytes(changed))


GOOD = mac()
AUTHORIZATIONS = {
    "empty": "",
    "blank": " ",
    "hex alone": GOOD,
    "no scheme": f"Signature: {GOOD}",
    "another scheme": f"V1-HMAC-SHA256, Signature: {GOOD}",
    "basic": "Basic dXNlcjpwYXNzd29yZA==",
    "no signature": "V2-HMAC-SHA256, Signature: ",
    "no comma": f"V2-HMAC-SHA256 Signature: {GOOD}",
    "truncated": f"V2-HMAC-SHA256, Signature: {GOOD[:-1]}",
    "longer": f"V2-HMAC-SHA256, Signature: {GOOD}0",
    "two": f"V2-HMAC-SHA256, Signature: {'0' * 64}, Signature: {GOOD}",
    "upper-case hex": f"V2-HMAC-SHA256, Signature: {GOOD.upper()}",
    "new line behind": f"V2-HMAC-SHA256, Signature: {GOOD}\n",
    "other digits": f"V2-HMAC-SHA256, Signature: {GOOD[:-1]}٣",
    "lone surrogate": "V2-HMAC-SHA256, Signature: \udc80",
    "other key": f"V2-HMAC-SHA256, Signature: {mac(key='another')}",
    "empty key": f"V2-HMAC-SHA256, Signature: {mac(key='')}",
    "key with its login": f"V2-HMAC-SHA256, Signature: {mac(key=SECRET)}",
    "without the login": f"V2-HMAC-SHA256, Signature: {mac(login='')}",
    "without the date": f"V2-HMAC-SHA256, Signature: {mac(date='')}",
    "plain hash": f"V2-HMAC-SHA256, Signature: {hashlib.sha256(BODY).hexdigest()}",
}


@pytest.mark.parametrize("header", AUTHORIZATIONS.values(), ids=AUTHORIZATIONS.keys())
def test_another_authorization_is_refused(header: str) -> None:
    refuse(write_headers() | {"authorization": header})
    refuse(write_headers() | {"authorization": header, "signature": GOOD})


@pytest.mark.parametrize("header", [f"V2-HMAC-SHA256,Signature:{GOOD}", f"V2-HMAC-SHA256,  Signature:  {GOOD}"])
def test_the_blanks_of_the_authorization_do_not_count(header: str) -> None:
    assert verify(write_headers() | {"authorization": header})


def test_the_bare_hex_in_a_header_of_its_own_will_do() -> None:
    bare = {"x-login": LOGIN, "x-date": DATE}
    assert verify(bare | {"signature": GOOD}) == verify(write_headers())
    for sent in ("", " ", GOOD[:-1], GOOD.upper(), f"Signature: {GOOD}", mac(key="another"), GOOD + "\n"):
        refuse(bare | {"signature": sent})
    refuse(bare)


@pytest.mark.parametrize("login", ["", " ", "another", LOGIN.upper(), LOGIN + " ", LOGIN[:-1], "ñ", "\udc80"])
def test_another_login_is_refused_although_it_is_signed_with_our_key(login: str) -> None:
    signed = hmac.new(KEY.encode(), login.encode("utf-8", "replace") + DATE.encode() + BODY, hashlib.sha256).hexdigest()
    assert "X-Login" in refuse(write_headers(signed, login=login))


def test_a_login_that_is_missing_is_refused() -> None:
    headers = write_headers(mac(login=""))
    del headers["x-login"]
    assert "X-Login" in refuse(headers)


def test_a_key_counts_with_its_own_login_alone() -> None:
    other = "another:another-key"
    assert verify(write_headers(), secrets=[other, SECRET]) == LABELS["hmac"](SECRET)
    refuse(write_headers(mac(key="another-key")), secrets=[other, SECRET])
    refuse(write_headers(mac(login="another"), login="another"), secrets=[other, SECRET])


def test_two_keys_of_one_login_may_be_active() -> None:
    new = f"{LOGIN}:the-new-key"
    both = [new, SECRET]
    assert verify(write_headers(), secrets=both) == LABELS["hmac"](SECRET)
    assert verify(write_headers(mac(key="the-new-key")), secrets=both) == LABELS["hmac"](new)


def test_a_key_may_hold_colons() -> None:
    assert verify(write_headers(mac(key="a:b:")), secrets=[f"{LOGIN}:a:b:"])


@pytest.mark.parametrize("secret", ["", " ", ":", f"{LOGIN}", f"{LOGIN}:", f"{LOGIN}: ", f":{KEY}", f" :{KEY}"])
def test_half_a_secret_verifies_nothing(secret: str) -> None:
    login, _, key = secret.partition(":")
    for signed in (GOOD, mac(login=login, key=key), mac(key=key)):
        for sent_login in (LOGIN, login):
            refuse(write_headers(signed, login=sent_login), secrets=[secret])
    refuse(write_headers(), secrets=[])


@pytest.mark.parametrize(
    "date",
    [
        "",
        " ",
        "2026-11-22",
        "2026-11-22T03:59:58",
        "2026-11-22 03:59:58Z",
        "2026-13-22T03:59:58Z",
        "2026-11-22T25:59:58Z",
        "2026-11-22T03:59:58Z ",
        " 2026-11-22T03:59:58Z",
        "2026-11-22T03:59:58Z\n",
        "1795319998",
        "Sun, 22 Nov 2026 03:59:58 GMT",
        "2026-11-22T03:59:58.310",
        DATE + '{"id":"D-4',
    ],
)
def test_a_date_of_another_form_is_refused_although_it_is_signed(date: str) -> None:
    assert "X-Date" in refuse(write_headers(mac(date=date), date=date))


def test_no_byte_can_be_moved_from_the_date_into_the_body_or_back() -> None:
    for cut in range(len(DATE)):
        refuse(write_headers(GOOD, date=DATE[:cut]), DATE[cut:].encode() + BODY)
    for cut in range(1, 20):
        refuse(write_headers(GOOD, date=DATE + BODY[:cut].decode()), BODY[cut:])


def test_a_date_with_an_offset_will_do() -> None:
    for date in ("2026-11-21T21:59:58-06:00", "2026-11-22T03:59:58.310+0000", "2026-11-22T03:59:58Z"):
        assert verify(write_headers(date=date))


@pytest.mark.parametrize(
    ("age", "tolerance", "accepted"),
    [
        (0, {}, True),
        (4 * 86_400, {}, True),  # a delivery is repeated for four days
        (-300, {}, True),
        (-301, {}, False),
        (-86_400, {"future_seconds": None}, True),
        (300, {"past_seconds": 300}, True),
        (301, {"past_seconds": 300}, False),
    ],
)
def test_time(age: int, tolerance: dict[str, int | None], accepted: bool) -> None:
    date = f"{NOW - timedelta(seconds=age):%Y-%m-%dT%H:%M:%S}Z"
    if accepted:
        assert verify(write_headers(date=date), **tolerance)
    else:
        assert "timestamp is too" in refuse(write_headers(date=date), **tolerance)


def test_time_is_checked_after_the_mac_and_no_message_tells_a_secret() -> None:
    for said in (refuse(write_headers("0" * 64), past_seconds=0), verify(write_headers())):
        assert KEY not in said and LOGIN not in said and GOOD not in said
    assert "no dLocal signature matches" in refuse(write_headers("0" * 64), past_seconds=0)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=100), st.text(max_size=40), st.binary(max_size=40))
def test_no_header_whatever_gets_past_or_crashes(header: str, date: str, body: bytes) -> None:
    refuse(write_headers() | {"authorization": header}, body)
    refuse(write_headers() | {"x-date": date}, body)
    refuse(write_headers() | {"x-login": header}, body)
    refuse({"x-login": LOGIN, "x-date": DATE, "signature": header}, body)
