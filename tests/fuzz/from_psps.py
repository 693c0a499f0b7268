"""The parsers of what PSPs send, as functions of bytes: what they are declared to raise is caught, and what they promise of
their results is asserted."""

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

from models.states import Decision
from psps.adyen import signature as adyen
from psps.base import Hint, Ignored, InvalidSignature, PaymentEvent, Unparseable
from psps.card_data import redact
from psps.cep.pages import find_state, tell_page
from psps.cep.proof import read_proof
from psps.cep.query import find_query
from psps.dlocal import signature as dlocal
from psps.identity import is_storable_key
from psps.payload import read_any_json, read_json
from psps.registry import PSPS
from tests.psps.samples import HERE, vectors

NOW = datetime(2026, 11, 24, tzinfo=UTC)
BETWEEN = b"\x1e"  # in inputs of several parts: no JSON text and no header may hold it as it is
SECRETS = ("whsec_" + "5" * 32, "user:password-1" + "-" * 32, "ab" * 32, "login:" + "k3y" * 12)


def name(psp: str, body: bytes) -> None:
    assert is_storable_key(PSPS[psp].events.event_key({}, body))


def name_by_query(psp: str, data: bytes) -> None:
    query, _, body = data.rpartition(BETWEEN)
    assert is_storable_key(PSPS[psp].events.event_key({":query": query.decode("latin-1")}, body))


def digest(psp: str, body: bytes) -> None:
    assert len(PSPS[psp].events.content_digest(body)) == 32


def find_clabe(psp: str, body: bytes) -> None:
    clabe = PSPS[psp].events.deposit_clabe(body)
    assert clabe is None or is_storable_key(clabe)


def reply(psp: str, body: bytes) -> None:
    assert PSPS[psp].events.reply(body, Decision.ACCEPT).status == 200


def reply_by_returning(psp: str, body: bytes) -> None:
    returned = (200, 400) if PSPS[psp].reply_moves_money else (200,)
    assert PSPS[psp].events.reply(body, Decision.RETURN).status in returned


def read(psp: str, body: bytes) -> None:
    with suppress(Unparseable):
        check_outcome(PSPS[psp].events.read({}, body))


def read_snapshot(psp: str, body: bytes) -> None:
    with suppress(Unparseable):
        check_outcome(PSPS[psp].events.read_snapshot(body, NOW))


def parse(psp: str, body: bytes) -> None:
    with suppress(Unparseable):
        assert isinstance(PSPS[psp].events.parse({}, body), list)


def strip_token(psp: str, body: bytes) -> None:
    unwrap = PSPS[psp].unwrap
    assert unwrap is None or isinstance(unwrap(body), bytes | None)


READERS = (name, name_by_query, digest, find_clabe, reply, reply_by_returning, read, read_snapshot, parse, strip_token)


def check_outcome(outcome: list[PaymentEvent] | Ignored | Hint) -> None:
    assert isinstance(outcome, Ignored | Hint) or (outcome and all(type(one) is PaymentEvent for one in outcome))


def run_signature(psp: str, data: bytes) -> None:
    """Headers that count and the query come first. No input has a valid signature: secrets are not in the seeds."""
    module = {"adyen": adyen, "dlocal": dlocal}.get(psp) or PSPS[psp].signature
    *values, body = data.split(BETWEEN)
    headers = dict(zip(SIGNING_HEADERS[psp], (value.decode("latin-1") for value in values), strict=False))
    with suppress(InvalidSignature):
        module.verify(headers, {"data.id": headers.get("", "")}, body, SECRETS, NOW)
        raise AssertionError("a signature that nobody made is accepted")


SIGNING_HEADERS = {
    "stripe": ("stripe-signature",),
    "conekta": ("digest",),
    "stp": ("authorization",),
    "mercadopago": ("x-signature", "x-request-id", ""),
    "openpay": ("authorization",),
    "moonpay": ("moonpay-signature-v2",),
    "transak": (),
    "bitso": ("x-bitso-webhook-event-signature", "x-bitso-key-id"),
    "adyen": (),
    "dlocal": ("authorization", "x-date", "x-login"),
}


def list_bodies(psp: str) -> Iterator[bytes]:
    yield from (path.read_bytes() for path in sorted((HERE / "samples" / psp).glob("*.json")))
    yield from (vector["body_utf8"].encode() for vector in vectors(psp))


def list_deliveries(psp: str) -> Iterator[bytes]:
    for vector in vectors(psp):
        sent = {name.lower(): value for name, value in vector["headers"].items()}
        values = [str(sent.get(name, "7")).encode("utf-8") for name in SIGNING_HEADERS[psp]]
        yield BETWEEN.join([*values, vector["body_utf8"].encode()])


def run_strict_json(data: bytes) -> None:
    with suppress(Unparseable):
        assert type(read_json(data)) is dict


def run_any_json(data: bytes) -> None:
    """Nothing is read in it that could not be stored as text."""
    with suppress(Unparseable):
        json.dumps(read_any_json(data), default=str, ensure_ascii=False).encode()


def run_card_data(data: bytes) -> None:
    kept, found = redact(data)
    assert found or kept == data


def check_kept(data: bytes) -> None:
    """What is kept of a JSON body is JSON."""
    assert is_json(redact(data)[0]) or not is_json(data)


def is_json(data: bytes) -> bool:
    try:
        json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        return False
    return True


def run_pages(data: bytes) -> None:
    tell_page(data)
    state = find_state(data)
    assert state is None or state


def run_proof(data: bytes) -> None:
    with suppress(Unparseable):
        proof = read_proof(data)
        assert proof.credited_at.tzinfo is UTC
        assert is_storable_key(proof.tracking_key)


def run_query(data: bytes) -> None:
    query = find_query(data)
    assert query is None or (query.digest() and query.neighbours)


def list_cep() -> Iterator[bytes]:
    yield from (vector["body_utf8"].encode() for vector in vectors("banxico_cep"))
    yield (
        b'{"tipoOrden":"R","orden":{"monto":1.5,"tsLiquidacion":1795219200123,"claveRastreo":"K1",'
        b'"cuentaBeneficiario":"646180110400000007","institucionContraparte":40012,"fechaOperacion":20261124}}'
    )
