"""Openpay: who sent it, which charge to fetch, and what the fetched charge says."""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.states import Decision, EventKind, Method
from psps.base import Hint, Ignored, InvalidSignature, PaymentEvent, Reply, Unparseable
from psps.openpay import events, signature
from psps.stp import signature as stp_signature
from tests.psps.samples import DROP, changed, sample, sample_names, vectors
from workers.decisions import fold
from workers.facts import Fact, Standing

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
CREATED = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
DUE = datetime(2026, 11, 23, 5, 59, 59, tzinfo=UTC)
CHARGE = "trvectorq0000000001"
LOGIN = "op_hook:s3creta-ñ:2026"


# Who sent it ----------------------------------------------------------------------------------------------------------


def basic(login: str | bytes) -> str:
    return "Basic " + base64.b64encode(login.encode() if isinstance(login, str) else login).decode()


def verify(header: str | None, secrets: list[str] | None = None) -> str:
    headers = {} if header is None else {"authorization": header}
    return signature.verify(headers, {}, b"{}", [LOGIN] if secrets is None else secrets, NOW)


@pytest.mark.parametrize("vector", vectors("openpay"), ids=lambda vector: vector["name"])
def test_vector(vector: dict[str, Any]) -> None:
    headers = {name.lower(): value for name, value in vector["headers"].items()}
    login = f"{vector['secret_or_keys']['user']}:{vector['secret_or_keys']['password']}"
    arguments = (headers, {}, vector["body_utf8"].encode(), [login], datetime.fromtimestamp(vector["now_unix"], UTC))
    if vector["valid"]:
        assert signature.verify(*arguments) == "user:sha256:" + hashlib.sha256(b"op_hook").hexdigest()[:8]
    else:
        with pytest.raises(InvalidSignature):
            signature.verify(*arguments)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic ",
        basic(LOGIN).replace("Basic", "Digest"),
        basic(LOGIN).replace(" ", ""),
        basic(LOGIN)[:-1],
        basic(LOGIN) + "A",
        "Basic ====",
        "Basic ñ",
        "Basic \udc80",
        f"Basic {LOGIN}",
        basic("op_hook"),
        basic("op_hook:"),
        basic("op_hook:s3creta-ñ"),
        basic(":s3creta-ñ:2026"),
        basic(LOGIN + " "),
        basic(LOGIN.upper()),
        basic(LOGIN.encode("latin-1")),
        basic(b"\xff\xfe"),
    ],
)
def test_an_attack_is_refused(header: str | None) -> None:
    with pytest.raises(InvalidSignature):
        verify(header)


@pytest.mark.parametrize("secret", ["", ":", " : ", "user:", ":password", "user"])
def test_without_user_and_password_nothing_matches(secret: str) -> None:
    with pytest.raises(InvalidSignature):
        verify(basic(secret), [secret])


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=120))
def test_no_header_whatever_gets_past_or_crashes(header: str) -> None:
    with pytest.raises(InvalidSignature):
        verify(header, ["user:password-1"])


def test_while_the_login_is_changed_both_are_taken_and_told_apart() -> None:
    both = ["op_new:n3w-passw0rd", LOGIN]
    assert verify(basic(LOGIN), both) != verify(basic("op_new:n3w-passw0rd"), both)


def test_the_login_of_stp_is_checked_by_the_same_rule() -> None:
    headers = {"authorization": basic(LOGIN)}
    assert stp_signature.verify(headers, {}, b"", [LOGIN], NOW) == verify(basic(LOGIN))


# Which charge to fetch ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in sample_names("openpay") if name != "verification"])
def test_a_sample_about_a_charge_is_a_hint_and_never_an_event(name: str) -> None:
    raw_type = ".".join(name.split(".")[:2])
    assert events.read({}, sample("openpay", name)) == Hint(raw_type, CHARGE)
    assert events.parse({}, sample("openpay", name)) == []


@pytest.mark.parametrize(
    "raw_type",
    [
        "charge.created",
        "charge.succeeded",
        "charge.failed",
        "charge.cancelled",
        "charge.refunded",
        "charge.rescored.to.decline",
        "charge.newly.invented",
        "transaction.expired",
        "chargeback.created",
        "chargeback.rejected",
        "chargeback.accepted",
        "newly.invented",  # its transaction is a charge
    ],
)
def test_types_that_are_hints(raw_type: str) -> None:
    body = changed(sample("openpay", "charge.succeeded.store"), "type", to=raw_type)
    assert events.read({}, body) == Hint(raw_type, CHARGE)


