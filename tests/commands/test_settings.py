"""Settings that can never work are refused at start, in one line that names the variable and shows no secret."""

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from config import Config, ConfigError, load_config

STRIPE = "whsec_9fQ2researchVectorKey0123456789"
OTHER = "whsec_theOneBeforeTheRotation0123456"
SEALS = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture(scope="module")
def good() -> dict[str, str]:
    return {
        "ACUSE_DATABASE_URL": "postgresql://acuse:p%40ss@127.0.0.1:5432/acuse",
        "ACUSE_BROKER_URL": "redis://:s3cret@127.0.0.1:6379/0",
        "ACUSE_STRIPE_WEBHOOK_SECRETS": STRIPE,
        "ACUSE_CONEKTA_WEBHOOK_PUBLIC_KEYS": pem(rsa.generate_private_key(65537, 2048)).replace("\n", "\\n"),
        "ACUSE_STP_WEBHOOK_USER": "stp",
        "ACUSE_STP_WEBHOOK_PASSWORD": "throw-away",
    }


def complaint(environ: dict[str, str]) -> str:
    with pytest.raises(ConfigError) as refused:
        load_config(environ)
    return str(refused.value)


REFUSED = [
    ("ACUSE_DATABASE_URL", "mysql://127.0.0.1/acuse"),
    ("ACUSE_DATABASE_URL", "postgresql:/127.0.0.1/acuse"),
    ("ACUSE_DATABASE_URL", "postgresql://u:Tr0ub4dor@127.0.0.1:54x2/acuse"),
    ("ACUSE_DATABASE_URL", "postgresql://u:Tr0ub4dor@127.0.0.1:70000/acuse"),
    ("ACUSE_DATABASE_URL", "postgresql://u:Tr0ub4dor@127.0.0.1"),
    ("ACUSE_DATABASE_URL", "postgresql://u:Tr0ub4dor@127.0.0.1:5432/"),
    ("ACUSE_DATABASE_URL", "postgresql://"),
    ("ACUSE_BROKER_URL", "http://127.0.0.1:6379"),
    ("ACUSE_BROKER_URL", "127.0.0.1:6379"),
    ("ACUSE_BROKER_URL", "redis:127.0.0.1"),
    ("ACUSE_BROKER_URL", "redis://:Tr0ub4dor@127.0.0.1:63x9/0"),
    ("ACUSE_BROKER_URL", "redis://:Tr0u/b4dor@127.0.0.1:6379/0"),
    ("ACUSE_BROKER_URL", "redis://127.0.0.1:6379/first"),
    ("ACUSE_BROKER_URL", "redis://[::1/0"),
    ("ACUSE_BROKER_URL", "amqp://guest:Tr0ub4dor@127.0.0.1:99999//"),
    ("ACUSE_BROKER_URL", "redis://127.0.0.1:6379/0;ftp://127.0.0.1"),
    ("ACUSE_REDIS_URL", "amqp://127.0.0.1"),
    ("ACUSE_REDIS_URL", "redis://127.0.0.1:port"),
    ("ACUSE_PSPS", ","),
    ("ACUSE_STRIPE_WEBHOOK_SECRETS", "whsec_tooShort0123456"),
    ("ACUSE_STRIPE_WEBHOOK_SECRETS", "a" * 40),
    ("ACUSE_STRIPE_WEBHOOK_SECRETS", "abcdefg" * 5),
    ("ACUSE_STRIPE_WEBHOOK_SECRETS", "whsec_ChangeMe0123456789abcdef"),
    ("ACUSE_STRIPE_WEBHOOK_SECRETS", "whsec_change-me-0123456789abcdef"),
    ("ACUSE_STRIPE_WEBHOOK_SECRETS", "whsec_your_secret_0123456789"),
    ("ACUSE_STRIPE_WEBHOOK_SECRETS", "whsec_your-secret-0123456789"),
    ("ACUSE_STRIPE_WEBHOOK_SECRETS", "whsec_PLACEHOLDER_0123456789"),
    ("ACUSE_STRIPE_WEBHOOK_SECRETS", "whsec_secret_goes_here_0123456789"),
    ("ACUSE_STRIPE_WEBHOOK_SECRETS", "whsec_exampleexample0123456789"),
    ("ACUSE_STRIPE_WEBHOOK_SECRETS", "sk_test_9fQ2researchVectorKey0123456789"),
    ("ACUSE_STRIPE_WEBHOOK_SECRETS", "pk_live_9fQ2researchVectorKey0123456789"),
    ("ACUSE_STRIPE_WEBHOOK_SECRETS", "rk_live_9fQ2researchVectorKey0123456789"),
    ("ACUSE_STRIPE_WEBHOOK_SECRETS", f"{STRIPE},"),
    ("ACUSE_STP_WEBHOOK_PASSWORD", "sh0rt-1"),
    ("ACUSE_STP_WEBHOOK_PASSWORD", "abababab"),
    ("ACUSE_STP_WEBHOOK_PASSWORD", "12345678"),
    ("ACUSE_STP_WEBHOOK_PASSWORD", "123456789"),
    ("ACUSE_STP_WEBHOOK_PASSWORD", "Password1"),
    ("ACUSE_STP_WEBHOOK_PASSWORD", "password123"),
    ("ACUSE_STP_WEBHOOK_PASSWORD", "qwerty123"),
    ("ACUSE_CONEKTA_WEBHOOK_PUBLIC_KEYS", "/no/such/key.pem"),
    (
        "ACUSE_CONEKTA_WEBHOOK_PUBLIC_KEYS",
        "-----BEGIN PUBLIC KEY-----\\nMIIBIjANBgkqhkiG9w0BAQEF\\n-----END PUBLIC KEY-----",
    ),
    ("ACUSE_STRIPE_API_URL", "http://api.stripe.com"),
    ("ACUSE_STRIPE_API_URL", "https://:443"),
    ("ACUSE_STRIPE_API_URL", "https://user:Tr0ub4dor@api.stripe.com"),
    ("ACUSE_STRIPE_API_URL", "ftp://127.0.0.1"),
    ("ACUSE_STRIPE_SOURCES", "203.0.113.7/40"),
    ("ACUSE_STRIPE_SOURCES", "stripe.com"),
    ("ACUSE_STRIPE_SOURCES", "203.0.113.0/24,"),
    ("ACUSE_STRIPE_CALLS_PER_SECOND", "0"),
    ("ACUSE_STP_PRIVATE_KEY", "-----BEGIN PRIVATE KEY-----\\nMIIE\\n-----END PRIVATE KEY-----"),
    ("ACUSE_SECRET_KEYS", "throw-away"),
    ("ACUSE_SECRET_KEYS", f"{SEALS[:-2]}=="),
    ("ACUSE_SECRET_KEYS", f"{SEALS},"),
    ("ACUSE_ALLOW_LOOPBACK_ENDPOINTS", "perhaps"),
    ("ACUSE_TRUSTED_PROXIES", "11"),
    ("ACUSE_QUERY_AFTER_SECONDS", "0"),
    ("ACUSE_LEASE_SECONDS", "4"),
    ("ACUSE_MAX_ATTEMPTS", "0"),
    ("ACUSE_MAX_ATTEMPTS", "1001"),
    ("ACUSE_MAX_ATTEMPTS", "\u0665"),
    ("ACUSE_RETENTION_MONTHS", "0"),
    ("ACUSE_RETENTION_MONTHS", "1201"),
    ("ACUSE_RETENTION_MONTHS", "13 months"),
]


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_what_can_never_work_is_refused(good: dict[str, str], name: str, value: str) -> None:
    said = complaint(good | {name: value})
    assert said.startswith(f"{name} ")
    assert "\n" not in said
    assert value not in said or value in (",", "0", "4", "postgresql://")
    assert "Tr0ub4dor" not in said and "b4dor" not in said


