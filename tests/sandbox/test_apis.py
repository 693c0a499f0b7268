"""The simulated APIs answer as their fact sheets say: shapes, keys, idempotency, errors, pages."""

import base64
import json
import time
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from flask.testing import FlaskClient

from sandbox.app import create_sandbox
from sandbox.flows import play_flow
from sandbox.keys import Keys, ensure_keys
from sandbox.state import SandboxState, new_state
from sandbox.stp.firma import LIST_FIELDS, LOOKUP_FIELDS, ORDER_FIELDS, join_fields

MEXICO_CITY = ZoneInfo("America/Mexico_City")
CONEKTA_VERSION = "application/vnd.conekta-v2.3.0+json"
ORDER = {
    "currency": "MXN",
    "customer_info": {"name": "José Núñez", "email": "jose@example.com", "phone": "+5215555555555"},
    "line_items": [{"name": "Taza", "unit_price": 15_050, "quantity": 2}],
    "metadata": {"order_id": "ORD-1"},
    "charges": [{"payment_method": {"type": "cash"}}],
}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return ensure_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def state(keys: Keys) -> SandboxState:
    return new_state(keys, "http://127.0.0.1:9", seed=7)


@pytest.fixture
def client(state: SandboxState) -> FlaskClient:
    return create_sandbox(state).test_client()


# Stripe ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def stripe_key(keys: Keys) -> dict[str, str]:
    return {"Authorization": f"Bearer {keys['stripe']['api_key']}"}


def intent(**fields: str) -> dict[str, str]:
    return {
        "amount": "150050",
        "currency": "mxn",
        "payment_method_types[]": "oxxo",
        "confirm": "true",
        "metadata[order_id]": "ORD-1",
        **fields,
    }


def test_stripe_creates_an_oxxo_voucher_that_can_be_fetched(client: FlaskClient, stripe_key: dict[str, str]) -> None:
    made = client.post("/stripe/v1/payment_intents", data=intent(), headers=stripe_key)
    assert made.status_code == 200
    assert made.json["status"] == "requires_action"
    assert made.json["next_action"]["oxxo_display_details"]["number"].isdigit()
    assert made.json["metadata"] == {"order_id": "ORD-1"}
    fetched = client.get(f"/stripe/v1/payment_intents/{made.json['id']}", headers=stripe_key)
    assert fetched.json == made.json


def test_stripe_creates_a_spei_transfer_for_a_customer_alone(client: FlaskClient, stripe_key: dict[str, str]) -> None:
    spei = {"payment_method_types[]": "customer_balance"}
    refused = client.post("/stripe/v1/payment_intents", data=intent(**spei), headers=stripe_key)
    assert (refused.status_code, refused.json["error"]["param"]) == (400, "customer")
    made = client.post("/stripe/v1/payment_intents", data=intent(**spei, customer="cus_1"), headers=stripe_key)
    instructions = made.json["next_action"]["display_bank_transfer_instructions"]
    assert instructions["amount_remaining"] == 150_050
    assert len(instructions["financial_addresses"][0]["spei"]["clabe"]) == 18


def test_stripe_takes_the_key_as_basic_user_too(client: FlaskClient, keys: Keys) -> None:
    answer = client.get("/stripe/v1/payment_intents", auth=(keys["stripe"]["api_key"], ""))
    assert answer.json == {"object": "list", "data": [], "has_more": False, "url": "/v1/payment_intents"}


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer sk_test_wrong"}, {"Authorization": "nonsense"}])
def test_stripe_refuses_other_keys(client: FlaskClient, headers: dict[str, str]) -> None:
    answer = client.post("/stripe/v1/payment_intents", data=intent(), headers=headers)
    assert answer.status_code == 401
    assert answer.json["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"amount": "12.50"}, "amount"),
        ({"amount": "999"}, "amount"),
        ({"amount": "1000001"}, "amount"),
        ({"currency": "usd"}, "currency"),
        ({"payment_method_types[]": "sofort"}, "payment_method_types"),
    ],
)
def test_stripe_names_the_wrong_parameter(client, stripe_key, fields: dict[str, str], param: str) -> None:
    answer = client.post("/stripe/v1/payment_intents", data=intent(**fields), headers=stripe_key)
    assert (answer.status_code, answer.json["error"]["param"]) == (400, param)


