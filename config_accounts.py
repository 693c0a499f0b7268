"""The PSP accounts of the configuration: their secrets, their rules, and what their clients need."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Literal

from config_checks import (
    find_api_key_flaw,
    find_api_url_flaw,
    find_hmac_flaw,
    find_key_flaw,
    find_live_url_flaw,
    find_named_key_flaw,
    find_passphrase_flaw,
    find_password_flaw,
    find_private_key_flaw,
    find_token_flaw,
)
from config_reading import ConfigError, Reader, check, split_list
from psps.registry import PSPS, CredentialKind, OptionKind, Psp

DEFAULT_ACCOUNT = "default"
SECRET_VARIABLES: dict[CredentialKind, str] = {
    "hmac": "WEBHOOK_SECRETS",
    "pem": "WEBHOOK_PUBLIC_KEYS",
    "basic": "WEBHOOK_PASSWORD",
    "key_ids": "WEBHOOK_PUBLIC_KEYS",
    "tokens": "ACCESS_TOKENS",
}
FLAWS = {"hmac": find_hmac_flaw, "key_ids": find_named_key_flaw, "tokens": find_token_flaw}


@dataclass(frozen=True, slots=True)
class PspAccount:
    """One set of PSP credentials and the rules for what arrives under it."""

    psp: str
    account: str
    secrets: tuple[str, ...] = field(repr=False)
    livemode: bool = False
    unmatched: Literal["adopt", "park"] = "adopt"
    unknown_clabe: Literal["accept", "return"] = "accept"
    past_seconds: int | None = 300  # None: a signed time may be as old as it likes
    future_seconds: int | None = None  # None: no bound
    sources: tuple[IPv4Network | IPv6Network, ...] = ()  # addresses that deliveries may come from; empty: any
    api_url: str = ""
    options: Mapping[str, str] = field(default_factory=dict, repr=False)  # what the client is built from
    calls_per_second: int = 10
    healing: Literal["auto", "propose", "report"] = "auto"  # what reconciliation does about what can be healed
    heal_most: int = 500  # differences that the runs of an hour heal without a person
    heal_most_minor: int = 100_000_000  # and the money in question in them

    @property
    def can_call(self) -> bool:
        """Whether there is all that the PSP's client needs."""
        return PSPS[self.psp].needs.keys() <= self.options.keys()


def read_accounts(read: Reader) -> dict[tuple[str, str], PspAccount]:
    """Every account of every PSP that ACUSE_PSPS names, or without it of every PSP that has a variable.

    Raises ConfigError at the first thing that is wrong.
    """
    names = [name for name in split_list(read.text("ACUSE_PSPS", ",".join(_find_configured(read)))) if name]
    if not names:
        raise ConfigError(f"ACUSE_PSPS names no PSP; known are {', '.join(PSPS)}")
    accounts: dict[tuple[str, str], PspAccount] = {}
    for name in names:
        if name not in PSPS:
            raise ConfigError(f"ACUSE_PSPS names an unknown PSP {name!r}; known are {', '.join(PSPS)}")
        for account in _account_names(read, name):
            accounts[name, account] = _read_account(read, PSPS[name], account)
    for one in accounts.values():
        _refuse_shared_secrets(one, accounts.values())
    return accounts


def _find_configured(read: Reader) -> list[str]:
    return [psp for psp in PSPS if any(name.startswith(f"ACUSE_{psp.upper()}_") for name in read.environ)]


def _refuse_shared_secrets(live: PspAccount, accounts: Iterable[PspAccount]) -> None:
    """A secret of a test account must not vouch for live money."""
    for test in accounts:
        if not live.livemode or test.livemode or test.psp != live.psp:
            continue
        for variable in _find_shared(live, test):
            names = " and ".join(_prefix(one.psp, one.account) + variable for one in (live, test))
            raise ConfigError(f"{names} share a secret, but one account is live and the other test")


def _find_shared(live: PspAccount, test: PspAccount) -> list[str]:
    """The variables that hold the same secret for both."""
    psp = PSPS[live.psp]
    kinds: dict[str, OptionKind] = {**psp.needs, **psp.takes}
    own = [name for name, kind in kinds.items() if kind in ("secret", "private_key") and name in live.options]
    shared = [name for name in own if live.options[name] == test.options.get(name)]
    return [SECRET_VARIABLES[psp.credential], *shared] if set(live.secrets) & set(test.secrets) else shared


def _account_names(read: Reader, psp: str) -> list[str]:
    pattern = re.compile(rf"ACUSE_{psp.upper()}__([A-Z0-9]+)__\w+")
    extra = {match[1].lower() for name in read.environ if (match := pattern.fullmatch(name))}
    return [DEFAULT_ACCOUNT, *sorted(extra - {DEFAULT_ACCOUNT})]


