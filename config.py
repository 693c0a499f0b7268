"""The configuration: the only place that reads the environment. Every complaint is one line that names the variable."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from config_accounts import DEFAULT_ACCOUNT, PspAccount, read_accounts
from config_checks import (
    REDIS_SCHEMES,
    find_api_url_flaw,
    find_broker_flaw,
    find_broker_login_flaw,
    find_database_flaw,
    find_login_flaw,
    find_redis_flaw,
    find_secret_key_flaw,
    is_loopback,
)
from config_reading import ConfigError, Reader, check
from models.payload_vault import CLEAR, LOST
from models.states import Method
from psps.registry import PSPS

__all__ = ["DEFAULT_ACCOUNT", "Config", "ConfigError", "PspAccount", "load_config", "process_environment"]

LEAST_LEASE_SECONDS = 5
MOST_ATTEMPTS = 1000
MOST_PROXIES = 10
MOST_CALL_SECONDS = 12
MOST_PACE = 100
MOST_RETENTION_MONTHS = 1200


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
    trusted_proxies: int = 0  # how many proxies of ours add to X-Forwarded-For
    unmatched_wait_seconds: int = 600
    console_over_http: bool = False
    max_attempts: int = 5
    lease_seconds: int = 60
    call_seconds: int = 10  # the deadline of one call to a PSP
    sandbox_pace: int = 1  # how much faster than real PSPs simulated ones settle
    query_after_seconds: int = 30  # until the first query about a call whose outcome is unknown
    requests_per_minute: int = 20  # of the merchant API, unless a key has another number
    routes: Mapping[Method, tuple[str, ...]] = field(
        default_factory=dict
    )  # PSPs by method, the first that can makes it
    secret_keys: tuple[str, ...] = field(default=(), repr=False)  # seal what we must read again; the newest first
    payload_keys: tuple[str, ...] = field(default=(), repr=False)  # seal what arrives; the newest first
    allow_loopback_endpoints: bool = False  # merchants may be notified on this machine: for development alone
    cep_url: str | None = None  # the folder of Banxico's portal; None: it is not asked
    cep_calls_per_minute: int = 6
    retention_months: int = 13  # that payloads are kept, beside the running one
    log_format: Literal["json", "console"] = "json"
    metrics_dir: Path | None = None
    metrics_listen: tuple[str, int] | None = None  # where a process serves what all that share metrics_dir count
    traces_url: str | None = None  # of the collector, without /v1/traces; None: nothing is traced
    traces_percent: int = 100  # of all traces, those that are kept


def process_environment() -> dict[str, str]:
    """A copy of this process's environment, for those who start other processes."""
    return dict(os.environ)


def load_config(environ: Mapping[str, str] | None = None) -> Config:
    """Read and check the whole configuration. Raises ConfigError at the first thing that is wrong."""
    read = Reader(os.environ if environ is None else environ)
    broker_url = read.checked("ACUSE_BROKER_URL", find_broker_flaw)
    metrics_dir = read.optional("ACUSE_METRICS_DIR")
    accounts = read_accounts(read)
    _refuse_default_logins(read, accounts)
    return Config(
        database_url=_database_url(read),
        broker_url=broker_url,
        redis_url=_redis_url(read, broker_url),
        accounts=accounts,
        max_body_bytes=read.number("ACUSE_MAX_BODY_BYTES", 1024 * 1024),
        body_seconds=float(read.number("ACUSE_BODY_SECONDS", 10)),
        trusted_proxies=read.number("ACUSE_TRUSTED_PROXIES", 0, least=0, most=MOST_PROXIES),
        unmatched_wait_seconds=read.number("ACUSE_UNMATCHED_WAIT_SECONDS", 600, least=0),
        console_over_http=read.flag("ACUSE_CONSOLE_OVER_HTTP"),
        max_attempts=read.number("ACUSE_MAX_ATTEMPTS", 5, most=MOST_ATTEMPTS),
        lease_seconds=read.number("ACUSE_LEASE_SECONDS", 60, least=LEAST_LEASE_SECONDS),
        call_seconds=read.number("ACUSE_CALL_SECONDS", 10, most=MOST_CALL_SECONDS),
        sandbox_pace=_sandbox_pace(read, accounts),
        query_after_seconds=read.number("ACUSE_QUERY_AFTER_SECONDS", 30),
        requests_per_minute=read.number("ACUSE_REQUESTS_PER_MINUTE", 20, most=1_000_000),
        routes=_routes(read),
        secret_keys=_keys(read, "ACUSE_SECRET_KEYS"),
        payload_keys=_payload_keys(read, "ACUSE_PAYLOAD_KEYS"),
        allow_loopback_endpoints=read.flag("ACUSE_ALLOW_LOOPBACK_ENDPOINTS"),
        cep_url=read.checked("ACUSE_CEP_URL", find_api_url_flaw) if read.optional("ACUSE_CEP_URL") else None,
        cep_calls_per_minute=read.number("ACUSE_CEP_CALLS_PER_MINUTE", 6, most=60_000),
        retention_months=read.number("ACUSE_RETENTION_MONTHS", 13, most=MOST_RETENTION_MONTHS),
        log_format=read.choice("ACUSE_LOG_FORMAT", "json", ("json", "console")),  # type: ignore[arg-type]
        metrics_dir=Path(metrics_dir) if metrics_dir else None,
        metrics_listen=_metrics_listen(read, metrics_dir),
        traces_url=read.web_address("OTEL_EXPORTER_OTLP_ENDPOINT"),
        traces_percent=read.number("ACUSE_TRACES_PERCENT", 100, most=100),
    )


