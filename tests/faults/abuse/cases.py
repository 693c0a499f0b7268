"""The table of abuse: what is sent, and what may come of it, directly and through nginx."""

import gzip
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from random import Random

from tests.faults.abuse.wire import Piece, converse, reset_many
from tests.ingress.http1 import chunked, request
from tests.ingress.senders import stripe_body, stripe_headers

STRIPE = "/webhooks/stripe"
MIB = 1024 * 1024
CHUNKED = {"transfer-encoding": "chunked"}
SLOWLY = 1.0  # seconds between two bytes
SLOW_PIECES = 11  # longer than any deadline of the receiver

Attack = Callable[[int, Random], str]


@dataclass(frozen=True)
class Case:
    """One attack on a port. What comes of it: the statuses of its answers in order, else `closed`, `open` (neither within
    the time), `bare` (text without a status line) or `reset` (by us). A 200 is for a delivery that is genuine."""

    name: str
    attack: Attack
    direct: frozenset[str]
    proxied: frozenset[str]
    is_slow: bool = False

    def run(self, port: int, seed: int) -> str:
        return self.attack(port, Random(f"{seed} {self.name}"))

    def allowed(self, is_proxied: bool) -> frozenset[str]:
        return self.proxied if is_proxied else self.direct


def case(name: str, attack: Attack, direct: str, proxied: str | None = None, is_slow: bool = False) -> Case:
    """With the allowed outcomes as a list with commas; through nginx the same unless others are given."""
    outcomes = [frozenset(text.split(", ")) for text in (direct, direct if proxied is None else proxied)]
    return Case(name, attack, outcomes[0], outcomes[1], is_slow)


def sends(make: Callable[[Random], bytes], half_close: bool = False, answers: int = 1) -> Attack:
    def attack(port: int, random: Random) -> str:
        return converse(port, [make(random)], half_close, answers)

    return attack


def dribbles(make: Callable[[], Iterator[Piece]], seconds: float) -> Attack:
    return lambda port, random: converse(port, make(), False, 1, seconds)


def signed(body: bytes | None = None, path: str = STRIPE, length: bool = True, **more: str) -> bytes:
    """A genuine delivery with these headers more; without `length` it does not say how long it is."""
    body = stripe_body() if body is None else body
    headers = stripe_headers(body) | {name.replace("_", "-"): value for name, value in more.items()}
    return request(path, headers, body, length=length)


def in_chunks(body: bytes, size: int, **more: str) -> bytes:
    head = request(STRIPE, stripe_headers(body) | CHUNKED | more, length=False)
    return head + chunked(*(body[start : start + size] for start in range(0, len(body), size)))


def short() -> bytes:
    body = stripe_body()
    return signed(body, length=False, content_length=str(len(body) + 10))


def both_lengths(first: str, second: str) -> bytes:
    body = stripe_body()
    values = {"content-length": str(len(body)), "transfer-encoding": "chunked"}
    head = request(STRIPE, stripe_headers(body) | {first: values[first], second: values[second]}, length=False)
    return head + chunked(body) + signed()  # the second delivery is what would be smuggled in


def other_line_ends() -> bytes:
    head, _, body = signed().partition(b"\r\n\r\n")
    return head.replace(b"\r\n", b"\n") + b"\n\n" + body


def folded() -> bytes:
    return signed().replace(b"\r\ncontent-type:", b"\r\nx-folded: one\r\n two\r\ncontent-type:")


def length_of(text: str) -> bytes:
    return signed(b"abc", length=False, content_length=text)


def packed(size: int) -> bytes:
    return signed(gzip.compress(b" " * size), content_encoding="gzip")


def client_hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="receiver.example")
    with suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def many_headers(count: int, size: int) -> bytes:
    return signed(**{f"x-{number}": "1" * size for number in range(count)})


def odd_chunks(sizes: bytes) -> bytes:
    return request(STRIPE, stripe_headers(b"x") | CHUNKED, length=False) + sizes


def slow_head() -> Iterator[Piece]:
    yield b"POST /webhooks/stripe HTTP/1.1\r\nhost: x\r\nx-slow: "
    for _ in range(SLOW_PIECES):
        yield SLOWLY
        yield b"1"


def slow_body() -> Iterator[Piece]:
    whole = signed()
    yield whole[:-100]
    for byte in whole[-100 : -100 + SLOW_PIECES]:
        yield SLOWLY
        yield bytes([byte])


def nothing_more(sent: bytes) -> Callable[[], Iterator[Piece]]:
    return lambda: iter([sent])