ACCEPTED = [
    ("ACUSE_DATABASE_URL", "postgres://127.0.0.1/acuse"),
    ("ACUSE_DATABASE_URL", "postgresql://acuse:a/b#c:d@db.internal:5432/acuse?sslmode=verify-full"),
    ("ACUSE_DATABASE_URL", "postgresql+psycopg2://acuse@/acuse?host=/var/run/postgresql"),
    ("ACUSE_DATABASE_URL", "postgresql://acuse:x@[::1]:5432/acuse"),
    ("ACUSE_BROKER_URL", "rediss://user:pass@cache.internal/2"),
    ("ACUSE_BROKER_URL", "redis://localhost"),
    ("ACUSE_BROKER_URL", "amqp://guest:guest@rabbit:5672//"),
    ("ACUSE_BROKER_URL", "amqps://a:5671/acuse;amqps://b:5671/acuse"),
    ("ACUSE_PSPS", "stripe, conekta,"),
    ("ACUSE_STRIPE_API_URL", "http://127.0.0.1:8090/stripe"),
    ("ACUSE_STRIPE_API_URL", "https://proxy.internal:8443/stripe"),
    ("ACUSE_STRIPE_SOURCES", "203.0.113.0/24, 2001:db8::1"),
    ("ACUSE_SECRET_KEYS", f"{SEALS}, {SEALS[::-1].strip('=')}="),
    ("ACUSE_ALLOW_LOOPBACK_ENDPOINTS", "true"),
    ("ACUSE_TRUSTED_PROXIES", "2"),
    ("ACUSE_LEASE_SECONDS", "5"),
    ("ACUSE_MAX_ATTEMPTS", "1000"),
    ("ACUSE_STRIPE_WEBHOOK_SECRETS", f"{STRIPE}, {OTHER}"),
]