def _database_url(read: Reader) -> str:
    url = read.checked("ACUSE_DATABASE_URL", find_database_flaw)
    return f"postgresql+psycopg2://{url.partition('://')[2]}"


def _refuse_default_logins(read: Reader, accounts: dict[tuple[str, str], PspAccount]) -> None:
    if any(account.livemode for account in accounts.values()):
        for name in ("ACUSE_DATABASE_URL", "ACUSE_BROKER_URL", "ACUSE_REDIS_URL"):
            check(name, read.optional(name) or "", find_login_flaw)
        check("ACUSE_BROKER_URL", read.checked("ACUSE_BROKER_URL", find_broker_flaw), find_broker_login_flaw)


def _sandbox_pace(read: Reader, accounts: dict[tuple[str, str], PspAccount]) -> int:
    """A real PSP takes its time: to believe its no too early could send something twice."""
    pace = read.number("ACUSE_SANDBOX_PACE", 1, most=MOST_PACE)
    if pace > 1 and not all(is_loopback(account.api_url) for account in accounts.values()):
        raise ConfigError("ACUSE_SANDBOX_PACE is for simulated PSPs alone: an API address is not on this machine")
    return pace


def _keys(read: Reader, name: str) -> tuple[str, ...]:
    return tuple(check(name, key, find_secret_key_flaw) for key in read.parts(name))


def _payload_keys(read: Reader, name: str) -> tuple[str, ...]:
    """Keys; `clear` may stand in front of them, and the ids of lost ones as lost:<id> anywhere behind."""
    entries = read.parts(name)
    for place, entry in enumerate(entries):
        if entry == CLEAR and place:
            raise ConfigError(f"{name} may have {CLEAR} in the first place alone")
        if entry.startswith(LOST) and not re.fullmatch(r"[0-9a-f]{16}", entry.removeprefix(LOST)):
            raise ConfigError(f"{name} names a lost key by {LOST} and its id of 16 digits, as acuse doctor says it")
        if entry != CLEAR and not entry.startswith(LOST):
            check(name, entry, find_secret_key_flaw)
    return tuple(entries)


def _routes(read: Reader) -> dict[Method, tuple[str, ...]]:
    """ACUSE_ROUTE_OXXO=conekta,stripe and so on: which PSPs are tried in which order for a method."""
    routes = {method: tuple(read.parts(f"ACUSE_ROUTE_{method.upper()}")) for method in Method}
    for method, names in routes.items():
        for name in names:
            if name not in PSPS or method not in PSPS[name].creates:
                able = ", ".join(psp.name for psp in PSPS.values() if method in psp.creates)
                raise ConfigError(f"ACUSE_ROUTE_{method.upper()} names {name!r}; {method} payments are made by {able}")
    return {method: names for method, names in routes.items() if names}


def _metrics_listen(read: Reader, metrics_dir: str | None) -> tuple[str, int] | None:
    place = read.place("ACUSE_METRICS_LISTEN")
    if place and metrics_dir is None:
        raise ConfigError(
            "ACUSE_METRICS_LISTEN needs ACUSE_METRICS_DIR: a worker's children tell through it what they count"
        )
    return place


def _redis_url(read: Reader, broker_url: str) -> str | None:
    if read.optional("ACUSE_REDIS_URL"):
        return read.checked("ACUSE_REDIS_URL", find_redis_flaw)
    is_one_redis = broker_url.partition("://")[0] in REDIS_SCHEMES and ";" not in broker_url
    return broker_url if is_one_redis else None
