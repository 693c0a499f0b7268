"""What is wrong with a setting, in words that follow the variable's name; None where it can work. Never shows the value."""

import base64
import binascii
import re
from urllib.parse import SplitResult, unquote, urlsplit

from psps.credentials import LEAST_KEY_BITS, load_der_key, load_private_key, load_rsa_key

LEAST_HMAC_LENGTH, LEAST_HMAC_VARIETY = 24, 8
LEAST_PASSWORD_LENGTH, LEAST_PASSWORD_VARIETY = 8, 5
LEAST_API_KEY_LENGTH = 8
SECRET_KEY_BYTES, LEAST_SECRET_KEY_VARIETY = 32, 8
HIGHEST_PORT = 65535
PLACEHOLDER_WORDS = (
    "changeme",
    "change-me",
    "your_secret",
    "your-secret",
    "placeholder",
    "secret_goes_here",
    "example",
)
API_KEY_PREFIXES = ("sk_", "pk_", "rk_")
TEST_MARKS, LIVE_MARK = ("_test_", "TEST-"), "_live_"  # in keys of Stripe, MoonPay and Mercado Pago
COMMON_PASSWORDS = (
    "12345678",
    "123456789",
    "1234567890",
    "87654321",
    "password",
    "password1",
    "password12",
    "password123",
    "passw0rd",
    "qwerty12",
    "qwerty123",
    "qwertyuiop",
    "changeme",
    "change-me",
    "changeme123",
    "placeholder",
    "postgres",
    "rabbitmq",
    "redisredis",
    "openpay-webhook",
    "stp-webhook",
    "abcd1234",
    "admin123",
    "iloveyou",
    "letmein1",
    "welcome1",
)
DEFAULT_LOGINS = (*COMMON_PASSWORDS, "guest", "acuse", "admin", "root", "redis", "secret", "123456")
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")
REDIS_SCHEMES = ("redis", "rediss")
GUEST = "guest"  # RabbitMQ's first user, and who logs in where no user is given
BROKER_SCHEMES = (*REDIS_SCHEMES, "amqp", "amqps")
DATABASE_SCHEMES = ("postgres", "postgresql", "postgresql+psycopg2")
# As SQLAlchemy reads it: a password may hold slashes and more that other readers of addresses stop at.
_DATABASE_PLACE = re.compile(
    r"(?:[^:/@]*(?::[^@]*)?@)?(?:\[[^/?\]]+\]|[^/:?@]*)(?::(?P<port>[^/?]*))?(?:/(?P<name>[^?]*))?(?:\?.*)?"
)
_PORT = re.compile(r"[0-9]{1,5}")


def find_hmac_flaw(secret: str) -> str | None:
    """A secret that PSP and we share to sign with."""
    if any(word in secret.lower() for word in PLACEHOLDER_WORDS):
        return "holds a placeholder, not a secret"
    if secret.lower().startswith(API_KEY_PREFIXES):
        return "holds an API key; the secret of the webhook endpoint is needed"
    if len(secret) < LEAST_HMAC_LENGTH:
        return f"holds a secret shorter than {LEAST_HMAC_LENGTH} characters"
    if len(set(secret)) < LEAST_HMAC_VARIETY:
        return f"holds a secret of fewer than {LEAST_HMAC_VARIETY} different characters"
    return None


def find_password_flaw(password: str) -> str | None:
    """A password that the PSP sends us."""
    if password.lower() in COMMON_PASSWORDS or any(word in password.lower() for word in PLACEHOLDER_WORDS):
        return "holds a password that everybody guesses first"
    if len(password) < LEAST_PASSWORD_LENGTH:
        return f"holds a password shorter than {LEAST_PASSWORD_LENGTH} characters"
    if len(set(password)) < LEAST_PASSWORD_VARIETY:
        return f"holds a password of fewer than {LEAST_PASSWORD_VARIETY} different characters"
    return None


def find_key_flaw(pem: str) -> str | None:
    """A public key to verify with."""
    if "-----BEGIN PUBLIC KEY-----" in pem and load_rsa_key(pem) is not None:
        return None
    return f"must hold RSA public keys of at least {LEAST_KEY_BITS} bits as PEM (BEGIN PUBLIC KEY)"


def find_named_key_flaw(named: str) -> str | None:
    """A public key under the PSP's own name for it."""
    name, separator, encoded = named.partition("=")
    if name.strip() and separator and load_der_key(encoded) is not None:
        return None
    return f"must hold key_id=<key> with RSA keys of at least {LEAST_KEY_BITS} bits as base64 of their X.509 DER"


def find_private_key_flaw(pem: str) -> str | None:
    """A private key to sign with; one under a passphrase is looked at together with that."""
    if "ENCRYPTED" in pem or load_private_key(pem) is not None:
        return None
    return f"must hold an RSA private key of at least {LEAST_KEY_BITS} bits as PEM"


