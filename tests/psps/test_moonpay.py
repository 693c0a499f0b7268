"""MoonPay: the public vectors, what every sample and status means, attacks on the signature, odd bodies."""

import base64
import hashlib
import hmac
import json
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.states import Decision, EventKind, Method
from psps.base import CryptoLeg, Hint, Ignored, InvalidSignature, PaymentEvent, Unparseable
from psps.credentials import fingerprint
from psps.moonpay import events, signature
from psps.moonpay.widget import find_widget_url, sign_query, write_query, write_signed_url
from psps.outbound import CreateRequest
from tests.psps.samples import DROP, changed, sample, sample_names, vectors

NOW = 1_795_327_200
KEY, OLD_KEY = "wk_test_throwaway_moonpay_key", "wk_test_the_one_before_the_rotation"
BUY, TINY_BUY = "bda09e91-559f-4e7a-807a-cdec1a903d9d", "0f7a2f60-0a5a-4a3c-9f0e-5d1f5b0c7a11"
HASH = "0x6751c8fce2e0fb5d57bb4801b31b35a7160fa362e0c5703d44cfd508317ee2f8"
COMPLETED = "transaction_updated.completed"
BODY = sample("moonpay", COMPLETED)
WEBHOOKS = [vector for vector in vectors("moonpay") if "direction" not in vector]
WIDGETS = [vector for vector in vectors("moonpay") if "direction" in vector]


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def name_of(vector: dict[str, Any]) -> str:
    return str(vector["name"])


# Signature


def mac(body: bytes = BODY, t: object = NOW, key: str = KEY) -> str:
    return hmac.new(key.encode(), f"{t}.".encode() + body, hashlib.sha256).hexdigest()


def verify(header: str | None, body: bytes = BODY, keys: list[str] | None = None, **tolerance: int | None) -> str:
    headers = {} if header is None else {"moonpay-signature-v2": header}
    return signature.verify(headers, {}, body, [KEY] if keys is None else keys, at(NOW), **tolerance)


@pytest.mark.parametrize("vector", WEBHOOKS, ids=name_of)
def test_webhook_vector(vector: dict[str, Any]) -> None:
    headers = {name.lower(): value for name, value in vector["headers"].items()}
    key = vector["secret_or_keys"]["webhook_key"]
    arguments = (headers, {}, vector["body_utf8"].encode(), [key], at(vector["now_unix"]))
    if vector["valid"]:
        assert signature.verify(*arguments) == fingerprint(key)
    else:
        with pytest.raises(InvalidSignature):
            signature.verify(*arguments)


def test_there_are_vectors_of_both_kinds() -> None:
    assert [vector["valid"] for vector in WEBHOOKS] == [True, True, False, False]
    assert [vector["valid"] for vector in WIDGETS] == [True, False]


GOOD = mac()
ATTACKS = {
    "missing": None,
    "empty": "",
    "blank": " ",
    "no timestamp": f"s={GOOD}",
    "empty timestamp": f"t=,s={GOOD}",
    "two timestamps": f"t={NOW},t={NOW},s={GOOD}",
    "two timestamps, stale first": f"t=1,t={NOW},s={GOOD}",
    "timestamp with sign": f"t=+{NOW},s={mac(t=f'+{NOW}')}",
    "timestamp with blank": f"t= {NOW},s={mac(t=f' {NOW}')}",
    "Arabic digits": "t=" + str(NOW).translate({48 + n: 0x660 + n for n in range(10)}) + f",s={GOOD}",
    "fraction": f"t={NOW}.0,s={mac(t=f'{NOW}.0')}",
    "milliseconds": f"t={NOW}000,s={GOOD}",
    "endless timestamp": "t=" + "9" * 5000 + f",s={GOOD}",
    "other timestamp": f"t={NOW - 1},s={GOOD}",
    "only v1": f"t={NOW},v1={GOOD}",
    "upper-case name": f"t={NOW},S={GOOD}",
    "empty signature": f"t={NOW},s=",
    "signature without value": f"t={NOW},s",
    "truncated": f"t={NOW},s={GOOD[:-1]}",
    "first byte only": f"t={NOW},s={GOOD[:2]}",
    "longer": f"t={NOW},s={GOOD}0",
    "upper-case hex": f"t={NOW},s={GOOD.upper()}",
    "base64": f"t={NOW},s={base64.b64encode(bytes.fromhex(GOOD)).decode()}",
    "space after comma": f"t={NOW}, s={GOOD}",
    "trailing space": f"t={NOW},s={GOOD} ",
    "non-ASCII": f"t={NOW},s={GOOD}\xff",
    "wide": f"t={NOW},s=é€😀",
    "lone surrogate": f"t={NOW},s=\udc80",
    "NUL": f"t={NOW}\x00,s={GOOD}",
    "other key": f"t={NOW},s={mac(key=OLD_KEY)}",
    "empty key": f"t={NOW},s={mac(key='')}",
    "body alone signed": f"t={NOW},s={hmac.new(KEY.encode(), BODY, hashlib.sha256).hexdigest()}",
    "plain hash": f"t={NOW},s={hashlib.sha256(BODY).hexdigest()}",
    "key without its prefix": f"t={NOW},s={mac(key=KEY.removeprefix('wk_test_'))}",
}


