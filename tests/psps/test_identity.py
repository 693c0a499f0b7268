"""Keys, digests and answers: what makes two deliveries the same, and what the PSP is told."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.states import Decision
from psps import identity
from psps.base import Ignored, Reply, Unparseable
from psps.conekta.events import VOLATILE as CONEKTA_VOLATILE
from psps.registry import PSPS
from psps.stripe.events import VOLATILE as STRIPE_VOLATILE
from tests.psps.samples import DROP, all_samples, changed, sample

STRIPE, CONEKTA, STP = (PSPS[name].events for name in ("stripe", "conekta", "stp"))


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b'{"id":"evt_1"}', "evt_1"),
        (b' {\n "id" : "evt_1" }\n', "evt_1"),
        (b'{"data":{"object":{"id":"pi_1"}},"id":"evt_1"}', "evt_1"),
        (b'{"data":"\\"id\\":\\"pi_1\\"","id":"evt_1"}', "evt_1"),
        (b'{"\\u0069d":"evt_1"}', "evt_1"),
    ],
)
def test_key_is_the_top_level_id(body: bytes, key: str) -> None:
    assert STRIPE.event_key({}, body) == CONEKTA.event_key({}, body) == key


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b'{"id":"evt_1"',
        b'{"data":{"id":"evt_1"}}',
        b'[{"id":"evt_1"}]',
        b'{"id":1}',
        b'{"id":null}',
        b'{"id":""}',
        b'{"id":" "}',
        b'{"id":"a\\u0000b"}',
        b'{"id":"a\\nb"}',
        b'{"id":"\\ud800"}',
        b'{"id":"' + b"x" * 201 + b'"}',
        b'{"id":"evt_1"}'.decode().encode("utf-16"),
        b"[" * 100_000,
    ],
)
def test_without_a_storable_id_the_body_is_its_own_key(body: bytes) -> None:
    keys = {events.event_key({}, body) for events in (STRIPE, CONEKTA, STP)}
    assert len(keys) == 1
    assert keys.pop().startswith("sha256:")


def test_stripe_digest_ignores_the_count_of_waiting_endpoints_alone() -> None:
    body = sample("stripe", "payment_intent.succeeded.oxxo")
    digests = {STRIPE.content_digest(changed(body, "pending_webhooks", to=count)) for count in (0, 1, 2, 10)}
    assert len(digests) == 1
    assert len(digests.pop()) == 32
    for other in (
        changed(body, "data", "object", "amount", to=150_051),
        changed(body, "data", "object", "pending_webhooks", to=1),
        changed(body, "created", to=1),
    ):
        assert STRIPE.content_digest(other) != STRIPE.content_digest(changed(body, "pending_webhooks", to=1))
    nested = [changed(body, "data", "object", "metadata", to={"pending_webhooks": count}) for count in (1, 2)]
    assert STRIPE.content_digest(nested[0]) != STRIPE.content_digest(nested[1])


@pytest.mark.parametrize(
    "logs",
    [
        [],
        [{"failed_attempts": 3, "url": "https://shop.example/hook", "last_http_response_status": -1}],
        [{"failed_attempts": 4, "note": 'a "quoted" ] bracket', "nested": [[{}], "\\"]}],
    ],
)
def test_conekta_digest_ignores_its_delivery_log_alone(logs: list) -> None:
    body = sample("conekta", "order.paid.cash")
    again = changed(changed(body, "webhook_logs", to=logs), "webhook_status", to="successful")
    assert CONEKTA.content_digest(again) == CONEKTA.content_digest(changed(body, "webhook_status", to="failing"))
    other = changed(again, "data", "object", "metadata", to={"webhook_logs": logs, "webhook_status": "x"})
    assert CONEKTA.content_digest(other) != CONEKTA.content_digest(again)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(alphabet='a"\\,:{}[] ñ', max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["a", "webhook_logs", "pending_webhooks", "webhook_status"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["a", "b", "webhook_logs", "pending_webhooks", "webhook_status"]), json_values),
    st.sampled_from([None, 1]),
)
def test_cutting_leaves_every_other_member(top: dict, indent: int | None) -> None:
    body = json.dumps(top, indent=indent).encode()
    for volatile in (CONEKTA_VOLATILE, STRIPE_VOLATILE):
        names = [name for name in volatile if name in top]
        cut = identity._cut_by_tokens(body, names)
        fast = identity._cut_by_pattern(body, {name: volatile[name] for name in names})
        assert fast in (None, cut)
        kept = {name: value for name, value in top.items() if name not in volatile}
        text = cut.decode().replace("{,", "{", 1) if cut.lstrip().startswith(b"{,") else cut.decode()
        assert json.loads(text) == kept


def test_stp_keys() -> None:
    deposit = sample("stp", "sendAbono")
    key = "deposit:40012:MBAN01002611210000000001:20261123"
    assert STP.event_key({}, deposit) == STP.event_key({}, sample("stp", "sendAbono.older")) == key
    for field, value in (
        ("institucionOrdenante", "40012"),
        ("fechaOperacion", "20261123"),
        ("claveRastreo", "MBAN01002611210000000001  "),
    ):
        assert STP.event_key({}, changed(deposit, field, to=value)) == key
    for field, value in (
        ("institucionOrdenante", 40072),
        ("fechaOperacion", 20261124),
        ("claveRastreo", "mban01002611210000000001"),
    ):
        assert STP.event_key({}, changed(deposit, field, to=value)) != key
    assert STP.event_key({}, changed(deposit, "id", to=1)) == key
    assert STP.event_key({}, changed(deposit, "claveRastreo", to=DROP)).startswith("sha256:")
    status = sample("stp", "cambioEstado.success")
    assert STP.event_key({}, status) == "status:21784919:success"
    assert STP.event_key({}, changed(status, "id", to="21784919")) == "status:21784919:success"
    assert STP.event_key({}, changed(status, "estado", to="Devolución")) == "status:21784919:devolucion"


CONFIRM = (200, {"mensaje": "confirmar"})
RETURN = (400, {"mensaje": "devolver", "id": 1})
RECEIVED = (200, {"mensaje": "recibido"})


def answer(reply: Reply) -> tuple[int, dict]:
    assert reply.content_type == "application/json"
    return reply.status, json.loads(reply.body)


@pytest.mark.parametrize(
    ("body", "accepted", "returned"),
    [
        (sample("stp", "sendAbono"), CONFIRM, RETURN),
        (sample("stp", "sendAbono.return"), CONFIRM, CONFIRM),
        (changed(sample("stp", "sendAbono"), "tipoPago", to="?"), CONFIRM, CONFIRM),
        (changed(sample("stp", "sendAbono"), "Monto", to=1), CONFIRM, CONFIRM),
        (changed(sample("stp", "sendAbono"), "estado", to="LQ"), CONFIRM, CONFIRM),
        (sample("stp", "cambioEstado.success"), RECEIVED, RECEIVED),
        (b"", CONFIRM, CONFIRM),
        (b"not json", CONFIRM, CONFIRM),
        (b"{}", CONFIRM, CONFIRM),
        (b'{"monto":1,"monto":2}', CONFIRM, CONFIRM),
        (b"[" * 100_000, CONFIRM, CONFIRM),
    ],
)
def test_stp_answer_decides_about_the_money(body: bytes, accepted: tuple, returned: tuple) -> None:
    assert answer(STP.reply(body, Decision.ACCEPT)) == accepted
    assert answer(STP.reply(body, Decision.RETURN)) == returned


def test_stp_older_contract_gets_its_order_back() -> None:
    body = sample("stp", "sendAbono.older")
    order = json.loads(body)
    assert answer(STP.reply(body, Decision.ACCEPT)) == (200, {**order, "estado": "LIQUIDACION", "mensaje": "confirmar"})
    returned = {**order, "estado": "DEVOLUCION", "mensaje": "devolver", "id": 1}
    assert answer(STP.reply(body, Decision.RETURN)) == (400, returned)
    huge = changed(body, "Extra", to=10**40)
    assert STP.reply(huge, Decision.RETURN).status == 400


def test_only_a_deposit_asks_for_a_decision() -> None:
    assert STP.deposit_clabe(sample("stp", "sendAbono")) == "646180110400000007"
    assert STP.deposit_clabe(sample("stp", "sendAbono.older")) == "646180110400000007"
    assert STP.deposit_clabe(sample("stp", "sendAbono.return")) is None
    assert STP.deposit_clabe(sample("stp", "cambioEstado.success")) is None
    assert STP.deposit_clabe(b"\xff") is None
    for events in (STRIPE, CONEKTA):
        assert events.deposit_clabe(sample("stp", "sendAbono")) is None
        assert answer(events.reply(b"", Decision.RETURN)) == (200, {"received": True})


def check_never_raises(psp: str, body: bytes) -> None:
    events = PSPS[psp].events
    key = events.event_key({}, body)
    assert 0 < len(key) <= 200 and key.isprintable() and key == events.event_key({}, body)
    assert len(events.content_digest(body)) == 32
    assert events.reply(body, Decision.ACCEPT).status == 200
    assert events.reply(body, Decision.RETURN).status in (200, 400)
    events.deposit_clabe(body)
    try:
        outcome = events.read({}, body)
    except Unparseable:
        return
    for event in [outcome] if isinstance(outcome, Ignored) else outcome:
        assert 0 < len(event.raw_type) <= 200
        json.dumps(repr(event)).encode("utf-8")


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["stripe", "conekta", "stp"]), st.binary(max_size=200))
def test_any_bytes(psp: str, body: bytes) -> None:
    check_never_raises(psp, body)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(all_samples()), st.data())
def test_any_byte_of_a_sample_changed(name: tuple[str, str], data: st.DataObject) -> None:
    body = bytearray(sample(*name))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    check_never_raises(name[0], bytes(body))


def places(value: object, path: tuple = ()) -> list[tuple]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for step, inner in members for place in ((*path, step), *places(inner, (*path, step)))]


odd_values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20), st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=3), st.text(), max_size=2),
    st.sampled_from([2**63, 10**40, "x" * 300, "0", "NaN", {"code": None, "msg": []}, {"id": 5}, DROP]),
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(all_samples()), st.data())
def test_any_value_of_a_sample_changed(name: tuple[str, str], data: st.DataObject) -> None:
    body = sample(*name)
    path = data.draw(st.sampled_from(places(json.loads(body))))
    check_never_raises(name[0], changed(body, *path, to=data.draw(odd_values)))
