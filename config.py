"""The configuration: the only place that reads the environment. Every complaint is one line that names the variable."""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from config_checks import (
    REDIS_SCHEMES,
    find_broker_flaw,
    find_database_flaw,
    find_hmac_flaw,
    find_key_flaw,
    find_password_flaw,
    find_redis_flaw,
)
from psps.registry import PSPS, Psp

DEFAULT_ACCOUNT = "default"
LEAST_LEASE_SECONDS = 5
MOST_ATTEMPTS = 1000
SECRET_VARIABLES = {"hmac": "WEBHOOK_SECRETS", "pem": "WEBHOOK_PUBLIC_KEYS", "basic": "WEBHOOK_PASSWORD"}


class ConfigError(Exception):
    """A missing or malformed setting. The message is one line that names the variable and never shows a secret."""


@dataclass(frozen=True, slots=True)
class PspAccount:
    """One set of PSP credentials and the rules for what arrives under it."""

    psp: str
    account: str
    secrets: tuple[str, ...] = field(repr=False)
    livemode: bool = False
    unmatched: Literal["adopt", "park"] = "adopt"
    unknown_clabe: Literal["accept", "return"] = "accept"
    past_seconds: int = 300
    future_seconds: int | None = None  # None: as the PSP's own SDK has it, no bound
    api_key: str | None = field(default=None, repr=False)
    api_url: str | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """Everything a process needs to know. Addresses carry passwords, so they stay out of repr."""

    database_url: str = field(repr=False)
    broker_url: str = field(repr=False)
    redis_url: str | None = field(repr=False)  # None: nothing is set, and the broker is no Redis
    accounts: dict[tuple[str, str], PspAccount]
    max_body_bytes: int = 1024 * 1024
    body_seconds: float = 10.0  # a delivery's body must be here by then
    answer_seconds: float = 1.8  # a delivery that is not durable by then is answered 503
    unmatched_wait_seconds: int = 600
    max_attempts: int = 5
    lease_seconds: int = 60
    log_format: Literal["json", "console"] = "json"
    metrics_dir: Path | None = None


class _Reader:
    """Typed access to the environment that complains in one line."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ

    def text(self, name: str, default: str | None = None) -> str:
        value = self.environ.get(name, "").strip() or default
        if value is None:
            raise ConfigError(f"{name} is not set")
        return value

    def optional(self, name: str) -> str | None:
        return self.environ.get(name, "").strip() or None

    def checked(self, name: str, find_flaw: Callable[[str], str | None]) -> str:
        return _checked(name, self.text(name), find_flaw)

    def number(self, name: str, default: int, least: int = 1, most: int | None = None) -> int:
        value = self.text(name, str(default))
        if not re.fullmatch(r"[0-9]{1,9}", value) or not least <= int(value) <= (most or int(value)):
            raise ConfigError(
                f"{name} must be a whole number of at least {least}{f' and at most {most}' if most else ''}"
            )
        return int(value)

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.text(name, str(default)).lower()
        if value not in ("true", "false", "1", "0", "yes", "no"):
            raise ConfigError(f"{name} must be true or false")
        return value in ("true", "1", "yes")

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self.text(name, default)
        if value not in allowed:
            raise ConfigError(f"{name} must be one of {', '.join(allowed)}")
        return value


def process_environment() -> dict[str, str]:
    """A copy of this process's environment, for those who start other processes."""
    return dict(os.environ)


def load_config(environ: Mapping[str, str] | None = None) -> Config:
    """Read and check the whole configuration. Raises ConfigError at the first thing that is wrong."""
    read = _Reader(os.environ if environ is None else environ)
    broker_url = read.checked("ACUSE_BROKER_URL", find_broker_flaw)
    metrics_dir = read.optional("ACUSE_METRICS_DIR")
    return Config(
        database_url=_database_url(read),
        broker_url=broker_url,
        redis_url=_redis_url(read, broker_url),
        accounts=_accounts(read),
        max_body_bytes=read.number("ACUSE_MAX_BODY_BYTES", 1024 * 1024),
        body_seconds=float(read.number("ACUSE_BODY_SECONDS", 10)),
        unmatched_wait_seconds=read.number("ACUSE_UNMATCHED_WAIT_SECONDS", 600, least=0),
        max_attempts=read.number("ACUSE_MAX_ATTEMPTS", 5, most=MOST_ATTEMPTS),
        lease_seconds=read.number("ACUSE_LEASE_SECONDS", 60, least=LEAST_LEASE_SECONDS),
        log_format=read.choice("ACUSE_LOG_FORMAT", "json", ("json", "console")),  # type: ignore[arg-type]
        metrics_dir=Path(metrics_dir) if metrics_dir else None,
    )


