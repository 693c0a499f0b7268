"""What every sample and every event type means, one line each."""

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest

from models.states import Direction, EventKind, Method
from psps.base import CryptoLeg, Ignored, PaymentEvent, Unparseable
from psps.registry import PSPS
from psps.stp.contract import ESTADO_KINDS, IGNORED_ESTADOS
from tests.psps.samples import DROP, all_samples, changed, sample

OXXO, SPEI, CARD = "pi_3QvecOXXO0001", "pi_3QvecSPEI0001", "pi_3QvecCARD0001"
ORDER, CHARGE, DEPOSIT = "ord_2zQvec000001", "69208c41e777ac0001f2140c", "40012:MBAN01002611210000000001:20261123"
# PSP, sample: kind, payment, amount, received, refunded, currency, method, own reference, other ids
MEANINGS: dict[tuple[str, str], tuple] = {
    ("stripe", "payment_intent.requires_action.spei"): ("pending", SPEI, 150050, None, None, "MXN", "spei", "ORD-1001", ()),
    ("stripe", "payment_intent.partially_funded.spei"): ("partially_funded", SPEI, 150050, 100000, None, "MXN", "spei", "ORD-1001", ()),
    ("stripe", "payment_intent.succeeded.oxxo"): ("completed", OXXO, 150050, 150050, None, "MXN", "oxxo", "ORD-1001", ("ch_3QvecOXXO0001",)),
    ("stripe", "payment_intent.payment_failed.oxxo_expired"): ("expired", OXXO, 150050, None, None, "MXN", "oxxo", "ORD-1001", ()),
    ("stripe", "payment_intent.canceled"): ("canceled", OXXO, 150050, None, None, "MXN", "oxxo", "ORD-1001", ()),
    ("stripe", "charge.refunded.partial"): ("refunded", CARD, 150050, 150050, 50050, "MXN", "unknown", "ORD-1002", ("ch_3QvecCARD0001",)),
    ("stripe", "charge.refunded.full"): ("refunded", CARD, 150050, 150050, 150050, "MXN", "unknown", "ORD-1002", ("ch_3QvecCARD0001",)),
    ("stripe", "refund.failed"): ("refund_failed", CARD, None, None, None, "MXN", "unknown", None, ("re_3Qvec0001", "ch_3QvecCARD0001")),
    ("stripe", "charge.dispute.closed.won"): ("dispute_won", CARD, None, None, None, "MXN", "unknown", None, ("du_1Vec", "ch_3QvecCARD0001")),
    ("stripe", "checkout.session.completed.unpaid_oxxo"): ("pending", OXXO, 150050, None, None, "MXN", "unknown", "ORD-1001", ("cs_test_vec01",)),
    ("stripe", "checkout.session.async_payment_succeeded"): ("completed", OXXO, 150050, 150050, None, "MXN", "unknown", "ORD-1001", ("cs_test_vec01",)),
    ("stripe", "checkout.session.async_payment_failed"): ("expired", OXXO, 150050, None, None, "MXN", "unknown", "ORD-1001", ("cs_test_vec01",)),
    ("stripe", "crypto.onramp_session.updated"): ("completed", "cos_1Vec", 7650, 7650, None, "USD", "crypto_onramp", "ORD-1003", ()),
    ("conekta", "order.pending_payment.cash"): ("pending", ORDER, 150050, None, None, "MXN", "oxxo", "ORD-1001", (CHARGE,)),
    ("conekta", "order.paid.cash"): ("completed", ORDER, 150050, 150050, None, "MXN", "oxxo", "ORD-1001", (CHARGE,)),
    ("conekta", "order.canceled"): ("canceled", ORDER, 150050, None, None, "MXN", "oxxo", "ORD-1001", (CHARGE,)),
    ("conekta", "order.partially_refunded"): ("refunded", ORDER, 150050, 150050, 50050, "MXN", "card", "ORD-1001", (CHARGE,)),
    ("conekta", "order.refunded"): ("refunded", ORDER, 150050, 150050, 150050, "MXN", "card", "ORD-1001", (CHARGE,)),
    ("conekta", "charge.declined.card"): ("failed", ORDER, 150050, None, None, "MXN", "card", "ORD-1001", (CHARGE,)),
    ("conekta", "charge.reversed.cash"): ("returned", ORDER, 150050, 150050, None, "MXN", "oxxo", "ORD-1001", (CHARGE,)),
    ("conekta", "charge.chargeback.created"): ("disputed", None, None, None, None, None, "card", None, (CHARGE,)),
    ("stp", "sendAbono"): ("completed", DEPOSIT, 150025, 150025, None, "MXN", "spei", None, ("deposit:3191365",)),
    ("stp", "sendAbono.older"): ("completed", DEPOSIT, 150025, 150025, None, "MXN", "spei", None, ("deposit:3191365",)),
    ("stp", "cambioEstado.success"): ("completed", "order:21784919", None, None, None, "MXN", "spei", "ord1001ref1", ()),
    ("stp", "cambioEstado.refund"): ("returned", "order:21784920", None, None, None, "MXN", "spei", "ord1002ref1", ()),
    ("stp", "cambioEstado.cancel"): ("canceled", "order:21784921", None, None, None, "MXN", "spei", None, ()),
}  # fmt: skip
IGNORED = {
    ("stripe", "customer_cash_balance_transaction.created"),
    ("conekta", "webhook_ping"),
    ("stp", "sendAbono.return"),
}