@pytest.mark.parametrize(("name", "value"), ACCEPTED)
def test_what_works_is_accepted(good: dict[str, str], name: str, value: str) -> None:
    assert isinstance(load_config(good | {name: value}), Config)


WEAK_LOGINS = [
    "amqp://rabbit",
    "amqp://guest:Tr0ub4dor-and-3@rabbit:5672//",
    "amqp://%67uest:Tr0ub4dor-and-3@rabbit",
    "amqps://acuse@rabbit",
    "amqps://acuse:Tr0ub@rabbit",
    "amqps://acuse:Password1@rabbit",
    "amqps://acuse:Tr0ub4dor-and-3@a;amqps://a-guest:12345678@b",
]


@pytest.mark.parametrize("url", WEAK_LOGINS)
def test_where_money_is_real_rabbitmq_needs_a_login_that_nobody_guesses(good: dict[str, str], url: str) -> None:
    assert load_config(good | {"ACUSE_BROKER_URL": url})
    said = complaint(good | {"ACUSE_BROKER_URL": url, "ACUSE_STRIPE_LIVEMODE": "true"})
    assert said.startswith("ACUSE_BROKER_URL ")
    assert "Tr0ub" not in said and "12345678" not in said


@pytest.mark.parametrize("url", ["amqps://acuse:Tr0ub4dor-and-3@rabbit:5671/acuse", "redis://127.0.0.1:6379/0"])
def test_another_login_is_accepted_where_money_is_real(good: dict[str, str], url: str) -> None:
    assert load_config(good | {"ACUSE_BROKER_URL": url, "ACUSE_STRIPE_LIVEMODE": "true"}).broker_url == url


def test_redis_is_the_broker_unless_that_is_no_redis(good: dict[str, str]) -> None:
    assert load_config(good).redis_url == good["ACUSE_BROKER_URL"]
    rabbit = good | {"ACUSE_BROKER_URL": "amqp://rabbit"}
    assert load_config(rabbit).redis_url is None
    assert load_config(rabbit | {"ACUSE_REDIS_URL": "redis://cache/1"}).redis_url == "redis://cache/1"