@pytest.mark.parametrize("header", ATTACKS.values(), ids=ATTACKS.keys())
def test_attack_is_refused(header: str | None) -> None:
    assert verify(f"t={NOW},s={GOOD}") == fingerprint(KEY)
    with pytest.raises(InvalidSignature):
        verify(header)


def test_the_older_header_proves_nothing() -> None:
    for older in (GOOD, f"t={NOW},s={GOOD}", hmac.new(KEY.encode(), BODY, hashlib.sha256).hexdigest()):
        with pytest.raises(InvalidSignature, match="missing"):
            signature.verify({"moonpay-signature": older}, {}, BODY, [KEY], at(NOW))
    both = {"moonpay-signature": "nonsense", "moonpay-signature-v2": f"t={NOW},s={GOOD}"}
    assert signature.verify(both, {}, BODY, [KEY], at(NOW)) == fingerprint(KEY)


def test_one_bit_anywhere_is_refused() -> None:
    for place in range(len(BODY)):
        forged = bytearray(BODY)
        forged[place] ^= 1
        with pytest.raises(InvalidSignature):
            verify(f"t={NOW},s={GOOD}", bytes(forged))


@pytest.mark.parametrize("keys", [[], [""], [" "], ["", "\t"]])
def test_without_a_usable_key_nothing_verifies(keys: list[str]) -> None:
    for key in ("", *keys):
        with pytest.raises(InvalidSignature):
            verify(f"t={NOW},s={mac(key=key)}", keys=keys)


def test_rotation_names_the_key_that_signed() -> None:
    both = [KEY, OLD_KEY]
    assert verify(f"t={NOW},s={GOOD}", keys=both) == fingerprint(KEY)
    assert verify(f"t={NOW},s={'0' * 64},s={mac(key=OLD_KEY)}", keys=both) == fingerprint(OLD_KEY)


@pytest.mark.parametrize(
    ("age", "tolerance", "accepted"),
    [
        (300, {}, True),
        (301, {}, False),
        (-86_400, {}, True),
        (-300, {"future_seconds": 300}, True),
        (-301, {"future_seconds": 300}, False),
        (61, {"past_seconds": 60}, False),
        (60, {"past_seconds": 60}, True),
        (10**9, {"past_seconds": None}, True),
    ],
)
def test_time(age: int, tolerance: dict[str, int | None], accepted: bool) -> None:
    header = f"t={NOW - age},s={mac(t=NOW - age)}"
    if accepted:
        assert verify(header, **tolerance)
    else:
        with pytest.raises(InvalidSignature):
            verify(header, **tolerance)


def test_time_is_checked_after_the_mac_and_no_message_tells_a_secret() -> None:
    with pytest.raises(InvalidSignature, match="no MoonPay signature matches") as refused:
        verify(f"t=1,s={GOOD}")
    assert KEY not in str(refused.value) and GOOD not in str(refused.value)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=120), st.binary(max_size=60))
def test_no_header_whatever_gets_past_or_crashes(header: str, body: bytes) -> None:
    with pytest.raises(InvalidSignature):
        verify(header, body)


# Widget


