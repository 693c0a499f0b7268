"""The simulated APIs misbehave as they are told: what the client sees of each fault, and what really happened."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result
from werkzeug.serving import WSGIRequestHandler, make_server

from commands.sandbox import sandbox
from sandbox.api_faults import KINDS, ApiFaults
from sandbox.app import create_sandbox
from sandbox.keys import Keys, ensure_keys
from sandbox.misbehaving import MANNERS
from sandbox.moonpay.objects import new_payment as new_moonpay_payment
from sandbox.state import SandboxState, new_state
from sandbox.wrong_money import change_amounts, change_currencies
from tests.psps.conftest import SandboxServer

ORDER = {
    "currency": "MXN",
    "customer_info": {"name": "José Núñez", "email": "jose@example.com", "phone": "+5215555555555"},
    "line_items": [{"name": "Taza", "unit_price": 15_050, "quantity": 1}],
    "metadata": {"order_id": "ORD-1"},
    "charges": [{"payment_method": {"type": "cash"}}],
}
INTENT = {"amount": "150050", "currency": "mxn", "payment_method_types[]": "oxxo", "confirm": "true"}
AFTER = ("error_500_after", "timeout_after", "drip", "reset", "garbage", "wrong_amount", "wrong_currency", "huge")
BEFORE = ("error_500", "rate_limited", "hang", "redirect")
CUT = (httpx.RemoteProtocolError, httpx.ReadError)


class KeepAlive(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return ensure_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(params=[WSGIRequestHandler, KeepAlive], ids=["http-1.0", "http-1.1"])
def server(request: pytest.FixtureRequest, keys: Keys) -> Iterator[SandboxServer]:
    state = new_state(keys, "http://127.0.0.1:9", seed=7)
    server = make_server("127.0.0.1", 0, create_sandbox(state), threaded=True, request_handler=request.param)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield SandboxServer(f"http://127.0.0.1:{server.port}", state)
    state.api_faults.clear()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(server: SandboxServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, trust_env=False, timeout=10) as client:
        yield client


def create(client: httpx.Client, keys: Keys) -> httpx.Response:
    return client.post("/conekta/orders", json=ORDER, headers=conekta(keys))


def conekta(keys: Keys) -> dict[str, str]:
    version = "application/vnd.conekta-v2.3.0+json"
    return {"Authorization": f"Bearer {keys['conekta']['api_key']}", "Accept": version}


def count_effects(state: SandboxState) -> int:
    return len(state.effects.list_all())


def wait_until(is_so: Any) -> None:
    ends = time.monotonic() + 5
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.01)


# What the client sees --------------------------------------------------------------------------------------------------


def test_every_kind_of_fault_has_its_manner() -> None:
    assert set(MANNERS) == set(KINDS) == {*AFTER, *BEFORE, "stored_500"}


@pytest.mark.parametrize(
    ("kind", "status", "effects"), [("error_500", 500, 0), ("error_500_after", 500, 1), ("rate_limited", 429, 0)]
)
def test_an_error_is_answered_before_or_after_the_effect(client, server, keys, kind, status, effects) -> None:
    server.state.api_faults.set_rates("conekta", {kind: 1.0})
    told = create(client, keys)
    assert (told.status_code, told.headers.get("Retry-After")) == (status, "1" if status == 429 else None)
    assert count_effects(server.state) == effects
    assert server.state.api_faults.counts() == {"conekta": {kind: 1}}


@pytest.mark.wall_clock
@pytest.mark.parametrize(("kind", "effects"), [("hang", 0), ("timeout_after", 1)])
def test_a_silent_call_is_cut_off_without_an_answer(client, server, keys, kind, effects) -> None:
    server.state.api_faults.set_rates("conekta", {kind: 1.0}, seconds=0.4)
    began = time.monotonic()
    with pytest.raises(CUT):
        create(client, keys)
    assert 0.35 < time.monotonic() - began < 2
    assert count_effects(server.state) == effects
    assert server.state.api_faults.counts() == {"conekta": {kind: 1}}


@pytest.mark.parametrize("kind", ["hang", "timeout_after", "drip"])
def test_a_call_that_takes_long_counts_at_once_and_ends_when_the_faults_are_cleared(client, server, keys, kind) -> None:
    faults = server.state.api_faults
    faults.set_rates("conekta", {kind: 1.0}, seconds=60)
    ends: list[type[Exception]] = []

    def call() -> None:
        try:
            create(client, keys)
        except httpx.TransportError as error:
            ends.append(type(error))

    calling = threading.Thread(target=call)
    calling.start()
    wait_until(faults.counts)
    assert not ends
    faults.clear()
    calling.join(2)
    assert ends[0] in CUT
    assert create(client, keys).status_code == 201


@pytest.mark.wall_clock
def test_an_answer_drips_byte_by_byte_and_is_cut_off(client, server, keys) -> None:
    server.state.api_faults.set_rates("conekta", {"drip": 1.0}, seconds=0.8)
    came, began = b"", time.monotonic()
    with client.stream("POST", "/conekta/orders", json=ORDER, headers=conekta(keys)) as reply:
        assert reply.status_code == 201
        with pytest.raises(CUT):
            for piece in reply.iter_raw():
                came += piece
    assert came in (b"{", b'{"', b'{"i')
    assert int(reply.headers["Content-Length"]) > 500
    assert 0.7 < time.monotonic() - began < 3
    assert count_effects(server.state) == 1


def test_a_reset_comes_in_the_middle_of_the_body(client, server, keys) -> None:
    server.state.api_faults.set_rates("conekta", {"reset": 1.0})
    came = b""
    with (
        client.stream("POST", "/conekta/orders", json=ORDER, headers=conekta(keys)) as reply,
        pytest.raises(httpx.ReadError, match="reset"),
    ):
        for piece in reply.iter_raw():
            came += piece
    assert len(came) == int(reply.headers["Content-Length"]) // 2
    assert count_effects(server.state) == 1


def test_no_fault_is_noise_in_the_servers_log(client, server, keys, capfd: pytest.CaptureFixture[str]) -> None:
    for kind in ("hang", "drip", "reset"):
        server.state.api_faults.set_rates("conekta", {kind: 1.0}, seconds=0.1)
        with pytest.raises(CUT):
            create(client, keys)
    server.state.api_faults.clear()
    assert create(client, keys).status_code == 201
    assert "Traceback" not in capfd.readouterr().err


def test_garbage_is_an_answer_of_200_that_nobody_can_read(client, server, keys) -> None:
    server.state.api_faults.set_rates("conekta", {"garbage": 1.0})
    told = create(client, keys)
    assert told.status_code == 200
    with pytest.raises(ValueError):
        told.json()
    assert count_effects(server.state) == 1


def test_a_huge_answer_has_fifty_megabytes_and_a_client_may_leave_early(client, server, keys) -> None:
    server.state.api_faults.set_rates("conekta", {"huge": 1.0})
    with client.stream("POST", "/conekta/orders", json=ORDER, headers=conekta(keys)) as reply:
        assert "Content-Length" not in reply.headers
        assert next(reply.iter_raw())
    assert len(create(client, keys).content) > 50_000_000
    assert count_effects(server.state) == 2


def test_a_redirect_leads_to_a_place_that_counts_its_visits(client, server, keys) -> None:
    server.state.api_faults.set_rates("conekta", {"redirect": 1.0})
    told = create(client, keys)
    assert (told.status_code, told.headers["Location"]) == (302, "/sandbox/visited")
    assert (server.state.api_faults.visits(), count_effects(server.state)) == (0, 0)
    for method in ("GET", "POST"):
        client.request(method, told.headers["Location"])
    assert server.state.api_faults.visits() == 2


def test_a_wrong_amount_is_in_the_answer_alone(client, server, keys) -> None:
    server.state.api_faults.set_rates("conekta", {"wrong_amount": 1.0})
    told = create(client, keys).json()
    assert (told["amount"], told["amount_refunded"], told["currency"]) == (30_100, 0, "MXN")
    assert told["charges"]["data"][0]["amount"] == 30_100
    assert told["charges"]["total"] == 1
    (effect,) = server.state.effects.list_all()
    assert (effect["psp_id"], effect["amount_minor"]) == (told["id"], 15_050)
    server.state.api_faults.clear()
    right = client.get(f"/conekta/orders/{told['id']}", headers=conekta(keys)).json()
    assert right["amount"] == 15_050
    assert server.state.api_faults.counts() == {"conekta": {"wrong_amount": 1}}


def test_a_wrong_currency_is_in_the_answer_alone(client, server, keys) -> None:
    server.state.api_faults.set_rates("*", {"wrong_currency": 1.0})
    told = create(client, keys).json()
    assert (told["currency"], told["charges"]["data"][0]["currency"], told["amount"]) == ("USD", "USD", 15_050)
    assert server.state.effects.list_all()[0]["currency"] == "MXN"
    payment = new_moonpay_payment(server.state.names, "card", 1_790_000_000)
    server.state.add(payment)
    headers = {"Authorization": f"Api-Key {keys['moonpay']['api_key']}"}
    bought = client.get(f"/moonpay/v1/transactions/{payment.id}", headers=headers).json()
    assert (bought["baseCurrency"]["code"], bought["currency"]["code"]) == ("usd", payment.ids["currency"])


def test_an_answer_without_money_has_no_wrong_money_and_does_not_count(client, server, keys) -> None:
    server.state.api_faults.set_rates("conekta", {"wrong_amount": 0.5, "wrong_currency": 0.5})
    assert client.get("/conekta/orders", headers=conekta(keys)).json()["data"] == []
    assert server.state.api_faults.counts() == {}


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('{"amount":150050,"id":"tr150050"}', '{"amount":300100,"id":"tr150050"}'),
        ('{"amount":1500.5}', '{"amount":3001.0}'),
        ('{"monto": "150.00", "total": 3}', '{"monto": "300.00", "total": 3}'),
        (
            '{"transaction_amount":2000,"transaction_amount_refunded":0}',
            '{"transaction_amount":4000,"transaction_amount_refunded":0}',
        ),
        (
            '{"amount_received":1,"amount_total":2,"total_paid_amount":3}',
            '{"amount_received":2,"amount_total":4,"total_paid_amount":6}',
        ),
        (
            '{"baseCurrencyAmount":10.25,"fiatAmount":7,"amountPaid":null}',
            '{"baseCurrencyAmount":20.50,"fiatAmount":14,"amountPaid":null}',
        ),
        ('{"quoteCurrencyAmount":1.819e-7}', '{"quoteCurrencyAmount":3.638E-7}'),
        ('{"status_detail":"amount","id":12}', '{"status_detail":"amount","id":12}'),
        (r'{"note":"{\"amount\":5}"}', r'{"note":"{\"amount\":5}"}'),
    ],
)
def test_only_money_is_doubled_and_is_written_as_before(right: str, wrong: str) -> None:
    assert change_amounts(right.encode()).decode() == wrong
    json.loads(wrong)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('{"currency":"MXN"}', '{"currency":"USD"}'),
        ('{"currency": "mxn"}', '{"currency": "usd"}'),
        ('{"currency_id":"USD","fiatCurrency":"MXN"}', '{"currency_id":"MXN","fiatCurrency":"USD"}'),
        ('{"baseCurrency":{"type":"fiat","code":"mxn"}}', '{"baseCurrency":{"type":"fiat","code":"usd"}}'),
        ('{"currency":{"code":"eth"},"country":"MEX"}', '{"currency":{"code":"eth"},"country":"MEX"}'),
        ('{"cryptoCurrency":"USDC"}', '{"cryptoCurrency":"USDC"}'),
    ],
)
def test_only_currencies_of_money_are_swapped(right: str, wrong: str) -> None:
    assert change_currencies(right.encode()).decode() == wrong


def test_stripe_keeps_an_error_under_its_key_before_or_after_the_effect(client, server, keys) -> None:
    server.state.api_faults.set_rates("stripe", {"stored_500": 1.0})
    auth = (keys["stripe"]["api_key"], "")
    effects = []
    for number in range(12):
        before = count_effects(server.state)
        headers = {"Idempotency-Key": f"key-{number}"}
        told = [client.post("/stripe/v1/payment_intents", data=INTENT, headers=headers, auth=auth) for _ in range(2)]
        assert [one.status_code for one in told] == [500, 500]
        assert told[1].headers["Idempotent-Replayed"] == "true"
        effects.append(count_effects(server.state) - before)
    assert set(effects) == {0, 1}
    assert client.get("/stripe/v1/payment_intents", auth=auth).status_code == 200
    assert client.post("/stripe/v1/payment_intents", data=INTENT, auth=("wrong", "")).status_code == 401
    assert server.state.api_faults.counts() == {"stripe": {"stored_500": 12}}
    assert server.state.stripe_stored_errors == 0


@pytest.mark.parametrize("kind", KINDS)
def test_reads_have_faults_too_except_for_stored_errors(client, server, keys, kind) -> None:
    server.state.api_faults.set_rates("*", {kind: 1.0}, seconds=0.1)
    made = server.state.payments.get("conekta", {})
    try:
        told = client.get("/conekta/orders", headers=conekta(keys))
    except CUT:
        told = None
    is_well = told is not None and told.status_code == 200 and b'"object":"list"' in told.content
    assert is_well == (kind in ("stored_500", "wrong_amount", "wrong_currency"))
    assert not made
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/sandbox/flows").status_code == 200


def test_without_a_socket_a_cut_is_told_in_a_sentence(keys) -> None:
    state = new_state(keys, "http://127.0.0.1:9", seed=7)
    client = create_sandbox(state).test_client()
    for number, kind in enumerate(("hang", "timeout_after", "drip", "reset")):
        state.api_faults.set_rates("conekta", {kind: 1.0}, seconds=60)
        told = client.post("/conekta/orders", json=ORDER, headers=conekta(keys))
        assert told.status_code == 502
        assert "cut the connection" in told.json["message"]
        assert count_effects(state) == number
    state.api_faults.clear()
    assert client.post("/conekta/orders", json=ORDER, headers=conekta(keys)).status_code == 201


# Rates and draws -------------------------------------------------------------------------------------------------------


def draw(faults: ApiFaults, psp: str, count: int = 200) -> list[str | None]:
    drawn = [faults.choose(psp) for _ in range(count)]
    return [one.kind if one else None for one in drawn]


def test_the_seed_repeats_the_faults_of_a_psp_whatever_the_others_do() -> None:
    first, second = ApiFaults(), ApiFaults()
    rates = {"error_500": 0.2, "reset": 0.1}
    first.set_rates("*", rates, seed=3)
    second.set_rates("conekta", dict(reversed(rates.items())), seed=3)
    draw(first, "stripe", 77)
    drawn = draw(first, "conekta")
    assert drawn == draw(second, "conekta")
    assert 20 < drawn.count("error_500") < 60
    assert 5 < drawn.count("reset") < 40
    second.set_rates("conekta", rates, seed=4)
    assert drawn != draw(second, "conekta")
    assert drawn != draw(first, "openpay")


def test_rates_are_replaced_for_one_psp_or_for_all_and_cleared() -> None:
    faults = ApiFaults()
    faults.set_rates("*", {"hang": 1.0, "stored_500": 0.0})
    faults.set_rates("conekta", {"reset": 0.5})
    faults.set_rates("stp", {})
    assert (faults.rates()["conekta"], faults.rates()["stripe"]) == ({"reset": 0.5}, {"hang": 1.0})
    assert "stp" not in faults.rates()
    faults.clear()
    assert faults.rates() == {}
    assert faults.choose("stripe") is None


@pytest.mark.parametrize(
    ("psp", "rates", "says"),
    [
        ("conekta", {"explode": 0.1}, "explode"),
        ("conekta", {"stored_500": 0.1}, "stored_500"),
        ("*", {"hang": -0.1}, "hang"),
        ("*", {"hang": 1.1}, "hang"),
        ("*", {"hang": float("nan")}, "hang"),
        ("*", {"hang": "1"}, "hang"),
        ("*", {"hang": 0.6, "reset": 0.5}, "more than 1"),
    ],
)
def test_wrong_rates_are_refused_with_the_kinds_and_change_nothing(psp, rates, says) -> None:
    faults = ApiFaults()
    faults.set_rates("conekta", {"drip": 0.5})
    with pytest.raises(ValueError, match=says) as refused:
        faults.set_rates(psp, rates)
    assert "error_500, error_500_after, rate_limited" in str(refused.value)
    assert faults.rates() == {"conekta": {"drip": 0.5}}


def test_tenths_add_up_to_one_and_calls_at_the_same_time_are_each_drawn_once() -> None:
    faults = ApiFaults()
    faults.set_rates("stp", dict.fromkeys(KINDS[:10], 0.1))
    drawn: list[str | None] = []
    threads = [threading.Thread(target=lambda: drawn.extend(draw(faults, "stp"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = ApiFaults()
    alone.set_rates("stp", dict.fromkeys(KINDS[:10], 0.1))
    assert sorted(map(str, drawn)) == sorted(map(str, draw(alone, "stp", 1600)))


# The buttons -----------------------------------------------------------------------------------------------------------


def test_faults_are_set_shown_and_cleared_over_http(client, server, keys) -> None:
    asked = {"psp": "conekta", "rates": {"error_500_after": 1}, "seconds": 1, "seed": 1}
    told = client.put("/sandbox/faults", json=asked).json()
    assert told == {"rates": {"conekta": {"error_500_after": 1.0}}, "counts": {}, "visits": 0}
    assert create(client, keys).status_code == 500
    assert client.get("/sandbox/faults").json()["counts"] == {"conekta": {"error_500_after": 1}}
    assert client.delete("/sandbox/faults").json()["rates"] == {}
    assert create(client, keys).status_code == 201
    listed = client.get("/sandbox/effects").json()
    assert listed == server.state.effects.list_all()
    assert [(one["psp"], one["operation"], one["amount_minor"]) for one in listed] == [
        ("conekta", "create", 15_050)
    ] * 2


@pytest.mark.parametrize(
    "asked",
    [
        {"rates": {"explode": 1}},
        {"rates": [1]},
        {"psp": "paypal", "rates": {"hang": 1}},
        {"rates": {"hang": "1"}},
        {"rates": {"hang": 1}, "seconds": 0},
        {"rates": {"hang": 1}, "seconds": "soon"},
    ],
)
def test_nonsense_is_refused_in_a_sentence(client, server, asked) -> None:
    told = client.put("/sandbox/faults", json=asked)
    assert told.status_code == 400
    assert told.json()["error"]
    assert server.state.api_faults.rates() == {}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(sandbox, arguments)


def test_the_commands_set_show_and_clear_faults_and_list_effects(client, server, keys, monkeypatch) -> None:
    monkeypatch.setenv("ACUSE_SANDBOX_URL", server.url)
    assert run("faults").output == "every call goes well\n"
    rates = ("--rate", "error_500_after=0.75", "--rate", "hang=0.1")
    told = run("faults", "--psp", "conekta", *rates, "--seconds", "0.1", "--seed", "5", "--json")
    assert json.loads(told.output)["rates"] == {"conekta": {"error_500_after": 0.75, "hang": 0.1}}
    server.state.api_faults.set_rates("conekta", {"error_500_after": 1.0})
    assert create(client, keys).status_code == 500
    shown = run("faults").output.split()
    assert shown[-4:] == ["conekta", "error_500_after", "1", "1"]
    assert json.loads(run("faults", "--clear", "--json").output)["rates"] == {}
    (effect,) = json.loads(run("effects", "--json").output)
    assert effect == server.state.effects.list_all()[0]
    assert all(text in run("effects").output for text in ("conekta", "create", effect["psp_id"], "15050 MXN"))


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--rate", "explode=0.1"), 2, "error_500_after"),
        (("--rate", "hang=2"), 2, "hang=2"),
        (("--rate", "hang"), 2, "KIND=SHARE"),
        (("--rate", "hang=0.1", "--clear"), 2, "exclude"),
        (("--psp", "paypal"), 2, "paypal"),
        (("--rate", "hang=0.6", "--rate", "reset=0.6"), 1, "more than 1"),
        (("--psp", "conekta", "--rate", "stored_500=0.1"), 1, "no kind of fault for conekta"),
    ],
)
def test_a_wrong_command_line_gets_one_clear_sentence(server, monkeypatch, arguments, code, says) -> None:
    monkeypatch.setenv("ACUSE_SANDBOX_URL", server.url)
    told = run("faults", *arguments)
    assert told.exit_code == code
    assert says in told.output


def test_without_a_sandbox_the_commands_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACUSE_SANDBOX_URL", "http://127.0.0.1:9")
    assert "does not answer" in run("effects").output
    told = run("faults", "--data-dir", str(tmp_path))
    assert (told.exit_code, "no stack is running" in told.output) == (1, True)