def only(psp: str, body: bytes) -> PaymentEvent:
    (event,) = PSPS[psp].events.parse({}, body)
    return event


def ignored(psp: str, body: bytes) -> Ignored:
    outcome = PSPS[psp].events.read({}, body)
    assert isinstance(outcome, Ignored)
    assert PSPS[psp].events.parse({}, body) == []
    return outcome


def test_every_sample_has_a_line() -> None:
    assert set(all_samples()) == set(MEANINGS) | IGNORED


@pytest.mark.parametrize(("psp", "name"), MEANINGS, ids="-".join)
def test_sample(psp: str, name: str) -> None:
    event = only(psp, sample(psp, name))
    seen = (
        event.kind, event.psp_payment_id, event.amount_minor, event.received_minor, event.refunded_minor,
        event.currency, event.method, event.merchant_reference, event.psp_refs,
    )  # fmt: skip
    assert seen == MEANINGS[psp, name]
    assert event.livemode is (None if psp == "stp" else False)
    assert event.direction is (Direction.OUT if name.startswith("cambio") else Direction.IN)
    for field in fields(event):
        value = getattr(event, field.name)
        assert not isinstance(value, float)
        assert not isinstance(value, datetime) or value.tzinfo is UTC


@pytest.mark.parametrize(("psp", "name"), sorted(IGNORED), ids="-".join)
def test_ignored_sample_is_known(psp: str, name: str) -> None:
    assert ignored(psp, sample(psp, name)).known


# Stripe


@pytest.mark.parametrize(
    ("raw_type", "kind"),
    [
        ("payment_intent.created", EventKind.PENDING),
        ("payment_intent.requires_action", EventKind.PENDING),
        ("payment_intent.processing", EventKind.PROCESSING),
        ("payment_intent.amount_capturable_updated", EventKind.PROCESSING),
        ("payment_intent.succeeded", EventKind.COMPLETED),
        ("payment_intent.payment_failed", EventKind.FAILED),
        ("payment_intent.canceled", EventKind.CANCELED),
    ],
)
def test_stripe_payment_intent_types(raw_type: str, kind: EventKind) -> None:
    event = only("stripe", changed(sample("stripe", "payment_intent.succeeded.oxxo"), "type", to=raw_type))
    assert (event.kind, event.raw_type) == (kind, raw_type)