def test_stripe_replays_the_first_answer_of_an_idempotency_key(client, stripe_key, state: SandboxState) -> None:
    headers = {**stripe_key, "Idempotency-Key": "order-1"}
    first, second = (client.post("/stripe/v1/payment_intents", data=intent(), headers=headers) for _ in range(2))
    assert first.data == second.data
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert len(state.payments["stripe"]) == 1


def test_stripe_refuses_an_idempotency_key_with_other_parameters(client, stripe_key, state: SandboxState) -> None:
    headers = {**stripe_key, "Idempotency-Key": "order-1"}
    client.post("/stripe/v1/payment_intents", data=intent(), headers=headers)
    answer = client.post("/stripe/v1/payment_intents", data=intent(amount="150051"), headers=headers)
    assert (answer.status_code, answer.json["error"]["type"]) == (400, "idempotency_error")
    assert len(state.payments["stripe"]) == 1


def test_stripe_keeps_a_declined_card_under_its_key_and_forgets_a_bad_request(client, stripe_key) -> None:
    card = {"payment_method_types[]": "card", "payment_method": "pm_card_chargeDeclined"}
    headers = {**stripe_key, "Idempotency-Key": "declined"}
    first, second = (client.post("/stripe/v1/payment_intents", data=intent(**card), headers=headers) for _ in range(2))
    assert first.status_code == second.status_code == 402
    assert second.json["error"] == first.json["error"] | {"type": "card_error", "code": "card_declined"}
    assert second.headers["Idempotent-Replayed"] == "true"
    headers = {**stripe_key, "Idempotency-Key": "bad"}
    assert client.post("/stripe/v1/payment_intents", data=intent(amount="1"), headers=headers).status_code == 400
    assert client.post("/stripe/v1/payment_intents", data=intent(), headers=headers).status_code == 200


def test_stripe_answers_409_while_the_first_call_with_a_key_runs(client, stripe_key, state: SandboxState) -> None:
    headers = {**stripe_key, "Idempotency-Key": "order-1"}
    client.post("/stripe/v1/payment_intents", data=intent(), headers=headers)
    still_running = type(state.replies["order-1"])(state.replies["order-1"].fingerprint)
    state.replies["order-1"] = still_running
    assert client.post("/stripe/v1/payment_intents", data=intent(), headers=headers).status_code == 409


def test_stripe_refunds_a_card_in_parts_and_never_more_than_was_paid(client, stripe_key) -> None:
    card = {"payment_method_types[]": "card", "payment_method": "pm_card_visa"}
    paid = client.post("/stripe/v1/payment_intents", data=intent(**card), headers=stripe_key).json
    assert (paid["status"], paid["amount_received"]) == ("succeeded", 150_050)
    refund = {"payment_intent": paid["id"], "amount": "50050"}
    made = client.post("/stripe/v1/refunds", data=refund, headers=stripe_key).json
    assert (made["amount"], made["payment_intent"], made["status"]) == (50_050, paid["id"], "succeeded")
    too_much = client.post("/stripe/v1/refunds", data=refund | {"amount": "100001"}, headers=stripe_key)
    assert too_much.status_code == 400
    expanded = client.get(f"/stripe/v1/payment_intents/{paid['id']}?expand[]=latest_charge", headers=stripe_key)
    assert expanded.json["latest_charge"]["amount_refunded"] == 50_050
    assert expanded.json["latest_charge"]["refunded"] is False