@pytest.mark.parametrize("vector", WIDGETS, ids=name_of)
def test_widget_vector(vector: dict[str, Any]) -> None:
    query, _, signed = vector["body_utf8"].partition("&signature=")
    base, _, _ = vector["full_url"].partition("/?")
    url = write_signed_url(base, query, vector["secret_or_keys"]["secret_key"])
    if vector["valid"]:
        assert sign_query(query, vector["secret_or_keys"]["secret_key"]) == vector["signature_b64"]
        assert url == vector["full_url"]
    else:
        assert url.rpartition("&signature=")[2] != signed


def test_the_query_of_the_vector_is_what_is_written_for_its_payment() -> None:
    request = buy(
        amount_minor=150_000, wallet_address="0xc216eD2D6c295579718dbd4a797845CdA70B3C36", reference="ord-1001"
    )
    query = write_query(request, "usdc", "pk_test_123")
    assert query == WIDGETS[0]["body_utf8"] + "&lockAmount=true"


def buy(**other: Any) -> CreateRequest:
    usual: dict[str, Any] = {
        "reference": "A2B3C4D5E6F7G2H3J4K5L6M7N2P3",
        "idempotency_key": "key-1",
        "method": Method.CRYPTO_ONRAMP,
        "amount_minor": 150_025,
        "currency": "MXN",
        "crypto_asset": "usdc",
        "crypto_network": "polygon",
    }
    return CreateRequest(**{**usual, **other})


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (150_025, "MXN", "1500.25"),
        (150_050, "MXN", "1500.5"),
        (150_000, "MXN", "1500"),
        (100_000_000, "MXN", "1000000"),
        (5, "USD", "0.05"),
        (1_500, "JPY", "1500"),
        (1_500_125, "KWD", "1500.125"),
    ],
)
def test_amounts_are_written_in_major_units(minor: int, currency: str, text: str) -> None:
    query = write_query(buy(amount_minor=minor, currency=currency), "usdc", "pk_test_123")
    assert f"&baseCurrencyCode={currency.lower()}&baseCurrencyAmount={text}&" in query


@pytest.mark.parametrize(
    ("asset", "network", "code"),
    [
        ("usdc", "polygon", "usdc_polygon"),
        ("usdc", "base", "usdc_base"),
        ("usdc", "solana", "usdc_sol"),
        ("usdc", "ethereum", "usdc"),
        ("usdc", None, "usdc"),
        ("eth", "ethereum", "eth"),
        ("btc", "bitcoin", "btc"),
        ("sol", "solana", "sol"),
    ],
)
def test_the_network_is_in_the_currency_code(asset: str, network: str | None, code: str) -> None:
    assert f"&currencyCode={code}&" in write_query(buy(crypto_network=network), asset, "pk_test_123")


def test_values_are_escaped_before_they_are_signed() -> None:
    query = write_query(buy(return_url="https://shop.example/a b?x=1&y=é", wallet_address="a&b+c"), "usdc", "pk_1")
    assert "&walletAddress=a%26b%2Bc&" in query
    assert query.endswith("&redirectURL=https%3A%2F%2Fshop.example%2Fa%20b%3Fx%3D1%26y%3D%C3%A9")


def test_the_widget_of_test_keys_is_another() -> None:
    assert find_widget_url("pk_test_123") == "https://buy-sandbox.moonpay.com"
    assert find_widget_url("pk_live_123") == "https://buy.moonpay.com"
    assert write_signed_url("https://w.example/v2/buy", "?a=1", "k").startswith(
        "https://w.example/v2/buy?a=1&signature="
    )
    assert write_signed_url("https://w.example", "?a=1", "k").startswith("https://w.example/?a=1&signature=")


# Events


def only(body: bytes) -> PaymentEvent:
    (event,) = events.parse({}, body)
    return event


def with_data(name: str = COMPLETED, **to: Any) -> bytes:
    body = sample("moonpay", name)
    for field, value in to.items():
        body = changed(body, "data", field, to=value)
    return body