def test_without_a_list_every_psp_that_has_a_variable_is_served(good: dict[str, str]) -> None:
    assert {psp for psp, _ in load_config(good).accounts} == {"stripe", "conekta", "stp"}
    bare = {name: value for name, value in good.items() if "URL" in name}
    assert complaint(bare).startswith("ACUSE_PSPS names no PSP; known are stripe, conekta")


def test_an_account_of_its_own_has_its_own_rules(good: dict[str, str]) -> None:
    shop = {"WEBHOOK_SECRETS": OTHER, "API_KEY": "sk_test_of_the_shop", "SOURCES": "203.0.113.7"}
    config = load_config(good | {f"ACUSE_STRIPE__SHOP2__{name}": value for name, value in shop.items()})
    own, default = config.accounts["stripe", "shop2"], config.accounts["stripe", "default"]
    assert (own.secrets, own.can_call, [str(network) for network in own.sources]) == (
        (OTHER,),
        True,
        ["203.0.113.7/32"],
    )
    assert (default.secrets, default.can_call, default.sources) == ((STRIPE,), False, ())
    assert "sk_test_of_the_shop" not in repr(config)


def test_half_of_what_a_client_needs_is_a_mistake(good: dict[str, str]) -> None:
    said = complaint(good | {"ACUSE_STP_COMPANY": "EMPRESA_PRUEBA"})
    assert said == "ACUSE_STP_PRIVATE_KEY is not set, but ACUSE_STP_COMPANY is"


def private_pem(passphrase: str | None, bits: int = 2048) -> str:
    secured = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    key = rsa.generate_private_key(65537, bits)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secured).decode().replace("\n", "\\n")


@pytest.mark.parametrize(
    ("secured_by", "bits", "given", "flaw"),
    [
        ("s3cret-one", 2048, None, "is not set, but the private key is encrypted"),
        (
            "s3cret-one",
            2048,
            "s3cret-two",
            "does not open the private key, or that is no RSA key of at least 2048 bits",
        ),
        (
            "s3cret-one",
            1024,
            "s3cret-one",
            "does not open the private key, or that is no RSA key of at least 2048 bits",
        ),
        (None, 2048, "s3cret-two", "is set, but the private key is not encrypted"),
        ("s3cret-one", 2048, "s3cret-one", None),
        (None, 2048, None, None),
    ],
)
def test_a_private_key_and_its_passphrase_are_looked_at_together(
    good: dict[str, str], secured_by: str | None, bits: int, given: str | None, flaw: str | None
) -> None:
    told = {"COMPANY": "EMPRESA", "ORDERING_CLABE": "646180110400000007", "PRIVATE_KEY": private_pem(secured_by, bits)}
    told |= {"PRIVATE_KEY_PASSPHRASE": given} if given else {}
    environ = good | {f"ACUSE_STP_{name}": value for name, value in told.items()}
    if flaw:
        assert complaint(environ) == f"ACUSE_STP_PRIVATE_KEY_PASSPHRASE {flaw}"
    else:
        assert load_config(environ).accounts["stp", "default"].can_call


def test_how_far_ahead_a_signed_time_may_be_is_the_psps_unless_the_account_says_otherwise(good: dict[str, str]) -> None:
    told = {"ACUSE_MERCADOPAGO_WEBHOOK_SECRETS": OTHER, "ACUSE_MERCADOPAGO_API_KEY": "TEST-token"}
    accounts = load_config(good | told).accounts
    assert accounts["mercadopago", "default"].future_seconds == 300
    assert accounts["mercadopago", "default"].past_seconds is None
    assert accounts["stripe", "default"].future_seconds is None
    wider = load_config(good | told | {"ACUSE_MERCADOPAGO_FUTURE_SECONDS": "900"}).accounts
    assert wider["mercadopago", "default"].future_seconds == 900


def test_a_psp_that_only_hints_needs_its_key_for_calls(good: dict[str, str]) -> None:
    said = complaint(good | {"ACUSE_MERCADOPAGO_WEBHOOK_SECRETS": OTHER})
    assert said.startswith("ACUSE_MERCADOPAGO_API_KEY is not set: webhooks of mercadopago are hints")