def stripe_object(name: str, **to: Any) -> bytes:
    body = sample("stripe", name)
    for field, value in to.items():
        body = changed(body, "data", "object", field, to=value)
    return body


def test_stripe_declined_card_is_failed_with_its_code() -> None:
    error = {"code": "card_declined", "payment_method": {"type": "card"}}
    body = stripe_object("payment_intent.payment_failed.oxxo_expired", last_payment_error=error)
    event = only("stripe", changed(body, "data", "object", "payment_method_types", to=["card", "oxxo"]))
    assert (event.kind, event.reason, event.method) == (EventKind.FAILED, "card_declined", Method.CARD)


@pytest.mark.parametrize(("late", "kind"), [(-1, EventKind.EXPIRED), (0, EventKind.FAILED), (1, EventKind.FAILED)])
def test_stripe_voucher_past_its_deadline_is_expired_without_the_code(late: int, kind: EventKind) -> None:
    deadline = 1_795_586_400 + late
    action = {"type": "oxxo_display_details", "oxxo_display_details": {"expires_after": deadline}}
    body = stripe_object("payment_intent.payment_failed.oxxo_expired", last_payment_error=None, next_action=action)
    event = only("stripe", body)
    assert event.kind is kind
    assert event.expires_at == datetime.fromtimestamp(deadline, UTC)


def test_stripe_canceled_because_expired() -> None:
    body = stripe_object("payment_intent.canceled", cancellation_reason="expired")
    assert only("stripe", body).kind is EventKind.EXPIRED


@pytest.mark.parametrize("change", ["created", "updated", "funds_withdrawn", "funds_reinstated", "closed"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("warning_needs_response", EventKind.DISPUTE_INQUIRY),
        ("warning_under_review", EventKind.DISPUTE_INQUIRY),
        ("warning_closed", EventKind.DISPUTE_INQUIRY),
        ("prevented", EventKind.DISPUTE_INQUIRY),
        ("needs_response", EventKind.DISPUTED),
        ("under_review", EventKind.DISPUTED),
        ("appeal_needs_response", EventKind.DISPUTED),
        ("appeal_under_review", EventKind.DISPUTED),
        ("won", EventKind.DISPUTE_WON),
        ("lost", EventKind.DISPUTE_LOST),
    ],
)
def test_stripe_disputes(change: str, status: str, kind: EventKind) -> None:
    body = changed(stripe_object("charge.dispute.closed.won", status=status), "type", to=f"charge.dispute.{change}")
    if change == "funds_withdrawn" and kind is EventKind.DISPUTE_INQUIRY:
        kind = EventKind.DISPUTED
    assert only("stripe", body).kind is kind


def test_stripe_unknown_statuses_raise_the_alert() -> None:
    assert not ignored("stripe", stripe_object("charge.dispute.closed.won", status="newly_invented")).known
    assert not ignored("stripe", stripe_object("crypto.onramp_session.updated", status="newly_invented")).known


@pytest.mark.parametrize("raw_type", ["refund.created", "refund.updated", "charge.refund.updated", "refund.failed"])
@pytest.mark.parametrize("status", ["pending", "requires_action", "succeeded", "failed", "canceled"])
def test_stripe_refunds(raw_type: str, status: str) -> None:
    body = changed(stripe_object("refund.failed", status=status), "type", to=raw_type)
    if raw_type == "refund.failed" or status in ("failed", "canceled"):
        event = only("stripe", body)
        assert (event.kind, event.refund_ref, event.refund_minor) == (EventKind.REFUND_FAILED, "re_3Qvec0001", 50_050)
        assert event.refunded_minor is None
    else:
        assert ignored("stripe", body).known


@pytest.mark.parametrize("name", ["charge.refunded.full", "refund.failed", "charge.dispute.closed.won"])
def test_stripe_without_payment_intent_the_charge_leads_to_the_payment(name: str) -> None:
    for body in (
        stripe_object(name, payment_intent=None),
        changed(sample("stripe", name), "data", "object", "payment_intent", to=DROP),
    ):
        event = only("stripe", body)
        assert event.psp_payment_id is None
        assert "ch_3QvecCARD0001" in event.psp_refs