def find_passphrase_flaw(pem: str, passphrase: str | None) -> str | None:
    """The passphrase of a private key that has no flaw by itself; None for a key without one."""
    if load_private_key(pem, passphrase) is not None:
        return None
    if "ENCRYPTED" not in pem:
        return "is set, but the private key is not encrypted"
    if passphrase is None:
        return "is not set, but the private key is encrypted"
    return f"does not open the private key, or that is no RSA key of at least {LEAST_KEY_BITS} bits"


def find_token_flaw(token: str) -> str | None:
    """A token that the PSP issued and signs with."""
    if any(word in token.lower() for word in PLACEHOLDER_WORDS):
        return "holds a placeholder, not a token"
    if len(token) < LEAST_HMAC_LENGTH or len(set(token)) < LEAST_HMAC_VARIETY:
        return f"holds a token shorter than {LEAST_HMAC_LENGTH} characters or of too few different ones"
    return None


def find_secret_key_flaw(key: str) -> str | None:
    """A key that seals our own secrets (a Fernet key)."""
    try:
        decoded = base64.b64decode(key, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) == SECRET_KEY_BYTES and len(set(decoded)) >= LEAST_SECRET_KEY_VARIETY:
        return None
    return "must hold Fernet keys: 32 random bytes each in URL-safe base64"


def find_api_key_flaw(key: str, livemode: bool) -> str | None:
    """A key that we call a PSP with, beside the mode of its account. A test account's may be any word."""
    if not livemode:
        return "holds a live key, but its account is a test account (LIVEMODE)" if LIVE_MARK in key else None
    if any(mark in key for mark in TEST_MARKS):
        return "holds a test key, but its account is live"
    if len(key) < LEAST_API_KEY_LENGTH or any(word in key.lower() for word in PLACEHOLDER_WORDS):
        return "holds a placeholder, not a key"
    return None


def find_live_url_flaw(url: str) -> str | None:
    """The address of a live account's API: TLS, whatever the machine."""
    return None if url.startswith("https://") else "must start with https:// for a live account"


def find_login_flaw(url: str) -> str | None:
    """The login in the address of an engine that live money depends on. One without a password has other walls: a socket, a
    certificate."""
    for place in url.split(";"):
        login = place.partition("://")[2].rpartition("@")[0]
        user, _, password = login.partition(":")
        if password and (unquote(password).lower() in DEFAULT_LOGINS or unquote(password) == unquote(user)):
            return "holds a password that everybody guesses first, and an account is live"
    return None


def find_api_url_flaw(url: str) -> str | None:
    """The address of a PSP's API: TLS, except on this machine."""
    parts = _split(url)
    if parts is None or parts.scheme not in ("https", "http") or not parts.hostname or not _has_port(parts):
        return "must be an address that starts with https://"
    if parts.username or parts.query or parts.fragment:
        return "must be a plain address: no user, query or fragment"
    if parts.scheme == "http" and parts.hostname not in LOOPBACK_HOSTS:
        return "must start with https://; http:// is for this machine alone"
    return None


def is_loopback(url: str) -> bool:
    """Whether an address is on this machine."""
    parts = _split(url)
    return parts is not None and parts.hostname in LOOPBACK_HOSTS


def find_database_flaw(url: str) -> str | None:
    """The address of a PostgreSQL database."""
    scheme, separator, place = url.partition("://")
    if not separator or scheme not in DATABASE_SCHEMES:
        return "must start with postgresql://"
    found = _DATABASE_PLACE.fullmatch(place)
    if found is None or (found["port"] and not _is_port(found["port"])):
        return "has no readable host and port (postgresql://user:password@host:5432/database)"
    return None if found["name"] else "names no database (postgresql://user:password@host/database)"


def find_broker_flaw(url: str) -> str | None:
    """The address of a broker, or of several with semicolons between."""
    flaws = (_find_url_flaw(one, BROKER_SCHEMES) for one in url.split(";"))
    return next((flaw for flaw in flaws if flaw), None)


def find_broker_login_flaw(url: str) -> str | None:
    """The user and the password for each RabbitMQ of an address without other flaws. A Redis has none of its own as a rule."""
    for parts in map(urlsplit, url.split(";")):
        if parts.scheme in REDIS_SCHEMES:
            continue
        if unquote(parts.username or GUEST) == GUEST:
            return "logs in as guest, whom everybody knows: live mode needs a user of its own"
        if flaw := find_password_flaw(unquote(parts.password or "")):
            return flaw
    return None


def find_redis_flaw(url: str) -> str | None:
    """The address of a Redis."""
    return _find_url_flaw(url, REDIS_SCHEMES)


def _find_url_flaw(url: str, schemes: tuple[str, ...]) -> str | None:
    parts = _split(url)
    if parts is None or parts.scheme not in schemes or "://" not in url:
        return f"must be an address that starts with {', '.join(f'{scheme}://' for scheme in schemes)}"
    if not _has_port(parts):
        return "has no readable port: special characters of a password must be written as %XX"
    if parts.scheme in REDIS_SCHEMES and not re.fullmatch(r"/?[0-9]*", parts.path):
        return "must end with the number of a Redis database, such as /0"
    return None


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None


def _has_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False


def _is_port(text: str) -> bool:
    return bool(_PORT.fullmatch(text)) and 0 < int(text) <= HIGHEST_PORT