def test_stripe_cancels_what_is_not_paid_and_nothing_else(client, stripe_key) -> None:
    voucher = client.post("/stripe/v1/payment_intents", data=intent(), headers=stripe_key).json
    url = f"/stripe/v1/payment_intents/{voucher['id']}/cancel"
    canceled = client.post(url, data={"cancellation_reason": "abandoned"}, headers=stripe_key)
    assert (canceled.json["status"], canceled.json["cancellation_reason"]) == ("canceled", "abandoned")
    assert client.post(url, headers=stripe_key).json["error"]["code"] == "payment_intent_unexpected_state"
    assert client.post("/stripe/v1/payment_intents/pi_3nobody/cancel", headers=stripe_key).status_code == 404


def test_stripe_lists_page_by_page_newest_first(client, stripe_key) -> None:
    made = [client.post("/stripe/v1/payment_intents", data=intent(), headers=stripe_key).json["id"] for _ in range(5)]
    url, seen = "/stripe/v1/payment_intents?limit=2", []
    while True:
        page = client.get(url, headers=stripe_key).json
        seen += [entry["id"] for entry in page["data"]]
        if not page["has_more"]:
            break
        url = f"/stripe/v1/payment_intents?limit=2&starting_after={seen[-1]}"
    assert seen == made[::-1]
    assert client.get("/stripe/v1/payment_intents?created[gte]=9999999999", headers=stripe_key).json["data"] == []


def test_stripe_gives_metadata_back_and_makes_customers(client, stripe_key) -> None:
    fields = {"name": "José Núñez", "email": "jose@example.com", "metadata[order_id]": "ORD-1"}
    made = client.post("/stripe/v1/customers", data=fields, headers=stripe_key).json
    assert (made["object"], made["name"], made["metadata"]) == ("customer", "José Núñez", {"order_id": "ORD-1"})
    spei = {"payment_method_types[]": "customer_balance", "customer": made["id"], "metadata[colour]": "red"}
    paid = client.post("/stripe/v1/payment_intents", data=intent(**spei), headers=stripe_key).json
    assert (paid["customer"], paid["metadata"]) == (made["id"], {"order_id": "ORD-1", "colour": "red"})


def test_stripe_lets_a_voucher_run_out_at_the_end_of_a_day_in_mexico_city(client, stripe_key) -> None:
    days = {"payment_method_options[oxxo][expires_after_days]": "2"}
    made = client.post("/stripe/v1/payment_intents", data=intent(**days), headers=stripe_key).json
    ends = datetime.fromtimestamp(made["next_action"]["oxxo_display_details"]["expires_after"], MEXICO_CITY)
    begun = datetime.fromtimestamp(made["created"], MEXICO_CITY)
    assert (ends.date() - begun.date(), ends.time().isoformat()) == (timedelta(days=2), "23:59:59")
    days = {"payment_method_options[oxxo][expires_after_days]": "8"}
    assert client.post("/stripe/v1/payment_intents", data=intent(**days), headers=stripe_key).status_code == 400


def test_stripe_shows_the_payment_of_a_declined_card_in_the_error(client, stripe_key, state: SandboxState) -> None:
    card = {"payment_method_types[]": "card", "payment_method": "pm_card_chargeDeclined"}
    shown = client.post("/stripe/v1/payment_intents", data=intent(**card), headers=stripe_key).json["error"]
    assert shown["payment_intent"]["id"] in state.payments["stripe"]
    assert shown["payment_intent"]["status"] == "requires_payment_method"
    without = {"payment_method_types[]": "card"}
    answer = client.post("/stripe/v1/payment_intents", data=intent(**without), headers=stripe_key)
    assert (answer.status_code, answer.json["error"]["param"]) == (400, "payment_method")


