"""Mercado Pago: what its signature covers, what its notifications hint at, what its payments mean."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.states import Decision, Direction, EventKind, Method
from psps.base import Hint, Ignored, InvalidSignature, PaymentEvent, Reply, Unparseable
from psps.card_data import redact
from psps.credentials import fingerprint
from psps.mercadopago import events
from psps.mercadopago.signature import verify
from tests.psps.samples import DROP, changed, sample, sample_names, vectors

NOW = 1_795_320_000
AS_OF = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECRET = "mpsecret_invented_for_these_tests_0001"
OLD_SECRET = "mpsecret_the_one_before_the_reset_0002"
PAYMENT_ID, REQUEST = "1325476890", "bb56a2f1-6aae-46ac-982e-9dcd3581d08e"
BODY = sample("mercadopago", "notification.payment.updated")
QUERY = {":query": f"data.id={PAYMENT_ID}&type=payment"}
PAYMENT_SAMPLES = [name for name in sample_names("mercadopago") if name.startswith("payment.")]


def mac(signed: str, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), signed.encode(), hashlib.sha256).hexdigest()


def manifest(data_id: str | None = PAYMENT_ID, request_id: str | None = REQUEST, ts: object = NOW) -> str:
    pairs = (("id", data_id), ("request-id", request_id), ("ts", ts))
    return "".join(f"{name}:{value};" for name, value in pairs if value is not None)


def check(
    header: str | None,
    query: Mapping[str, str] = {"data.id": PAYMENT_ID},
    request_id: str | None = REQUEST,
    secrets: list[str] | None = None,
    now: float = NOW,
    **bounds: int | None,
) -> str:
    headers = {"x-signature": header, "x-request-id": request_id}
    given = {name: value for name, value in headers.items() if value is not None}
    return verify(
        given, query, BODY, [SECRET] if secrets is None else secrets, datetime.fromtimestamp(now, UTC), **bounds
    )


# The signature


def verdict(vector: dict, **bounds: int | None) -> bool:
    headers = {name.lower(): value for name, value in vector["headers"].items()}
    query = dict(parse_qsl(vector["url_query"], keep_blank_values=True))
    secrets, now = [vector["secret_or_keys"]], datetime.fromtimestamp(vector["now_unix"], UTC)
    try:
        return verify(headers, query, vector["body_utf8"].encode(), secrets, now, **bounds) == fingerprint(secrets[0])
    except InvalidSignature:
        return False


@pytest.mark.parametrize("vector", vectors("mercadopago"), ids=lambda v: v["name"])
def test_vector(vector: dict) -> None:
    assert verdict(vector) is vector["valid"]


@pytest.mark.parametrize("vector", vectors("mercadopago"), ids=lambda v: v["name"])
def test_their_sdk_agrees_but_for_milliseconds_and_lower_case(vector: dict) -> None:
    ours = (
        verdict(vector, past_seconds=None, future_seconds=None),
        verdict(vector, past_seconds=300, future_seconds=300),
    )
    sdk = (vector["sdk_result"]["sdk_no_tolerance"] is True, vector["sdk_result"]["sdk_tolerance_300"] is True)
    wider = {"valid_milliseconds": (True, True), "order_id_signed_lowercase": (True, True)}
    assert ours == wider.get(vector["name"], sdk)


GOOD = mac(manifest())
ATTACKS = {
    "missing": None,
    "empty": "",
    "blank": " ",
    "no pairs": GOOD,
    "only commas": ",,,",
    "no time": f"v1={GOOD}",
    "empty time": f"ts=,v1={mac(manifest(ts=''))}",
    "two times": f"ts={NOW},ts={NOW},v1={GOOD}",
    "time with sign": f"ts=+{NOW},v1={mac(manifest(ts=f'+{NOW}'))}",
    "time with underscore": f"ts=1_795_320_000,v1={mac(manifest(ts='1_795_320_000'))}",
    "Arabic digits": (arabic := "ts=" + str(NOW).translate({48 + n: 0x660 + n for n in range(10)}))
    + f",v1={mac(manifest(ts=arabic[3:]))}",
    "fraction": f"ts={NOW}.0,v1={mac(manifest(ts=f'{NOW}.0'))}",
    "endless time": "ts=" + "9" * 5000 + f",v1={GOOD}",
    "other time": f"ts={NOW - 1},v1={GOOD}",
    "only v2": f"ts={NOW},v2={GOOD}",
    "two hashes": f"ts={NOW},v1={GOOD},v1={GOOD}",
    "empty hash": f"ts={NOW},v1=",
    "no hash value": f"ts={NOW},v1",
    "truncated": f"ts={NOW},v1={GOOD[:-1]}",
    "longer": f"ts={NOW},v1={GOOD}0",
    "upper-case hex": f"ts={NOW},v1={GOOD.upper()}",
    "base64": f"ts={NOW},v1={base64.b64encode(bytes.fromhex(GOOD)).decode()}",
    "wide": f"ts={NOW},v1=é€😀",
    "lone surrogate": f"ts={NOW},v1=\udc80",
    "NUL": f"ts={NOW}\x00,v1={GOOD}",
    "other secret": f"ts={NOW},v1={mac(manifest(), OLD_SECRET)}",
    "empty secret": f"ts={NOW},v1={mac(manifest(), '')}",
    "plain hash": f"ts={NOW},v1={hashlib.sha256(manifest().encode()).hexdigest()}",
    "body signed": f"ts={NOW},v1={hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()}",
    "without request id": f"ts={NOW},v1={mac(manifest(request_id=None))}",
    "without data id": f"ts={NOW},v1={mac(manifest(data_id=None))}",
    "no semicolon at the end": f"ts={NOW},v1={mac(manifest()[:-1])}",
}


@pytest.mark.parametrize("header", ATTACKS.values(), ids=ATTACKS.keys())
def test_attack_is_refused(header: str | None) -> None:
    with pytest.raises(InvalidSignature):
        check(header)


@pytest.mark.parametrize("data_id", ["1325476891", "", "13254768900", "1325476890 1", "\udc80", None])
def test_another_payment_under_a_captured_signature_is_refused(data_id: str | None) -> None:
    assert check(f"ts={NOW},v1={GOOD}")
    with pytest.raises(InvalidSignature):
        check(f"ts={NOW},v1={GOOD}", {} if data_id is None else {"data.id": data_id})


@pytest.mark.parametrize("request_id", ["", "other", REQUEST.upper(), None])
def test_another_request_id_under_a_captured_signature_is_refused(request_id: str | None) -> None:
    with pytest.raises(InvalidSignature):
        check(f"ts={NOW},v1={GOOD}", request_id=request_id)


def test_one_value_cannot_pass_for_two_pairs() -> None:
    """The same signed text, with the request id moved into the payment's, or the payment's into the request id."""
    for query, request_id in (
        ({"data.id": f"{PAYMENT_ID};request-id:{REQUEST}"}, None),
        ({"data.id": f"{PAYMENT_ID};request-id:{REQUEST};"}, ""),
        ({}, f"x;id:{PAYMENT_ID}"),
    ):
        with pytest.raises(InvalidSignature):
            check(f"ts={NOW},v1={GOOD}", query, request_id)


@pytest.mark.parametrize("secrets", [[], [""], [" "], ["", "\t"]])
def test_without_a_usable_secret_what_the_empty_secret_signed_is_refused(secrets: list[str]) -> None:
    for secret in ("", *secrets):
        with pytest.raises(InvalidSignature):
            check(f"ts={NOW},v1={mac(manifest(), secret)}", secrets=secrets)


def test_the_label_names_the_secret_that_signed() -> None:
    both = [SECRET, OLD_SECRET]
    assert check(f"ts={NOW},v1={GOOD}", secrets=both) == fingerprint(SECRET)
    assert check(f"ts={NOW},v1={mac(manifest(), OLD_SECRET)}", secrets=both) == fingerprint(OLD_SECRET)
    assert SECRET not in check(f"ts={NOW},v1={GOOD}")


def test_the_order_the_case_of_names_and_blanks_are_free() -> None:
    for header in (
        f"v1={GOOD},ts={NOW}",
        f" V1 = {GOOD} , TS = {NOW} ",
        f"ts={NOW},v2=0,v1={GOOD}",
        f"ts={NOW},,v1={GOOD},x",
    ):
        assert check(header)
    assert check(f"ts={NOW},v1={GOOD}", {"data.id": f" {PAYMENT_ID} "}, f" {REQUEST} ")


@pytest.mark.parametrize("data_id", ["ORD01KQ9XVZ8M", "ord01kq9xvz8m"])
def test_an_alphanumeric_id_is_tried_as_received_and_in_lower_case(data_id: str) -> None:
    assert check(f"ts={NOW},v1={mac(manifest(data_id='ord01kq9xvz8m'))}", {"data.id": data_id})
    if data_id.islower():
        with pytest.raises(InvalidSignature):
            check(f"ts={NOW},v1={mac(manifest(data_id='ORD01KQ9XVZ8M'))}", {"data.id": data_id})


@pytest.mark.parametrize("unit", [1, 1000])
def test_a_repetition_after_days_is_taken_and_a_time_of_the_future_is_not(unit: int) -> None:
    def signed(at: int) -> str:
        return f"ts={at * unit},v1={mac(manifest(ts=at * unit))}"

    assert check(signed(NOW - 30 * 86_400))
    assert check(signed(NOW + 300))
    with pytest.raises(InvalidSignature):
        check(signed(NOW + 301))
    assert check(signed(NOW + 10**6), future_seconds=None)
    assert check(signed(NOW - 300), past_seconds=300)
    with pytest.raises(InvalidSignature):
        check(signed(NOW - 301), past_seconds=300)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80), st.text(max_size=20), st.text(max_size=20), st.binary(max_size=20))
def test_nothing_but_invalid_signature_is_raised(header: str, data_id: str, request_id: str, body: bytes) -> None:
    headers = {"x-signature": header, "x-request-id": request_id}
    for text in (header, f"ts={NOW},v1={header}", f"ts={header},v1={GOOD}"):
        with pytest.raises(InvalidSignature):
            verify(
                {**headers, "x-signature": text}, {"data.id": data_id}, body, [SECRET], datetime.fromtimestamp(NOW, UTC)
            )


# Notifications


def test_a_notification_is_a_hint_at_the_payment_of_the_signed_query() -> None:
    assert events.read(QUERY, BODY) == Hint("payment.updated", PAYMENT_ID)
    created = sample("mercadopago", "notification.payment.created")
    assert events.read(QUERY, created) == Hint("payment.created", PAYMENT_ID)
    forged = changed(BODY, "data", "id", to="999")
    assert events.read(QUERY, forged) == Hint("payment.updated", PAYMENT_ID)
    assert events.parse(QUERY, BODY) == []


@pytest.mark.parametrize(
    "headers", [{}, {":query": ""}, {":query": "type=payment"}, {":query": "data.id=&type=payment"}]
)
@pytest.mark.parametrize("data_id", [PAYMENT_ID, int(PAYMENT_ID)])
def test_without_an_id_in_the_query_the_body_names_the_payment(headers: dict[str, str], data_id: str | int) -> None:
    body = changed(BODY, "data", "id", to=data_id)
    assert events.read(headers, body) == Hint("payment.updated", PAYMENT_ID)
    assert events.event_key(headers, body) == f"payment:{PAYMENT_ID}:119988776699"


def test_of_two_ids_in_the_query_the_verified_one_is_taken() -> None:
    query = f"data.id=1&type=payment&data.id=+{PAYMENT_ID}"
    signed = dict(parse_qsl(query, keep_blank_values=True))
    assert check(f"ts={NOW},v1={GOOD}", signed)
    assert events.read({":query": query}, BODY) == Hint("payment.updated", PAYMENT_ID)


def test_no_amount_or_state_of_a_body_is_ever_believed() -> None:
    body = changed(changed(BODY, "status", to="approved"), "transaction_amount", to=1)
    assert events.read(QUERY, body) == Hint("payment.updated", PAYMENT_ID)


def test_a_chargeback_hints_at_its_payment_with_all_its_digits() -> None:
    body = sample("mercadopago", "notification.topic_chargebacks_wh")
    query = {":query": "data.id=217000061307271001&type=topic_chargebacks_wh"}
    assert events.read(query, body) == Hint("topic_chargebacks_wh", PAYMENT_ID)
    assert events.read({}, changed(body, "data", "payment_id", to=2**53 + 1)) == Hint(
        "topic_chargebacks_wh", "9007199254740993"
    )
    key = "topic_chargebacks_wh:217000061307271001:114544942799"
    assert events.event_key(query, body) == events.event_key({}, body) == key


@pytest.mark.parametrize(
    "topic",
    ["topic_merchant_order_wh", "topic_claims_integration_wh", "stop_delivery_op_wh", "order", "mp-connect"],
)
def test_other_topics_are_ignored_and_known(topic: str) -> None:
    outcome = events.read(QUERY, changed(BODY, "type", to=topic))
    assert isinstance(outcome, Ignored)
    assert (outcome.raw_type, outcome.known) == (topic, True)


def test_a_new_topic_is_ignored_and_not_known() -> None:
    outcome = events.read(QUERY, changed(BODY, "type", to="newly_invented"))
    assert isinstance(outcome, Ignored)
    assert not outcome.known


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (QUERY, b""),
        (QUERY, b"not json"),
        (QUERY, b"[]"),
        (QUERY, b"{}"),
        (QUERY, b'{"type":"payment","type":"order"}'),
        (QUERY, b'{"type":7}'),
        ({}, b'{"type":"payment"}'),
        ({}, b'{"type":"payment","data":7}'),
        ({}, b'{"type":"payment","data":{"id":1.5}}'),
        ({}, b'{"type":"payment","data":{"id":-1}}'),
        ({}, b'{"type":"payment","data":{"id":true}}'),
        ({}, b'{"type":"payment","data":{"id":"12a"}}'),
        ({}, b'{"type":"payment","data":{"id":"' + b"1" * 21 + b'"}}'),
        ({":query": "data.id=../users/me"}, BODY),
        ({":query": "data.id=%D9%A1"}, BODY),
        (QUERY, b'{"type":"topic_chargebacks_wh"}'),
        (QUERY, b'{"type":"topic_chargebacks_wh","data":{"id":1}}'),
    ],
)
def test_what_names_no_payment_is_unparseable(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(Unparseable):
        events.read(headers, body)


def test_each_notification_has_its_own_key() -> None:
    created = sample("mercadopago", "notification.payment.created")
    assert events.event_key(QUERY, created) == f"payment:{PAYMENT_ID}:119988776655"
    assert events.event_key(QUERY, BODY) == f"payment:{PAYMENT_ID}:119988776699"
    assert events.event_key(QUERY, changed(BODY, "id", to="119988776699")) == events.event_key(QUERY, BODY)
    assert events.event_key({":query": "data.id=7"}, BODY) == "payment:7:119988776699"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[1]",
        changed(BODY, "id", to=DROP),
        changed(BODY, "id", to=None),
        changed(BODY, "id", to=1.5),
        changed(BODY, "id", to={}),
        changed(BODY, "id", to="x" * 200),
        changed(BODY, "type", to=DROP),
        changed(BODY, "type", to="a\x00b"),
        b"[" * 100_000,
    ],
)
def test_a_notification_that_names_itself_badly_is_its_own_key(body: bytes) -> None:
    assert events.event_key(QUERY, body).startswith("sha256:")
    assert len(events.content_digest(body)) == 32


def test_neither_a_repetition_nor_a_forger_makes_a_conflict() -> None:
    """Only type and id of a notification are digested, and both are in its key."""
    forged = [
        changed(BODY, "action", to="payment.created"),
        changed(BODY, "data", "id", to="999"),
        changed(BODY, "live_mode", to=False),
        changed(BODY, "user_id", to=1),
        changed(BODY, "extra", to="x" * 1000),
        json.dumps(json.loads(BODY), indent=3).encode(),
    ]
    assert {events.content_digest(body) for body in forged} == {events.content_digest(BODY)}
    assert {events.event_key(QUERY, body) for body in forged} == {events.event_key(QUERY, BODY)}
    other = changed(BODY, "id", to=1)
    assert events.content_digest(other) != events.content_digest(BODY)
    assert events.event_key(QUERY, other) != events.event_key(QUERY, BODY)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60) | st.just(urlencode({"data.id": "1" * 300})), st.binary(max_size=60))
def test_keys_digests_and_answers_never_raise(query: str, body: bytes) -> None:
    for content in (body, BODY[: len(body)], b'{"type":"payment","id":1,"data":' + body + b"}"):
        assert 0 < len(events.event_key({":query": query}, content)) <= 200
        assert len(events.content_digest(content)) == 32
        assert events.reply(content, Decision.ACCEPT) == Reply(200, b'{"received":true}')
        assert events.deposit_clabe(content) is None
        try:
            events.read({":query": query}, content)
        except Unparseable as error:
            assert len(str(error)) < 200


# Payments

# Sample: kind, raw type, received, refunded, method, expires (UTC)
VOUCHER_ENDS = datetime(2026, 11, 23, 5, 59, 59, tzinfo=UTC)
MEANINGS = {
    "payment.pending.oxxo": ("pending", "pending/pending_waiting_payment", None, None, "oxxo", VOUCHER_ENDS),
    "payment.pending.spei": ("pending", "pending/pending_waiting_transfer", None, None, "spei", VOUCHER_ENDS),
    "payment.approved.oxxo": ("completed", "approved/accredited", 150_050, None, "oxxo", VOUCHER_ENDS),
    "payment.approved.partially_refunded": ("refunded", "approved/partially_refunded", 150_050, 50_050, "card", VOUCHER_ENDS),
    "payment.refunded": ("refunded", "refunded/refunded", 150_050, 150_050, "card", VOUCHER_ENDS),
    "payment.cancelled.expired": ("expired", "cancelled/expired", None, None, "oxxo", VOUCHER_ENDS),
    "payment.cancelled.by_collector": ("canceled", "cancelled/by_collector", None, None, "oxxo", VOUCHER_ENDS),
    "payment.rejected.card": ("failed", "rejected/cc_rejected_insufficient_amount", None, None, "card", None),
    "payment.charged_back": ("disputed", "charged_back/in_process", 150_050, None, "card", VOUCHER_ENDS),
}  # fmt: skip


def test_every_sample_has_a_line() -> None:
    assert set(PAYMENT_SAMPLES) == set(MEANINGS)


@pytest.mark.parametrize("name", MEANINGS)
def test_sample(name: str) -> None:
    kind, raw_type, received, refunded, method, expires_at = MEANINGS[name]
    expected = PaymentEvent(
        kind=EventKind(kind),
        raw_type=raw_type,
        psp_payment_id=PAYMENT_ID,
        occurred_at=datetime(2026, 11, 22, 3, 59, 57, tzinfo=UTC),  # 23:59:57 of the 21st with -04:00
        amount_minor=150_050,
        received_minor=received,
        refunded_minor=refunded,
        currency="MXN",
        method=Method(method),
        direction=Direction.IN,
        livemode=None,
        merchant_reference="ORD-1001",
        expires_at=expires_at,
        created_at=datetime(2026, 11, 21, 3, tzinfo=UTC),  # 23:00 of the 20th with -04:00
        ends_disputes=kind in ("completed", "refunded"),
        reason=raw_type.partition("/")[2],
    )
    (event,) = read_payment(sample("mercadopago", name))
    assert event == expected
    for field in fields(event):
        value = getattr(event, field.name)
        assert not isinstance(value, float)
        assert not isinstance(value, datetime) or value.tzinfo is UTC


@pytest.mark.parametrize("name", sample_names("mercadopago"))
def test_no_sample_looks_like_card_data(name: str) -> None:
    assert redact(sample("mercadopago", name)) == (sample("mercadopago", name), False)


def read_payment(body: bytes) -> list[PaymentEvent]:
    outcome = events.read_snapshot(body, AS_OF)
    assert isinstance(outcome, list)
    return outcome


def payment(**to: object) -> PaymentEvent:
    body = sample("mercadopago", "payment.approved.oxxo")
    for name, value in to.items():
        body = changed(body, name, to=value)
    (event,) = read_payment(body)
    return event


STATUSES = [
    *[
        ("pending", d, "pending")
        for d in ("pending_waiting_payment", "pending_waiting_transfer", "pending_challenge", None)
    ],
    *[
        ("in_process", d, "processing")
        for d in ("pending_contingency", "pending_review_manual", "offline_process", "deferred_retry", None)
    ],
    ("authorized", "pending_capture", "processing"),
    ("approved", "accredited", "completed"),
    ("approved", None, "completed"),
    ("refunded", "refunded", "refunded"),
    ("refunded", "by_admin", "refunded"),
    ("cancelled", "expired", "expired"),
    ("cancelled", "by_collector", "canceled"),
    ("cancelled", "by_payer", "canceled"),
    ("canceled", "expired", "expired"),
    ("canceled", "by_payer", "canceled"),
    *[
        ("rejected", d, "failed")
        for d in (
            "bank_error",
            "cc_rejected_high_risk",
            "cc_rejected_3ds_challenge",
            "rejected_by_regulations",
            "new",
            None,
        )
    ],
    ("in_mediation", "pending", "disputed"),
    ("charged_back", "in_process", "disputed"),
    ("charged_back", None, "disputed"),
    ("charged_back", "settled", "dispute_lost"),
    ("charged_back", "reimbursed", "dispute_won"),
]


@pytest.mark.parametrize(("status", "detail", "kind"), STATUSES)
def test_status(status: str, detail: str | None, kind: str) -> None:
    event = payment(status=status, status_detail=detail)
    assert (event.kind, event.reason) == (kind, detail)
    assert event.raw_type == (f"{status}/{detail}" if detail else status)
    has_paid = kind in ("completed", "refunded", "disputed", "dispute_lost", "dispute_won")
    assert event.received_minor == (150_050 if has_paid else None)
    assert event.refunded_minor == (150_050 if kind == "refunded" else None)


@pytest.mark.parametrize("status", ["newly_invented", "Approved", "APPROVED"])
def test_an_unknown_status_raises_the_alert(status: str) -> None:
    outcome = events.read_snapshot(changed(sample("mercadopago", "payment.approved.oxxo"), "status", to=status), AS_OF)
    assert isinstance(outcome, Ignored)
    assert (outcome.raw_type, outcome.known) == (f"{status}/accredited", False)


@pytest.mark.parametrize("detail", [None, "newly_invented"])
@pytest.mark.parametrize(
    ("deadline", "kind"),
    [
        ("2026-11-21T23:59:57.000-04:00", "expired"),
        ("2026-11-21T21:59:56.000-06:00", "expired"),
        ("2026-11-21T23:59:57.001-04:00", "canceled"),
        (None, "canceled"),
        ("soon", "canceled"),
    ],
)
def test_a_cancellation_without_a_known_reason_is_decided_by_the_deadline(
    detail: str | None, deadline: str | None, kind: str
) -> None:
    assert payment(status="cancelled", status_detail=detail, date_of_expiration=deadline).kind == kind


def test_what_was_called_off_after_its_deadline_was_called_off() -> None:
    late = "2026-11-20T00:00:00.000-04:00"
    assert payment(status="cancelled", status_detail="by_payer", date_of_expiration=late).kind is EventKind.CANCELED


def test_refunds_are_cumulative_and_survive_in_every_state() -> None:
    partly = {"transaction_amount_refunded": 500.5}
    assert (payment(**partly).kind, payment(**partly).refunded_minor) == (EventKind.REFUNDED, 50_050)
    disputed = payment(status="charged_back", status_detail="in_process", **partly)
    assert (disputed.kind, disputed.refunded_minor, disputed.received_minor) == (EventKind.DISPUTED, 50_050, 150_050)
    assert payment(transaction_amount_refunded=None).kind is EventKind.COMPLETED
    assert payment(status="refunded", transaction_amount_refunded=1500.49).refunded_minor == 150_049


@pytest.mark.parametrize(
    ("written", "minor"), [("1500.5", 150_050), ("1500", 150_000), ("0.29", 29), ("1500.50", 150_050)]
)
def test_pesos_become_centavos_exactly(written: str, minor: int) -> None:
    body = sample("mercadopago", "payment.approved.oxxo").replace(
        b'"transaction_amount": 1500.5', b'"transaction_amount": ' + written.encode()
    )
    (event,) = read_payment(body)
    assert event.amount_minor == event.received_minor == minor


@pytest.mark.parametrize(
    ("type_id", "method_id", "method"),
    [
        ("ticket", "oxxo", "oxxo"),
        ("ticket", "paycash", "oxxo"),
        ("ticket", "new_store", "oxxo"),
        ("atm", "banamex", "oxxo"),
        ("atm", "bancomer", "oxxo"),
        ("bank_transfer", "clabe", "spei"),
        (None, "clabe", "spei"),
        ("credit_card", "visa", "card"),
        ("debit_card", "debmaster", "card"),
        ("prepaid_card", "visa", "card"),
        ("account_money", "account_money", "unknown"),
        (None, None, "unknown"),
    ],
)
def test_methods(type_id: str | None, method_id: str | None, method: str) -> None:
    assert payment(payment_type_id=type_id, payment_method_id=method_id).method == method


@pytest.mark.parametrize("changed_at", [None, "", "yesterday", "2026-11-21T23:59:57", 5])
def test_without_a_time_of_its_own_a_payment_has_the_time_of_the_answer(changed_at: object) -> None:
    assert payment(date_last_updated=changed_at).occurred_at == AS_OF


def test_the_live_flag_is_not_believed_and_references_are_hints() -> None:
    assert payment(live_mode=False).livemode is payment(live_mode=True).livemode is None
    assert payment(external_reference=None).merchant_reference is None
    assert payment(external_reference=7).merchant_reference == "7"
    assert payment(id=PAYMENT_ID).psp_payment_id == PAYMENT_ID


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", None),
        ("id", "abc"),
        ("id", 1.5),
        ("id", True),
        ("status", None),
        ("status", 1),
        ("currency_id", None),
        ("currency_id", "BRL"),
        ("transaction_amount", None),
        ("transaction_amount", 1500.505),
        ("transaction_amount", -1),
        ("transaction_amount", "NaN"),
        ("transaction_amount", 10**30),
        ("transaction_amount_refunded", -1),
        ("transaction_amount_refunded", 0.001),
    ],
)
def test_an_unreadable_payment_is_unparseable(name: str, value: object) -> None:
    with pytest.raises(Unparseable):
        events.read_snapshot(changed(sample("mercadopago", "payment.approved.oxxo"), name, to=value), AS_OF)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xff", b"{}", b'{"status":"approved"}'])
def test_what_is_no_payment_is_unparseable(body: bytes) -> None:
    with pytest.raises(Unparseable):
        events.read_snapshot(body, AS_OF)