# sample: kind, type, time, received, refunded, crypto, reason
ETH = CryptoLeg("eth", "ethereum", 1819, 5, HASH)
MEANINGS: dict[str, tuple] = {
    "transaction_created.waiting_payment": ("pending", "transaction_created", "05:55:03.640", None, None, None, None),
    "transaction_created.completed": ("completed", "transaction_created", "05:59:31.251", 150_025, None, ETH, None),
    "transaction_updated.waiting_authorization": ("pending", "transaction_updated", "05:56:10.002", None, None, None, None),
    "transaction_updated.pending": ("processing", "transaction_updated", "05:57:02.118", None, None, None, None),
    COMPLETED: ("completed", "transaction_updated", "05:59:31.251", 150_025, None, ETH, None),
    "transaction_failed.declined": ("failed", "transaction_failed", "05:59:40.000", None, None, None, "payment_authorization_declined"),
    "transaction_failed.timeout": ("expired", "transaction_failed", "05:59:40.000", None, None, None, "timeout_bank_transfer"),
    "transaction_failed.cancelled": ("canceled", "transaction_failed", "05:59:40.000", None, None, None, "cancelled"),
    "transaction_failed.refund": ("refunded", "transaction_failed", "05:59:40.000", 150_025, 150_025, None, "refund"),
}  # fmt: skip
OTHERS = {"transaction_updated.completed.tiny", "transaction_failed.sparse"}
IGNORED = {"identity_check_updated", "sell_transaction_updated"}


def test_every_sample_has_a_line() -> None:
    assert set(sample_names("moonpay")) == set(MEANINGS) | OTHERS | IGNORED


@pytest.mark.parametrize("name", MEANINGS)
def test_sample_to_the_last_field(name: str) -> None:
    kind, raw_type, time, received, refunded, crypto, reason = MEANINGS[name]
    assert only(sample("moonpay", name)) == PaymentEvent(
        kind=EventKind(kind),
        raw_type=raw_type,
        psp_payment_id=BUY,
        occurred_at=datetime.fromisoformat(f"2026-11-22T{time}+00:00"),
        created_at=datetime(2026, 11, 22, 5, 55, 3, 640_000, tzinfo=UTC),
        amount_minor=150_025,
        received_minor=received,
        refunded_minor=refunded,
        currency="MXN",
        method=Method.CRYPTO_ONRAMP,
        merchant_reference="ord-1001",
        crypto=crypto,
        reason=reason,
    )


def test_a_tiny_amount_of_crypto_in_exponent_form_is_exact() -> None:
    event = only(sample("moonpay", "transaction_updated.completed.tiny"))
    assert (event.psp_payment_id, event.amount_minor, event.received_minor) == (TINY_BUY, 2_500, 2_500)
    assert event.crypto == CryptoLeg("usdc", "polygon", 1819, 10, HASH)


def test_a_sparse_failure_is_read_without_amounts() -> None:
    event = only(sample("moonpay", "transaction_failed.sparse"))
    assert event == PaymentEvent(
        kind=EventKind.FAILED,
        raw_type="transaction_failed",
        psp_payment_id=BUY,
        occurred_at=datetime(2026, 11, 22, 5, 59, 40, tzinfo=UTC),
        method=Method.CRYPTO_ONRAMP,
        merchant_reference="ord-1001",
        reason="payment_authorization_declined",
    )


@pytest.mark.parametrize("vector", [v for v in WEBHOOKS if v["valid"]], ids=name_of)
def test_the_bodies_of_the_vectors_are_read(vector: dict[str, Any]) -> None:
    event = only(vector["body_utf8"].encode())
    assert (event.psp_payment_id, event.amount_minor, event.currency) == (BUY, 150_025, "MXN")
    kinds = {"transaction_updated": EventKind.COMPLETED, "transaction_failed": EventKind.FAILED}
    assert event.kind is kinds[event.raw_type]


