"""Every public vector, and the attacks that verifiers have fallen for. Bodies are signed here for real."""

import base64
import hashlib
import hmac
import json
import secrets as random_secrets
import string
from datetime import UTC, datetime

import pytest
import stripe
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from psps.base import InvalidSignature
from psps.credentials import LABELS
from psps.registry import PSPS, Psp
from psps.stripe import signature as stripe_signature
from tests.psps.samples import sample, vectors

NOW = 1_795_320_000
SECRET = "whsec_9fQ2researchVectorKey0123456789"
OLD_SECRET = "whsec_theOneBeforeTheRotation0123456"
BODY = sample("stripe", "payment_intent.succeeded.oxxo")


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def mac(body: bytes = BODY, t: object = NOW, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), f"{t}.".encode() + body, hashlib.sha256).hexdigest()


def verify_stripe(header: str | None, body: bytes = BODY, secrets: list[str] | None = None, **tolerance: int) -> str:
    headers = {} if header is None else {"stripe-signature": header}
    known = [SECRET] if secrets is None else secrets
    return stripe_signature.verify(headers, {}, body, known, at(NOW), **tolerance)


def secrets_of(vector: dict) -> list[str]:
    keys = vector["secret_or_keys"]
    if vector["psp"] == "stp":
        return [f"{keys['basic_user']}:{keys['basic_password']}"]
    return [keys] if isinstance(keys, str) else keys["public_keys_pem"]


@pytest.mark.parametrize(
    "vector", [v for psp in ("stripe", "conekta", "stp") for v in vectors(psp)], ids=lambda v: f"{v['psp']}-{v['name']}"
)
def test_vector(vector: dict) -> None:
    headers = {name.lower(): value for name, value in vector["headers"].items()}
    verify = PSPS[vector["psp"]].signature.verify
    arguments = (headers, {}, vector["body_utf8"].encode(), secrets_of(vector), at(vector["now_unix"]))
    if vector["valid"]:
        assert verify(*arguments).removeprefix("user:").startswith("sha256:")
    else:
        with pytest.raises(InvalidSignature):
            verify(*arguments)


GOOD = mac()
STRIPE_ATTACKS = {
    "missing": None,
    "empty": "",
    "blank": " ",
    "no timestamp": f"v1={GOOD}",
    "empty timestamp": f"t=,v1={GOOD}",
    "two timestamps": f"t={NOW},t={NOW},v1={GOOD}",
    "two timestamps, stale first": f"t=1,t={NOW},v1={GOOD}",
    "timestamp with sign": f"t=+{NOW},v1={mac(t=f'+{NOW}')}",
    "timestamp with blank": f"t= {NOW},v1={GOOD}",
    "timestamp with underscore": f"t=1_795_320_000,v1={GOOD}",
    "Arabic digits": "t=" + str(NOW).translate({48 + n: 0x660 + n for n in range(10)}) + f",v1={GOOD}",
    "fraction": f"t={NOW}.0,v1={mac(t=f'{NOW}.0')}",
    "endless timestamp": "t=" + "9" * 5000 + f",v1={GOOD}",
    "other timestamp": f"t={NOW - 1},v1={GOOD}",
    "only v0": f"t={NOW},v0={GOOD}",
    "v2": f"t={NOW},v2={GOOD}",
    "upper-case scheme": f"t={NOW},V1={GOOD}",
    "empty v1": f"t={NOW},v1=",
    "v1 without value": f"t={NOW},v1",
    "truncated": f"t={NOW},v1={GOOD[:-1]}",
    "first byte only": f"t={NOW},v1={GOOD[:2]}",
    "longer": f"t={NOW},v1={GOOD}0",
    "upper-case hex": f"t={NOW},v1={GOOD.upper()}",
    "base64": f"t={NOW},v1={base64.b64encode(bytes.fromhex(GOOD)).decode()}",
    "space after comma": f"t={NOW}, v1={GOOD}",
    "trailing space": f"t={NOW},v1={GOOD} ",
    "non-ASCII": f"t={NOW},v1={GOOD}\xff",
    "wide": f"t={NOW},v1=é€😀",
    "lone surrogate": f"t={NOW},v1=\udc80",
    "NUL": f"t={NOW}\x00,v1={GOOD}",
    "other secret": f"t={NOW},v1={mac(secret=OLD_SECRET)}",
    "empty secret": f"t={NOW},v1={mac(secret='')}",
    "body alone signed": f"t={NOW},v1={hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()}",
    "plain hash": f"t={NOW},v1={hashlib.sha256(BODY).hexdigest()}",
    "secret decoded": f"t={NOW},v1={mac(secret=SECRET.removeprefix('whsec_'))}",
}


@pytest.mark.parametrize("header", STRIPE_ATTACKS.values(), ids=STRIPE_ATTACKS.keys())
def test_stripe_attack_is_refused(header: str | None) -> None:
    with pytest.raises(InvalidSignature):
        verify_stripe(header)