def test_stripe_lists_the_refunds_and_disputes_of_a_payment(client, stripe_key, state: SandboxState) -> None:
    card = {"payment_method_types[]": "card", "payment_method": "pm_card_visa"}
    paid = client.post("/stripe/v1/payment_intents", data=intent(**card), headers=stripe_key).json["id"]
    for number in ("1", "2"):
        fields = {"payment_intent": paid, "amount": "100", "metadata[order_id]": number}
        client.post("/stripe/v1/refunds", data=fields, headers=stripe_key)
    refunds = client.get(f"/stripe/v1/refunds?payment_intent={paid}", headers=stripe_key).json["data"]
    assert [(one["amount"], one["metadata"]["order_id"]) for one in refunds] == [(100, "2"), (100, "1")]
    url = f"/stripe/v1/disputes?payment_intent={paid}"
    assert client.get(url, headers=stripe_key).json["data"] == []
    state.payments["stripe"][paid].detail = "needs_response"
    assert client.get(url, headers=stripe_key).json["data"][0]["status"] == "needs_response"
    assert client.get("/stripe/v1/refunds?payment_intent=pi_3nobody", headers=stripe_key).status_code == 404


def test_stripe_breaks_down_on_request_and_keeps_its_error_under_the_key(client, stripe_key, state) -> None:
    state.stripe_stored_errors = 2
    for key, made in (("after", 1), ("before", 1)):
        headers = {**stripe_key, "Idempotency-Key": key}
        for _ in range(2):
            answer = client.post("/stripe/v1/payment_intents", data=intent(), headers=headers)
            assert (answer.status_code, answer.headers["Stripe-Should-Retry"]) == (500, "false")
        assert answer.headers["Idempotent-Replayed"] == "true"
        assert len(state.payments["stripe"]) == made
    assert state.stripe_stored_errors == 0
    assert client.post("/stripe/v1/payment_intents", data=intent(), headers=stripe_key).status_code == 200


def test_stripe_records_each_effect_once_under_its_key(client, stripe_key, state: SandboxState) -> None:
    card = {"payment_method_types[]": "card", "payment_method": "pm_card_visa"}

    def post(path: str, key: str, **fields: str) -> dict:
        for _ in range(2):
            headers = {**stripe_key, "Idempotency-Key": key}
            answer = client.post(f"/stripe/v1/{path}", data=fields, headers=headers)
        return answer.json

    paid = post("payment_intents", "c1", **intent(**card))["id"]
    refund = post("refunds", "r1", payment_intent=paid, amount="100")["id"]
    voucher = post("payment_intents", "c2", **intent())["id"]
    post(f"payment_intents/{voucher}/cancel", "x1")
    assert [(one["operation"], one["key"], one["psp_id"], one["amount_minor"]) for one in state.effects.list_all()] == [
        ("create", "c1", paid, 150_050),
        ("refund", "r1", refund, 100),
        ("create", "c2", voucher, 150_050),
        ("cancel", "x1", voucher, 150_050),
    ]


# Conekta --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def conekta_headers(keys: Keys) -> dict[str, str]:
    return {"Authorization": f"Bearer {keys['conekta']['api_key']}", "Accept": CONEKTA_VERSION}


def test_conekta_creates_a_cash_order_that_can_be_fetched(client: FlaskClient, conekta_headers) -> None:
    made = client.post("/conekta/orders", json=ORDER, headers=conekta_headers)
    assert made.status_code == 201
    assert (made.json["amount"], made.json["payment_status"]) == (30_100, "pending_payment")
    charge = made.json["charges"]["data"][0]
    assert charge["payment_method"]["reference"].isdigit()
    assert charge["reference_id"] == "ORD-1"
    assert client.get(f"/conekta/orders/{made.json['id']}", headers=conekta_headers).json == made.json


def test_conekta_gives_a_clabe_for_spei_and_takes_a_card_at_once(client, conekta_headers) -> None:
    spei = client.post(
        "/conekta/orders", json=ORDER | {"charges": [{"payment_method": {"type": "spei"}}]}, headers=conekta_headers
    ).json
    assert len(spei["charges"]["data"][0]["payment_method"]["clabe"]) == 18
    card = client.post(
        "/conekta/orders",
        json=ORDER | {"charges": [{"payment_method": {"type": "card", "token_id": "tok_test_visa_4242"}}]},
        headers=conekta_headers,
    ).json
    assert card["payment_status"] == "paid"