def test_no_field_holds_a_float_or_a_naive_time() -> None:
    for name in sample_names("moonpay"):
        for event in events.parse({}, sample("moonpay", name)):
            for field in fields(event):
                value = getattr(event, field.name)
                assert not isinstance(value, float)
                assert not isinstance(value, datetime) or value.tzinfo is UTC


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("waitingPayment", EventKind.PENDING),
        ("waitingAuthorization", EventKind.PENDING),
        ("pending", EventKind.PROCESSING),
        ("completed", EventKind.COMPLETED),
        ("failed", EventKind.FAILED),
    ],
)
@pytest.mark.parametrize("raw_type", ["transaction_created", "transaction_updated"])
def test_the_status_decides_whatever_the_type(raw_type: str, status: str, kind: EventKind) -> None:
    event = only(changed(with_data(status=status), "type", to=raw_type))
    assert (event.kind, event.raw_type) == (kind, raw_type)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("timeout_bank_transfer", EventKind.EXPIRED),
        ("timeout_3d_secure", EventKind.EXPIRED),
        ("timeout_kyc_verification", EventKind.EXPIRED),
        ("timeout_card_verification", EventKind.EXPIRED),
        ("cancelled", EventKind.CANCELED),
        ("refund", EventKind.REFUNDED),
        ("card_not_supported", EventKind.FAILED),
        ("daily_purchase_limit_exceeded", EventKind.FAILED),
        ("payment_authorization_declined", EventKind.FAILED),
        ("rejected_kyc", EventKind.FAILED),
        ("rejected_card", EventKind.FAILED),
        ("rejected_other", EventKind.FAILED),
        ("failed_testnet_withdrawal", EventKind.FAILED),
        ("error", EventKind.FAILED),
        ("newly_invented", EventKind.FAILED),
    ],
)
def test_the_reason_of_a_failure_refines_it(reason: str, kind: EventKind) -> None:
    stages = [{"stage": "stage_one_ordering", "status": "success", "failureReason": None}, {"failureReason": reason}]
    by_stage = only(with_data("transaction_failed.declined", stages=stages))
    by_itself = only(with_data("transaction_failed.declined", stages=[], failureReason=reason))
    assert (by_stage.kind, by_stage.reason) == (by_itself.kind, by_itself.reason) == (kind, reason)


@pytest.mark.parametrize("stages", [None, [], {}, "failed", [None, 7], [{"status": "failed", "failureReason": None}]])
def test_a_failure_without_a_code_is_a_failure(stages: Any) -> None:
    event = only(with_data("transaction_failed.declined", stages=stages))
    assert (event.kind, event.reason) == (EventKind.FAILED, "Card declined")
    event = only(with_data("transaction_failed.declined", stages=stages, failureReason=None))
    assert (event.kind, event.reason) == (EventKind.FAILED, None)


def test_the_reason_of_a_success_is_nobodys_business() -> None:
    assert only(with_data(failureReason="timeout_bank_transfer")).kind is EventKind.COMPLETED


@pytest.mark.parametrize("status", ["newly_invented", "Completed", "COMPLETED", "", None, 7, ["completed"]])
def test_an_unknown_status_survives_and_raises_the_alert(status: Any) -> None:
    outcome = events.read({}, with_data(status=status))
    assert isinstance(outcome, Ignored)
    assert not outcome.known
    assert events.parse({}, with_data(status=status)) == []


@pytest.mark.parametrize(
    ("raw_type", "known"),
    [
        ("sell_transaction_created", True),
        ("sell_transaction_failed", True),
        ("sell_transaction_requote_required", True),
        ("swap_transaction_completed", True),
        ("swap_quote_expired", True),
        ("identity_check_updated", True),
        ("virtual_account_status_updated", True),
        ("transaction_invented", False),
        ("Transaction_updated", False),
    ],
)
def test_other_types_are_ignored(raw_type: str, known: bool) -> None:
    outcome = events.read({}, changed(BODY, "type", to=raw_type))
    assert isinstance(outcome, Ignored)
    assert (outcome.raw_type, outcome.known) == (raw_type, known)


@pytest.mark.parametrize("name", sorted(IGNORED))
def test_ignored_sample_is_known(name: str) -> None:
    outcome = events.read({}, sample("moonpay", name))
    assert isinstance(outcome, Ignored)
    assert outcome.known


@pytest.mark.parametrize(
    "body",
    [
        with_data(baseCurrencyAmount=None),
        with_data(baseCurrencyAmount=DROP),
        with_data("transaction_failed.refund", baseCurrencyAmount=None),
        changed(BODY, "type", to="transaction_failed"),
    ],
    ids=["completed without amount", "completed, amount missing", "refund without amount", "failed that completed"],
)
def test_money_that_moved_is_fetched_where_the_message_is_not_clear(body: bytes) -> None:
    outcome = events.read({}, body)
    assert outcome == Hint(json.loads(body)["type"], BUY)
    assert events.parse({}, body) == []


# Money