def test_the_charge_of_a_customer_is_fetched_by_the_customers_path() -> None:
    body = changed(sample("openpay", "charge.succeeded.store"), "transaction", "customer_id", to="ag4nktpdzebjiye1tlze")
    assert events.read({}, body) == Hint("charge.succeeded", f"ag4nktpdzebjiye1tlze:{CHARGE}")


def ignored(body: bytes) -> Ignored:
    outcome = events.read({}, body)
    assert isinstance(outcome, Ignored)
    assert events.parse({}, body) == []
    return outcome


@pytest.mark.parametrize(
    "raw_type",
    [
        "payout.created",
        "payout.succeeded",
        "payout.failed",
        "transfer.succeeded",
        "fee.succeeded",
        "fee.refund.succeeded",
        "spei.received",
        "subscription.charge.failed",
        "order.created",
        "order.activated",
        "order.payment.received",
        "order.completed",
        "order.expired",
        "order.cancelled",
        "order.payment.cancelled",
    ],
)
def test_types_about_other_things_are_known_and_ignored(raw_type: str) -> None:
    body = changed(sample("openpay", "charge.succeeded.store"), "type", to=raw_type)
    outcome = ignored(body)
    assert (outcome.raw_type, outcome.known) == (raw_type, True)


@pytest.mark.parametrize("transaction", [DROP, None, {}, {"id": "tr1", "transaction_type": "loan"}, "tr1"])
def test_an_unknown_type_without_a_charge_raises_the_alert(transaction: object) -> None:
    body = changed(sample("openpay", "charge.succeeded.store"), "type", to="loan.granted")
    outcome = ignored(changed(body, "transaction", to=transaction))
    assert (outcome.raw_type, outcome.known) == ("loan.granted", False)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (sample("openpay", "verification"), "verification code UY1qqrxw; enter it in Openpay's dashboard"),
        (b'{"verification_code":"9a8b7c"}', "verification code 9a8b7c; enter it in Openpay's dashboard"),
        (b'{"type":"newly.named","verification_code":1234}', "verification code 1234; enter it in Openpay's dashboard"),
        (b'{"type":"verification"}', "a verification of the webhook without a code"),
        (b'{"type":"verification","verification_code":"a\\nb"}', "a verification of the webhook without a code"),
        (b"{}", "a verification of the webhook without a code"),
        (b"", "a verification of the webhook without a code"),
        (b" \n", "a verification of the webhook without a code"),
    ],
)
def test_a_verification_shows_its_code_to_the_operator(body: bytes, says: str) -> None:
    assert ignored(body) == Ignored("verification", says)


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"[]",
        b'{"type":"charge.succeeded"}',
        b'{"type":"charge.succeeded","transaction":null}',
        b'{"type":"charge.succeeded","transaction":"tr1"}',
        b'{"type":"charge.succeeded","transaction":{}}',
        b'{"type":"charge.succeeded","transaction":{"id":7}}',
        b'{"type":"charge.succeeded","transaction":{"id":"a\\u0000"}}',
        b'{"type":"charge.succeeded","type":"charge.failed","transaction":{"id":"tr1"}}',
        b'{"type":1,"transaction":{"id":"tr1"}}',
        b'{"transaction":{"id":"tr1"}}',
        b'{"type":"x","transaction":{"transaction_type":"charge"}}',
    ],
)
def test_a_message_about_money_that_names_no_charge_is_parked(body: bytes) -> None:
    with pytest.raises(Unparseable):
        events.read({}, body)


def test_the_key_is_made_of_what_makes_the_hint() -> None:
    text = f"charge.succeeded|{CHARGE}|completed|2026-11-21T21:59:58-06:00"
    key = events.event_key({}, sample("openpay", "charge.succeeded.store"))
    assert key == "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def test_the_rest_of_the_body_makes_no_other_event_and_no_conflict() -> None:
    body = sample("openpay", "charge.succeeded.store")
    again = changed(changed(body, "transaction", "conciliated", to=True), "transaction", "amount", to=1)
    assert events.event_key({}, again) == events.event_key({}, body)
    assert events.content_digest(again) == events.content_digest(body)
    assert len(events.content_digest(body)) == 32


