"""Whoever is planted into a delivery, in whatever encoding, is not seen in what is shown of it; and to show is quick."""

import base64
import json
import time
from functools import reduce
from urllib.parse import quote_plus, urlencode
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psps.masking import mask_body
from psps.personal_fields import PEOPLE
from psps.persons import Person, read_identifier
from tests.privacy.people import CLABE, EMAIL, NAME, RFC, SAMPLES, TRACES, people_everywhere

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
PLANTED = st.sampled_from([NAME, NAME.upper(), NAME.split()[0], "5583741920", EMAIL, CLABE, RFC])
LISTED = st.sampled_from(
    sorted(PEOPLE | {"nombreOrdenante", "razon_social", "Apellido", "datosCliente", "buyer_info", "beneficiarios"})
)
NEUTRAL = st.sampled_from(["x", "data", "metadata", "respuesta", "raw", "payload"])


def encode(value: object) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def encode_url_safe(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


# A document as a text. What is in it has one key.
TEXTS = {
    "json": json.dumps,
    "base64": encode,
    "base64url": encode_url_safe,
    "token": lambda value: f"eyJhbGciOiJIUzI1NiJ9.{encode_url_safe(value)}.c2ln",
    "form": lambda value: urlencode(value) if isinstance(value, dict) else urlencode({"x": json.dumps(value)}),
    "xml": lambda value: "".join(f"<{k}>{escape(str(v))}</{k}>" for k, v in value.items()),
    "said": lambda value: "; ".join(f"{k}: {v}" for k, v in value.items()),
    "in a sentence": lambda value: f"answer was {json.dumps(value)}, sorry",
}


@st.composite
def deliveries(draw):
    """A body in which a person stands under a listed key, within containers and up to three texts."""
    value = draw(PLANTED)
    inner = {draw(LISTED): draw(st.sampled_from([value, [value], [[value]], {"x": value}, {"x": [{"y": value}]}]))}
    for _ in range(draw(st.integers(0, 3))):
        encoding = draw(st.sampled_from(sorted(TEXTS)))
        inner = {draw(NEUTRAL): reduce(lambda told, more: more(told), [TEXTS[encoding]], inner)}
        inner = draw(st.sampled_from([inner, {"z": [1, inner]}, {"id": "7", "x": {"y": inner}}]))
    body = draw(
        st.sampled_from(
            [json.dumps(inner), json.dumps(inner, ensure_ascii=False), TEXTS["token"](inner), json.dumps([inner])]
        )
    )
    return draw(st.sampled_from([body, body, "\ufeff" + body, urlencode({"data": body})])).encode()


@settings(max_examples=300, deadline=None)
@given(deliveries(), st.sampled_from([JSON, FORM, "", "text/plain"]))
def test_nobody_is_seen_in_any_encoding(body, content_type):
    shown = mask_body(body, content_type)
    assert [trace for trace in TRACES if trace in shown.lower()] == []
    for value in (NAME, EMAIL, CLABE, RFC, "5583741920"):
        assert base64.b64encode(value.encode()).decode()[2:-4] not in shown
    assert mask_body(shown.encode(), content_type) == shown


MARKS = """{ } [ ] " : , = & ; ? + % %40 @ \\ < > </a> nombre name id cliente x Juan 7 1 012180015987654320 •••• *** +52 55 8374
 1920 - . / https:// 0x eyJ eyJhbGciOiJIUzI1NiJ9 e30 null true 1e5 ٣ é \ufeff \ud800 &lt; \\u00e9 Q0FYWg== 2026-11-22T05:59"""
PIECES = st.sampled_from([*MARKS.split(), " ", "\n"])


@settings(max_examples=500, deadline=None)
@given(st.lists(PIECES, max_size=14).map("".join), st.sampled_from([JSON, FORM, ""]), st.booleans())
def test_what_is_masked_stays_as_it_is(text, content_type, within):
    body = (json.dumps({"x": text}) if within else text).encode("utf-8", "replace")
    shown = mask_body(body, content_type)
    assert mask_body(shown.encode(), content_type) == shown


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([JSON, FORM, ""]))
def test_any_bytes_are_shown_and_stay_as_they_are_shown(body, content_type):
    shown = mask_body(body, content_type)
    assert mask_body(shown.encode(), content_type) == shown