@pytest.mark.parametrize(
    ("number", "code", "minor"),
    [
        ("1500.25", "mxn", 150_025),
        ("1500.5", "mxn", 150_050),
        ("1500", "MXN", 150_000),
        ("0.29", "usd", 29),
        ("4.35", "usd", 435),
        ("92233720368547758.07", "mxn", 2**63 - 1),
        ("1500", "jpy", 1_500),
        ("1500.125", "kwd", 1_500_125),
        ('"1500.25"', "mxn", 150_025),
    ],
)
def test_amounts_are_exact(number: str, code: str, minor: int) -> None:
    body = with_data(baseCurrency={"code": code}).replace(b"1500.25", number.encode())
    event = only(body)
    assert (event.amount_minor, event.received_minor, event.currency) == (minor, minor, code.upper())


@pytest.mark.parametrize("included", [True, False, None])
def test_fees_are_never_added_to_what_was_asked_for(included: bool | None) -> None:
    event = only(with_data(areFeesIncluded=included, feeAmount=59.85, extraFeeAmount=1.5, networkFeeAmount=10.2))
    assert (event.amount_minor, event.received_minor) == (150_025, 150_025)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("1500.255", "mxn"),
        ("1500.5", "jpy"),
        ("-1", "mxn"),
        ("1e400", "mxn"),
        ("1e30", "mxn"),
        ("true", "mxn"),
        ("{}", "mxn"),
        ('""', "mxn"),
        ('"1,500.25"', "mxn"),
        ("92233720368547758.08", "mxn"),
        ("1500.25", "pesos"),
        ("1500.25", ""),
    ],
)
def test_an_amount_that_cannot_be_is_parked(number: str, code: str) -> None:
    with pytest.raises(Unparseable):
        events.read({}, with_data(baseCurrency={"code": code}).replace(b"1500.25", number.encode()))


@pytest.mark.parametrize(
    ("currency", "leg"),
    [
        ({"code": "ETH"}, ("eth", "unknown")),
        ({"code": "usdc_polygon"}, ("usdc", "polygon")),
        ({"code": "usdc_sol"}, ("usdc", "solana")),
        ({"code": "usdc_polygon", "metadata": {"networkCode": "Polygon"}}, ("usdc", "polygon")),
        ({"code": "usdc", "metadata": {"networkCode": "ethereum"}}, ("usdc", "ethereum")),
        ({"code": "usdc", "networkCode": "base"}, ("usdc", "base")),
        ({"code": "usdc_base", "metadata": None}, ("usdc", "base")),
        ({"code": "usdc_base", "metadata": {"networkCode": 7}}, ("usdc", "7")),
    ],
)
def test_asset_and_network(currency: dict[str, Any], leg: tuple[str, str]) -> None:
    crypto = only(with_data(currency=currency)).crypto
    assert crypto is not None
    assert (crypto.asset, crypto.network) == leg


@pytest.mark.parametrize(
    ("number", "units", "scale"),
    [("0.01819", 1819, 5), ("1819", 1819, 0), ("1.819e-7", 1819, 10), ("1e-18", 1, 18), ("0", 0, 0), ("2E+3", 2000, 0)],
)
def test_crypto_amounts_are_exact(number: str, units: int, scale: int) -> None:
    crypto = only(BODY.replace(b"0.01819", number.encode())).crypto
    assert crypto == CryptoLeg("eth", "ethereum", units, scale, HASH)


@pytest.mark.parametrize("status", ["waitingPayment", "pending", "completed"])
def test_there_is_no_crypto_leg_before_it_is_known(status: str) -> None:
    assert only(with_data(status=status, quoteCurrencyAmount=None)).crypto is None


# Odd input


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"\xff",
        b'{"type":7,"data":{}}',
        b'{"data":{}}',
        b'{"type":"transaction_updated"}',
        b'{"type":"transaction_updated","data":[]}',
        changed(BODY, "data", "id", to=DROP),
        changed(BODY, "data", "id", to=""),
        changed(BODY, "data", "id", to=7),
        changed(BODY, "data", "id", to="a\nb"),
        changed(BODY, "data", "updatedAt", to=DROP),
        changed(BODY, "data", "updatedAt", to="2026-11-22T05:59:31"),
        changed(BODY, "data", "updatedAt", to="yesterday"),
        changed(BODY, "data", "updatedAt", to=1_795_327_200),
        changed(BODY, "data", "baseCurrency", to=None),
        changed(BODY, "data", "currency", to=None),
        changed(BODY, "data", "quoteCurrencyAmount", to=-1),
        changed(BODY, "data", "quoteCurrencyAmount", to="much"),
        BODY.replace(b"0.01819", b"1e-400"),
        BODY.replace(b'{"isFromQuote"', b'{"id":"other","isFromQuote"'),
        BODY.replace(b"0.01819", b"NaN"),
    ],
)
def test_odd_bodies_are_unparseable_and_still_have_a_key(body: bytes) -> None:
    with pytest.raises(Unparseable) as error:
        events.read({}, body)
    assert BUY not in str(error.value)
    assert events.event_key({}, body)
    assert len(events.content_digest(body)) == 32