def _database_url(read: _Reader) -> str:
    url = read.checked("ACUSE_DATABASE_URL", find_database_flaw)
    return f"postgresql+psycopg2://{url.partition('://')[2]}"


def _redis_url(read: _Reader, broker_url: str) -> str | None:
    if read.optional("ACUSE_REDIS_URL"):
        return read.checked("ACUSE_REDIS_URL", find_redis_flaw)
    is_one_redis = broker_url.partition("://")[0] in REDIS_SCHEMES and ";" not in broker_url
    return broker_url if is_one_redis else None


def _accounts(read: _Reader) -> dict[tuple[str, str], PspAccount]:
    names = [name.strip() for name in read.text("ACUSE_PSPS", ",".join(PSPS)).split(",") if name.strip()]
    if not names:
        raise ConfigError(f"ACUSE_PSPS names no PSP; known are {', '.join(PSPS)}")
    accounts: dict[tuple[str, str], PspAccount] = {}
    for name in names:
        if name not in PSPS:
            raise ConfigError(f"ACUSE_PSPS names an unknown PSP {name!r}; known are {', '.join(PSPS)}")
        for account in _account_names(read, name):
            accounts[name, account] = _account(read, PSPS[name], account)
    for one in accounts.values():
        _refuse_shared_secrets(one, accounts.values())
    return accounts


def _refuse_shared_secrets(live: PspAccount, accounts: Iterable[PspAccount]) -> None:
    """A secret of a test account must not vouch for live money."""
    for test in accounts:
        if live.livemode and not test.livemode and test.psp == live.psp and set(live.secrets) & set(test.secrets):
            variable = SECRET_VARIABLES[PSPS[live.psp].credential]
            names = " and ".join(_prefix(one.psp, one.account) + variable for one in (live, test))
            raise ConfigError(f"{names} share a secret, but one account is live and the other test")


def _account_names(read: _Reader, psp: str) -> list[str]:
    pattern = re.compile(rf"ACUSE_{psp.upper()}__([A-Z0-9]+)__\w+")
    extra = {match[1].lower() for name in read.environ if (match := pattern.fullmatch(name))}
    return [DEFAULT_ACCOUNT, *sorted(extra - {DEFAULT_ACCOUNT})]


def _account(read: _Reader, psp: Psp, account: str) -> PspAccount:
    prefix = _prefix(psp.name, account)
    future = read.optional(prefix + "FUTURE_SECONDS")
    return PspAccount(
        psp=psp.name,
        account=account,
        secrets=_secrets(read, psp, prefix),
        livemode=read.flag(prefix + "LIVEMODE"),
        unmatched=read.choice(prefix + "UNMATCHED", "adopt", ("adopt", "park")),  # type: ignore[arg-type]
        unknown_clabe=read.choice(prefix + "UNKNOWN_CLABE", "accept", ("accept", "return")),  # type: ignore[arg-type]
        past_seconds=read.number(prefix + "PAST_SECONDS", 300),
        future_seconds=read.number(prefix + "FUTURE_SECONDS", 300) if future else None,
        api_key=read.optional(prefix + "API_KEY"),
        api_url=read.optional(prefix + "API_URL"),
    )


def _prefix(psp: str, account: str) -> str:
    """What the names of an account's variables begin with."""
    own = "" if account == DEFAULT_ACCOUNT else f"_{account.upper()}__"
    return f"ACUSE_{psp.upper()}_{own}"


def _secrets(read: _Reader, psp: Psp, prefix: str) -> tuple[str, ...]:
    if psp.credential == "basic":
        user = read.text(prefix + "WEBHOOK_USER")
        password = read.checked(prefix + SECRET_VARIABLES["basic"], find_password_flaw)
        if ":" in user:
            raise ConfigError(f"{prefix}WEBHOOK_USER must not contain a colon")
        return (f"{user}:{password}",)
    name = prefix + SECRET_VARIABLES[psp.credential]
    if psp.credential == "pem":
        return tuple(_pem(name, part) for part in _split(read.text(name)))
    return tuple(_checked(name, part, find_hmac_flaw) for part in _split(read.text(name)))


def _split(value: str) -> list[str]:
    return [part.strip() for part in value.split(",")]


def _checked(name: str, value: str, find_flaw: Callable[[str], str | None]) -> str:
    if flaw := find_flaw(value):
        raise ConfigError(f"{name} {flaw}")
    return value


def _pem(name: str, value: str) -> str:
    pem = value.replace("\\n", "\n")
    if "-----BEGIN" not in pem:
        try:
            pem = Path(value).read_text(encoding="ascii")
        except (OSError, ValueError):
            raise ConfigError(f"{name} must hold PEM public keys or paths of files that hold them") from None
    return _checked(name, pem.replace("\r\n", "\n").strip(), find_key_flaw)