def half_of_a_delivery(random: Random) -> bytes:
    whole = signed()
    return whole[: random.randrange(1, len(whole))]


SWIFT = (
    case("a length beyond the limit", sends(lambda _: length_of(str(2 * MIB))), "413"),
    case("a length of twenty digits", sends(lambda _: length_of("9" * 20)), "400, 413"),
    case("chunks beyond the limit", sends(lambda _: in_chunks(stripe_body(padding_bytes=MIB), 60_000)), "413"),
    case("chunks of one byte", sends(lambda _: in_chunks(stripe_body(), 1)), "200"),
    case("a chunk of 16 hex digits", sends(lambda _: odd_chunks(b"f" * 16 + b"\r\nx"), half_close=True), "400",
         "400, 413, closed"),
    case("a negative chunk", sends(lambda _: odd_chunks(b"-1\r\nx\r\n0\r\n\r\n")), "400"),
    case("a body that ends early", sends(lambda _: short(), half_close=True), "400", "400, closed"),
    case("a head that ends early", sends(lambda _: signed()[:60], half_close=True), "400", "400, closed"),
    case("length and chunks", sends(lambda _: both_lengths("content-length", "transfer-encoding")), "400"),
    case("chunks and length", sends(lambda _: both_lengths("transfer-encoding", "content-length")), "400"),
    case("the length twice", sends(lambda _: signed(content_length="5")), "400"),
    case("a length with a sign", sends(lambda _: length_of("+3")), "400"),
    case("a transfer-encoding that is none", sends(lambda _: signed(transfer_encoding="xchunked")), "400", "400, 501"),
    case("lines that end in a bare line feed", sends(lambda _: other_line_ends()), "400", "200"),
    case("a folded header", sends(lambda _: folded()), "400", "400, 200"),
    case("a space before the colon", sends(lambda _: signed().replace(b"host:", b"host :")), "400"),
    case("a gzip body", sends(lambda _: packed(1000)), "415"),
    case("a gzip bomb", sends(lambda _: packed(20 * MIB)), "415"),
    case("ten thousand headers", sends(lambda _: many_headers(10_000, 1)), "431", "400"),
    case("a header of a megabyte", sends(lambda _: signed(x_large="1" * MIB)), "431", "400"),
    case("a request line of 100 kB", sends(lambda _: signed(path=f"{STRIPE}?{'q' * 100_000}")), "431", "414"),
    case("twenty deliveries at once", sends(lambda _: b"".join(signed() for _ in range(20)), answers=21),
         " ".join(["200"] * 20)),
    case("a delivery and then garbage", sends(lambda _: signed() + b"\x00\x01\r\n\r\n", answers=2), "200", "200 400"),
    case("HTTP/0.9", sends(lambda _: b"GET /webhooks/stripe\r\n\r\n"), "400", "bare, 400"),
    case("HTTP/2 without being asked", sends(lambda _: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "400", "400, 405"),
    case("an absolute target", sends(lambda _: signed(path=f"http://elsewhere.example{STRIPE}")), "200"),
    case("NUL in the path", sends(lambda _: signed(path="/webhooks/st\x00ripe")), "400"),
    case("%00 in the path", sends(lambda _: signed(path="/webhooks/stripe%00")), "404", "400"),
    case("%2f in the path", sends(lambda _: signed(path="/webhooks%2fstripe")), "200"),
    case("%2f%2e%2e in the path", sends(lambda _: signed(path="/webhooks/stripe%2f%2e%2e")), "404", "404, 405"),
    case("binary garbage", sends(lambda random: random.randbytes(5000), half_close=True), "400", "400, closed"),
    case("a TLS hello", sends(lambda _: client_hello()), "400"),
    case("two hundred that are reset", lambda port, random: reset_many(port, [half_of_a_delivery(random) for _ in range(200)]),
         "reset"),
)  # fmt: skip

SLOW = (
    case("a head at one byte per second", dribbles(slow_head, 2), "closed", "closed, 408", is_slow=True),
    case("a body at one byte per second", dribbles(slow_body, 2), "408", "open, closed", is_slow=True),
    case("a head that stops", dribbles(nothing_more(signed()[:40]), 8), "closed", "closed, 408", is_slow=True),
    case("a body that stops", dribbles(nothing_more(signed()[:-9]), 13), "408", "closed, 408", is_slow=True),
    case("not one byte", dribbles(nothing_more(b""), 8), "closed", "closed, 408", is_slow=True),
)

CASES = SWIFT + SLOW
