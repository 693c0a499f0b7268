"""STP's firma: the strings and signatures of its own Python SDK, which are the only public ones."""

import base64
import json
import re
from decimal import Decimal
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_curve_key
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from psps.credentials import load_private_key, load_rsa_key
from psps.stp.banks import PARTICIPANTS, find_participant
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
    sent = json.loads(vector["body_utf8"], parse_float=Decimal)
    assert join_fields(sent, fields) == vector["cadena_original"]


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
        ("uno|dos\ntres\x7f\x00", "uno dos tres"),
        ("x" * 38 + " yz", "x" * 38),
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
        ("638180000000000000", "40638"),  # a bank among the codes of those that are none
        ("722969000000000000", "90722"),
        ("166180000000000000", "37166"),
        ("001180000000000000", None),
        ("642180000000000000", None),
        ("999180000000000000", None),
        ("", None),
    ],
)
def test_the_participant_of_a_clabe(clabe: str, participant: str | None) -> None:
    assert find_participant(clabe) == participant


def test_every_participant_ends_with_its_bank_code_and_has_one_of_three_kinds() -> None:
    assert all(re.fullmatch(rf"(40|37|90){bank}", code) for bank, code in PARTICIPANTS.items())
    assert len(PARTICIPANTS) == 97


# The key


@pytest.fixture(scope="module")
def own_key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


def write_pem(key: RSAPrivateKey, passphrase: bytes | None = None, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    protection = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, form, protection).decode()


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("passphrase", [None, "contraseña-1"])
def test_a_private_key_is_read_however_it_is_kept(
    own_key: RSAPrivateKey, form: PrivateFormat, passphrase: str | None
) -> None:
    pem = write_pem(own_key, passphrase.encode() if passphrase else None, form)
    for kept in (pem, pem.strip(), pem.replace("\n", "\\n"), pem.replace("\n", "\r\n")):
        loaded = load_private_key(kept, passphrase)
        assert loaded and loaded.public_key() == own_key.public_key()


def test_what_cannot_sign_is_no_private_key(own_key: RSAPrivateKey) -> None:
    locked = write_pem(own_key, b"contrasena-1")
    public = own_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    curve = generate_curve_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    for pem, passphrase in [
        (locked, None),
        (locked, "another-1"),
        (locked, "\udc80"),
        (write_pem(own_key), "not-needed"),
        (write_pem(generate_private_key(65537, 1024)), None),
        (public, None),
        (curve, None),
        ("", None),
        ("ñ", None),
    ]:
        assert load_private_key(pem, passphrase) is None
