"""The forgeries that verifiers have fallen for, each tried on every PSP: what is no signature of its own is refused."""

import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from psps.registry import PSPS
from sandbox.keys import Keys, ensure_keys
from tests.psps.genuine import ADYEN_KEY, DLOCAL_LOGIN, UNREGISTERED, make_genuine
from tests.psps.leeway import BODY
from tests.psps.simulated import NOW, read_secrets

ALL = (*PSPS, *UNREGISTERED)
# Where each signature stands: what names its scheme, its time and itself.
SHAPES = {
    "stripe": ("stripe-signature", rb"(?P<time>t=[0-9]+,)(?P<tag>v1)=(?P<mac>[0-9a-f]{64})"),
    "moonpay": ("moonpay-signature-v2", rb"(?P<time>t=[0-9]+,)(?P<tag>s)=(?P<mac>[0-9a-f]{64})"),
    "mercadopago": ("x-signature", rb"(?P<time>ts=[0-9]+,)(?P<tag>v1)=(?P<mac>[0-9a-f]{64})"),
    "dlocal": ("authorization", rb"(?P<tag>V2-HMAC-SHA256), Signature: (?P<mac>[0-9a-f]{64})"),
    "conekta": ("digest", rb"(?P<mac>[A-Za-z0-9+/]+={0,2})"),
    "bitso": ("x-bitso-webhook-event-signature", rb"(?P<mac>[A-Za-z0-9+/]+={0,2})"),
    "stp": ("authorization", rb"(?P<tag>Basic) (?P<mac>[A-Za-z0-9+/]+={0,2})"),
    "openpay": ("authorization", rb"(?P<tag>Basic) (?P<mac>[A-Za-z0-9+/]+={0,2})"),
    "adyen": (BODY, rb'.*"hmacSignature":"(?P<mac>[A-Za-z0-9+/]+={0,2})".*'),
    "transak": (BODY, rb'\{"data":"(?P<tag>[\w-]+)\.[\w-]+\.(?P<mac>[\w-]+)"\}'),
}
WRONG_TAGS = {
    b"v1": (b"v0", b"v2", b"V1" + b"1", b"v11", b"s", b"", b"sha1", b" v1 x"),
    b"s": (b"S", b"v1", b"", b"ss", b"v0"),
    b"V2-HMAC-SHA256": (b"V2-HMAC-SHA1", b"V1-HMAC-SHA256", b"HMAC-SHA256", b"v2-hmac-sha256", b"Basic", b""),
    b"Basic": (b"Bearer", b"Digest", b"", b"Basic:", b"Basi"),
}
WRONG_ALGORITHMS = ("none", "None", "HS512", "HS384", "RS256", "ES256", "")
Spoil = Callable[[bytes, re.Match[bytes]], list[bytes]]


def _swap(text: bytes, found: re.Match[bytes], group: str, *others: bytes) -> list[bytes]:
    start, end = found.span(group)
    return [text[:start] + other + text[end:] for other in others]


def _is_hex(found: re.Match[bytes]) -> bool:
    return re.fullmatch(rb"[0-9a-f]{64}", found["mac"]) is not None


def _has(found: re.Match[bytes], group: str) -> bool:
    return group in found.re.groupindex


def spoil_tag(text: bytes, found: re.Match[bytes]) -> list[bytes]:
    if not _has(found, "tag"):
        return [b"sha256=" + text, b"SHA-256=" + text, b"v1," + text] if text == found["mac"] else []
    if found["tag"] in WRONG_TAGS:
        return _swap(text, found, "tag", *WRONG_TAGS[found["tag"]])
    written = (json.dumps({"alg": name, "typ": "JWT"}).encode() for name in WRONG_ALGORITHMS)
    return _swap(text, found, "tag", *(base64.urlsafe_b64encode(header).rstrip(b"=") for header in written))


