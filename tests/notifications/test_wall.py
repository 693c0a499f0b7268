"""Nothing that a merchant registers makes us call our own machine or network: a canary listens and must hear nothing.

Below the wall lies a network in which every address is this machine, so that whatever the wall let through is heard.
"""

import asyncio
import socket
import ssl
from pathlib import Path

import httpcore
import pytest

from notifications.address import AddressRefused
from notifications.connecting import CheckedBackend
from notifications.sending import Sender, SendError
from tests.notifications.networks import NAME, PUBLIC, PUBLIC_V6, Authority, Canary, Names, OneRoad, make_local, send
from tests.psps.loopback import reply

# What must not be called, as an address in a URL or as what a name resolves to.
REFUSED = {
    "loopback": ("127.0.0.1", "127.0.0.2", "127.255.255.254", "::1"),
    "unspecified": ("0.0.0.0", "0.1.2.3", "::"),
    "private": ("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    "link-local and metadata": ("169.254.169.254", "169.254.0.1", "fe80::1", "192.0.0.192", "168.63.129.16"),
    "carrier-grade NAT": ("100.64.0.1", "100.100.100.200", "100.127.255.255"),
    "multicast": ("224.0.0.1", "239.255.255.250", "ff02::1", "ff0e::1"),
    "reserved and broadcast": ("240.0.0.1", "255.255.255.255", "4000::1", "5f00::1", "100::1"),
    "documentation": ("192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"),
    "benchmarks": ("198.18.0.1", "198.19.255.255", "2001:2::1"),
    "protocol assignments": ("192.0.0.1", "192.0.0.9", "192.88.99.1", "2001:20::1", "2620:4f:8000::1"),
    "unique local and site-local": ("fc00::1", "fd00:ec2::254", "fec0::1"),
    "IPv4 mapped": ("::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:169.254.169.254", "::ffff:8.8.8.8"),
    "IPv4 compatible": ("::7f00:1", "::127.0.0.1", "::808:808"),
    "IPv4 translated": ("::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8"),
    "NAT64": ("64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::7f00:1", "64:ff9b:1::a9fe:a9fe"),
    "6to4": ("2002:7f00:1::1", "2002:a00:1::", "2002:808:808::1"),
    "Teredo": ("2001::1", "2001:0:7f00:1::80ff:fffe"),
}
ADDRESSES = [pytest.param(ip, id=f"{kind} {ip}") for kind, ips in REFUSED.items() for ip in ips]

WRONG_TEXTS = (
    # IP addresses that only some readers take for one
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.1/",
    "https://0x7f.0x0.0x0.0x1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://127.1/",
    "https://127.0.1/",
    "https://127.0.0.1./",
    "https://127.0.0.01/",
    "https://127.000.000.001/",
    "https://0/",
    "https://0x/",
    "https://134744072/",  # 8.8.8.8, and refused all the same
    "https://8.8.2056/",
    "https://256.256.256.256/",
    "https://1.1.1.1.1/",
    "https://hooks.example.127/",
    "https://hooks.0x7f/",
    "https://\uff11\uff12\uff17.0.0.1/",
    "https://①②⑦.⓪.⓪.①/",
    "https://127。0。0。1/",
    "https://[127.0.0.1]/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://[::0001]/",
    "https://[::1%25lo]/",
    "https://[::1%lo]/",
    "https://[fe80::1%25eth0]/",
    "https://[2606:2800:0220:1::248]/",
    "https://[v1.fe80]/",
    "https://[]/",
    "https://[::1/",
    "https://::1/",
    "https://[::1]hooks.example/",
    "https://hooks.example[::1]/",
    # who and where is not what it seems
    "http://a@127.0.0.1/",
    "https://a@127.0.0.1/",
    "https://a:b@127.0.0.1/",
    "https://hooks.example@127.0.0.1/",
    "https://127.0.0.1@hooks.example/",
    "https://127.0.0.1:443@hooks.example/",
    "https://@hooks.example/",
    "https://127.0.0.1\\@hooks.example/",
    "https://hooks.example\\@127.0.0.1/",
    "https://hooks.example#@127.0.0.1/",
    "https://127.0.0.1#hooks.example/",
    "https://hooks.example/path#fragment",
    "https://127.0.0.1%2f.hooks.example/",
    "https://hooks.example%00.internal/",
    "https://hooks.example\r\nHost:127.0.0.1/",
    "https://hooks.example/\r\nx: y",
    "https://hooks\t.example/",
    " https://hooks.example/",
    "https://hooks.example/ ",
    "https://hooks.example/\u2028",
    "https://hooks.example\x00/",
    "https://hooks.example/\x7f",
    "https://hooks.example:443:443/",
    "https://hooks.example:-1/",
    "https://hooks.example:+443/",
    "https://hooks.example:٤٤٣/",
    "https://hooks.example:/",
    # names of this machine or of a network inside
    "http://localhost/",
    "https://localhost/",
    "https://LOCALHOST/",
    "https://localhost./",
    "https://hooks.localhost/",
    "https://localhost.localdomain/",
    "https://metadata.google.internal/",
    "https://printer.local/",
    "https://db.corp/",
    "https://1.0.0.127.in-addr.arpa/",
    "https://postgres/",
    "https://hooks..example/",
    "https://.example/",
    "https://-hooks.example/",
    "https://hooks_.example/",
    "https://hooks.example./",
    f"https://{'a' * 64}.example/",
    f"https://{'a.' * 127}example/",
    "https://b\u200bad.example/",
    "https://\uff48ooks.example/",
    "https:///hooks.example/",
    "https://",
    "",
    # ways out other than HTTPS
    "http://hooks.example/",
    "http://hooks.example:8080/",
    "HTTP://hooks.example/",
    "http://127.0.0.1:8080/",
    "http://[::1]:8080/",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/info",
    "https+unix://%2Fvar%2Frun%2Fdocker.sock/info",
    "unix:///var/run/docker.sock",
    "file:///etc/passwd",
    "ftp://hooks.example/",
    "gopher://127.0.0.1:6379/_INFO",
    "wss://hooks.example/",
    "jar:https://hooks.example/",
    "//hooks.example/",
    "hooks.example",
    "https:hooks.example/",
    "https:/hooks.example/",
    # ports of something else
    "https://hooks.example:22/",
    "https://hooks.example:25/",
    "https://hooks.example:80/",
    "https://hooks.example:5432/",
    "https://hooks.example:6379/",
    "https://hooks.example:8080/",
    "https://hooks.example:0/",
    "https://hooks.example:65979/",
    # too much, or not to be sent as it is
    "https://hooks.example/" + "a" * 2048,
    "https://hooks.example/straße",
    "https://hooks.example?ñ",
)


def in_url(ip: str) -> str:
    return f"https://[{ip}]/hook" if ":" in ip else f"https://{ip}/hook"


@pytest.fixture(scope="module")
def trust(authority: Authority) -> ssl.SSLContext:
    return authority.trust()


def refuses(sender: Sender, url: str) -> bool:
    result = send(sender, url)
    return (result.status, result.error, result.ok) == (None, SendError.REFUSED_ADDRESS, False)


def test_the_canary_hears_what_passes_the_wall(canary: Canary, trust: ssl.SSLContext):
    network = OneRoad(canary.port)
    names = Names([PUBLIC, PUBLIC_V6])
    for url in (f"https://{NAME}/", in_url(PUBLIC), in_url(PUBLIC_V6)):
        assert not send(Sender(False, names.resolve, trust, network), url).ok
    assert canary.count() == 3, "a network that leads nowhere would prove nothing"
    assert network.dialled == [(PUBLIC, 443), (PUBLIC, 443), (PUBLIC_V6, 443)]


def test_the_canary_hears_this_machine_where_development_allows_it(canary: Canary):
    hosts = ["127.0.0.1", "localhost"]
    for host in hosts:
        assert not send(make_local(), f"http://{host}:{canary.port}/").ok
    assert canary.count() == len(hosts)
    assert refuses(Sender(False), f"http://127.0.0.1:{canary.port}/")
    assert canary.count() == len(hosts)


@pytest.mark.parametrize("ip", ADDRESSES)
def test_no_address_of_a_special_kind_is_called(ip: str, canary: Canary, trust: ssl.SSLContext):
    network, names = OneRoad(canary.port), Names([ip])
    assert refuses(Sender(False, names.resolve, trust, network), in_url(ip))
    assert names.asked == [], "there was nothing to look up"
    assert refuses(Sender(False, names.resolve, trust, network), f"https://{NAME}/hook")
    assert names.asked == [(NAME, 443)]
    assert (network.dialled, canary.count()) == ([], 0)


@pytest.mark.parametrize("ip", [ip for ip in ADDRESSES if "loopback" not in ip.id])
def test_the_development_switch_opens_nothing_but_this_machine(ip: str, canary: Canary, trust: ssl.SSLContext):
    network = OneRoad(canary.port)
    assert refuses(Sender(True, Names([ip]).resolve, trust, network), in_url(ip))
    assert refuses(Sender(True, Names([ip]).resolve, trust, network), f"https://{NAME}/hook")
    assert (network.dialled, canary.count()) == ([], 0)


@pytest.mark.parametrize("url", WRONG_TEXTS, ids=lambda url: ascii(url)[:60])
def test_no_address_that_could_be_read_in_two_ways_is_called(url: str, canary: Canary, trust: ssl.SSLContext):
    network, names = OneRoad(canary.port), Names([PUBLIC])
    assert refuses(Sender(False, names.resolve, trust, network), url)
    assert (names.asked, network.dialled, canary.count()) == ([], [], 0)


@pytest.mark.parametrize(
    "addresses",
    [[PUBLIC, "127.0.0.1"], ["10.0.0.1", PUBLIC], [PUBLIC, PUBLIC_V6, "::1"], [PUBLIC] * 9 + ["fd00::1"]],
    ids=lambda addresses: f"{addresses[0]} and {addresses[-1]}",
)
def test_a_name_that_leads_inside_as_well_is_not_called_at_all(addresses, canary: Canary, trust: ssl.SSLContext):
    network = OneRoad(canary.port)
    assert refuses(Sender(False, Names(addresses).resolve, trust, network), f"https://{NAME}/")
    assert (network.dialled, canary.count()) == ([], 0)


@pytest.mark.parametrize("nonsense", ["localhost", "", "127.1", "fe80::1%lo", "::1%1", "2606:2800:220:1::248%1"])
def test_what_is_no_plain_address_in_an_answer_of_the_name_server_is_not_called(nonsense, canary, trust):
    network = OneRoad(canary.port)
    for allow_loopback in (False, True):
        assert refuses(Sender(allow_loopback, Names([nonsense]).resolve, trust, network), f"https://{NAME}/")
    assert (network.dialled, canary.count()) == ([], 0)


def test_a_name_that_changes_its_mind_is_looked_up_once_and_called_where_it_was_checked(serve_tls, canary, trust):
    server = serve_tls(reply(200))
    network, names = OneRoad(server.port), Names([PUBLIC], ["127.0.0.1"])
    assert send(Sender(False, names.resolve, trust, network), f"https://{NAME}/").ok
    assert names.asked == [(NAME, 443)], "a second look-up would have been answered with this machine"
    assert network.dialled == [(PUBLIC, 443)]

    network.port = canary.port
    assert refuses(Sender(False, names.resolve, trust, network), f"https://{NAME}/")
    assert (names.asked, network.dialled) == ([(NAME, 443)] * 2, [(PUBLIC, 443)])
    assert canary.count() == 0


def test_one_sender_checks_every_delivery_anew(serve_tls, canary, trust):
    server = serve_tls(reply(200))
    network, names = OneRoad(server.port), Names([PUBLIC], ["127.0.0.1"])
    sender = Sender(False, names.resolve, trust, network)

    async def send_twice():
        return [await sender.send(f"https://{NAME}/", [], b"{}") for _ in range(2)]

    first, second = asyncio.run(send_twice())
    assert (first.ok, second.error) == (True, SendError.REFUSED_ADDRESS)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_failure_and_leads_nowhere(status: int, serve, serve_tls, canary: Canary, trust):
    where = f"http://127.0.0.1:{canary.port}/"
    secure, plain = serve_tls(reply(status, Location=where)), serve(reply(status, Location=where))
    outside = send(Sender(False, Names([PUBLIC]).resolve, trust, OneRoad(secure.port)), f"https://{NAME}/")
    inside = send(make_local(), plain.url)  # where the wall would not hold it back
    for result in (outside, inside):
        assert (result.status, result.error, result.ok) == (status, None, False)
    assert (len(secure.requests), len(plain.requests), canary.count()) == (1, 1, 0)


def test_proxies_of_the_environment_are_not_used(monkeypatch, serve, serve_tls, canary: Canary, trust):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
        monkeypatch.setenv(name.lower(), f"http://127.0.0.1:{canary.port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    secure, plain = serve_tls(reply(200)), serve(reply(200))
    network = OneRoad(secure.port)
    assert send(Sender(False, Names([PUBLIC]).resolve, trust, network), f"https://{NAME}/").ok
    assert network.dialled == [(PUBLIC, 443)]
    assert send(make_local(), plain.url).ok
    assert canary.count() == 0


def test_no_unix_socket_is_opened(tmp_path: Path):
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        listener.settimeout(0.05)
        backend = CheckedBackend(Names([PUBLIC]).resolve, True, httpcore.AnyIOBackend())
        with pytest.raises(AddressRefused):
            asyncio.run(backend.connect_unix_socket(path))
        with pytest.raises(TimeoutError):
            listener.accept()