def test_stripe_body_of_other_bytes_is_refused() -> None:
    header = f"t={NOW},v1={GOOD}"
    assert verify_stripe(header)
    for forged in (BODY + b"\n", b" " + BODY, BODY[:-1], b"", json.dumps(json.loads(BODY)).encode()):
        with pytest.raises(InvalidSignature):
            verify_stripe(header, forged)


def test_stripe_one_bit_anywhere_is_refused() -> None:
    header = f"t={NOW},v1={GOOD}"
    for place in range(len(BODY)):
        forged = bytearray(BODY)
        forged[place] ^= 1
        with pytest.raises(InvalidSignature):
            verify_stripe(header, bytes(forged))


@pytest.mark.parametrize("secrets", [[], [""], [" "], ["", "\t"]])
def test_stripe_without_a_usable_secret_refuses_what_the_empty_secret_signed(secrets: list[str]) -> None:
    for secret in ("", *secrets):
        with pytest.raises(InvalidSignature):
            verify_stripe(f"t={NOW},v1={mac(secret=secret)}", secrets=secrets)


def test_stripe_rotation_names_the_key_that_signed() -> None:
    both = [SECRET, OLD_SECRET]
    new, old = mac(), mac(secret=OLD_SECRET)
    by_new = verify_stripe(f"t={NOW},v1={new}", secrets=both)
    by_old = verify_stripe(f"t={NOW},v1={'0' * 64},v1={old}", secrets=both)
    assert by_new == "sha256:" + hashlib.sha256(SECRET.encode()).hexdigest()[:8]
    assert by_old == "sha256:" + hashlib.sha256(OLD_SECRET.encode()).hexdigest()[:8]
    assert verify_stripe(f"t={NOW},v1={old},v1={new}", secrets=[SECRET]) == by_new


@pytest.mark.parametrize(
    ("age", "tolerance", "accepted"),
    [
        (299, {}, True),
        (300, {}, True),
        (301, {}, False),
        (-86_400, {}, True),
        (-300, {"future_seconds": 300}, True),
        (-301, {"future_seconds": 300}, False),
        (61, {"past_seconds": 60}, False),
        (60, {"past_seconds": 60}, True),
    ],
)
def test_stripe_time(age: int, tolerance: dict[str, int], accepted: bool) -> None:
    header = f"t={NOW - age},v1={mac(t=NOW - age)}"
    if accepted:
        assert verify_stripe(header, **tolerance)
    else:
        with pytest.raises(InvalidSignature):
            verify_stripe(header, **tolerance)


def test_stripe_time_is_checked_after_the_mac() -> None:
    with pytest.raises(InvalidSignature, match="no Stripe signature matches"):
        verify_stripe(f"t=1,v1={GOOD}")


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300))
def test_stripe_agrees_with_the_official_package(text: str) -> None:
    header = stripe.WebhookSignature.generate_signature_header(text, SECRET, NOW)
    assert verify_stripe(header, text.encode())
    with pytest.raises(InvalidSignature):
        verify_stripe(header, text.encode() + b" ")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=120), st.binary(max_size=60))
def test_no_header_whatever_gets_past_or_crashes(header: str, body: bytes) -> None:
    for psp, name in (("stripe", "stripe-signature"), ("conekta", "digest"), ("stp", "authorization")):
        with pytest.raises(InvalidSignature):
            PSPS[psp].signature.verify({name: header}, {}, body, [SECRET, "user:password-1"], at(NOW))


def respelled(encoded: str) -> str:
    """Other base64 text for the same bytes: the last letter before == has bits that decode to nothing."""
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
    assert encoded.endswith("==")
    return encoded[:-3] + alphabet[alphabet.index(encoded[-3]) ^ 1] + "=="


# Conekta


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def sign(key: rsa.RSAPrivateKey, body: bytes = BODY) -> str:
    return base64.b64encode(key.sign(body, padding.PKCS1v15(), SHA256())).decode()


def verify_conekta(header: str | None, secrets: list[str], body: bytes = BODY) -> str:
    headers = {} if header is None else {"digest": header}
    return PSPS["conekta"].signature.verify(headers, {}, body, secrets, at(NOW))


def test_conekta_fingerprint_does_not_depend_on_how_the_pem_is_kept(rsa_key: rsa.RSAPrivateKey) -> None:
    text = pem(rsa_key)
    forms = [text, text.strip(), text.replace("\n", "\\n"), text.replace("\n", "\r\n")]
    assert len({verify_conekta(sign(rsa_key), [form]) for form in forms}) == 1


