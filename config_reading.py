"""Typed access to the environment. Every complaint is one line that names the variable and never shows a secret."""

import re
from collections.abc import Callable, Mapping


class ConfigError(Exception):
    """A missing or malformed setting. The message is one line that names the variable and never shows a secret."""


class Reader:
    """The variables of one environment; a value of blanks alone counts as not set."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ

    def text(self, name: str, default: str | None = None) -> str:
        value = self.optional(name) or default
        if value is None:
            raise ConfigError(f"{name} is not set")
        return value

    def optional(self, name: str) -> str | None:
        return self.environ.get(name, "").strip() or None

    def checked(self, name: str, find_flaw: Callable[[str], str | None]) -> str:
        return check(name, self.text(name), find_flaw)

    def parts(self, name: str) -> list[str]:
        """The parts of a comma list; empty where it is not set."""
        return split_list(self.optional(name) or "")

    def number(self, name: str, default: int, least: int = 1, most: int | None = None) -> int:
        value = self.text(name, str(default))
        if not re.fullmatch(r"[0-9]{1,15}", value) or not least <= int(value) <= (most or int(value)):
            raise ConfigError(
                f"{name} must be a whole number of at least {least}{f' and at most {most}' if most else ''}"
            )
        return int(value)

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.text(name, str(default)).lower()
        if value not in ("true", "false", "1", "0", "yes", "no"):
            raise ConfigError(f"{name} must be true or false")
        return value in ("true", "1", "yes")

    def place(self, name: str) -> tuple[str, int] | None:
        """A host and a port to listen on, written as 127.0.0.1:9100 or [::1]:9100; None where it is not set."""
        value = self.optional(name)
        if value is None:
            return None
        host, _, port = value.rpartition(":")
        is_port = re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 65_536
        if not is_port or not re.fullmatch(r"[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]", host):
            raise ConfigError(f"{name} must be a host and a port, such as 127.0.0.1:9100")
        return host.strip("[]"), int(port)

    def web_address(self, name: str) -> str | None:
        """An address that starts with http:// or https://; None where it is not set."""
        value = self.optional(name)
        if value and not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", value):
            raise ConfigError(f"{name} must be an address that starts with http:// or https://")
        return value

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self.text(name, default)
        if value not in allowed:
            raise ConfigError(f"{name} must be one of {', '.join(allowed)}")
        return value


def check(name: str, value: str, find_flaw: Callable[[str], str | None]) -> str:
    """The value, if nothing is wrong with it. Raises ConfigError."""
    if flaw := find_flaw(value):
        raise ConfigError(f"{name} {flaw}")
    return value


def split_list(value: str) -> list[str]:
    """The parts between commas, blanks cut off. An empty text has none, an empty part stays and will be complained of."""
    return [part.strip() for part in value.split(",")] if value else []
