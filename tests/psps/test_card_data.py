"""Card data never reaches the database; what merely looks like it stays."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psps.card_data import redact
from tests.psps.samples import all_samples, changed, sample, vectors

FOUND = {
    "Visa": ('"4242424242424242"', '"424242******4242"'),
    "Visa of 13": ('"4222222222222"', '"422222***2222"'),
    "Mastercard": ('"5555555555554444"', '"555555******4444"'),
    "Mastercard 2-series": ('"2223003122003222"', '"222300******3222"'),
    "American Express": ('"3782 822463 10005"', '"3782 82**** *0005"'),
    "Diners": ('"30569309025904"', '"305693****5904"'),
    "Discover": ('"6011111111111117"', '"601111******1117"'),
    "JCB": ('"3530111333300000"', '"353011******0000"'),
    "UnionPay of 19": ('"6205500000000000004"', '"620550*********0004"'),
    "blanks": ('"4242 4242 4242 4242"', '"4242 42** **** 4242"'),
    "dashes": ('"4242-4242-4242-4242"', '"4242-42**-****-4242"'),
    "in a sentence": ('"card 4242424242424242, thanks"', '"card 424242******4242, thanks"'),
    "expiry behind": ('"4242424242424242 12 2027"', '"424242******4242 12 2027"'),
    "number": ("4242424242424242", "4242420000004242"),
    "number in a list": ("[4242424242424242, 1]", "[4242420000004242, 1]"),
    "in a list": ('["4242424242424242"]', '["424242******4242"]'),
    "escaped digit": ('"\\u00342424242\\u00342424242"', '"424242******4242"'),
    "behind an escaped letter": ('"\\u00e94242424242424242"', '"é424242******4242"'),
    "behind an emoji": ('"\\ud83d\\ude004242424242424242"', '"😀424242******4242"'),
    "behind a letter with accent": ('"é4242424242424242"', '"é424242******4242"'),
    "behind a line break": ('"a\\n4242424242424242"', '"a\\n424242******4242"'),
    "JSON in a text": ('"{\\"n\\":\\"4242424242424242\\",\\"cvv\\":\\"123\\"}"', '"{\\"n\\":\\"424242******4242\\",\\"cvv\\":\\"***\\"}"'),
    "CVV": ('{"cvv":"123"}', '{"cvv":"***"}'),
    "CVV as a number": ('{"CVV2": 123}', '{"CVV2": 0}'),
    "CVV by an escaped key": ('{"\\u0063vc":"123"}', '{"cvc":"***"}'),
    "CVV with quotes": ('{"cv2":"1\\"2"}', '{"cv2":"***"}'),
    "list of CVV": ('{"cvc2":["123"]}', '{"cvc2":"***"}'),
    "track": ('{"track2":";4242=2712?"}', '{"track2":"***"}'),
    "PIN": ('{"pin" : "9876"}', '{"pin" : "***"}'),
    "number by key whatever Luhn says": ('{"card_number":"4242424242424241"}', '{"card_number":"424242******4241"}'),
    "PAN by key": ('{"pan":"1234 5678 1234 5678"}', '{"pan":"1234 56** **** 5678"}'),
    "STP payer's card": ('{"cuentaOrdenante":"4152313412345678"}', '{"cuentaOrdenante":"415231******5678"}'),
    "STP payer's card, older contract": ('{"CuentaOrdenante":"4152313412345678"}', '{"CuentaOrdenante":"415231******5678"}'),
}  # fmt: skip


@pytest.mark.parametrize(("value", "stored"), FOUND.values(), ids=FOUND.keys())
def test_card_data_is_taken_out(value: str, stored: str) -> None:
    body = f'{{"x":{value}}}'.encode()
    redacted, found = redact(body)
    assert (redacted.decode(), found) == (f'{{"x":{stored}}}', True)
    json.loads(redacted)
    assert redact(redacted)[0] == redacted


LEFT_ALONE = {
    "Luhn fails": '"4242424242424241"',
    "no card begins so": '"1234567812345670"',
    "twelve digits": '"424242424242"',
    "twenty digits": '"42424242424242424242"',
    "inside a word": '"pi_4242424242424242"',
    "before a word": '"4242424242424242abc"',
    "two blanks": '"4242  4242  4242  4242"',
    "fraction": "0.4242424242424242",
    "UUID": '"550e8400-e29b-4424-8242-424242424242"',
    "milliseconds": "1795219200123",
    "CLABE that passes Luhn": '"646180110400000104"',
    "masked": '"424242******4242"',
    "last four": '{"last4":"4242","cvc_check":"pass","cvc":"","pin":null}',
    "masked by the PSP": '{"card_number":"411111XXXXXX1111"}',
    "CLABE of the payer": '{"cuentaOrdenante":"012180004643051249"}',
    "telephone of the payer": '{"cuentaOrdenante":"5512345678"}',
    **{
        f"identifier {key}": f'{{"{key}":"4242424242424242"}}'
        for key in (
            "id",
            "idEF",
            "claveRastreo",
            "ClaveRastreo",
            "folioOrigen",
            "reference",
            "cuentaBeneficiario",
            "Clave",
        )
    },
    "identifier as a number": '{"id": 4242424242424242}',
    "escaped text without digits": '"Jos\\u00e9 \\\\u0034 \\u003c"',
}


@pytest.mark.parametrize("value", LEFT_ALONE.values(), ids=LEFT_ALONE.keys())
def test_lookalike_is_left_alone(value: str) -> None:
    body = f'{{"x":{value}}}'.encode()
    assert redact(body) == (body, False)


@pytest.mark.parametrize(("psp", "name"), all_samples(), ids="-".join)
def test_samples_hold_no_card_data(psp: str, name: str) -> None:
    assert redact(sample(psp, name)) == (sample(psp, name), False)


@pytest.mark.parametrize("vector", [v for v in vectors("clabe") if v["valid"]], ids=lambda v: v["name"])
def test_clabes_stay(vector: dict) -> None:
    body = json.dumps({"x": vector["body_utf8"]}).encode()
    assert redact(body) == (body, False)


def test_payer_card_is_redacted_and_the_deposit_still_read() -> None:
    body = changed(
        changed(sample("stp", "sendAbono"), "cuentaOrdenante", to="4152313412345678"), "tipoCuentaOrdenante", to=3
    )
    redacted, found = redact(body)
    assert found and b"4152313412345678" not in redacted
    assert {**json.loads(redacted), "cuentaOrdenante": None} == {**json.loads(body), "cuentaOrdenante": None}


def repeated(part: bytes, before: bytes = b"", size: int = 100_000) -> bytes:
    return (before + part * (size // len(part) + 1))[:size]


COSTLY = {
    "spaced digits": repeated(b"6 "),
    "spaced digits of two cards": repeated(b"4 2 "),
    "dashes": repeated(b"6-"),
    "groups of three": repeated(b"666 "),
    "groups of four": repeated(b"4242 "),
    "short runs of spaced digits": repeated(b"6 " * 30 + b","),
    "shortest runs": repeated(b"6 " * 13 + b","),
    "card numbers": repeated(b"4242424242424242,"),
    "shortest card numbers": repeated(b"6666666666666,"),
    "card numbers in one text": repeated(b"4242424242424242,", before=b'"x":"'),
    "fractions": repeated(b"0.6666666666666,"),
    "words": repeated(b"a6666666666666"),
    "digit UUIDs": repeated(b"66666666-6666-6666-6666-666666666666-"),
    "CLABEs": repeated(b"646180110400000104 "),
    "quotes": repeated(b'"', before=b'"cvv'),
    "keys": repeated(b'"cvv":"1",'),
    "keys without end": repeated(b'"pan":"'),
    "lists without end": repeated(b'"cvv":[1,1'),
    "blanks behind a key": repeated(b" ", before=b'"cvv"'),
    "backslashes": repeated(b"\\", before=b'"cvv":"'),
    "escaped keys": repeated(b'\\"cvv\\":\\"'),
    "escaped digits": repeated(b"\\u0036"),
    "line breaks behind backslashes": repeated(b"\\" * 65 + b"n6666666666666 "),
}


@pytest.mark.wall_clock
@pytest.mark.parametrize("body", COSTLY.values(), ids=COSTLY.keys())
def test_no_body_is_costly(body: bytes) -> None:
    """100 kB take up to 40 ms on a slow core, and four times a quarter of it: what grows with the square takes sixteen times."""

    def measure(body: bytes) -> float:
        began = time.process_time()
        redact(body)
        return time.process_time() - began

    quarter, whole = (min(measure(part) for _ in range(5)) for part in (body[: len(body) // 4], body))
    assert whole < 8 * quarter + 0.005
    assert whole < 1


def test_a_run_of_too_many_card_numbers_is_masked_as_a_whole() -> None:
    eight, nine = (b'{"x":"' + b" ".join([b"4242424242424242"] * count) + b'"}' for count in (8, 9))
    assert redact(eight) == (eight.replace(b"4242424242424242", b"424242******4242"), True)
    middle = b"*" * 10 + b" " + b" ".join([b"*" * 16] * 7) + b" " + b"*" * 12
    assert redact(nine) == (b'{"x":"424242' + middle + b'4242"}', True)
    spaced = b'{"x":"' + b" ".join([b"6"] * 40) + b'"}'
    assert redact(spaced) == (b'{"x":"' + b" ".join([b"6"] * 6 + [b"*"] * 30 + [b"6"] * 4) + b'"}', True)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=120) | st.text(alphabet='0123456789 -"\\u4cvpan:{}', max_size=120).map(str.encode))
def test_any_bytes(body: bytes) -> None:
    redacted, found = redact(body)
    assert found or redacted == body


luhn_numbers = st.from_regex(r"4[0-9]{14}", fullmatch=True, alphabet=st.characters(codec="ascii")).map(
    lambda head: head + next(d for d in "0123456789" if luhn(head + d))
)


def luhn(number: str) -> bool:
    return (
        sum(int(d) if place % 2 == 0 else sum(divmod(2 * int(d), 10)) for place, d in enumerate(reversed(number))) % 10
        == 0
    )


@settings(max_examples=150, deadline=None)
@given(
    luhn_numbers,
    st.text(max_size=20),
    st.text(max_size=20),
    st.booleans(),
    st.sampled_from(["{}", "{} ", "-{}", "({})"]),
)
def test_no_card_number_survives_in_any_text(number: str, before: str, after: str, escape: bool, form: str) -> None:
    text = before + "#" + form.format(number) + "," + after
    body = json.dumps({"note": text}, ensure_ascii=escape).encode("utf-8", "surrogatepass")
    redacted, found = redact(body)
    assert found and number.encode() not in redacted
    assert number not in json.loads(redacted.decode("utf-8", "surrogatepass"))["note"]