@pytest.mark.parametrize(
    "path", [("type",), ("event_date",), ("transaction", "id"), ("transaction", "status")], ids=lambda path: path[-1]
)
def test_every_part_of_the_key_makes_another_event(path: tuple[str, ...]) -> None:
    body = sample("openpay", "charge.refunded.card_partial")
    other = changed(body, *path, to="2026-11-21T22:00:00-06:00")
    assert events.event_key({}, other) != events.event_key({}, body)
    assert events.content_digest(other) != events.content_digest(body)
    for missing in (DROP, None, "", 7, [1]):
        whole = changed(body, *path, to=missing)
        assert events.event_key({}, whole) == "sha256:" + hashlib.sha256(whole).hexdigest()
        assert events.content_digest(whole) == hashlib.sha256(whole).digest()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_key_digest_and_reply_never_raise(body: bytes) -> None:
    assert events.event_key({}, body) == "sha256:" + hashlib.sha256(body).hexdigest()
    assert events.content_digest(body) == hashlib.sha256(body).digest()
    assert events.deposit_clabe(body) is None
    for decision in Decision:
        assert events.reply(body, decision) == Reply(200, b'{"received":true}')


# What the fetched charge says -----------------------------------------------------------------------------------------


def charge(name: str, **to: object) -> bytes:
    fields = json.loads(sample("openpay", name))["transaction"]
    body = json.dumps(fields).encode()
    for field, value in to.items():
        body = changed(body, field, to=value)
    return body


def read(body: bytes, as_of: datetime = NOW) -> list[PaymentEvent]:
    outcome = events.read_snapshot(body, as_of)
    assert isinstance(outcome, list)
    return outcome


def said(kind: EventKind, status: str, **more: Any) -> PaymentEvent:
    fields: dict[str, Any] = {
        "psp_payment_id": CHARGE,
        "occurred_at": NOW,
        "amount_minor": 150_050,
        "currency": "MXN",
        "method": Method.OXXO,
        "merchant_reference": "ORD-1001",
        "expires_at": DUE,
        "created_at": CREATED,
    }
    return PaymentEvent(kind=kind, raw_type=f"charge {status}", **(fields | more))


PAID_CARD = {"method": Method.CARD, "received_minor": 150_050}
PARTLY_BACK = PAID_CARD | {"refunded_minor": 50_050}
SNAPSHOTS = {
    "charge.created.store": [said(EventKind.PENDING, "in_progress", occurred_at=CREATED)],
    "charge.succeeded.store": [said(EventKind.COMPLETED, "completed", received_minor=150_050, fee_minor=1_044)],
    "charge.cancelled.store": [said(EventKind.CANCELED, "cancelled")],
    "transaction.expired.store": [said(EventKind.CANCELED, "cancelled")],  # fetched before its deadline, see below
    "charge.failed.card": [said(EventKind.FAILED, "failed", method=Method.CARD, reason="3001")],
    "charge.refunded.card_partial": [said(EventKind.REFUNDED, "completed", **PARTLY_BACK, ends_disputes=True)],
    "chargeback.created.card": [said(EventKind.DISPUTED, "chargeback_pending", **PAID_CARD)],
}


def test_every_sample_of_a_charge_has_a_line() -> None:
    assert set(SNAPSHOTS) | {"verification"} == set(sample_names("openpay"))


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_the_charge_of_a_sample_is_read_to_the_last_field(name: str) -> None:
    assert read(charge(name)) == SNAPSHOTS[name]


@pytest.mark.parametrize(
    ("status", "method", "kind"),
    [
        ("charge_pending", "store", EventKind.PENDING),
        ("charge_pending", "card", EventKind.PENDING),
        ("in_progress", "store", EventKind.PENDING),
        ("in_progress", "bank_account", EventKind.PENDING),
        ("in_progress", "card", EventKind.PROCESSING),
        ("IN_PROGRESS", "card", EventKind.PROCESSING),
        ("in_progress", "alipay", EventKind.PENDING),
        ("completed", "store", EventKind.COMPLETED),
        ("completed", "bank_account", EventKind.COMPLETED),
        ("completed", "card", EventKind.COMPLETED),
        ("failed", "card", EventKind.FAILED),
        ("cancelled", "store", EventKind.CANCELED),
        ("refunded", "card", EventKind.REFUNDED),
        ("chargeback_pending", "card", EventKind.DISPUTED),
        ("chargeback_accepted", "card", EventKind.DISPUTE_LOST),
        ("chargeback_adjustment", "card", EventKind.DISPUTED),
    ],
)
def test_statuses(status: str, method: str, kind: EventKind) -> None:
    event = read(charge("charge.succeeded.store", status=status, method=method))[0]
    is_paid = kind in (EventKind.COMPLETED, EventKind.REFUNDED, EventKind.DISPUTED, EventKind.DISPUTE_LOST)
    assert event.kind is kind
    assert event.received_minor == (150_050 if is_paid else None)
    assert event.refunded_minor == (150_050 if kind is EventKind.REFUNDED else None)
    assert event.occurred_at == (CREATED if kind is EventKind.PENDING else NOW)