@settings(max_examples=100, deadline=None)
@given(deliveries(), PLANTED)
def test_who_was_erased_is_not_found_again(body, value):
    person = Person([read_identifier("email", EMAIL), read_identifier("phone", "5583741920")])
    assert not person.is_in_body(person.erase_body(body))


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("cliente", "Juan Perez", "***"),
        ("comprador", "Ana", "***"),
        ("contact", "5512345678", "***"),
        ("customer", "cus_N4fB2kQ9", "cus_N4fB2kQ9"),
        ("customer", 77123, 77123),
        ("buyer", 5512345678, "***"),
        ("customerId", "cus-77", "cus-77"),
        ("sender_bank", "40012", "40012"),
        ("origin_client_id", "ord-1001-refund-1", "ord-1001-refund-1"),
        ("x", "name=Juan+Perez&phone=5512345678&id=7", "name=***&phone=***&id=7"),
        ("x", "<nombre>Juan</nombre>", "<xxxxxx>xxxx</xxxxxx>"),
        ("x", "Nombre: Juan Perez, estado: pagado", "Nombre:***, estado: pagado"),
        ("x", encode({"name": "Juan", "status": "paid"}), {"name": "***", "status": "paid"}),
        ("x", "MBAN01002611210000000001", "MBAN01002611210000000001"),
        ("x", "2026-11-22T05:59:40.000Z", "2026-11-22T05:59:40.000Z"),
        ("x", "https://pay.example/voucher/1.png", "https://pay.example/voucher/1.png"),
        ("x", "\ud800", "\ud800"),
    ],
)
def test_what_is_hidden_and_what_stays(name, value, shown):
    assert json.loads(mask_body(json.dumps({name: value}).encode(), JSON)) == {name: shown}


def test_json_is_json_whatever_its_sender_calls_it():
    body = b'{"name":"Juan Perez","Juan Perez":1,"status":"paid"}'
    assert mask_body(body, FORM) == mask_body(body, JSON) == '{\n  "name": "***",\n  "***": 1,\n  "status": "paid"\n}'
    assert mask_body(b"name=Juan+Perez&id=7", "") == "name=***\nid=7"
    assert mask_body(b"Zoraida Canario", FORM) == "***"


@pytest.mark.parametrize("levels", [99, 300, 600, 750, 900, 5000])
def test_any_depth_is_shown_searched_and_erased(levels):
    person = Person([read_identifier("email", EMAIL)])
    for opening, closing in (('{"a":', "}"), ("[", "]")):
        body = (opening * levels + f'"{EMAIL}"' + closing * levels).encode()
        assert person.is_in_body(body)
        assert EMAIL not in mask_body(body, JSON)
        assert not person.is_in_body(person.erase_body(body))
    deep = urlencode({"x": reduce(lambda text, _: quote_plus(json.dumps({"cliente": text})), range(9), NAME)}).encode()
    assert "Zoraida" not in mask_body(deep, FORM)


PLENTY = [people_everywhere(json.loads(path.read_bytes())).decode() for path in SAMPLES]


@pytest.mark.parametrize(
    "body",
    [
        ("[" + ",".join(PLENTY) + "]")[:100_000],
        json.dumps([json.loads(one) for one in PLENTY] * 2)[:100_000],
        json.dumps({"x": "name=Juan+Perez&phone=5512345678&" * 3000}),
        json.dumps({"x": base64.b64encode(b'{"cliente":"Juan Perez"},' * 3000).decode()}),
        "<cliente>Juan Perez</cliente>" * 3500,
        "cliente=Juan+Perez&" * 5000,
        *(
            piece * (100_000 // len(piece))
            for piece in (
                "a@",
                "a%40",
                "1 ",
                "55 ",
                "http://",
                "http://a?",
                "a:",
                "a=",
                "a@b c:",
                "%25",
                "eyJ",
                "eyJhbGciOiJ.",
                "customer:1 ",
                '"a":',
                "[",
                "cliente: ",
            )
        ),
    ],
    ids=lambda body: body[:12],
)
def test_a_hundred_kilobytes_are_shown_in_fifty_milliseconds(body):
    for told in (body, json.dumps({"x": body})):
        assert min(seconds_for(told.encode()) for _ in range(5)) < 0.05 * max(1, len(told) / 100_000)


def seconds_for(body: bytes) -> float:
    started = time.thread_time()
    mask_body(body, JSON)
    return time.thread_time() - started
