"""What an address may look like: what passes, what the merchant is told, and properties that hold for any text."""

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from notifications.address import LONGEST_URL, SPECIAL, AddressRefused, check_address, check_url

PUBLIC = (
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.1",
    "172.32.0.1",
    "192.0.1.1",
    "198.20.0.1",
    "223.255.255.254",
)
PUBLIC_V6 = ("2001:4860:4860::8888", "2606:4700:4700::1111", "2a00:1450:4009::200e", "2001:200::1", "2003::1")
HAS_EMBEDDED = ("::ffff:0:0/96", "::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")


def refused(ip: str, allow_loopback: bool = False) -> bool:
    try:
        check_address(ip, allow_loopback)
    except AddressRefused:
        return True
    return False


@pytest.mark.parametrize(
    ("written", "kept", "host", "port", "path"),
    [
        ("https://hooks.example", "https://hooks.example/", "hooks.example", 443, "/"),
        ("HTTPS://Hooks.Example:443/A?b=C", "https://hooks.example/A?b=C", "hooks.example", 443, "/A?b=C"),
        ("https://hooks.example?b", "https://hooks.example/?b", "hooks.example", 443, "/?b"),
        ("https://a-b.c.example:8443/@me", "https://a-b.c.example:8443/@me", "a-b.c.example", 8443, "/@me"),
        ("https://hooks.example:00443/", "https://hooks.example/", "hooks.example", 443, "/"),
        ("https://8.8.8.8/", "https://8.8.8.8/", "8.8.8.8", 443, "/"),
        ("https://[2606:4700:4700::ABCD]/", "https://[2606:4700:4700::abcd]/", "2606:4700:4700::abcd", 443, "/"),
        ("https://Peña.example/%C3%B1", "https://xn--pea-8ma.example/%C3%B1", "xn--pea-8ma.example", 443, "/%C3%B1"),
        ("https://4.example/?a=b/c?d@e", "https://4.example/?a=b/c?d@e", "4.example", 443, "/?a=b/c?d@e"),
    ],
)
def test_an_address_is_read_and_kept_in_one_form(written: str, kept: str, host: str, port: int, path: str):
    target = check_url(written, allow_loopback=False)
    assert (target.scheme, target.host, target.port, target.path) == ("https", host, port, path)
    assert target.url == kept
    assert check_url(kept, allow_loopback=False) == target


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8000/",
        "http://LOCALHOST:8000/",
        "http://127.0.0.1:1024/",
        "http://127.3.2.1:65535/",
        "http://[::1]:8000/",
        "https://localhost:8000/",
        "https://127.0.0.1/",
    ],
)
def test_this_machine_may_be_called_in_development_only(url: str):
    assert check_url(url, allow_loopback=True).url == url.lower()
    with pytest.raises(AddressRefused):
        check_url(url, allow_loopback=False)


@pytest.mark.parametrize(
    "url",
    ["http://localhost/", "http://127.0.0.1:1023/", "http://127.0.0.1:65536/", "http://hooks.example:8000/", "http://8.8.8.8:8000/",
     "https://hooks.example:8000/", "http://10.0.0.1:8000/", "http://127.1:8000/", "http://hooks.localhost:8000/",
     "http://a@localhost:8000/", "http://[::ffff:127.0.0.1]:8000/", "http://0.0.0.0:8000/"],
)  # fmt: skip
def test_development_opens_no_other_port_and_no_other_host(url: str):
    with pytest.raises(AddressRefused):
        check_url(url, allow_loopback=True)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://hooks.example/", "https://"),
        ("https://a:b@hooks.example/", "user name and password"),
        ("https://hooks.example/#a", "from the # on"),
        ("https://hooks.example/ a", "Leave out spaces"),
        ("https://hooks.example:22/", "443 or 8443"),
        ("https://hooks/", "full domain name"),
        ("https://127.1/", "usual form"),
        ("https://10.0.0.1/", "public internet"),
        ("https://db.internal/", "public internet"),
        ("https://hooks.example/ñ", "percent-encoded"),
        ("https://hooks.example/" + "a" * LONGEST_URL, "2048"),
    ],
)
def test_the_merchant_is_told_what_to_do(url: str, words: str):
    with pytest.raises(AddressRefused, match=words) as told:
        check_url(url, allow_loopback=False)
    assert "hooks" not in str(told.value).replace("hooks.example.com", "")


def test_an_address_may_be_as_long_as_the_limit_and_stays_so():
    longest = "https://hooks.example/" + "a" * (LONGEST_URL - len("https://hooks.example/"))
    assert check_url(longest, allow_loopback=False).url == longest
    grows = "https://ñ.example?" + "a" * (LONGEST_URL - len("https://ñ.example?"))
    with pytest.raises(AddressRefused, match="2048"):
        check_url(grows, allow_loopback=False)


@pytest.mark.parametrize("ip", [*PUBLIC, *PUBLIC_V6])
def test_an_ordinary_public_address_is_no_special_one(ip: str):
    assert not refused(ip)


@pytest.mark.parametrize("block", SPECIAL, ids=str)
def test_a_special_block_is_refused_from_its_first_address_to_its_last(block):
    assert refused(str(block[0]))
    assert refused(str(block[-1]))


@settings(deadline=None, max_examples=400)
@given(
    st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6), *(st.ip_addresses(network=block) for block in HAS_EMBEDDED))
)
def test_whatever_is_not_globally_routable_is_refused(address: IPv4Address | IPv6Address):
    is_special = not address.is_global or address.is_multicast or address.is_reserved or address.is_private
    inside = isinstance(address, IPv6Address) and (address.ipv4_mapped or address.sixtofour or address.teredo)
    if is_special or inside or any(address in ip_network(block) for block in HAS_EMBEDDED):
        assert refused(str(address))
        assert refused(str(address), allow_loopback=True) or address.is_loopback


@settings(deadline=None)
@given(st.ip_addresses(v=4), st.integers(0, 2**32 - 1))
def test_an_address_that_embeds_another_is_refused_whatever_it_embeds(inner: IPv4Address, rest: int):
    four = int(inner)
    outers = {
        "compatible": four,
        "mapped": 0xFFFF << 32 | four,
        "translated": 0xFFFF << 48 | four,
        "NAT64": 0x64FF9B << 96 | four,
        "local NAT64": 0x64FF9B0001 << 80 | rest << 32 | four,
        "6to4": 0x2002 << 112 | four << 80 | rest,
        "Teredo": 0x20010000 << 96 | rest << 64 | (four ^ 0xFFFFFFFF),
    }
    assert [kind for kind, outer in outers.items() if not refused(str(IPv6Address(outer)))] == []


@settings(deadline=None, max_examples=300)
@given(
    st.one_of(
        st.text(),
        st.text().map(lambda text: f"https://{text}"),
        st.tuples(st.text(alphabet="aA.-0127x:[]%@#?/\\ñ。\uff11\u200b"), st.text(max_size=5)).map(
            lambda parts: f"https://{parts[0]}.example/{parts[1]}"
        ),
        st.ip_addresses().map(lambda ip: f"https://{ip}/" if ip.version == 4 else f"https://[{ip}]/"),
    ),
    st.booleans(),
)
@example("https://\u212aelvin.example/", False)
def test_any_text_is_refused_or_read_and_then_read_again_in_the_same_way(text: str, allow_loopback: bool):
    try:
        target = check_url(text, allow_loopback)
    except AddressRefused:
        return
    assert target.url.isascii()
    assert target.url.isprintable()
    assert " " not in target.url
    assert target.host == target.host.lower()
    assert check_url(target.url, allow_loopback) == target
