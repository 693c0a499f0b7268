"""When the PSP made a payment, on which SPEI day it is, and what the PSP keeps of it: as its messages tell it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from psps.base import PaymentEvent
from psps.fees import add_fees
from psps.gate import Gate
from psps.outbound import Client, NotNow, NotOffered, NotThere
from psps.registry import PSPS
from sandbox.flows import SIMULATORS
from sandbox.keys import Keys
from tests.psps.bodies import AS_OF, Body, JsonPath, Outcome, find_body
from tests.psps.conftest import SandboxServer
from tests.psps.samples import DROP, changed, sample, sample_names
from tests.psps.simulated import Told, all_bodies, all_flows, at, live, sign

ONE_SECOND = timedelta(seconds=1)  # some PSPs write milliseconds
ODD_VALUES = (None, True, -1, 0, 2**63, Decimal(10**40), Decimal("0.001"), "", "x" * 500, "1e9", [], {}, [None])
# Openpay's creation_date and STP's fechaOperacion say more than that.
OPTIONAL = {
    "stripe": {"created"},
    "conekta": {"created_at"},
    "stp": {"tsCaptura"},
    "mercadopago": {"date_created"},
    "openpay": {"fee", "amount", "tax"},
    "bitso": {"created_at"},
    "moonpay": {"createdAt"},
    "transak": {"createdAt"},
}
ODD_TIMES = ("2026-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00", 10**18, "99999999")


@pytest.fixture
def client(psp: str, sandbox_server: SandboxServer) -> Iterator[Client]:
    made = PSPS[psp].make_client(sandbox_server.settings(psp), Gate())
    yield made
    made.close()


def hear(told: Told, keys: Keys) -> list[PaymentEvent]:
    outcome = sign(told.payment.psp, told.body, keys).read()
    return outcome if isinstance(outcome, list) else []


def fetch(told: Told, server: SandboxServer, client: Client) -> list[PaymentEvent]:
    """What the simulated API says of the payment as it stands; nothing where it cannot be asked, or not yet."""
    with server.state.lock:
        server.state.add(told.payment)
    try:
        answer = client.fetch(told.payment.id)
    except (NotOffered, NotThere, NotNow):
        return []
    outcome = PSPS[told.payment.psp].events.read_snapshot(answer.body or b"", AS_OF)
    return outcome if isinstance(outcome, list) else []


@pytest.mark.parametrize(("psp", "flow"), all_flows())
def test_a_payment_was_made_at_one_time_whoever_tells_it(
    psp: str, flow: str, sandbox_keys: Keys, sandbox_server: SandboxServer, client: Client
) -> None:
    told_times: dict[str | None, set[datetime]] = {}
    fetched = []
    for told in live(psp, flow):
        snapshot = fetch(told, sandbox_server, client)
        fetched += snapshot
        for event in (*hear(told, sandbox_keys), *snapshot):
            if event.created_at:
                told_times.setdefault(event.psp_payment_id, set()).add(event.created_at)
            if event.psp_payment_id == told.payment.id and event.created_at:
                assert at(told.payment.created) <= event.created_at < at(told.payment.created) + ONE_SECOND
    assert all(len(times) == 1 for times in told_times.values())
    assert all(event.created_at or event.psp_payment_id != told.payment.id for event in fetched)
    if SIMULATORS[psp].flows[flow].final and fetched:
        assert told.payment.id in told_times


@pytest.mark.parametrize("psp", PSPS)
def test_what_is_good_to_have_never_parks_a_delivery(psp: str, sandbox_server: SandboxServer, client: Client) -> None:
    """Every value that, when it is taken away, takes nothing but these three, may be anything."""
    tried: set[str | int] = set()
    for body in list_bodies(psp, sandbox_server, client):
        before = strip(body.read())
        for path in find_optional(body, before):
            tried.add(path[-1])
            for odd in (*ODD_VALUES, *ODD_TIMES):
                assert strip(body.read(body.replace({path: odd}))) == before, (path, odd)
    assert tried >= OPTIONAL[psp]


def list_bodies(psp: str, server: SandboxServer, client: Client) -> Iterator[Body]:
    samples = [find_body(psp, name, sample(psp, name)) for name in sample_names(psp)]
    yield from (body for body in samples if body)
    yield from (Body(PSPS[psp], "webhook", text) for text in all_bodies(psp))
    for flow in SIMULATORS[psp].flows:
        *_, last = live(psp, flow)
        with server.state.lock:
            server.state.add(last.payment)
        try:
            answer = client.fetch(last.payment.id)
        except (NotOffered, NotThere, NotNow):
            continue
        if answer.body:
            yield Body(PSPS[psp], f"fetched in {flow}", answer.body, is_snapshot=True)


def strip(outcome: Outcome | None) -> list[PaymentEvent] | None:
    if not isinstance(outcome, list):
        return None
    return [replace(event, created_at=None, operating_day=None, fee_minor=None) for event in outcome]


def find_optional(body: Body, before: list[PaymentEvent] | None) -> list[JsonPath]:
    """The places of values that only the three optional fields are made of."""
    whole = body.read()
    if before is None:
        return []
    without = {path: body.try_read(body.replace({path: None})) for path, _ in body.places()}
    return [path for path, read in without.items() if strip(read) == before and read != whole]


def snapshot(psp: str, fields: dict[str, Any]) -> PaymentEvent:
    outcome = PSPS[psp].events.read_snapshot(json.dumps(fields).encode(), AS_OF)
    assert isinstance(outcome, list)
    return outcome[0]


def webhook(psp: str, name: str, *path: str | int, to: object) -> PaymentEvent:
    (event,) = PSPS[psp].events.parse({}, changed(sample(psp, name), *path, to=to))
    return event


# Stripe


def paid_intent(**charge: Any) -> dict[str, Any]:
    intent = json.loads(sample("stripe", "payment_intent.succeeded.oxxo"))["data"]["object"]
    return intent | {"created": 1_795_200_000, "latest_charge": {"id": "ch_1", "created": 1_795_300_000, **charge}}


@pytest.mark.parametrize(
    ("transaction", "fee"),
    [
        ({"fee": 5742, "currency": "mxn"}, 5742),
        ({"fee": 0, "currency": "mxn"}, 0),
        ({"fee": 310, "currency": "usd"}, None),
        ({"fee": 310}, None),
        ({"fee": -1, "currency": "mxn"}, None),
        ({"currency": "mxn"}, None),
        ("txn_1", None),
        (None, None),
    ],
)
def test_stripe_tells_a_fee_in_the_currency_of_the_payment_where_the_transaction_is_whole(
    transaction: object, fee: int | None
) -> None:
    event = snapshot("stripe", paid_intent(balance_transaction=transaction))
    assert (event.created_at, event.fee_minor) == (at(1_795_200_000), fee)


@pytest.mark.parametrize("name", ["charge.refunded.full", "refund.failed", "charge.dispute.closed.won"])
def test_stripe_reversals_are_not_the_creation_of_their_payment_but_may_hold_it(name: str) -> None:
    place = ("data", "object", "payment_intent")
    assert webhook("stripe", name, "data", "object", "created", to=1_795_300_000).created_at is None
    whole = webhook("stripe", name, *place, to={"id": "pi_1", "created": 1_795_200_000})
    assert (whole.psp_payment_id, whole.created_at) == ("pi_1", at(1_795_200_000))


def test_a_stripe_session_is_not_the_creation_of_its_payment() -> None:
    name = "checkout.session.async_payment_succeeded"
    assert webhook("stripe", name, "data", "object", "created", to=1_795_300_000).created_at is None


def test_a_dispute_in_a_stripe_answer_is_of_a_payment_as_old_as_the_answer_says() -> None:
    dispute = {
        "id": "du_1",
        "object": "dispute",
        "status": "needs_response",
        "currency": "mxn",
        "created": 1_795_400_000,
    }
    body = json.dumps(paid_intent() | {"disputes": [dispute]}).encode()
    outcome = PSPS["stripe"].events.read_snapshot(body, AS_OF)
    assert isinstance(outcome, list)
    assert [event.created_at for event in outcome] == [at(1_795_200_000)] * 2


# Conekta


@pytest.mark.parametrize(
    ("charges", "fee"),
    [
        ([("paid", 1800)], 1800),
        ([("paid", 1800), ("paid", 200)], 2000),
        ([("declined", DROP), ("paid", 1800)], 1800),
        ([("paid", 1800), ("paid", DROP)], None),
        ([("paid", "1800")], None),
        ([("declined", 90)], None),
        ([], None),
    ],
)
def test_conekta_tells_a_fee_where_every_paid_charge_does(charges: list[tuple[str, Any]], fee: int | None) -> None:
    data = [{"id": f"c{n}", "status": status, "fee": own} for n, (status, own) in enumerate(charges)]
    rows = [{name: value for name, value in row.items() if value is not DROP} for row in data]
    event = webhook("conekta", "order.paid.cash", "data", "object", "charges", to={"data": rows})
    assert event.fee_minor == fee
    cut_off = webhook("conekta", "order.paid.cash", "data", "object", "charges", to={"data": rows, "has_more": True})
    assert cut_off.fee_minor is None


def test_a_conekta_charge_is_not_the_creation_of_its_order() -> None:
    event = webhook("conekta", "charge.declined.card", "data", "object", "created_at", to=1_795_300_000)
    assert event.created_at is None


# STP


@pytest.mark.parametrize(
    ("value", "day"), [(20261123, date(2026, 11, 23)), ("20261123  ", date(2026, 11, 23)), ("20261399", None)]
)
def test_stp_tells_the_operating_date_of_a_deposit_as_a_number_or_text(value: object, day: date | None) -> None:
    event = webhook("stp", "sendAbono", "fechaOperacion", to=value)
    assert (event.operating_day, event.created_at) == (day, None)
    assert webhook("stp", "sendAbono.older", "FechaOperacion", to=value).operating_day == day


@pytest.mark.parametrize("direction", ["E", "R"])
def test_stp_rows_tell_the_operating_date_and_the_time_of_capture(direction: str) -> None:
    row = {
        "idEF": 7, "claveRastreo": "A1", "institucionContraparte": 40012, "estado": "LQ", "monto": "10.00",
        "fechaOperacion": 20261123, "tsCaptura": 1795219200123, "tsLiquidacion": 1795219260456,
    }  # fmt: skip
    event = snapshot("stp", {"tipoOrden": direction, "orden": row})
    assert (event.operating_day, event.created_at) == (
        date(2026, 11, 23),
        datetime(2026, 11, 21, 0, 0, 0, 123_000, UTC),
    )
    assert snapshot("stp", {"tipoOrden": direction, "orden": row | {"tsCaptura": "0"}}).created_at is None


# Mercado Pago, Openpay


@pytest.mark.parametrize(
    ("details", "fee"),
    [
        ([("collector", 53.24)], 5324),
        ([("collector", 53.24), ("payer", 9), ("collector", 1)], 5424),
        ([("payer", 9)], None),
        ([("collector", 53.24), ("collector", None)], None),
        ([("collector", 0.001)], None),
        ([], None),
        (None, None),
    ],
)
def test_mercado_pago_keeps_of_the_fees_those_of_the_collector(
    details: list[tuple[str, Any]] | None, fee: int | None
) -> None:
    payment = json.loads(sample("mercadopago", "payment.approved.oxxo"))
    listed = details and [{"type": "any", "fee_payer": who, "amount": amount} for who, amount in details]
    event = snapshot("mercadopago", payment | {"fee_details": listed, "date_created": "2026-11-21T23:30:00.000-04:00"})
    assert (event.fee_minor, event.created_at) == (fee, datetime(2026, 11, 22, 3, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("fee", "minor"),
    [
        ({"amount": 9, "tax": 1.44, "currency": "MXN"}, 1044),
        ({"amount": "9.00", "tax": 0}, 900),
        ({"amount": 9, "currency": "MXN"}, None),
        ({"amount": 9, "tax": 1.445}, None),
        ({"amount": 9, "tax": 1.44, "currency": "USD"}, None),
        (None, None),
    ],
)
def test_openpay_keeps_its_fee_and_the_tax_on_it(fee: object, minor: int | None) -> None:
    charge = json.loads(sample("openpay", "charge.succeeded.store"))["transaction"]
    event = snapshot("openpay", charge | {"fee": fee, "creation_date": "2026-11-21T23:30:00"})
    assert (event.fee_minor, event.created_at) == (minor, datetime(2026, 11, 22, 5, 30, tzinfo=UTC))


def test_a_sum_of_fees_that_no_column_holds_is_not_known() -> None:
    assert add_fees([2**62, 2**62]) is None
    assert add_fees([2**62, 2**62 - 1]) == 2**63 - 1


# On-ramps: who pays their fees is the payer


@pytest.mark.parametrize("psp", ["moonpay", "transak"])
def test_an_on_ramp_keeps_nothing_of_our_money(psp: str) -> None:
    for text in all_bodies(psp):
        outcome = PSPS[psp].events.read({}, text)
        if isinstance(outcome, list):
            assert [event.fee_minor for event in outcome] == [None]