def spoil_length(text: bytes, found: re.Match[bytes]) -> list[bytes]:
    mac = found["mac"]
    return _swap(
        text, found, "mac", b"", mac[:1], mac[:-1], mac[:-2], mac[: len(mac) // 2], mac[1:], mac + b"0", mac * 2
    )


def spoil_case(text: bytes, found: re.Match[bytes]) -> list[bytes]:
    return _swap(text, found, "mac", found["mac"].upper(), found["mac"].swapcase())


def spoil_encoding(text: bytes, found: re.Match[bytes]) -> list[bytes]:
    mac = found["mac"]
    if _is_hex(found):
        raw = bytes.fromhex(mac.decode())
        return _swap(
            text, found, "mac", base64.b64encode(raw), base64.urlsafe_b64encode(raw), base64.b64encode(mac), raw
        )
    raw = base64.urlsafe_b64decode(mac.translate(bytes.maketrans(b"+/", b"-_")) + b"==")
    others = (raw.hex().encode(), raw, base64.b64encode(mac), base64.b85encode(raw), mac.rstrip(b"=") + b"===")
    return _swap(text, found, "mac", *others)


def spoil_letters(text: bytes, found: re.Match[bytes]) -> list[bytes]:
    mac = found["mac"]
    wide = "".join(chr(0xFEE0 + byte) for byte in mac[:1]).encode()
    return _swap(
        text, found, "mac", mac + b"\xf1", b"\xff" + mac, wide + mac[1:], mac[:-1] + b"\0", "é€😀".encode(), mac + b"\0"
    )


def spoil_time(text: bytes, found: re.Match[bytes]) -> list[bytes]:
    if not _has(found, "time"):
        return []
    time = found["time"]
    name, _, digits = time.rstrip(b",").partition(b"=")
    written = [
        b"",
        b"+" + digits,
        b"-" + digits,
        b"0" + digits,
        digits + b".0",
        digits[:-1],
        digits + b"0",
        b"1_" + digits[1:],
    ]
    written += [b"1e9", b"9" * 5000, "".join(chr(0x660 + int(chr(digit))) for digit in digits).encode()]
    others = [b"", time * 2, name + b"=1," + time, time + name + b"=1,", b"x" + time]
    return _swap(text, found, "time", *others, *(name + b"=" + one + b"," for one in written))


def spoil_by_another(text: bytes, found: re.Match[bytes]) -> list[bytes]:
    """A header that is sent twice arrives with a comma between."""
    return [] if b"{" in text else [text + b"," + text, b"," + text, text + b","]


SPOILED: dict[str, Spoil] = {
    "the scheme or algorithm is another": spoil_tag,
    "the signature is cut off or goes on": spoil_length,
    "the signature is in the other case": spoil_case,
    "hex for base64, base64 for hex": spoil_encoding,
    "letters outside ASCII": spoil_letters,
    "no time, two times, or one written otherwise": spoil_time,
    "the header twice, or a comma too many": spoil_by_another,
}
# What is no forgery: Mercado Pago's SDK passes over an empty pair as well.
COMMAS_DO_NOT_COUNT = "mercadopago"


@pytest.fixture(scope="module")
def other_keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """Those of another merchant, or of the test mode of the same one."""
    return ensure_keys(tmp_path_factory.mktemp("other-keys"))


def test_every_psp_has_its_shape() -> None:
    assert SHAPES.keys() == set(ALL)


@pytest.mark.parametrize("psp", ALL)
@pytest.mark.parametrize("forgery", SPOILED)
def test_a_spoiled_signature_is_refused(forgery: str, psp: str, sandbox_keys: Keys) -> None:
    genuine = make_genuine(psp, sandbox_keys)
    part, shape = SHAPES[psp]
    text = genuine.part(part)
    found = re.fullmatch(shape, text, re.DOTALL)
    assert found, "the genuine signature has its shape"
    assert genuine.verify()
    for spoiled in SPOILED[forgery](text, found):
        is_padding = psp == COMMAS_DO_NOT_COUNT and spoiled.strip(b",") == text
        assert (genuine.change(part, spoiled).verify() is None) is not is_padding, spoiled


@pytest.mark.parametrize("psp", ALL)
def test_no_signature_and_an_empty_one_are_refused(psp: str, sandbox_keys: Keys) -> None:
    genuine = make_genuine(psp, sandbox_keys)
    part = SHAPES[psp][0]
    for nothing in (b"", b" ", b"\t", b",", b"=", b"null", b"{}", b"undefined"):
        assert genuine.change(part, nothing).verify() is None
    if part != BODY:
        assert genuine.rename(part, b"x-" + part.encode()).verify() is None


@pytest.mark.parametrize("psp", ["stripe", "moonpay"])
def test_of_several_signatures_one_that_fits_is_enough_and_none_is_not(psp: str, sandbox_keys: Keys) -> None:
    genuine = make_genuine(psp, sandbox_keys)
    name, scheme = SHAPES[psp][0], b"v1=" if psp == "stripe" else b"s="
    time, _, mac = genuine.part(name).partition(b"," + scheme)
    wrong = scheme + b"0" * 64
    for order in ([wrong, scheme + mac], [scheme + mac, wrong], [wrong] * 20 + [scheme + mac] + [wrong] * 20):
        assert genuine.change(name, b",".join([time, *order])).verify() == genuine.verify()
    assert genuine.change(name, b",".join([time, wrong, wrong])).verify() is None


@pytest.mark.parametrize("psp", ["mercadopago"])
def test_of_two_signatures_of_one_version_neither_counts(psp: str, sandbox_keys: Keys) -> None:
    genuine = make_genuine(psp, sandbox_keys)
    header = genuine.part("x-signature")
    assert genuine.change("x-signature", header + b",v1=" + b"0" * 64).verify() is None
    assert genuine.change("x-signature", header + b",v1=" + header[-64:]).verify() is None


@pytest.mark.parametrize("psp", [*(name for name in PSPS if PSPS[name].tolerates_time), "dlocal"])
def test_a_time_is_good_to_the_second_of_its_bounds(psp: str, sandbox_keys: Keys) -> None:
    genuine = make_genuine(psp, sandbox_keys)
    good = {seconds: replace(genuine, now=NOW + seconds).verify() is not None for seconds in (-301, -300, 300, 301)}
    assert good == {-301: False, -300: True, 300: True, 301: False}


@pytest.mark.filterwarnings("ignore:The HMAC key is")  # how short it is, which the configuration refuses at start
@pytest.mark.parametrize("psp", ALL)
def test_only_a_secret_of_this_account_fits_and_during_a_rotation_both_do(
    psp: str, sandbox_keys: Keys, other_keys: Keys
) -> None:
    """A test secret is nothing but another one: what it signs is refused where the live one is configured."""
    genuine = make_genuine(psp, sandbox_keys)
    other = {"adyen": ("f" * 64,), "dlocal": (f"{DLOCAL_LOGIN}:{'0ld' * 12}",)}.get(psp) or read_secrets(
        psp, other_keys
    )
    own = genuine.secrets
    if psp == "bitso":  # names its key
        other = tuple(own[0].partition("=")[0] + "=" + secret.partition("=")[2] for secret in other)
    assert replace(genuine, secrets=other).verify() is None
    for both in (own + other, other + own):
        assert replace(genuine, secrets=both).verify() == genuine.verify()
    for unusable in ((), ("",), (" ",), ("\0",), ("ñ",), (own[0][:-1],), (own[0][1:],), (own[0].swapcase(),)):
        is_same_key = psp == "adyen" and unusable == (ADYEN_KEY.swapcase(),)  # a key in hex
        assert (replace(genuine, secrets=unusable).verify() is not None) is is_same_key, unusable


@pytest.mark.parametrize("psp", ALL)
def test_a_body_that_is_written_anew_is_refused_where_its_bytes_are_signed(psp: str, sandbox_keys: Keys) -> None:
    genuine = make_genuine(psp, sandbox_keys)
    told = json.loads(genuine.body)
    written = (json.dumps(told, indent=2), json.dumps(told, indent="\t"), json.dumps(told) + "\n")
    verdicts = {genuine.change(BODY, text.encode()).verify() is not None for text in written}
    assert verdicts == {psp not in {"stripe", "conekta", "moonpay", "dlocal"}}