def test_conekta_attacks_are_refused(rsa_key: rsa.RSAPrivateKey) -> None:
    good = sign(rsa_key)
    raw = base64.b64decode(good)
    pss = rsa_key.sign(BODY, padding.PSS(padding.MGF1(SHA256()), 32), SHA256())
    attacks = [
        None,
        "",
        " ",
        good[:-1],
        good[:-4],
        good + "=",
        good + "\n",
        " " + good,
        good.rstrip("="),
        good.replace("+", "-").replace("/", "_") if set(good) & set("+/") else "-" + good[1:],
        raw.hex(),
        "SHA-256=" + base64.b64encode(hashlib.sha256(BODY).digest()).decode(),
        base64.b64encode(raw[:-1]).decode(),
        base64.b64encode(raw + b"\0").decode(),
        base64.b64encode(pss).decode(),
        respelled(good),
        good + "ñ",
        "\udc80",
    ]
    assert verify_conekta(good, [pem(rsa_key)])
    for header in attacks:
        with pytest.raises(InvalidSignature):
            verify_conekta(header, [pem(rsa_key)])
    with pytest.raises(InvalidSignature):
        verify_conekta(good, [pem(rsa_key)], BODY + b" ")


def test_conekta_keys_that_never_match(rsa_key: rsa.RSAPrivateKey) -> None:
    small = rsa.generate_private_key(65537, 1024)
    curve = ec.generate_private_key(ec.SECP256R1())
    signed_by_curve = base64.b64encode(curve.sign(BODY, ec.ECDSA(SHA256()))).decode()
    for header, secrets in [
        (sign(small), [pem(small)]),
        (signed_by_curve, [pem(curve)]),
        (sign(rsa_key), []),
        (sign(rsa_key), [""]),
        (sign(rsa_key), ["not a key", "ñ", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----"]),
    ]:
        with pytest.raises(InvalidSignature):
            verify_conekta(header, secrets)
    assert verify_conekta(sign(rsa_key), ["not a key", pem(small), pem(rsa_key)])


# STP

LOGIN = "stp-hook:contraseña-1"


def basic(login: str | bytes) -> str:
    return "Basic " + base64.b64encode(login.encode() if isinstance(login, str) else login).decode()


def verify_stp(header: str | None, secrets: list[str] | None = None) -> str:
    headers = {} if header is None else {"authorization": header}
    return PSPS["stp"].signature.verify(headers, {}, BODY, [LOGIN] if secrets is None else secrets, at(NOW))


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_stp_scheme_has_no_case(scheme: str) -> None:
    assert verify_stp(basic(LOGIN).replace("Basic", scheme)) == verify_stp(basic(LOGIN))


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic ",
        basic(LOGIN).removeprefix("Basic "),
        basic(LOGIN).replace("Basic", "Bearer"),
        basic(LOGIN).replace(" ", ""),
        basic(LOGIN)[:-1],
        respelled(basic(LOGIN)),
        basic(LOGIN) + "A",
        "Basic ====",
        "Basic ñ",
        "Basic \udc80",
        f"Basic {LOGIN}",
        basic("stp-hook"),
        basic("stp-hook:"),
        basic(":contraseña-1"),
        basic(":"),
        basic(LOGIN + " "),
        basic(LOGIN[:-1]),
        basic(LOGIN.upper()),
        basic(LOGIN.encode("latin-1")),
        basic(b"\xff\xfe"),
    ],
)
def test_stp_attack_is_refused(header: str | None) -> None:
    with pytest.raises(InvalidSignature):
        verify_stp(header)


@pytest.mark.parametrize("secret", ["", ":", " : ", "user:", ":password", "user"])
def test_stp_without_user_and_password_nothing_matches(secret: str) -> None:
    with pytest.raises(InvalidSignature):
        verify_stp(basic(secret), [secret])


def test_stp_label_tells_the_user_and_nothing_of_the_password() -> None:
    labels = {
        verify_stp(basic(f"stp-hook:{password}"), [f"stp-hook:{password}"]) for password in ("first-1", "other-2")
    }
    assert labels == {"user:sha256:" + hashlib.sha256(b"stp-hook").hexdigest()[:8]}
    assert verify_stp(basic("other-hook:first-1"), ["other-hook:first-1"]) not in labels


@pytest.mark.parametrize("psp", [PSPS[name] for name in ("stripe", "conekta", "stp")], ids=lambda psp: psp.name)
def test_a_secret_is_labelled_as_its_deliveries_are(psp: Psp, rsa_key: rsa.RSAPrivateKey) -> None:
    key = pem(rsa_key).replace("\n", "\\n")
    secret, header = {
        "stripe": (SECRET, {"stripe-signature": f"t={NOW},v1={GOOD}"}),
        "conekta": (key, {"digest": sign(rsa_key)}),
        "stp": (LOGIN, {"authorization": basic(LOGIN)}),
    }[psp.name]
    assert LABELS[psp.credential](secret) == psp.signature.verify(header, {}, BODY, [secret], at(NOW))


def test_messages_and_labels_hold_no_secret() -> None:
    fresh = random_secrets.token_urlsafe(32)
    with pytest.raises(InvalidSignature) as refused:
        verify_stripe(f"t={NOW},v1={GOOD}", secrets=[fresh])
    assert fresh not in str(refused.value) and GOOD not in str(refused.value)
    assert fresh not in verify_stripe(f"t={NOW},v1={mac(secret=fresh)}", secrets=[fresh])