@pytest.mark.parametrize(
    ("name", "method"),
    [("store", Method.OXXO), ("bank_account", Method.SPEI), ("card", Method.CARD), ("alipay", Method.UNKNOWN)],
)
def test_methods(name: str, method: Method) -> None:
    assert read(charge("charge.created.store", method=name))[0].method is method


def test_an_unknown_status_raises_the_alert() -> None:
    outcome = events.read_snapshot(charge("charge.created.store", status="newly_invented"), NOW)
    assert outcome == Ignored("charge newly_invented", "not a status that Acuse knows", known=False)


def test_another_kind_of_transaction_moves_no_payment() -> None:
    outcome = events.read_snapshot(charge("charge.succeeded.store", transaction_type="payout"), NOW)
    assert isinstance(outcome, Ignored)
    assert read(charge("charge.succeeded.store", transaction_type=None)) == SNAPSHOTS["charge.succeeded.store"]


@pytest.mark.parametrize(("late", "kind"), [(0, EventKind.CANCELED), (1, EventKind.EXPIRED)])
def test_a_cancelled_voucher_past_its_deadline_has_expired(late: int, kind: EventKind) -> None:
    as_of = DUE + timedelta(seconds=late)
    for name in ("charge.cancelled.store", "transaction.expired.store"):
        assert read(charge(name), as_of)[0].kind is kind


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("store", EventKind.EXPIRED),
        ("bank_account", EventKind.EXPIRED),
        ("card", EventKind.CANCELED),
        ("x", EventKind.CANCELED),
    ],
)
@pytest.mark.parametrize("due", [None, "", "soon"])
def test_what_is_cancelled_without_a_deadline_may_have_expired_where_a_payer_may_come_late(
    method: str, kind: EventKind, due: object
) -> None:
    assert read(charge("charge.cancelled.store", due_date=due, method=method))[0].kind is kind


@pytest.mark.parametrize(
    "due", ["2026-11-22T23:59:59", "2026-11-22T23:59:59-06:00", "2026-11-23T05:59:59Z", "2026-11-23T00:59:59-0500"]
)
def test_a_time_without_an_offset_is_mexico_citys(due: str) -> None:
    event = read(charge("charge.created.store", due_date=due, creation_date="2026-11-20T21:00:00"))[0]
    assert (event.expires_at, event.occurred_at) == (DUE, CREATED)


def test_in_old_summers_mexico_city_was_an_hour_ahead() -> None:
    event = read(charge("charge.created.store", creation_date="2021-07-01T10:00:00"))[0]
    assert event.occurred_at == datetime(2021, 7, 1, 15, 0, tzinfo=UTC)


ONE, TWO = {"id": "trrefund1", "amount": 500.5}, {"id": "trrefund2", "amount": 1000}


@pytest.mark.parametrize(
    ("fields", "refunded"),
    [
        ({"refund": None}, 0),
        ({"refund": None, "refunds": []}, 0),
        ({"refund": ONE}, 50_050),
        ({"refund": ONE, "refunds": [ONE]}, 50_050),
        ({"refund": TWO, "refunds": [ONE, TWO]}, 150_050),
        ({"refund": None, "refunds": [ONE, TWO]}, 150_050),
        ({"refund": ONE | {"status": "failed"}}, 0),
        ({"refund": None, "refunds": [ONE | {"status": "completed"}, TWO | {"status": "cancelled"}]}, 50_050),
        ({"refund": ONE, "status": "refunded"}, 150_050),
        ({"refund": None, "status": "refunded"}, 150_050),
        ({"refund": ONE | {"status": ["odd"]}}, 50_050),
    ],
)
def test_refunds_are_counted_once_each(fields: dict[str, Any], refunded: int) -> None:
    event = read(charge("charge.refunded.card_partial", **fields))[0]
    assert event.kind is (EventKind.REFUNDED if refunded else EventKind.COMPLETED)
    assert (event.received_minor, event.refunded_minor) == (150_050, refunded or None)


