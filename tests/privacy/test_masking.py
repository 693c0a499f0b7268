"""No view of a delivery shows who paid, and what an operator needs to see stays."""

import base64
import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psps.masking import mask_body, mask_headers
from psps.personal_fields import is_personal
from tests.privacy.people import CLABE, EMAIL, NAME, ORIGINALS, RFC, SAMPLES, TRACES, people_everywhere

JSON, FORM = "application/json", "application/x-www-form-urlencoded"


def traces(text: str) -> list[str]:
    return [trace for trace in TRACES if trace in text.lower()]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_nobody_is_seen_in_any_sample(path):
    body = path.read_bytes()
    shown = mask_body(body, JSON)
    assert not ORIGINALS.search(shown)
    assert json.loads(shown).keys() == json.loads(body).keys()
    planted = people_everywhere(json.loads(body))
    assert len(traces(planted.decode())) == len(TRACES)
    for content_type in (JSON, "", "text/plain"):
        assert traces(mask_body(planted, content_type)) == []
    broken = planted[:-1]
    assert traces(mask_body(broken, JSON)) == []
    assert traces(mask_body(urlencode({"body": planted.decode(), "nombre": NAME}).encode(), FORM)) == []


def test_what_tells_what_happened_stays():
    stp = json.loads((SAMPLES[0].parents[1] / "stp/sendAbono.json").read_bytes())
    shown = json.loads(mask_body(json.dumps(stp).encode(), JSON))
    for name in (
        "id",
        "claveRastreo",
        "monto",
        "referenciaNumerica",
        "institucionOrdenante",
        "tipoPago",
        "tsLiquidacion",
    ):
        assert shown[name] == stp[name]
    assert shown["cuentaOrdenante"] == "•••• 1249"
    assert (shown["nombreOrdenante"], shown["rfcCurpOrdenante"], shown["conceptoPago"]) == ("***", "***", "***")
    stripe = (SAMPLES[0].parents[1] / "stripe/payment_intent.succeeded.oxxo.json").read_bytes()
    object_, seen = json.loads(stripe)["data"]["object"], json.loads(mask_body(stripe, JSON))["data"]["object"]
    assert {name for name in object_ if seen[name] != object_[name]} <= {"customer"}
    assert seen["metadata"] == object_["metadata"]


def test_numbers_and_repeated_keys_stay_as_they_were_written():
    shown = mask_body(b'{"monto":1500.250,"a":1e-7,"a":2,"big":123456789012345678901,"x":NaN}', JSON)
    assert [line.strip() for line in shown.splitlines()[1:-1]] == [
        '"monto": 1500.250,',
        '"a": 1e-7,',
        '"a": 2,',
        '"big": 123456789012345678901,',
        '"x": NaN',
    ]


def test_a_token_is_shown_as_what_it_says():
    claims = json.dumps({"webhookData": {"id": "o1", "status": "COMPLETED", "userEmail": EMAIL, "fullName": NAME}})
    token = "eyJhbGciOiJIUzI1NiJ9." + base64.urlsafe_b64encode(claims.encode()).decode().rstrip("=") + ".c2ln"
    for body in (token.encode(), json.dumps({"data": token}).encode()):
        shown = mask_body(body, JSON)
        assert '"status": "COMPLETED"' in shown
        assert traces(shown) == []
        assert "eyJ" not in shown


def test_what_cannot_be_read_is_shown_as_its_shape():
    assert mask_body(b'{"status":"paid","name":"Zoraida", 12', JSON) == '{"status":"xxxx","name":"xxxxxxx", 00'
    assert mask_body("<a>Peñé 7</a>".encode(), "text/xml") == "<x>xxxx 0</x>"
    assert mask_body(b"", JSON) == ""
    assert mask_body(f'"{NAME}"'.encode(), JSON) == '"***"'
    assert "Zoraida" not in mask_body(b"\xff\xfe{Zoraida", JSON)


def test_of_headers_only_what_concerns_nobody_is_shown():
    headers = {"Content-Type": JSON, "Stripe-Signature": "t=1,v1=ab", "Authorization": "Basic x", "From": EMAIL}
    assert mask_headers(headers) == {
        "Content-Type": JSON,
        "Stripe-Signature": "***",
        "Authorization": "***",
        "From": "***",
    }


@pytest.mark.parametrize(
    "name",
    str.split(
        "nombreBeneficiario email payer_email telefono rfc RFCCurpOrdenante clabe billing_address holder_name bankAccountHolder bank_account_number dirección"
    ),
)
def test_fields_about_people(name):
    assert is_personal(name)


@pytest.mark.parametrize(
    "name",
    str.split(
        "id status amount tipoCuentaOrdenante method_name bank_code claveRastreo description_id2 created_at network ipo"
    ),
)
def test_fields_about_nobody(name):
    assert is_personal(name) == name.startswith("description")


@given(st.binary(max_size=300), st.sampled_from([JSON, FORM, "", "x"]))
def test_it_never_raises(body, content_type):
    assert isinstance(mask_body(body, content_type), str)


@pytest.mark.parametrize(
    "piece", [b"[", b'{"a":', b"a@", b"1 ", b'"', b"55 ", b"\\", b"eyJ.", b'{"a":"', b"%40", b"&a=", b"http://"]
)
def test_it_is_quick_on_what_is_hostile(piece):
    body = piece * (100_000 // len(piece))
    assert isinstance(mask_body(body, JSON), str)
    assert isinstance(mask_body(json.dumps({"x": body.decode()}).encode(), JSON), str)


def test_a_document_that_is_nested_too_deep_is_cut():
    shown = mask_body(b'{"a":' * 300 + f'"{CLABE} {RFC}"'.encode() + b"}" * 300, JSON)
    assert "***" in shown
    assert CLABE not in shown