def test_stripe_expanded_objects_are_read_by_their_id() -> None:
    body = stripe_object("charge.dispute.closed.won", payment_intent={"id": CARD, "amount": 1}, charge={"id": "ch_1"})
    assert (only("stripe", body).psp_payment_id, only("stripe", body).psp_refs) == (CARD, ("du_1Vec", "ch_1"))


def test_stripe_sessions() -> None:
    name = "checkout.session.completed.unpaid_oxxo"
    paid = only("stripe", stripe_object(name, payment_status="paid", payment_method_types=["card"]))
    assert (paid.kind, paid.received_minor, paid.method) == (EventKind.COMPLETED, 150_050, Method.CARD)
    assert ignored("stripe", stripe_object(name, payment_intent=None)).known
    assert ignored("stripe", stripe_object(name, payment_status="no_payment_required")).known
    assert not ignored("stripe", stripe_object(name, payment_status="perhaps")).known
    expired = changed(sample("stripe", name), "type", to="checkout.session.expired")
    assert only("stripe", expired).kind is EventKind.EXPIRED
    debit = stripe_object("checkout.session.async_payment_failed", payment_method_types=["sepa_debit"])
    assert only("stripe", debit).kind is EventKind.FAILED
    unreferenced = stripe_object(name, metadata={}, client_reference_id="C-7")
    assert only("stripe", unreferenced).merchant_reference == "C-7"


@pytest.mark.parametrize("raw_type", ["crypto.onramp_session.updated", "crypto.onramp_session_updated"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("initialized", EventKind.PENDING),
        ("requires_payment", EventKind.PENDING),
        ("fulfillment_processing", EventKind.PROCESSING),
        ("fulfillment_complete", EventKind.COMPLETED),
        ("rejected", EventKind.FAILED),
    ],
)
def test_stripe_onramp(raw_type: str, status: str, kind: EventKind) -> None:
    event = only("stripe", changed(stripe_object("crypto.onramp_session.updated", status=status), "type", to=raw_type))
    assert (event.kind, event.method) == (kind, Method.CRYPTO_ONRAMP)
    assert event.crypto == CryptoLeg("usdc", "base", 75_000_000, 6, "0xabc")


def test_stripe_onramp_before_amounts_are_chosen() -> None:
    body = stripe_object(
        "crypto.onramp_session.updated", status="initialized", transaction_details={"source_amount": None}
    )
    event = only("stripe", body)
    assert (event.amount_minor, event.currency, event.crypto) == (None, None, None)
    with pytest.raises(Unparseable):
        only("stripe", stripe_object("crypto.onramp_session.updated", transaction_details=None))


@pytest.mark.parametrize(
    ("raw_type", "known"),
    [
        ("charge.succeeded", True),
        ("charge.failed", True),
        ("charge.pending", True),
        ("charge.expired", True),
        ("charge.updated", True),
        ("cash_balance.funds_available", True),
        ("onramp_session_updated", False),
        ("payment_intent.invented", False),
    ],
)
def test_stripe_ignored_types(raw_type: str, known: bool) -> None:
    outcome = ignored("stripe", changed(sample("stripe", "charge.refunded.full"), "type", to=raw_type))
    assert (outcome.raw_type, outcome.known) == (raw_type, known)


def test_stripe_thin_event_raises_the_alert() -> None:
    assert not ignored("stripe", b'{"id":"evt_1","object":"v2.core.event","type":"v1.billing.meter.error"}').known


BAD_AMOUNTS = [True, "100", 12.9, -1, 2**63, None, [], {}]


