"""Genuine deliveries that cannot be read, or that fail whoever works on them, among healthy ones."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from tests.faults.flood import start_flood
from tests.faults.house import House
from tests.faults.oracle import Verdict, judge
from tests.faults.post import Post, find_stored, play
from tests.faults.scene import Scene, scenario
from tests.faults.watching import wait_until

PSPS = ("stripe", "conekta", "stp", "moonpay")
NOT_JSON, TOO_DEEP, NOT_UTF8 = "the body is not JSON", "the body is nested deeper than 100", "the body is not UTF-8"
UNSTORABLE, TWICE, NAN = (
    "a text holds NUL or a lone surrogate",
    "the body has duplicate keys",
    "the body holds NaN or Infinity",
)
# What stands in a body in the place of a value, and why it is set aside.
VALUES: dict[str, tuple[bytes, str]] = {
    "a number of 4,301 digits": (b"9" * 4301, NOT_JSON),
    "101 lists in each other": (b"[" * 101 + b"]" * 101, TOO_DEEP),
    "20,000 objects in each other": (b'{"a":' * 20_000 + b"1" + b"}" * 20_000, TOO_DEEP),
    "lists that are never closed": (b"[" * 50_000, TOO_DEEP),
    "an escaped NUL": (b'"a\\u0000b"', UNSTORABLE),
    "a bare NUL": (b'"a\x00b"', NOT_JSON),
    "half a surrogate pair": (b'"\\ud83d"', UNSTORABLE),
    "the other half as a key": (b'{"\\udc00": 1}', UNSTORABLE),
    "half a pair in UTF-8": (b'"\xed\xa0\x80"', NOT_UTF8),
    "NaN": (b"NaN", NAN),
    "minus Infinity": (b"-Infinity", NAN),
    "a key twice": (b'{"a": 1, "a": 2}', TWICE),
    "half a text": (b'"', NOT_JSON),
    "an exponent of a billion": (b"1e1000000000000000000000", NOT_JSON),
}
AMOUNTS = (b'"100"', b"true", b"100.5", b"-100", b"null", b"[100]", b"9223372036854775808")
RAISES, LOOPS = "evt_raises_", "evt_loops_"
SLOWEST_SECONDS = 15.0  # of 95 in 100 healthy events, from their arrival until they are applied

LATENCY = """
select coalesce(extract(epoch from percentile_disc(0.95) within group (order by processed_at - received_at)), 0)::float8
from inbox_events where status = 'processed'
"""


@dataclass(frozen=True)
class Poison:
    """A body and what must become of it: a status and a reason that begins so."""

    name: str
    psp: str
    body: bytes
    status: str
    reason: str


def brew(seed: int) -> Iterator[Poison]:
    """Everything that is read badly, for PSPs whose signatures let any body pass; no two bodies are the same."""
    for psp in PSPS:
        for number, (name, (value, reason)) in enumerate(VALUES.items()):
            body = b'{"id": "evt_odd_%d_%d", "odd": %s}' % (seed, number, value)
            yield Poison(f"{psp}: {name}", psp, body, "parked", f"unparseable: {reason}")
        yield Poison(f"{psp}: a byte order mark", psp, b"\xef\xbb\xbf{}", "parked", f"unparseable: {NOT_JSON}")
        yield Poison(f"{psp}: UTF-16", psp, '{"id": "ñ"}'.encode("utf-16"), "parked", f"unparseable: {NOT_UTF8}")
        yield Poison(f"{psp}: a list", psp, b"[%d]" % seed, "parked", "unparseable: the body is not a JSON object")
        yield Poison(f"{psp}: an empty object", psp, b"{}", "parked", "unparseable: ")
    for psp in ("stripe", "conekta"):
        body = b'{"id": "evt_new_%d", "type": "moon.landed", "data": {"object": {}}}' % seed
        yield Poison(f"{psp}: a type that nobody knows", psp, body, "ignored", "not a type that Acuse knows")
    yield from brew_amounts(seed)


def brew_amounts(seed: int) -> Iterator[Poison]:
    """Payments of Stripe whose amounts are none, and one of the other mode."""
    for number, amount in enumerate(AMOUNTS):
        event = json.loads(play("stripe", "card.paid", seed + 100 + number).webhooks[-1].body)
        event["data"]["object"]["amount"] = event["data"]["object"]["amount_received"] = 73_001
        body = json.dumps(event).encode().replace(b"73001", amount)
        yield Poison(f"stripe: an amount of {amount.decode()}", "stripe", body, "parked", "unparseable: amount")
    live = play("stripe", "card.paid", seed + 200).webhooks[-1].body.replace(b'"livemode": false', b'"livemode": true')
    yield Poison("stripe: real money in a test", "stripe", live, "parked", "livemode_mismatch")


def brew_conflict(seed: int) -> tuple[bytes, Poison]:
    """A genuine event, and another content under its key."""
    body = play("stripe", "card.paid", seed + 300).webhooks[-1].body
    other = body.replace(b'"currency": "mxn"', b'"currency": "usd"')
    assert other != body
    return body, Poison("stripe: other content", "stripe", other, "conflict", "same key as an earlier delivery")


def brew_handlers(seed: int) -> Iterator[Poison]:
    """Events that are read well and fail every worker: some raise, one never comes to an end."""
    for number, (prefix, reason) in enumerate(
        ((RAISES, "failed 2 times"),) * 3 + ((LOOPS, "gave up after 2 attempts"),)
    ):
        webhook = play("stripe", "card.paid", seed + 400 + number).webhooks[-1]
        body = webhook.body.replace(webhook.event_key.encode(), f"{prefix}{seed}_{number}".encode())
        yield Poison(f"stripe: {prefix}{number}", "stripe", body, "parked", reason)


@scenario(
    11, "signed bodies that cannot be read, handlers that raise or never end, among healthy events", broken="no_split"
)
def poison(scene: Scene) -> Verdict:
    """Each is answered 200 and set aside with its reason; its neighbours are applied, and none waits for long."""
    bodies, handlers = list(brew(scene.seed)), list(brew_handlers(scene.seed))
    first, conflict = brew_conflict(scene.seed)
    with scene.house("receiver", "beat", ACUSE_MAX_ATTEMPTS="2") as house, Post(house) as post:
        house.start_with("worker", *(f"--with={w}" for w in (f"raises_for={RAISES}", f"loops_for={LOOPS}", "limit=2")))
        flood = start_flood(
            house,
            "flood",
            scene.events(400 if scene.broken else 1200),
            scene.seed,
            "--delay",
            str(6 * scene.scale),
            "--shuffle",
        )
        flood.wait_for(30)
        post.send("stripe", first, "a genuine event")
        everything = [*bodies[: len(bodies) // 2], *handlers, conflict, *bodies[len(bodies) // 2 :]]
        for one in everything:
            post.send(one.psp, one.body, one.name)
        flood.finish()
        wait_until(lambda: scene.broken or _is_over(house, handlers), "what fails its workers is set aside", 60)
        parked = sum(one.status == "parked" for one in everything)
        faults = f"{len(everything)} poisonous deliveries, {len(handlers)} of which fail their workers"
        verdict = judge(house, flood, faults=faults, within=scene.patience, parked=parked)
        return _compare(house, verdict, post, everything)


def _is_over(house: House, handlers: list[Poison]) -> bool:
    return all(status == "parked" for one in handlers for status, _ in find_stored(house, one.psp, one.body))


def _compare(house: House, verdict: Verdict, post: Post, everything: list[Poison]) -> Verdict:
    verdict.sent += len(post.answers)
    verdict.blame("answers", [f"{name} was answered {status}" for name, status in post.answers if status != 200])
    wrong = []
    for one in everything:
        stored = find_stored(house, one.psp, one.body)
        if [status for status, _ in stored] != [one.status] or not stored[0][1].startswith(one.reason):
            wrong.append(f"{one.name} is {stored} and not {one.status} ({one.reason})")
    verdict.blame("I2", wrong)
    slowest = float(house.query(LATENCY)[0][0])
    verdict.faults += f"; 95 in 100 healthy events were applied within {slowest:.1f} s"
    if slowest > SLOWEST_SECONDS:
        verdict.blame("I9", [f"95 in 100 healthy events took up to {slowest:.1f} s"])
    return verdict
