"""The wall between merchants' addresses and our own network: what may be called, by its text and by where it leads.

`check_url` is pure and looks at the text, when an address is registered and before every delivery. `check_address`
looks at what a name resolved to, before every connection. Both let pass what is known to be public and nothing else.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import idna

LONGEST_URL, LONGEST_NAME = 2048, 253
HTTPS_PORTS = frozenset({443, 8443})
LOWEST_LOOPBACK_PORT = 1024
DEFAULT_PORTS = {"https": 443, "http": 80}
LOCALHOST = "localhost"

NOT_PUBLIC = "Give an address on the public internet: private, local and special-purpose addresses are not called."
TOO_LONG = f"Use an address of at most {LONGEST_URL} characters."
NOT_HTTPS = "Use an address that begins with https://."
SHAPELESS = "Write the address as https://your-domain/path, with anything outside ASCII in the path percent-encoded."
BAD_NAME = "Give the full domain name of your server, such as hooks.example.com."
BAD_LITERAL = "Write an IP address in its usual form, such as 203.0.113.7 or [2001:db8::7], or give a domain name."
BAD_PORT = "Use port 443 or 8443."

# What must not be there at all, in this order, and what the merchant is told.
FORBIDDEN = (
    (re.compile(r"[\x00-\x20\x7f\\]|\s"), "Leave out spaces, control characters and backslashes."),
    (re.compile(r"\A(?!https?://)", re.IGNORECASE), NOT_HTTPS),
    (re.compile(r"\A[a-z]+://[^/?#]*@", re.IGNORECASE), "Leave out the user name and password before the @."),
    (re.compile(r"#"), "Leave out the part of the address from the # on."),
)
# The one reading of an address: what was checked is what is called, so no other parser ever sees it.
SHAPE = re.compile(
    r"(?P<scheme>https?)://"
    r"(?:\[(?P<literal>[0-9a-f]*:[0-9a-f:.]*)\]|(?P<name>[^\[\]/?:]+))"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:/[!->@-~]*)?(?:\?[!-~]*)?)",
    re.IGNORECASE,
)
NAME = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# Resolvers take a name that ends so for an IP address: 127.1, 0177.0.0.1, 0x7f.1, 2130706433.
NUMBER_AT_END = re.compile(r"(?:\A|\.)(?:[0-9]+|0x[0-9a-f]*)\.?\Z")
# Last labels that exist inside networks only.
LOCAL_ENDS = frozenset(
    {"arpa", "corp", "home", "internal", "intranet", "lan", "local", "localdomain", LOCALHOST, "private"}
)

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
PUBLIC_V6 = ip_network("2000::/3")
# Python's is_global is no wall by itself: it is True for multicast and NAT64, and differs between patch releases.
# These are the special-purpose registries of IANA; an address that embeds another one is refused whatever it embeds.
SPECIAL = tuple(
    ip_network(block)
    for block in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "168.63.129.16/32",  # a public number, but inside Azure the host of the machine
        "169.254.0.0/16",  # link-local, the metadata of clouds
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments, the metadata of Oracle's cloud
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # multicast tunnels
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)


class AddressRefused(Exception):
    """This address is not called. The message tells its owner what to do, and nothing about our network."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address that may be called, in lower-case ASCII. `host` is a name or an IP address without brackets."""

    scheme: str  # https; http on this machine only
    host: str
    port: int
    path: str  # from the slash on, with the query

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The address as it should be kept; `check_url` gives the same target for it."""
        return f"{self.scheme}://{self.authority}{self.path}"


def check_url(url: str, allow_loopback: bool) -> Target:
    """Read a merchant's address. Raises AddressRefused.

    `allow_loopback` is the development switch: this machine may be called, also by plain http, at a port from 1024 on.
    """
    parts = _take_apart(url)
    scheme = parts["scheme"].lower()
    host = _read_literal(parts["literal"]) if parts["literal"] else _read_name(parts["name"])
    is_local = allow_loopback and _is_this_machine(host)
    if not is_local:
        _check_host(host)
        if scheme != "https":
            raise AddressRefused(NOT_HTTPS)
    port = int(parts["port"] or DEFAULT_PORTS[scheme])
    if not (port in HTTPS_PORTS or (is_local and LOWEST_LOOPBACK_PORT <= port <= 65_535)):
        raise AddressRefused(BAD_PORT)
    path = parts["path"]
    target = Target(scheme, host, port, path if path.startswith("/") else f"/{path}")
    if len(target.url) > LONGEST_URL:
        raise AddressRefused(TOO_LONG)
    return target


def check_address(ip: str, allow_loopback: bool) -> None:
    """Let an IP address pass if it is public (or of this machine, in development). Raises AddressRefused."""
    try:
        address = ip_address(ip)
    except ValueError:
        raise AddressRefused(NOT_PUBLIC) from None
    # An address with a zone equals the one without it, so zones come first.
    has_zone = isinstance(address, IPv6Address) and address.scope_id is not None
    if has_zone or not (_is_public(address) or (allow_loopback and _is_loopback(address))):
        raise AddressRefused(NOT_PUBLIC)


def _take_apart(url: str) -> re.Match[str]:
    if len(url) > LONGEST_URL:
        raise AddressRefused(TOO_LONG)
    for pattern, message in FORBIDDEN:
        if pattern.search(url):
            raise AddressRefused(message)
    parts = SHAPE.fullmatch(url)
    if parts is None:
        raise AddressRefused(SHAPELESS)
    return parts


def _read_literal(text: str) -> str:
    """An IP address in the one form in which it is ours too."""
    lowered = text.lower()
    try:
        address = ip_address(lowered)
    except ValueError:
        raise AddressRefused(BAD_LITERAL) from None
    if str(address) != lowered:
        raise AddressRefused(BAD_LITERAL)
    return lowered


def _read_name(text: str) -> str:
    lowered = text.lower()
    try:
        name = lowered if lowered.isascii() else idna.encode(lowered).decode()
    except idna.IDNAError:
        raise AddressRefused(BAD_NAME) from None
    if NUMBER_AT_END.search(name):
        return _read_literal(text)
    if name != LOCALHOST and (len(name) > LONGEST_NAME or not NAME.fullmatch(name)):
        raise AddressRefused(BAD_NAME)
    return name


def _check_host(host: str) -> None:
    if is_literal(host):
        check_address(host, allow_loopback=False)
    elif host.rpartition(".")[2] in LOCAL_ENDS:
        raise AddressRefused(NOT_PUBLIC)


def is_literal(host: str) -> bool:
    """Whether a host is an IP address, not a name."""
    return ":" in host or NUMBER_AT_END.search(host) is not None


def _is_this_machine(host: str) -> bool:
    return host == LOCALHOST or (is_literal(host) and _is_loopback(ip_address(host)))


def _is_loopback(address: IPv4Address | IPv6Address) -> bool:
    return any(address in block for block in LOOPBACK)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if not address.is_global or address.is_multicast or any(address in block for block in SPECIAL):
        return False
    return isinstance(address, IPv4Address) or address in PUBLIC_V6