@pytest.mark.parametrize("amount", BAD_AMOUNTS, ids=repr)
@pytest.mark.parametrize(
    ("psp", "name", "path"),
    [
        ("stripe", "payment_intent.succeeded.oxxo", ("data", "object", "amount")),
        ("stripe", "payment_intent.succeeded.oxxo", ("data", "object", "amount_received")),
        ("stripe", "charge.refunded.full", ("data", "object", "amount_refunded")),
        ("stripe", "refund.failed", ("data", "object", "amount")),
        ("stripe", "checkout.session.async_payment_succeeded", ("data", "object", "amount_total")),
        ("conekta", "order.paid.cash", ("data", "object", "amount")),
        ("conekta", "order.partially_refunded", ("data", "object", "amount_refunded")),
        ("conekta", "charge.declined.card", ("data", "object", "amount")),
    ],
)
def test_bad_amount_is_unparseable(psp: str, name: str, path: tuple[str, ...], amount: object) -> None:
    with pytest.raises(Unparseable, match="amount"):
        PSPS[psp].events.read({}, changed(sample(psp, name), *path, to=amount))


@pytest.mark.parametrize(
    ("psp", "name", "path", "value"),
    [
        ("stripe", "payment_intent.succeeded.oxxo", ("type",), 1),
        ("stripe", "payment_intent.succeeded.oxxo", ("created",), "yesterday"),
        ("stripe", "payment_intent.succeeded.oxxo", ("livemode",), "false"),
        ("stripe", "payment_intent.succeeded.oxxo", ("data",), []),
        ("stripe", "payment_intent.succeeded.oxxo", ("data", "object"), None),
        ("stripe", "payment_intent.succeeded.oxxo", ("data", "object", "object"), "charge"),
        ("stripe", "payment_intent.succeeded.oxxo", ("data", "object", "id"), None),
        ("stripe", "payment_intent.succeeded.oxxo", ("data", "object", "id"), "x" * 201),
        ("stripe", "payment_intent.succeeded.oxxo", ("data", "object", "currency"), "pesos"),
        ("conekta", "order.paid.cash", ("data", "object", "id"), 7),
        ("conekta", "order.paid.cash", ("created_at",), DROP),
        ("conekta", "charge.chargeback.created", ("data", "object", "charge_id"), DROP),
        ("stp", "sendAbono", ("monto",), 1500.255),
        ("stp", "sendAbono", ("monto",), "1e3"),
        ("stp", "sendAbono", ("monto",), True),
        ("stp", "sendAbono", ("monto",), -1),
        ("stp", "sendAbono", ("monto",), DROP),
        ("stp", "sendAbono", ("claveRastreo",), ""),
        ("stp", "sendAbono", ("fechaOperacion",), "2026-11-23"),
        ("stp", "sendAbono", ("institucionOrdenante",), True),
        ("stp", "sendAbono", ("tipoPago",), "uno"),
        ("stp", "sendAbono", ("tsLiquidacion",), "soon"),
        ("stp", "sendAbono", ("Monto",), 1),
        ("stp", "sendAbono", ("estado",), "Success"),
        ("stp", "cambioEstado.success", ("id",), True),
        ("stp", "cambioEstado.success", ("estado",), ["Success"]),
    ],
)
def test_unclear_field_is_unparseable(psp: str, name: str, path: tuple[str, ...], value: object) -> None:
    with pytest.raises(Unparseable):
        PSPS[psp].events.read({}, changed(sample(psp, name), *path, to=value))


# Conekta