def test_conekta_declines_a_card_with_402(client, conekta_headers) -> None:
    method = {"type": "card", "token_id": "tok_test_insufficient_funds"}
    answer = client.post(
        "/conekta/orders", json=ORDER | {"charges": [{"payment_method": method}]}, headers=conekta_headers
    )
    assert (answer.status_code, answer.json["type"]) == (402, "processing_error")


def test_conekta_shows_the_order_of_a_declined_card_in_the_error(client, conekta_headers, state) -> None:
    method = {"type": "card", "token_id": "tok_test_card_declined"}
    shown = client.post(
        "/conekta/orders", json=ORDER | {"charges": [{"payment_method": method}]}, headers=conekta_headers
    ).json["data"]
    assert (shown["object"], shown["payment_status"]) == ("order", "declined")
    assert shown["id"] in state.payments["conekta"]


def test_conekta_gives_metadata_and_deadlines_back(client, conekta_headers) -> None:
    method = {"type": "cash", "expires_at": 1_995_586_400}
    asked = ORDER | {"charges": [{"payment_method": method}], "metadata": {"order_id": "ORD-1", "colour": "red"}}
    made = client.post("/conekta/orders", json=asked, headers=conekta_headers).json
    assert made["metadata"] == {"order_id": "ORD-1", "colour": "red"}
    assert made["charges"]["data"][0]["payment_method"]["expires_at"] == 1_995_586_400


def test_conekta_records_every_effect_under_our_reference(client, conekta_headers, state: SandboxState) -> None:
    method = {"type": "card", "token_id": "tok_test_visa_4242"}
    asked = ORDER | {"charges": [{"payment_method": method}]}
    paid = client.post("/conekta/orders", json=asked, headers=conekta_headers).json["id"]
    for amount in (100, 200):
        sent = {"amount": amount, "reason": "requested_by_client"}
        shown = client.post(f"/conekta/orders/{paid}/refunds", json=sent, headers=conekta_headers).json
    refunds = shown["charges"]["data"][0]["refunds"]["data"]
    voucher = client.post("/conekta/orders", json=ORDER, headers=conekta_headers).json["id"]
    client.post(f"/conekta/orders/{voucher}/cancel", headers=conekta_headers)
    assert [(one["operation"], one["key"], one["psp_id"], one["amount_minor"]) for one in state.effects.list_all()] == [
        ("create", "ORD-1", paid, 30_100),
        ("refund", "ORD-1", refunds[0]["id"], 100),
        ("refund", "ORD-1", refunds[1]["id"], 200),
        ("create", "ORD-1", voucher, 30_100),
        ("cancel", "ORD-1", voucher, 30_100),
    ]


def test_conekta_wants_its_key_and_its_version(client: FlaskClient, conekta_headers) -> None:
    without_key = client.get("/conekta/orders", headers={"Accept": CONEKTA_VERSION})
    assert (without_key.status_code, without_key.json["type"]) == (401, "authentication_error")
    without_version = client.get("/conekta/orders", headers=conekta_headers | {"Accept": "application/json"})
    assert without_version.status_code == 422
    assert without_version.json["details"][0]["param"] == "Accept"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"currency": "USD"}, "currency"),
        ({"charges": []}, "charges"),
        ({"line_items": [{"name": "Taza", "unit_price": 1.5, "quantity": 1}]}, "line_items[0].unit_price"),
        ({"charges": [{"amount": 1, "payment_method": {"type": "cash"}}]}, "charges[0].amount"),
        ({"charges": [{"payment_method": {"type": "cheque"}}]}, "charges[0].payment_method.type"),
    ],
)
def test_conekta_names_the_wrong_parameter(client, conekta_headers, change: dict, param: str) -> None:
    answer = client.post("/conekta/orders", json=ORDER | change, headers=conekta_headers)
    assert (answer.status_code, answer.json["details"][0]["param"]) == (422, param)