@pytest.mark.parametrize(
    ("amount", "minor"), [("2402", 240_200), ("2000.0", 200_000), ("0.01", 1), ("1500.50", 150_050)]
)
def test_amounts_are_pesos(amount: str, minor: int) -> None:
    body = charge("charge.created.store").replace(b"1500.5", amount.encode())
    assert read(body)[0].amount_minor == minor


def test_a_charge_in_dollars_says_so() -> None:
    assert read(charge("charge.created.store", currency="usd", amount=12.5))[0].currency == "USD"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("amount", value) for value in (True, "1,500", 12.345, -1, None, [], {}, 10**18)],
        ("currency", None),
        ("currency", "pesos"),
        ("id", None),
        ("id", 7),
        ("status", None),
        ("creation_date", None),
        ("creation_date", "yesterday"),
        ("refund", 7),
        ("refund", [ONE]),
        ("refund", {"id": "trrefund1"}),
        ("refunds", {"id": "trrefund1"}),
        ("refunds", [7]),
    ],
)
def test_a_charge_that_cannot_be_read_is_unparseable(field: str, value: object) -> None:
    with pytest.raises(Unparseable):
        events.read_snapshot(charge("charge.refunded.card_partial", **{field: value}), NOW)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{}", b"\xff", b'{"status":"completed"}'])
def test_a_snapshot_that_is_no_charge_is_unparseable(body: bytes) -> None:
    with pytest.raises(Unparseable):
        events.read_snapshot(body, NOW)


@pytest.mark.parametrize("due", [None, "", 7, "soon"])
def test_what_is_only_good_to_have_parks_nothing(due: object) -> None:
    event = read(charge("charge.created.store", due_date=due, order_id=None, error_code={}))[0]
    assert (event.expires_at, event.merchant_reference, event.reason) == (None, None, None)


# Where the snapshots lead ---------------------------------------------------------------------------------------------


def settle(*snapshots: tuple[str, dict[str, Any], int], amount: int = 150_050) -> tuple[str, int, int]:
    """The end of (sample, changes, hours after NOW) in the given order of arrival."""
    facts = [
        Fact(
            e.kind,
            f"{i}/{j}",
            e.occurred_at,
            e.amount_minor,
            e.received_minor,
            e.refunded_minor,
            e.currency,
            ends_disputes=e.ends_disputes or None,
        )
        for i, (name, changes, hours) in enumerate(snapshots)
        for j, e in enumerate(read(charge(name, **changes), NOW + timedelta(hours=hours)))
    ]
    standing, _ = fold(Standing(amount=amount, currency="MXN"), facts)
    return standing.state, standing.received, standing.refunded


def test_an_unpaid_snapshot_that_comes_late_reopens_nothing() -> None:
    unpaid = ("charge.created.store", {}, 40)
    assert settle(("transaction.expired.store", {}, 30), unpaid) == ("expired", 0, 0)
    assert settle(("charge.succeeded.store", {}, 30), unpaid) == ("completed", 150_050, 0)


def test_a_voucher_paid_after_it_was_seen_expired_is_completed() -> None:
    assert settle(("transaction.expired.store", {}, 30), ("charge.succeeded.store", {}, 31)) == (
        "completed",
        150_050,
        0,
    )


def test_a_chargeback_that_was_rejected_leaves_the_payment_as_it_was() -> None:
    paid, back = {"refund": None}, {}
    disputed = ("chargeback.created.card", {}, 1)
    card = "charge.refunded.card_partial"
    assert settle((card, paid, 0), disputed) == ("disputed", 150_050, 0)
    assert settle((card, paid, 0), disputed, (card, paid, 2)) == ("completed", 150_050, 0)
    assert settle((card, back, 0), disputed, (card, back, 2)) == ("partially_refunded", 150_050, 50_050)
    lost = ("chargeback.created.card", {"status": "chargeback_accepted"}, 2)
    assert settle((card, paid, 0), disputed, lost) == ("disputed", 150_050, 0)


def test_no_completed_card_gets_around_an_amount_that_differs() -> None:
    assert settle(("charge.refunded.card_partial", {"refund": None}, 0), amount=150_051)[0] == "pending"