@pytest.mark.parametrize(
    ("raw_type", "kind"),
    [
        ("order.created", "pending"),
        ("order.pending_payment", "pending"),
        ("order.under_fraud_review", "processing"),
        ("order.pre_authorized", "processing"),
        ("order.paid", "completed"),
        ("order.declined", "failed"),
        ("order.fraudulent", "failed"),
        ("order.expired", "expired"),
        ("order.canceled", "canceled"),
        ("order.voided", "canceled"),
        ("order.refunded", "refunded"),
        ("order.charged_back", "disputed"),
        ("charge.created", "pending"),
        ("charge.pending_confirmation", "processing"),
        ("charge.under_fraud_review", "processing"),
        ("charge.preauthorized", "processing"),
        ("charge.paid", "completed"),
        ("charge.declined", "failed"),
        ("charge.fraudulent", "failed"),
        ("charge.expired", "expired"),
        ("charge.canceled", "canceled"),
        ("charge.refunded", "refunded"),
        ("charge.reversed", "returned"),
    ],
)
def test_conekta_types(raw_type: str, kind: str) -> None:
    name = "order.paid.cash" if raw_type.startswith("order") else "charge.reversed.cash"
    event = only("conekta", changed(sample("conekta", name), "type", to=raw_type))
    assert (event.kind, event.psp_payment_id, event.psp_refs) == (kind, ORDER, (CHARGE,))
    assert event.received_minor == (150_050 if kind in ("completed", "refunded", "returned", "disputed") else None)
    assert event.refunded_minor == (150_050 if kind == "refunded" else None)


@pytest.mark.parametrize(
    ("raw_type", "status", "kind"),
    [
        ("created", "action_required", "disputed"),
        ("updated", "under_review", "disputed"),
        ("updated", "won", "dispute_won"),
        ("updated", "lost", "dispute_lost"),
        ("under_review", "represented", "disputed"),
        ("lost", "action_required", "dispute_lost"),
        ("won", "won", "dispute_won"),
    ],
)
def test_conekta_chargebacks(raw_type: str, status: str, kind: str) -> None:
    body = changed(sample("conekta", "charge.chargeback.created"), "type", to=f"charge.chargeback.{raw_type}")
    assert only("conekta", changed(body, "data", "object", "status", to=status)).kind == kind


@pytest.mark.parametrize(
    ("raw_type", "known"),
    [
        ("order.updated", True),
        ("charge.score_updated", True),
        ("webhook_ping", True),
        ("webhook.created", True),
        ("customer.created", True),
        ("plan.updated", True),
        ("subscription.paid", True),
        ("payout.paid_out", True),
        ("order.invented", False),
        ("customer", False),
    ],
)
def test_conekta_ignored_types(raw_type: str, known: bool) -> None:
    assert ignored("conekta", changed(sample("conekta", "order.paid.cash"), "type", to=raw_type)).known is known


def test_conekta_full_refund_without_the_sum_and_partial_refund_without_it() -> None:
    path = ("data", "object", "amount_refunded")
    assert only("conekta", changed(sample("conekta", "order.refunded"), *path, to=DROP)).refunded_minor == 150_050
    with pytest.raises(Unparseable):
        only("conekta", changed(sample("conekta", "order.partially_refunded"), *path, to=0))


@pytest.mark.parametrize(
    ("kind", "method"), [("oxxo", "oxxo"), ("cash_recurrent", "oxxo"), ("spei", "spei"), ("gold", "oxxo")]
)
def test_conekta_methods(kind: str, method: str) -> None:
    path = ("data", "object", "charges", "data", 0, "payment_method", "type")
    assert only("conekta", changed(sample("conekta", "order.paid.cash"), *path, to=kind)).method == method


# STP

SPELLINGS = {
    "completed": ["Success", "Liquidacion", "LIQUIDACION", "Liquidación", "exito", "Éxito", "LIQUIDADO", "LQ", "TLQ"],
    "returned": ["Refund", "DEVOLUCION", "devolucion", "Devolución", "DEVUELTO", "D", "TD", "XD", "XR", "RE"],
    "canceled": ["Cancel", "CANCELACION", "Cancelación", "CANCELADO", "XC", "CN", "CL", "CA", "CR", "TCL"],
    "failed": ["Decline", "RL", "RA", "RB", "EL"],
    "pending": ["C", "PL", "L", "PA"],
    "processing": ["A", "E", "EA", "TC", "TL", "TA"],
}


