"""Where a delivery came from: the address of the sender, as far as our own proxies vouch for it."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

FORWARDED = "x-forwarded-for"


def find_source(client: str, headers: Mapping[str, str], trusted_proxies: int) -> str:
    """The address that the outermost of our proxies saw; what stands further left in the header anybody can write.

    With no trusted proxy it is the connection's own. Empty where fewer addresses are named than there are proxies.
    """
    if not trusted_proxies:
        return client
    named = [part.strip() for part in headers.get(FORWARDED, "").split(",")]
    return named[-trusted_proxies] if len(named) >= trusted_proxies else ""


def is_allowed(source: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    """Whether the address lies in one of the networks. What is no address does not."""
    try:
        address = ip_address(source)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in networks)