def _read_account(read: Reader, psp: Psp, account: str) -> PspAccount:
    prefix = _prefix(psp.name, account)
    livemode = read.flag(prefix + "LIVEMODE")
    api_url = check(prefix + "API_URL", read.text(prefix + "API_URL", psp.api_url), find_api_url_flaw)
    return PspAccount(
        psp=psp.name,
        account=account,
        secrets=_read_secrets(read, psp, prefix),
        livemode=livemode,
        unmatched=read.choice(prefix + "UNMATCHED", "adopt", ("adopt", "park")),  # type: ignore[arg-type]
        unknown_clabe=read.choice(prefix + "UNKNOWN_CLABE", "accept", ("accept", "return")),  # type: ignore[arg-type]
        past_seconds=_read_seconds(read, prefix + "PAST_SECONDS", psp.past_seconds),
        future_seconds=_read_seconds(read, prefix + "FUTURE_SECONDS", psp.future_seconds),
        sources=tuple(_network(prefix + "SOURCES", part) for part in read.parts(prefix + "SOURCES")),
        api_url=check(prefix + "API_URL", api_url, find_live_url_flaw) if livemode else api_url,
        options=_read_options(read, psp, prefix, livemode),
        healing=read.choice(prefix + "HEALING", "auto", ("auto", "propose", "report")),  # type: ignore[arg-type]
        heal_most=read.number(prefix + "HEAL_MOST", 500, least=0),
        heal_most_minor=read.number(prefix + "HEAL_MOST_MINOR", 100_000_000, least=0, most=10**15),
        calls_per_second=read.number(prefix + "CALLS_PER_SECOND", int(psp.calls_per_second), most=1000),
    )


def _prefix(psp: str, account: str) -> str:
    """What the names of an account's variables begin with."""
    own = "" if account == DEFAULT_ACCOUNT else f"_{account.upper()}__"
    return f"ACUSE_{psp.upper()}_{own}"


def _read_seconds(read: Reader, name: str, default: int | None) -> int | None:
    return read.number(name, 1) if read.optional(name) else default


def _network(name: str, part: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(part)
    except ValueError:
        raise ConfigError(f"{name} must be a comma list of addresses or networks such as 203.0.113.0/24") from None


def _read_options(read: Reader, psp: Psp, prefix: str, livemode: bool) -> dict[str, str]:
    """All that the client needs, or nothing: half of it is a mistake. A PSP that only hints cannot do without."""
    kinds: dict[str, OptionKind] = {**psp.needs, **psp.takes}
    values = {
        name: _option(prefix + name, value, kinds[name], livemode)
        for name in kinds
        if (value := read.optional(prefix + name))
    }
    missing = [prefix + name for name in psp.needs if name not in values]
    given = [prefix + name for name in psp.needs if name in values]
    if missing and psp.is_hint:
        raise ConfigError(
            f"{missing[0]} is not set: webhooks of {psp.name} are hints, and payments are fetched with it"
        )
    if missing and given:
        raise ConfigError(f"{missing[0]} is not set, but {given[0]} is")
    for name, value in values.items():
        if kinds[name] == "private_key":
            _check_passphrase(f"{prefix}{name}_PASSPHRASE", value, values.get(f"{name}_PASSPHRASE"))
    return values


def _check_passphrase(name: str, pem: str, passphrase: str | None) -> None:
    flaw = find_passphrase_flaw(pem, passphrase)
    if flaw:
        raise ConfigError(f"{name} {flaw}")


def _option(name: str, value: str, kind: OptionKind, livemode: bool) -> str:
    if kind == "url":
        return check(name, check(name, value, find_api_url_flaw), find_live_url_flaw if livemode else lambda url: None)
    if kind == "private_key":
        return check(name, _read_pem(name, value), find_private_key_flaw)
    if not value.isprintable():
        raise ConfigError(f"{name} holds a character that cannot be printed")
    if kind == "secret" and not name.endswith("_PASSPHRASE"):
        return check(name, value, partial(find_api_key_flaw, livemode=livemode))
    return value


def _read_secrets(read: Reader, psp: Psp, prefix: str) -> tuple[str, ...]:
    if psp.credential == "basic":
        former = prefix + "WEBHOOK_PREVIOUS_"
        is_changing = read.optional(former + "USER") or read.optional(former + "PASSWORD")
        return tuple(_read_login(read, start) for start in (prefix + "WEBHOOK_", former)[: 2 if is_changing else 1])
    name = prefix + SECRET_VARIABLES[psp.credential]
    parts = split_list(read.text(name))
    if psp.credential == "pem":
        return tuple(check(name, _read_pem(name, part), find_key_flaw) for part in parts)
    return tuple(check(name, part, FLAWS[psp.credential]) for part in parts)


def _read_login(read: Reader, prefix: str) -> str:
    user = read.text(prefix + "USER")
    if ":" in user:
        raise ConfigError(f"{prefix}USER must not contain a colon")
    password = read.checked(prefix + "PASSWORD", find_password_flaw)
    if password == user:
        raise ConfigError(f"{prefix}PASSWORD is the same as {prefix}USER")
    return f"{user}:{password}"


def _read_pem(name: str, value: str) -> str:
    pem = value.replace("\\n", "\n")
    if "-----BEGIN" not in pem:
        try:
            pem = Path(value).read_text(encoding="ascii")
        except (OSError, ValueError):
            raise ConfigError(f"{name} must hold keys as PEM or paths of files that hold them") from None
    return pem.replace("\r\n", "\n").strip()
