"""No process starts on a secret that is missing, short, a placeholder, a default, or one that test and live money share."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config import ConfigError, load_config

ROOT = Path(__file__).resolve().parents[2]
HMAC, OTHER_HMAC = "whsec_9fQ2researchVectorKey0123456789", "whsec_theOneBeforeTheRotation0123456"
SEAL = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
GOOD = {
    "ACUSE_DATABASE_URL": "postgresql://acuse:k3Tz9qLw2v@db.internal:5432/acuse",
    "ACUSE_BROKER_URL": "redis://:k3Tz9qLw2v@cache.internal:6379/0",
    "ACUSE_STRIPE_WEBHOOK_SECRETS": HMAC,
    "ACUSE_STRIPE_API_KEY": "sk_live_9fQ2research",
    "ACUSE_STRIPE_LIVEMODE": "true",
    "ACUSE_MOONPAY_WEBHOOK_SECRETS": OTHER_HMAC,
    "ACUSE_MERCADOPAGO_WEBHOOK_SECRETS": OTHER_HMAC,
    "ACUSE_MERCADOPAGO_API_KEY": "APP_USR-9fQ2research",
    "ACUSE_STP_WEBHOOK_USER": "stp-user",
    "ACUSE_STP_WEBHOOK_PASSWORD": "throw-away",
    "ACUSE_OPENPAY_WEBHOOK_USER": "openpay-user",
    "ACUSE_OPENPAY_WEBHOOK_PASSWORD": "thrown-away",
    "ACUSE_OPENPAY_API_KEY": "sk_9fQ2research",
    "ACUSE_OPENPAY_MERCHANT_ID": "m9fQ2",
    "ACUSE_TRANSAK_ACCESS_TOKENS": HMAC,
    "ACUSE_SECRET_KEYS": SEAL,
}
SHOP = "ACUSE_STRIPE__SHOP__"  # a test account beside the live one
WEAK = [
    # nothing, and what looks like something
    ("ACUSE_STRIPE_WEBHOOK_SECRETS", "", "is not set"),
    ("ACUSE_STRIPE_WEBHOOK_SECRETS", "   ", "is not set"),
    ("ACUSE_STRIPE_WEBHOOK_SECRETS", f"{HMAC},", "shorter than"),
    ("ACUSE_STRIPE_WEBHOOK_SECRETS", f",{HMAC}", "shorter than"),
    ("ACUSE_MOONPAY_WEBHOOK_SECRETS", "", "is not set"),
    ("ACUSE_MERCADOPAGO_WEBHOOK_SECRETS", "", "is not set"),
    ("ACUSE_STP_WEBHOOK_PASSWORD", "", "is not set"),
    ("ACUSE_STP_WEBHOOK_USER", "", "is not set"),
    ("ACUSE_OPENPAY_WEBHOOK_PASSWORD", " ", "is not set"),
    ("ACUSE_TRANSAK_ACCESS_TOKENS", "", "is not set"),
    ("ACUSE_DATABASE_URL", "", "is not set"),
    ("ACUSE_BROKER_URL", "", "is not set"),
    # too short, or too little in it
    ("ACUSE_STRIPE_WEBHOOK_SECRETS", "whsec_short", "shorter than"),
    ("ACUSE_STRIPE_WEBHOOK_SECRETS", "a" * 40, "different characters"),
    ("ACUSE_STP_WEBHOOK_PASSWORD", "sh0rt-1", "shorter than"),
    ("ACUSE_STP_WEBHOOK_PASSWORD", "abababab", "different characters"),
    ("ACUSE_TRANSAK_ACCESS_TOKENS", "a.b.c", "shorter than"),
    ("ACUSE_SECRET_KEYS", "c2hvcnQ=", "32 random bytes"),
    ("ACUSE_SECRET_KEYS", "A" * 43 + "=", "32 random bytes"),
    # words that stand where a secret should
    ("ACUSE_STRIPE_WEBHOOK_SECRETS", "whsec_change-me-0123456789abcdef", "placeholder"),
    ("ACUSE_MERCADOPAGO_WEBHOOK_SECRETS", "your_secret_goes_here_0123456789", "placeholder"),
    ("ACUSE_TRANSAK_ACCESS_TOKENS", "eyPlaceholder0123456789.abcdefghijk", "placeholder"),
    ("ACUSE_STP_WEBHOOK_PASSWORD", "please-change-me", "guesses first"),
    ("ACUSE_STRIPE_API_KEY", "example-key", "placeholder"),
    ("ACUSE_STRIPE_API_KEY", "k3Tz9", "placeholder"),
    # what everybody guesses first
    ("ACUSE_STP_WEBHOOK_PASSWORD", "Password1", "guesses first"),
    ("ACUSE_STP_WEBHOOK_PASSWORD", "stp-user", "the same as"),
    ("ACUSE_OPENPAY_WEBHOOK_PASSWORD", "openpay-user", "the same as"),
    ("ACUSE_DATABASE_URL", "postgresql://postgres:postgres@db.internal/acuse", "guesses first"),
    ("ACUSE_DATABASE_URL", "postgresql://acuse:acuse@db.internal/acuse", "guesses first"),
    ("ACUSE_BROKER_URL", "amqp://guest:guest@rabbit.internal//", "guesses first"),
    ("ACUSE_BROKER_URL", "redis://:password@cache.internal/0", "guesses first"),
    ("ACUSE_REDIS_URL", "redis://shop:%73hop@cache.internal/0", "guesses first"),
    # one kind of secret in the place of another
    ("ACUSE_STRIPE_WEBHOOK_SECRETS", "sk_live_9fQ2researchVectorKey0123456789", "an API key"),
    ("ACUSE_STRIPE_API_KEY", "sk_test_9fQ2research", "a test key"),
    ("ACUSE_STRIPE_API_KEY", "rk_test_9fQ2research", "a test key"),
    (f"{SHOP}API_KEY", "sk_live_another9fQ2", "a live key"),
    # test and live money behind one secret
    (f"{SHOP}WEBHOOK_SECRETS", HMAC, "share a secret"),
    (f"{SHOP}WEBHOOK_SECRETS", f"{OTHER_HMAC},{HMAC}", "share a secret"),
    # in the clear
    ("ACUSE_STRIPE_API_URL", "http://api.stripe.com", "https://"),
    ("ACUSE_STRIPE_API_URL", "http://127.0.0.1:8090/stripe", "https:// for a live account"),
    ("ACUSE_MOONPAY_API_URL", "http://api.moonpay.com", "https://"),
]


@pytest.mark.parametrize(("name", "value", "words"), WEAK, ids=[f"{name[6:]}={value[:28]}" for name, value, _ in WEAK])
def test_a_weak_secret_is_refused_in_one_line_that_names_it_and_does_not_show_it(
    name: str, value: str, words: str
) -> None:
    shop = {f"{SHOP}WEBHOOK_SECRETS": OTHER_HMAC} if name.startswith(SHOP) else {}
    assert load_config(GOOD | shop), "without it all is well"
    with pytest.raises(ConfigError) as refused:
        load_config(GOOD | shop | {name: value})
    said = str(refused.value)
    assert name in said and words in said and "\n" not in said
    assert not value.strip() or value not in said


def test_an_api_key_belongs_to_live_or_to_test_mode() -> None:
    shop = {
        "WEBHOOK_USER": "shop",
        "WEBHOOK_PASSWORD": "a-third-one",
        "MERCHANT_ID": "m2",
        "API_KEY": "sk_9fQ2research",
    }
    environ = GOOD | {f"ACUSE_OPENPAY__SHOP__{name}": value for name, value in shop.items()}
    assert load_config(environ), "two accounts of one mode may share a key"
    with pytest.raises(ConfigError, match="ACUSE_OPENPAY_API_KEY and ACUSE_OPENPAY__SHOP__API_KEY share a secret"):
        load_config(environ | {"ACUSE_OPENPAY_LIVEMODE": "true"})


def test_a_development_machine_may_use_what_is_refused_to_live_accounts() -> None:
    test = GOOD | {"ACUSE_STRIPE_LIVEMODE": "false", "ACUSE_STRIPE_API_KEY": "sk_test_1"}
    for name, value in (
        ("ACUSE_DATABASE_URL", "postgresql://acuse:acuse@127.0.0.1/acuse"),
        ("ACUSE_BROKER_URL", "amqp://guest:guest@rabbit//"),
        ("ACUSE_STRIPE_API_URL", "http://127.0.0.1:8090/stripe"),
    ):
        assert load_config(test | {name: value})


@pytest.mark.parametrize(
    "module",
    [
        ("ingress.serve", "--port", "1"),
        ("ingress.serve", "--port", "1", "--only", "receiver"),
        ("ingress.serve", "--port", "1", "--only", "api"),
        ("celery", "-A", "workers.app:celery", "worker"),
        ("celery", "-A", "workers.app:celery", "beat", "-s", "/dev/null"),
    ],
    ids=lambda module: " ".join(module[-2:]),
)
def test_no_process_starts_on_a_weak_secret(module: tuple[str, ...]) -> None:
    environment = (
        {"PATH": os.environ["PATH"]} | GOOD | {"ACUSE_STRIPE_WEBHOOK_SECRETS": "whsec_change-me-0123456789abcdef"}
    )
    started = subprocess.run(
        [sys.executable, "-m", *module],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert started.returncode == 1
    assert started.stderr == "acuse: ACUSE_STRIPE_WEBHOOK_SECRETS holds a placeholder, not a secret\n"
