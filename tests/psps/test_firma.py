"""STP's firma: the strings and signatures of its own Python SDK, which are the only public ones."""

import base64
import json
from decimal import Decimal
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

from psps.credentials import load_rsa_key
from psps.stp.banks import find_participant
from psps.stp.firma import ACCOUNT_FIELDS, LIST_FIELDS, LOOKUP_FIELDS, ORDER_FIELDS, fold_text, join_fields, sign
from tests.psps.samples import vectors

FIELDS = {
    "registra": ORDER_FIELDS,
    "cuenta": ACCOUNT_FIELDS,
    "efws_consultaOrden": LOOKUP_FIELDS,
    "efws_conc": LIST_FIELDS,
}
REQUESTS = [
    (v, fields) for v in vectors("stp_requests") for start, fields in FIELDS.items() if v["name"].startswith(start)
]
# The string that stpmex's own tests expect of its first request.
EXPECTED = (
    "||40072|TAMIZI|||CR1564969083|90646|1.20|1|40||646180110400000007||40|Ricardo Sanchez|072691004495711499|ND||||||"
    "Prueba||||||5273144||T||3|0|||"
)


def fits(vector: dict[str, Any], fields: tuple[str, ...]) -> bool:
    sent = json.loads(vector["body_utf8"], parse_float=Decimal)
    key = load_rsa_key(vector["secret_or_keys"]["public_key_pem"])
    assert key
    try:
        key.verify(base64.b64decode(sent["firma"]), join_fields(sent, fields).encode(), PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


@pytest.mark.parametrize(
    ("vector", "fields"), REQUESTS, ids=lambda value: value["name"] if isinstance(value, dict) else ""
)
def test_the_cadena_original_is_what_the_sdk_signed(vector: dict[str, Any], fields: tuple[str, ...]) -> None:
    assert fits(vector, fields) is vector["valid"]


def test_every_kind_of_request_has_a_vector() -> None:
    assert {fields for _, fields in REQUESTS} == set(FIELDS.values())


def test_the_expected_string_of_the_sdk() -> None:
    [minimal] = [vector for vector in vectors("stp_requests") if vector["name"] == "registra_minimal"]
    sent = json.loads(minimal["body_utf8"], parse_float=Decimal) | {"empresa": "TAMIZI"}
    assert join_fields(sent, ORDER_FIELDS) == EXPECTED


def test_what_we_sign_verifies() -> None:
    key = generate_private_key(65537, 2048)
    sent = {"empresa": "EMPRESA_PRUEBA", "tipoOrden": "E", "page": 3}
    signature = base64.b64decode(sign(sent, LIST_FIELDS, key))
    key.public_key().verify(signature, b"||EMPRESA_PRUEBA|E|||", PKCS1v15(), SHA256())


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("  Compañía Ñandú, S.A. de C.V. ", "Compania Nandu, S.A. de C.V."),
        ("José Pérez Núñez", "Jose Perez Nunez"),
        ("x" * 50, "x" * 39),
        ("日本", ""),
    ],
)
def test_text_is_folded_before_it_is_signed(text: str, folded: str) -> None:
    assert fold_text(text) == folded


@pytest.mark.parametrize(
    ("clabe", "participant"),
    [
        ("012180004643051249", "40012"),
        ("646180110400000007", "90646"),
        ("072691004495711499", "40072"),
        ("012180004643051240", None),
        ("", None),
    ],
)
def test_the_participant_of_a_clabe(clabe: str, participant: str | None) -> None:
    assert find_participant(clabe) == participant