def test_conekta_refunds_write_negative_amounts(client, conekta_headers) -> None:
    paid = client.post(
        "/conekta/orders",
        json=ORDER | {"charges": [{"payment_method": {"type": "card", "token_id": "tok_test_visa_4242"}}]},
        headers=conekta_headers,
    ).json
    url = f"/conekta/orders/{paid['id']}/refunds"
    part = client.post(url, json={"amount": 100, "reason": "requested_by_client"}, headers=conekta_headers).json
    assert (part["payment_status"], part["amount_refunded"]) == ("partially_refunded", 100)
    assert part["charges"]["data"][0]["refunds"]["data"][0]["amount"] == -100
    too_much = client.post(url, json={"amount": 30_001, "reason": "requested_by_client"}, headers=conekta_headers)
    assert too_much.status_code == 422
    rest = client.post(url, json={"amount": 30_000, "reason": "requested_by_client"}, headers=conekta_headers).json
    assert rest["payment_status"] == "refunded"
    assert client.post(f"/conekta/orders/{paid['id']}/cancel", headers=conekta_headers).status_code == 428


def test_conekta_has_no_idempotency_key(client, conekta_headers, state: SandboxState) -> None:
    for _ in range(2):
        client.post("/conekta/orders", json=ORDER, headers=conekta_headers | {"Idempotency-Key": "one"})
    assert len(state.payments["conekta"]) == 2


def test_conekta_lists_by_time_of_change_page_by_page(client, conekta_headers) -> None:
    made = [client.post("/conekta/orders", json=ORDER, headers=conekta_headers).json["id"] for _ in range(3)]
    page = client.get("/conekta/orders?limit=2", headers=conekta_headers).json
    rest = client.get(page["next_page_url"], headers=conekta_headers).json
    assert [entry["id"] for entry in page["data"] + rest["data"]] == made[::-1]
    assert rest["has_more"] is False
    late = client.get("/conekta/orders?updated_at.gte=9999999999", headers=conekta_headers).json
    assert late["data"] == []
    assert (
        client.get("/conekta/orders/ord_2znobody", headers=conekta_headers).json["type"] == "resource_not_found_error"
    )


# STP ------------------------------------------------------------------------------------------------------------------

PAYOUT = {
    "institucionContraparte": "40072",
    "empresa": "EMPRESA_PRUEBA",
    "claveRastreo": "CR1564969083",
    "institucionOperante": "90646",
    "monto": 1.2,
    "tipoPago": 1,
    "tipoCuentaOrdenante": 40,
    "cuentaOrdenante": "646180110400000007",
    "tipoCuentaBeneficiario": 40,
    "nombreBeneficiario": "Ricardo Sanchez",
    "cuentaBeneficiario": "072691004495711499",
    "rfcCurpBeneficiario": "ND",
    "conceptoPago": "Prueba",
    "referenciaNumerica": 5273144,
    "topologia": "T",
    "medioEntrega": 3,
    "prioridad": 0,
}
CADENA = (
    "||40072|EMPRESA_PRUEBA|||CR1564969083|90646|1.20|1|40||646180110400000007||40|Ricardo Sanchez|"
    "072691004495711499|ND||||||Prueba||||||5273144||T||3|0|||"
)