@pytest.mark.parametrize(("kind", "word"), [(kind, word) for kind, words in SPELLINGS.items() for word in words])
def test_stp_estado(kind: str, word: str) -> None:
    body = sample("stp", "cambioEstado.success")
    spellings = [word, word.upper(), word.lower(), f"{word} ", {"code": word, "msg": "x"}, {"code": "0", "msg": word}]
    for spelled in spellings:
        event = only("stp", changed(body, "estado", to=spelled))
        assert (event.kind, event.direction, event.psp_payment_id) == (kind, Direction.OUT, "order:21784919")
    older = changed(changed(body, "estado", to=DROP), "Estado", to=word)
    assert only("stp", changed(older, "Detalle", to="")).kind == kind


def test_stp_estado_table_is_all_there() -> None:
    plain = str.maketrans("éó", "eo")
    spelled = {word.casefold().translate(plain): kind for kind, words in SPELLINGS.items() for word in words}
    assert spelled == ESTADO_KINDS
    for estado in IGNORED_ESTADOS:
        assert ignored("stp", changed(sample("stp", "cambioEstado.success"), "estado", to=estado)).known


def test_stp_unknown_estado_raises_the_alert_and_says_what_to_do() -> None:
    outcome = ignored("stp", changed(sample("stp", "cambioEstado.success"), "estado", to="Perdido"))
    assert not outcome.known and "read the order back" in outcome.reason


def test_stp_times_and_causes() -> None:
    settled = only("stp", sample("stp", "cambioEstado.success"))
    assert settled.occurred_at == datetime(2026, 11, 21, 0, 1, 0, 456_000, tzinfo=UTC)
    returned = only("stp", sample("stp", "cambioEstado.refund"))
    assert (returned.occurred_at, returned.reason) == (None, "1")
    cause = changed(sample("stp", "cambioEstado.refund"), "causaDevolucion", to={"code": 14, "msg": "dato faltante"})
    assert only("stp", cause).reason == "14"


@pytest.mark.parametrize("payment_type", [0, 16, 17, 18, 23, 24, "17"])
def test_stp_return_is_never_a_deposit(payment_type: object) -> None:
    assert ignored("stp", changed(sample("stp", "sendAbono"), "tipoPago", to=payment_type)).known


@pytest.mark.parametrize("payment_type", [1, "1", 5, 19, None])
def test_stp_other_payment_types_are_deposits(payment_type: object) -> None:
    event = only("stp", changed(sample("stp", "sendAbono"), "tipoPago", to=payment_type))
    assert (event.kind, event.clabe) == (EventKind.COMPLETED, "646180110400000007")


@pytest.mark.parametrize("monto", [1500.25, "1500.25", "1500.250", "1500.251"])
def test_stp_monto_is_a_number_or_a_text(monto: object) -> None:
    body = changed(sample("stp", "sendAbono"), "monto", to=monto)
    if monto == "1500.251":
        with pytest.raises(Unparseable):
            only("stp", body)
    else:
        assert only("stp", body).amount_minor == 150_025


@pytest.mark.parametrize("value", [0, -1, "1795413599", 1795413599.5, 10**18, True, {}, None])
def test_an_expiry_that_cannot_be_read_parks_no_payment(value: object) -> None:
    """It is good to have and decides about no money."""
    order = changed(
        sample("conekta", "order.paid.cash"),
        *("data", "object", "charges", "data", 0, "payment_method", "expires_at"),
        to=value,
    )
    [paid] = PSPS["conekta"].events.parse({}, order)
    assert (paid.kind, paid.expires_at) == (EventKind.COMPLETED, None)
    action = {"type": "oxxo_display_details", "oxxo_display_details": {"expires_after": value}}
    intent = changed(sample("stripe", "payment_intent.succeeded.oxxo"), "data", "object", "next_action", to=action)
    [paid] = PSPS["stripe"].events.parse({}, intent)
    assert (paid.kind, paid.expires_at) == (EventKind.COMPLETED, None)