def test_a_login_that_changes_is_accepted_beside_the_former_one(good: dict[str, str]) -> None:
    former = {"ACUSE_STP_WEBHOOK_PREVIOUS_USER": "old", "ACUSE_STP_WEBHOOK_PREVIOUS_PASSWORD": "thrown-away"}
    assert load_config(good | former).accounts["stp", "default"].secrets == ("stp:throw-away", "old:thrown-away")
    half = good | {"ACUSE_STP_WEBHOOK_PREVIOUS_USER": "old"}
    assert complaint(half) == "ACUSE_STP_WEBHOOK_PREVIOUS_PASSWORD is not set"


NAMED_KEY = "0d1f-key=" + base64.b64encode(
    rsa.generate_private_key(65537, 2048).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode("ascii")


@pytest.mark.parametrize(
    "value", [NAMED_KEY.partition("=")[2], "=" + NAMED_KEY, "0d1f-key=", "0d1f-key=QUJD", NAMED_KEY + ","]
)
def test_bitsos_keys_need_their_names(good: dict[str, str], value: str) -> None:
    name = "ACUSE_BITSO_WEBHOOK_PUBLIC_KEYS"
    good = good | {"ACUSE_BITSO_API_KEY": "key", "ACUSE_BITSO_API_SECRET": "secret"}
    assert load_config(good | {name: NAMED_KEY})
    assert complaint(good | {name: value}).startswith(f"{name} must hold key_id=<key>")


def test_transaks_tokens_must_be_tokens(good: dict[str, str]) -> None:
    name = "ACUSE_TRANSAK_ACCESS_TOKENS"
    assert load_config(good | {name: f"{OTHER},{STRIPE}"}).accounts["transak", "default"].secrets == (OTHER, STRIPE)
    assert complaint(good | {name: "a.b.c"}).startswith(f"{name} holds a token shorter than")


def test_keys_that_conekta_never_signs_with_are_refused(good: dict[str, str], tmp_path: Path) -> None:
    small, curve = rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP256R1())
    for key in (small, curve):
        for value in (pem(key), pem(key).replace("\n", "\\n")):
            said = complaint(good | {"ACUSE_CONEKTA_WEBHOOK_PUBLIC_KEYS": value})
            assert said.startswith("ACUSE_CONEKTA_WEBHOOK_PUBLIC_KEYS must hold RSA public keys of at least 2048 bits")
    file = tmp_path / "key.pem"
    file.write_text(pem(small))
    assert "2048" in complaint(good | {"ACUSE_CONEKTA_WEBHOOK_PUBLIC_KEYS": str(file)})
    file.write_text(good["ACUSE_CONEKTA_WEBHOOK_PUBLIC_KEYS"].replace("\\n", "\n"))
    assert load_config(good | {"ACUSE_CONEKTA_WEBHOOK_PUBLIC_KEYS": str(file)})


@pytest.mark.parametrize(
    ("variable", "more"),
    [
        ("ACUSE_STRIPE__SHOP__WEBHOOK_SECRETS", {"ACUSE_STRIPE__SHOP__WEBHOOK_SECRETS": f"{OTHER},{STRIPE}"}),
        (
            "ACUSE_STP__SHOP__WEBHOOK_PASSWORD",
            {"ACUSE_STP__SHOP__WEBHOOK_USER": "stp", "ACUSE_STP__SHOP__WEBHOOK_PASSWORD": "throw-away"},
        ),
    ],
)
def test_a_secret_belongs_to_live_or_to_test_mode(good: dict[str, str], variable: str, more: dict[str, str]) -> None:
    psp = variable.split("_")[1]
    said = complaint(good | more | {f"ACUSE_{psp}_LIVEMODE": "true"})
    assert variable in said and variable.replace("_SHOP__", "") in said and "share a secret" in said
    assert STRIPE not in said and "throw-away" not in said
    assert variable in complaint(good | more | {f"ACUSE_{psp}__SHOP__LIVEMODE": "true"})
    assert load_config(good | more), "two accounts of one mode may share a secret"