def test_the_reference_may_be_missing() -> None:
    for reference in (None, DROP, {}, "x" * 201):
        assert only(with_data(externalTransactionId=reference)).merchant_reference is None


# Identity


def test_the_key_is_type_id_status_and_time_of_change() -> None:
    assert events.event_key({}, BODY) == f"transaction_updated|{BUY}|completed|2026-11-22T05:59:31.251Z"
    other_order = json.dumps(dict(reversed(json.loads(BODY).items()))).encode()
    assert events.event_key({}, other_order) == events.event_key({}, BODY)


@pytest.mark.parametrize("field", ["type", "id", "status", "updatedAt"])
def test_each_part_of_the_key_counts(field: str) -> None:
    path = ("type",) if field == "type" else ("data", field)
    assert events.event_key({}, changed(BODY, *path, to="another")) != events.event_key({}, BODY)
    for odd in (DROP, None, 7, "", " ", "a\x00b", "\ud800", "x" * 201, "x" * 150):
        body = changed(BODY, *path, to=odd)
        assert events.event_key({}, body) == "sha256:" + hashlib.sha256(body).hexdigest()


def test_the_longest_key_can_be_stored() -> None:
    rest = len("transaction_updated||completed|2026-11-22T05:59:31.251Z")
    assert len(events.event_key({}, with_data(id="x" * (200 - rest)))) == 200
    assert events.event_key({}, with_data(id="x" * (201 - rest))).startswith("sha256:")


def test_the_digest_is_of_every_byte() -> None:
    assert events.content_digest(BODY) == hashlib.sha256(BODY).digest()
    assert events.content_digest(BODY) != events.content_digest(BODY + b" ")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_nothing_that_arrives_makes_key_digest_or_reply_fail(body: bytes) -> None:
    assert 0 < len(events.event_key({}, body)) <= 200
    assert len(events.content_digest(body)) == 32
    assert events.deposit_clabe(body) is None
    for decision in Decision:
        assert events.reply(body, decision).status == 200


# Snapshots


AS_OF = datetime(2026, 11, 22, 6, 30, tzinfo=UTC)


def snapshot(name: str = COMPLETED, **to: Any) -> list[PaymentEvent] | Ignored:
    data = json.loads(with_data(name, **to), parse_float=str)["data"]
    return events.read_snapshot(json.dumps(data).encode(), AS_OF)


@pytest.mark.parametrize("name", MEANINGS)
def test_a_snapshot_says_what_the_webhook_says(name: str) -> None:
    (told,) = events.parse({}, sample("moonpay", name))
    (seen,) = snapshot(name)
    assert {f.name: getattr(seen, f.name) for f in fields(seen)} == {
        **{f.name: getattr(told, f.name) for f in fields(told)},
        "raw_type": "transaction",
    }


def test_a_snapshot_without_its_own_time_is_as_old_as_the_call() -> None:
    for time in (None, DROP):
        (event,) = snapshot(updatedAt=time)
        assert event.occurred_at == AS_OF


def test_an_unknown_status_of_a_snapshot_survives() -> None:
    outcome = snapshot(status="newly_invented")
    assert isinstance(outcome, Ignored)
    assert not outcome.known


@pytest.mark.parametrize(
    "to", [{"updatedAt": "yesterday"}, {"id": None}, {"baseCurrencyAmount": None}, {"baseCurrencyAmount": "1.234"}]
)
def test_a_snapshot_that_cannot_be_understood_is_unparseable(to: dict[str, Any]) -> None:
    with pytest.raises(Unparseable):
        snapshot(**to)