def signed(keys: Keys, sent: dict, cadena: str) -> dict:
    key = serialization.load_pem_private_key(keys["stp"]["client_private_key_pem"].encode(), None)
    firma = base64.b64encode(key.sign(cadena.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()
    return sent | {"firma": firma}


def register(client: FlaskClient, keys: Keys, **changes: object) -> dict:
    sent = PAYOUT | changes
    cadena = join_fields(json.loads(json.dumps(sent), parse_float=Decimal), ORDER_FIELDS)
    answer = client.put("/stp/speiws/rest/ordenPago/registra", json=signed(keys, sent, cadena))
    assert answer.status_code == 200
    return answer.json["resultado"]


def test_the_cadena_original_is_the_published_one() -> None:
    sent = json.loads(json.dumps(PAYOUT), parse_float=Decimal)
    assert join_fields(sent, ORDER_FIELDS) == CADENA


def test_stp_registers_a_signed_payout_and_finds_it_again(client: FlaskClient, keys: Keys) -> None:
    number = register(client, keys)["id"]
    assert number > 0
    asked = {"empresa": "EMPRESA_PRUEBA", "claveRastreo": "CR1564969083", "tipoOrden": "E"}
    body = signed(keys, asked, join_fields(asked, LOOKUP_FIELDS))
    found = client.post("/stp/efws/API/consultaOrden", json=body)
    assert found.json["estado"] == 0
    assert found.json["respuesta"]["idEF"] == number
    assert b'"monto":1.20' in found.data


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"claveRastreo": ""}, 0),
        ({"monto": -5.0}, -20),
        ({"monto": 1.234}, -20),
        ({"claveRastreo": "CR 1"}, -34),
        ({"cuentaBeneficiario": "072691004495711490"}, -7),
        ({"institucionContraparte": "40012"}, -22),
        ({"cuentaOrdenante": "072691004495711499"}, -24),
    ],
)
def test_stp_tells_errors_with_status_200(client, keys: Keys, changes: dict, code: int) -> None:
    result = register(client, keys, **changes)
    assert result["id"] == code
    assert result["descripcionError"]


def test_stp_refuses_a_payout_that_was_changed_after_signing(client: FlaskClient, keys: Keys) -> None:
    body = signed(keys, PAYOUT, CADENA) | {"monto": 12.0}
    assert client.put("/stp/speiws/rest/ordenPago/registra", json=body).json["resultado"]["id"] == 0
    assert client.put("/stp/speiws/rest/ordenPago/registra", data=b"{not json").json["resultado"]["id"] == 0


def test_stp_takes_a_tracking_key_once_a_day(client: FlaskClient, keys: Keys) -> None:
    assert register(client, keys)["id"] > 0
    assert register(client, keys)["id"] == -1


def test_stp_lists_an_operating_day_by_pages_and_says_when_it_has_nothing(client, keys: Keys, state) -> None:
    played = [play_flow("spei.deposit", state.names, int(time.time())) for _ in range(60)]
    state.remember(played)
    day = played[0].payment.ids["day"]
    asked = {"empresa": "EMPRESA_PRUEBA", "tipoOrden": "R", "fechaOperacion": day, "page": 0}
    body = signed(keys, asked, join_fields(asked, LIST_FIELDS))
    first = client.post("/stp/efws/API/V2/conciliacion", json=body).json
    second = client.post("/stp/efws/API/V2/conciliacion", json=body | {"page": 1}).json
    total = sum(life.payment.ids["day"] == day for life in played)  # all, unless the day changes while this runs
    assert first["total"] == total
    assert len(first["datos"]) == min(50, total)
    assert len(first["datos"]) + len(second["datos"]) == total
    assert {row["estado"] for row in first["datos"]} == {"LQ"}
    asked |= {"tipoOrden": "E"}
    body = signed(keys, asked, join_fields(asked, LIST_FIELDS))
    assert client.post("/stp/efws/API/V2/conciliacion", json=body).json["estado"] == 6
    asked |= {"fechaOperacion": "20991231"}
    body = signed(keys, asked, join_fields(asked, LIST_FIELDS))
    assert client.post("/stp/efws/API/V2/conciliacion", json=body).json["estado"] == 8


# The buttons ----------------------------------------------------------------------------------------------------------


def test_strangers_may_not_press_the_buttons(client: FlaskClient) -> None:
    assert client.get("/sandbox/flows", environ_overrides={"REMOTE_ADDR": "203.0.113.9"}).status_code == 403
    assert client.get("/sandbox/flows").json["spei.deposit"] == ["stp"]


def test_sending_an_unknown_flow_or_payment_says_so(client: FlaskClient) -> None:
    assert client.post("/sandbox/send", json={"flow": "oxxo.lost"}).status_code == 400
    asked = {"flow": "oxxo.paid", "psp": "stripe", "payment_id": "pi_3nobody"}
    assert client.post("/sandbox/send", json=asked).status_code == 404
    assert client.post("/sandbox/send", data=b"not json").status_code == 400
