"""What every PSP of the registry must do, whoever wrote it. A new PSP is tried here as soon as it is in the registry.

The deliveries are signed by the sandbox's simulators, which know nothing of the verifiers.
"""

import json
import random
import re
import time
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from models.states import Decision, EventKind
from psps.base import CryptoLeg, Hint, Ignored, InvalidSignature, PaymentEvent, Unparseable
from psps.credentials import LABELS
from psps.gate import Gate
from psps.identity import is_storable_key
from psps.outbound import Answer, NotNow, NotOffered, NotThere
from psps.registry import PSPS
from sandbox.flows import SIMULATORS
from sandbox.keys import ENVIRONMENTS, MAKERS, Keys, ensure_keys
from sandbox.payment import SimulatedPayment
from tests.psps.bodies import AS_OF, Body, JsonPath, Outcome, find_body, list_tables
from tests.psps.conftest import SandboxServer
from tests.psps.samples import HERE, sample, sample_names
from tests.psps.simulated import NOW, Delivery, Told, all_bodies, all_flows, at, live, read_secrets, sign, tell_all
from workers.decisions import fold
from workers.facts import Fact, Standing

ROOT = Path(__file__).resolve().parents[2]
MOST_FLIPS = 500  # of a long body; of the shortest one every byte is tried
YEARS = 10 * 365 * 86_400
NEVER_SEEN = "acuse_never_saw_this"
Ask = Callable[[Hint, SimulatedPayment], Answer]
TELLS_MONEY = frozenset({EventKind.COMPLETED, EventKind.REFUNDED, EventKind.DISPUTE_WON})

every_psp = pytest.mark.parametrize("psp", PSPS)
every_flow = pytest.mark.parametrize(("psp", "flow"), all_flows())
# Mercado Pago signs the address, Openpay and STP send a password: whoever can send may write any body.
BODY_IS_SIGNED = [name for name, psp in PSPS.items() if not psp.signs_query and psp.credential != "basic"]
BODY_IS_NOT_SIGNED = [name for name in PSPS if name not in BODY_IS_SIGNED]
TIME_IS_SIGNED = [name for name, psp in PSPS.items() if psp.tolerates_time]
TIME_IS_NOT_SIGNED = [name for name in PSPS if name not in TIME_IS_SIGNED]


@pytest.fixture(scope="session")
def former_keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """The keys of another time: every secret is another one, and every user's name too."""
    keys = ensure_keys(tmp_path_factory.mktemp("former-keys"))
    return {psp: own | ({"user": "the-one-before"} if "user" in own else {}) for psp, own in keys.items()}


def deliver(psp: str, keys: Keys, now: int = NOW) -> Iterator[Delivery]:
    """One delivery of every kind that this PSP's life cycles have."""
    return (sign(psp, body, keys, now) for body in all_bodies(psp))


def refuses(delivery: Delivery, secrets: tuple[str, ...], now: float = NOW, **tolerance: int | None) -> bool:
    """Whether it is not verified. Anything but InvalidSignature is a fault of the verifier and is raised."""
    try:
        delivery.verify(secrets, now, **tolerance)
    except InvalidSignature as error:
        assert str(error), "a refusal says which check failed"
        assert not any(part in str(error) for secret in secrets for part in secret.split(":") if len(part) > 10)
        return True
    return False


def spoil(delivery: Delivery) -> Delivery:
    headers, body = SIMULATORS[delivery.psp.name].spoil(dict(delivery.headers), delivery.body)
    return replace(delivery, headers={name.lower(): value for name, value in headers.items()}, body=body)


# Whole ----------------------------------------------------------------------------------------------------------------


@every_psp
def test_a_psp_is_whole(psp: str) -> None:
    assert PSPS[psp].name == psp
    for kept in (SIMULATORS, MAKERS, ENVIRONMENTS):
        assert psp in kept
    assert SIMULATORS[psp].flows
    assert sample_names(psp), f"tests/psps/samples/{psp} has no samples"
    assert (HERE / "vectors" / f"{psp}.json").exists()
    settings = ConfigParser()
    settings.read(ROOT / "setup.cfg")
    assert f"psps.{psp}" in settings["importlinter:contract:psps-are-strangers"]["modules"].split()
    assert f"`{psp}`" in (ROOT / "README.md").read_text(encoding="utf-8")


@every_psp
def test_the_variables_that_the_sandbox_names_are_those_that_the_psp_needs(psp: str, sandbox_keys: Keys) -> None:
    named = ENVIRONMENTS[psp](sandbox_keys[psp])
    assert PSPS[psp].needs.keys() <= named.keys()
    assert read_secrets(psp, sandbox_keys)


# Who sent it ----------------------------------------------------------------------------------------------------------


@every_psp
def test_what_the_psp_sends_is_verified_and_the_label_names_the_secret(psp: str, sandbox_keys: Keys) -> None:
    secrets = read_secrets(psp, sandbox_keys)
    for delivery in deliver(psp, sandbox_keys):
        assert delivery.verify(secrets) == LABELS[PSPS[psp].credential](secrets[0])


@every_psp
def test_a_label_tells_nothing_of_a_secret(psp: str, sandbox_keys: Keys) -> None:
    for secret in read_secrets(psp, sandbox_keys):
        label = LABELS[PSPS[psp].credential](secret)
        assert is_storable_key(label)
        assert secret.rpartition(":")[2] not in label


@every_psp
def test_another_secret_is_refused(psp: str, sandbox_keys: Keys, former_keys: Keys) -> None:
    secrets = read_secrets(psp, sandbox_keys)
    assert all(refuses(delivery, secrets) for delivery in deliver(psp, former_keys))


@every_psp
def test_what_the_simulator_spoils_is_refused(psp: str, sandbox_keys: Keys) -> None:
    secrets = read_secrets(psp, sandbox_keys)
    spoiled = [pair for delivery in deliver(psp, sandbox_keys) if (pair := (delivery, spoil(delivery)))[0] != pair[1]]
    assert spoiled
    assert all(refuses(forged, secrets) for _, forged in spoiled)


@every_psp
def test_while_a_secret_is_rotated_either_verifies_and_the_label_tells_which(
    psp: str, sandbox_keys: Keys, former_keys: Keys
) -> None:
    new, former = read_secrets(psp, sandbox_keys), read_secrets(psp, former_keys)
    name = LABELS[PSPS[psp].credential]
    assert name(new[0]) != name(former[0])
    for secrets in (new + former, former + new):
        for keys, secret in ((sandbox_keys, new[0]), (former_keys, former[0])):
            assert all(delivery.verify(secrets) == name(secret) for delivery in deliver(psp, keys))


@every_psp
def test_no_secret_and_no_blank_one_verifies_anything(psp: str, sandbox_keys: Keys) -> None:
    secrets = read_secrets(psp, sandbox_keys)
    blanks = (":", " : ", "user:", ":password") if PSPS[psp].credential == "basic" else ("", " ", "\n", "\t ")
    bodies = all_bodies(psp)
    for keys in (sandbox_keys, _blank(sandbox_keys, psp, secrets)):
        for delivery in (sign(psp, body, keys) for body in bodies):
            assert refuses(delivery, ())
            assert refuses(delivery, blanks)


def _blank(keys: Keys, psp: str, secrets: tuple[str, ...]) -> Keys:
    """The same keys where everything that both sides share is empty. A private key cannot be."""
    shared = {part for secret in secrets for part in (secret, *secret.split(":"))}
    return {psp: {name: "" if value in shared else value for name, value in keys[psp].items()}}


@every_psp
def test_without_what_proves_it_nothing_is_verified(psp: str, sandbox_keys: Keys) -> None:
    secrets = read_secrets(psp, sandbox_keys)
    for body in all_bodies(psp):
        delivery = sign(psp, body, sandbox_keys)
        proofs = _find_proofs(delivery, secrets)
        if not proofs:  # the proof is in the body, as in a JWT
            assert delivery.body != body
        assert refuses(replace(delivery, headers={}, body=body), secrets)
        for name in proofs:
            for nothing in ("", " ", ",", "=", "\0", "ñ", "\udc80", "Basic", "Basic ", "t=,v1=", "9" * 5_000):
                assert refuses(replace(delivery, headers={**delivery.headers, name: nothing}), secrets)


def _find_proofs(delivery: Delivery, secrets: tuple[str, ...]) -> list[str]:
    """The headers without which this delivery is refused."""
    without = {name: {k: v for k, v in delivery.headers.items() if k != name} for name in delivery.headers}
    return [name for name, headers in without.items() if refuses(replace(delivery, headers=headers), secrets)]


@every_psp
def test_one_bit_of_a_signature_header_makes_it_another_one(psp: str, sandbox_keys: Keys) -> None:
    secrets = read_secrets(psp, sandbox_keys)
    delivery = next(deliver(psp, sandbox_keys))
    for name in _find_proofs(delivery, secrets):
        value = delivery.headers[name]
        for place, letter in enumerate(value):
            for bit in range(8):
                flipped = value[:place] + chr(ord(letter) ^ (1 << bit)) + value[place + 1 :]
                is_refused = refuses(replace(delivery, headers={**delivery.headers, name: flipped}), secrets)
                assert is_refused or flipped.lower() == value.lower(), (name, place, bit)


@every_psp
def test_a_signature_header_that_is_cut_off_or_goes_on_is_refused(psp: str, sandbox_keys: Keys) -> None:
    secrets = read_secrets(psp, sandbox_keys)
    delivery = next(deliver(psp, sandbox_keys))
    for name in _find_proofs(delivery, secrets):
        value = delivery.headers[name]
        for other in (*(value[:place] for place in range(len(value))), value + "0", value + "=", "0" + value):
            assert refuses(replace(delivery, headers={**delivery.headers, name: other}), secrets), (name, other)


@pytest.mark.parametrize("psp", TIME_IS_SIGNED)
def test_a_signed_time_is_good_up_to_its_bounds(psp: str, sandbox_keys: Keys) -> None:
    secrets = read_secrets(psp, sandbox_keys)
    for delivery in deliver(psp, sandbox_keys):
        for bounds in ({"past_seconds": 300, "future_seconds": 60}, {"past_seconds": 1, "future_seconds": 1}):
            past, future = bounds["past_seconds"], bounds["future_seconds"]
            assert not refuses(delivery, secrets, NOW + past, **bounds)
            assert refuses(delivery, secrets, NOW + past + 1, **bounds)
            assert not refuses(delivery, secrets, NOW - future, **bounds)
            assert refuses(delivery, secrets, NOW - future - 1, **bounds)


@pytest.mark.parametrize("psp", TIME_IS_SIGNED)
def test_a_signed_time_has_the_bound_of_the_registry(psp: str, sandbox_keys: Keys) -> None:
    secrets, past = read_secrets(psp, sandbox_keys), PSPS[psp].past_seconds
    for delivery in deliver(psp, sandbox_keys):
        bounds = {"past_seconds": past, "future_seconds": None}
        assert not refuses(delivery, secrets, NOW + (YEARS if past is None else past), **bounds)
        assert refuses(delivery, secrets, NOW + YEARS, **bounds) is (past is not None)


@pytest.mark.parametrize("psp", TIME_IS_NOT_SIGNED)
def test_where_no_time_is_signed_a_delivery_is_good_for_ever(psp: str, sandbox_keys: Keys) -> None:
    """A replay is caught by its event key alone, which is tried below."""
    secrets = read_secrets(psp, sandbox_keys)
    for delivery in deliver(psp, sandbox_keys):
        assert not any(refuses(delivery, secrets, now) for now in (NOW - YEARS, NOW + YEARS))


# What was signed ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("psp", BODY_IS_SIGNED)
def test_one_bit_of_a_body_is_refused_or_changes_nothing(psp: str, sandbox_keys: Keys) -> None:
    """Around what is signed there may be an envelope that says nothing: Transak's token, Bitso's payload."""
    secrets, bodies = read_secrets(psp, sandbox_keys), list(deliver(psp, sandbox_keys))
    for delivery, most in ((bodies[0], len(bodies[0].body)), (bodies[-1], MOST_FLIPS)):
        flipped = _flip_bits(delivery.body, most)
        refused = sum(_is_refused_or_the_same(delivery, body, secrets) for body in flipped)
        assert refused > len(flipped) / 2


def _flip_bits(body: bytes, most: int) -> list[bytes]:
    """The body with one bit flipped, at every place or at `most` of them; the same ones in every run."""
    chance = random.Random("bits")
    places = sorted(chance.sample(range(len(body)), min(most, len(body))))
    return [_flip(body, place, chance.randrange(8)) for place in places]


def _flip(body: bytes, place: int, bit: int) -> bytes:
    return body[:place] + bytes([body[place] ^ 1 << bit]) + body[place + 1 :]


def _is_refused_or_the_same(delivery: Delivery, body: bytes, secrets: tuple[str, ...]) -> bool:
    """Whether the changed body is refused. One that is not may only differ where nothing is signed and nothing is read."""
    changed = replace(delivery, body=body)
    if refuses(changed, secrets):
        return True
    is_inside = not refuses(replace(delivery, body=delivery.body + b" "), secrets)
    assert body == delivery.body or is_inside, "every byte is signed, and some were changed"
    assert changed.meaning() == delivery.meaning(), body
    return False


@pytest.mark.parametrize("psp", BODY_IS_SIGNED)
def test_a_body_written_anew_is_refused_or_changes_nothing(psp: str, sandbox_keys: Keys) -> None:
    secrets = read_secrets(psp, sandbox_keys)
    for delivery in deliver(psp, sandbox_keys):
        for body in _rewrite(delivery.body):
            _is_refused_or_the_same(delivery, body, secrets)


def _rewrite(body: bytes) -> Iterator[bytes]:
    top = json.loads(body)
    yield json.dumps(top).encode()
    yield json.dumps(top, sort_keys=True, separators=(",", ":")).encode()
    yield json.dumps(top, indent=1, ensure_ascii=False).encode()
    yield json.dumps(top | {"more": 1}).encode()
    yield from (body + b"\n", b" " + body, body[:-1], body[1:], b"", body * 2, b"\xef\xbb\xbf" + body)


@pytest.mark.parametrize("psp", BODY_IS_SIGNED)
def test_no_value_that_means_something_can_be_changed(psp: str, sandbox_keys: Keys) -> None:
    """Not by whoever has a genuine delivery: each value of the body is tried, in it and in the token that wraps it."""
    secrets = read_secrets(psp, sandbox_keys)
    for delivery in deliver(psp, sandbox_keys):
        body = Body(PSPS[psp], "", delivery.body)
        for path, value in body.places():
            for other in (None, "x", 1, f"{value}0", [], {}):
                _is_refused_or_the_same(delivery, body.replace({path: other}), secrets)


@pytest.mark.parametrize("psp", BODY_IS_NOT_SIGNED)
def test_where_the_body_is_not_signed_any_body_is_verified_so_nothing_in_it_may_be_believed(
    psp: str, sandbox_keys: Keys
) -> None:
    """But for STP, which has nothing to be asked: its account takes only what comes from STP's addresses, over TLS."""
    secrets = read_secrets(psp, sandbox_keys)
    for delivery in deliver(psp, sandbox_keys):
        for body in (*_rewrite(delivery.body), *_flip_bits(delivery.body, 200)):
            changed = replace(delivery, body=body)
            assert not refuses(changed, secrets)
            assert not PSPS[psp].is_hint or not isinstance(changed.meaning()[1], list)


@pytest.mark.parametrize("psp", [name for name, psp in PSPS.items() if psp.is_hint])
def test_a_hint_never_gives_events(psp: str, sandbox_keys: Keys) -> None:
    for delivery in deliver(psp, sandbox_keys):
        assert isinstance(delivery.read(), Hint | Ignored)
        assert PSPS[psp].events.parse(delivery.kept_headers, delivery.body) == []


# What it says ---------------------------------------------------------------------------------------------------------


def check_event(event: PaymentEvent) -> None:
    """The promises of PaymentEvent that do not depend on what it is about."""
    assert isinstance(event.kind, EventKind)
    assert event.psp_payment_id or event.psp_refs, "nothing leads to the payment"
    for moment in (event.occurred_at, event.expires_at, event.created_at):
        assert moment is None or moment.utcoffset() == timedelta(0)
    assert event.operating_day is None or type(event.operating_day) is date
    amounts = (event.amount_minor, event.received_minor, event.refunded_minor, event.refund_minor, event.fee_minor)
    for amount in amounts:
        assert amount is None or (type(amount) is int and 0 <= amount < 2**63)
    assert event.currency is None or re.fullmatch(r"[A-Z]{3}", event.currency)
    texts = (event.raw_type, event.psp_payment_id, *event.psp_refs, event.merchant_reference, event.reason)
    for text in (*texts, event.refund_ref, event.dispute_ref, event.clabe):
        assert text is None or is_storable_key(text)
    if event.crypto:
        check_crypto(event.crypto)


def check_crypto(leg: CryptoLeg) -> None:
    assert type(leg.base_units) is type(leg.scale) is int
    assert leg.base_units >= 0
    assert 0 <= leg.scale <= 40
    assert (leg.asset, leg.network) == (leg.asset.lower(), leg.network.lower())


def check_outcome(outcome: Outcome) -> None:
    if isinstance(outcome, list):
        assert outcome, "no events and no reason"
        for event in outcome:
            check_event(event)
    else:
        assert is_storable_key(outcome.raw_type)
        assert is_storable_key(outcome.reason if isinstance(outcome, Ignored) else outcome.psp_payment_id)


def is_understood(outcome: Outcome | None) -> bool:
    return outcome is not None and not (isinstance(outcome, Ignored) and not outcome.known)


@pytest.fixture
def known_bodies(psp: str, sandbox_keys: Keys, sandbox_server: SandboxServer) -> list[Body]:
    """Everything that this PSP is known to say: samples, webhooks, and what its simulated API answers."""
    samples = [find_body(psp, name, sample(psp, name)) for name in sample_names(psp)]
    told = [Body(PSPS[psp], "webhook", body) for body in all_bodies(psp)]
    return [body for body in (*samples, *told, *fetch_all(psp, sandbox_server)) if body]


def fetch_all(psp: str, server: SandboxServer) -> Iterator[Body]:
    """What the API answers after each step of each life cycle that it can be asked about."""
    client = PSPS[psp].make_client(server.settings(psp), Gate())
    seen = set()
    for flow in SIMULATORS[psp].flows:
        start = int(time.time()) - 600
        for told in live(psp, flow, start):
            with server.state.lock:
                server.state.add(told.payment)
            if (told.payment.instrument, told.step) in seen:
                continue
            seen.add((told.payment.instrument, told.step))
            try:
                answer = client.fetch(told.payment.id)
            except (NotOffered, NotThere):
                continue
            if answer.body:
                yield Body(PSPS[psp], f"fetched in {flow}", answer.body, is_snapshot=True)
    client.close()


@pytest.mark.parametrize(("psp", "name"), [(psp, name) for psp in PSPS for name in sample_names(psp)])
def test_a_sample_is_understood(psp: str, name: str) -> None:
    body = find_body(psp, name, sample(psp, name))
    assert body, "neither read nor read_snapshot understands it"
    check_outcome(body.read())
    assert is_understood(body.read())


@every_psp
def test_whatever_the_psp_is_known_to_say_is_understood(psp: str, known_bodies: list[Body]) -> None:
    for body in known_bodies:
        check_outcome(body.read())
        assert is_understood(body.read()), body


@every_psp
def test_every_word_of_every_table_is_understood_where_it_stands(psp: str, known_bodies: list[Body]) -> None:
    """Each word is put where another one of its table stands. It may lack what belongs to it there, but not everywhere."""
    tables = list_tables(psp)
    assert tables, f"psps.{psp} has no public table of the words that it knows"
    for table in tables:
        places = [(body, paths) for body in known_bodies for paths in table.find_places(body)]
        assert places, f"no sample and no life cycle of {psp} holds a word of {table.name}"
        for words in table.words:
            outcomes = [body.try_read(put(body, paths, words)) for body, paths in places]
            assert any(is_understood(outcome) for outcome in outcomes), (table.name, words)
            for outcome in outcomes:
                check_outcome(outcome or Ignored("parked", "it cannot be understood"))


@every_psp
def test_a_word_that_nobody_knows_survives_and_moves_no_money(psp: str, known_bodies: list[Body]) -> None:
    unknown = 0
    for body in known_bodies:
        for path in _find_words(body):
            outcome, before = body.read(body.replace({path: NEVER_SEEN})), body.read()
            check_outcome(outcome)
            unknown += isinstance(outcome, Hint) or (isinstance(outcome, Ignored) and not outcome.known)
            if isinstance(outcome, list):
                kinds = {event.kind for event in before} if isinstance(before, list) else set()
                assert {event.kind for event in outcome} & TELLS_MONEY <= kinds, (path, outcome)
    assert unknown


def put(body: Body, paths: tuple[JsonPath, ...], words: tuple[str, ...]) -> bytes:
    return body.replace(dict(zip(paths, words, strict=True)))


def _find_words(body: Body) -> set[JsonPath]:
    """Where a type or a status stands: a word of a table, if another one of it could stand there too, or an event's type."""
    found = set()
    for table in list_tables(body.psp.name):
        for paths in table.find_places(body):
            others = (body.try_read(put(body, paths, words)) for words in table.words)
            if sum(map(is_understood, others)) > 1:
                found |= set(paths)
    events = {step.event for flow in SIMULATORS[body.psp.name].flows.values() for step in flow.steps}
    return found | {path for path, value in body.places() if isinstance(value, str) and value in events}


@every_psp
def test_a_member_that_nobody_knows_changes_nothing(psp: str, known_bodies: list[Body]) -> None:
    for body in known_bodies:
        top = [name for name, value in body.value.items() if isinstance(value, dict)]
        for place in ((NEVER_SEEN,), *((name, NEVER_SEEN) for name in top)):
            for value in ("text", 7, None, {"a": [1]}):
                assert body.read(body.replace({place: value})) == body.read()


def one_of_each(bodies: list[Body]) -> list[Body]:
    """Of those that have the same members and say the same kinds of things, one."""
    return list({(tuple(path for path, _ in body.places()), _name_kinds(body)): body for body in bodies}.values())


def _name_kinds(body: Body) -> str:
    outcome = body.read()
    return " ".join(event.kind for event in outcome) if isinstance(outcome, list) else outcome.raw_type


ODD_VALUES = (None, True, -1, 2**63, Decimal(10**40), "", "\0", "x" * 500, "1e9", [], {}, [None])


@every_psp
def test_no_odd_value_anywhere_does_worse_than_park_the_delivery(psp: str, known_bodies: list[Body]) -> None:
    for body in one_of_each(known_bodies):
        for path, _ in body.places():
            for odd in ODD_VALUES:
                text = body.replace({path: odd})
                outcome = body.try_read(text)
                if outcome is not None:
                    check_outcome(outcome)
                check_identity(psp, text)


ODD_BODIES = (
    b"",
    b" ",
    b"{}",
    b"[]",
    b"null",
    b"true",
    b'"text"',
    b"7",
    b"{",
    b'{"id":',
    b"{}{}",
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    b'{"id":"\xff"}',
    b'{"id":"\\ud800"}',
    b'{"id":"\\u0000"}',
    b'{"id":1,"id":2}',
    b'{"id":NaN}',
    b'{"amount":1e999999999}',
    b'{"amount":' + b"9" * 5_000 + b"}",
    b'{"a":' * 200 + b"1" + b"}" * 200,
    b"[" * 100_000,
    b'{"a":' * 20_000,
    b'{"type":"x","data":{}}',
    b'{"data":"a.b.c"}',
    b'{"event":"x","payload":{}}',
    b'{"payload":[]}',
    b'{"estado":null,"monto":null}',
    b"\0" * 100,
    b'"' + b"\\" * 10_001,
)


@pytest.mark.parametrize("body", ODD_BODIES, ids=lambda body: repr(body[:24]))
@every_psp
def test_an_odd_body_does_no_worse_than_be_parked(psp: str, body: bytes, sandbox_keys: Keys) -> None:
    check_identity(psp, body)
    for read in (
        lambda: PSPS[psp].events.read({}, body),
        lambda: PSPS[psp].events.read_snapshot(body, AS_OF),
        lambda: PSPS[psp].events.parse({}, body),
    ):
        try:
            outcome = read()
        except Unparseable as error:
            assert is_storable_key(str(error))
        else:
            check_outcome(outcome or Ignored("parse", "nothing"))
    genuine = next(deliver(psp, sandbox_keys))
    if psp in BODY_IS_SIGNED:
        assert refuses(replace(genuine, body=body), read_secrets(psp, sandbox_keys))


def check_identity(psp: str, body: bytes) -> None:
    """What the receiver asks before anything is stored never fails, and never sends money back by itself."""
    events = PSPS[psp].events
    assert is_storable_key(events.event_key({}, body))
    assert len(events.content_digest(body)) == 32
    clabe = events.deposit_clabe(body)
    assert clabe is None or is_storable_key(clabe)
    assert events.reply(body, Decision.ACCEPT).status == 200
    assert events.reply(body, Decision.RETURN).status in ((200, 400) if PSPS[psp].reply_moves_money else (200,))


# Which it is ----------------------------------------------------------------------------------------------------------


@every_flow
def test_a_delivery_that_comes_again_is_the_same_event(psp: str, flow: str, sandbox_keys: Keys) -> None:
    events = PSPS[psp].events
    for told in tell_all(psp, flow):
        first = sign(psp, told.body, sandbox_keys)
        assert first.event_key == told.event_key
        for times in (1, 7):
            again = sign(psp, SIMULATORS[psp].send_again(told.body, times), sandbox_keys, NOW + 3_600 * times)
            assert again.event_key == first.event_key
            assert events.content_digest(again.body) == events.content_digest(first.body)
            assert again.meaning() == first.meaning()


@every_psp
def test_different_events_have_different_keys_which_can_be_stored(psp: str, sandbox_keys: Keys) -> None:
    keys = []
    for number, flow in enumerate(SIMULATORS[psp].flows):
        keys += [sign(psp, told.body, sandbox_keys).event_key for told in tell_all(psp, flow, seed=number)]
    assert all(is_storable_key(key) for key in keys)
    assert len(set(keys)) == len(keys)


# What becomes of it ---------------------------------------------------------------------------------------------------


@pytest.fixture
def ask(psp: str, sandbox_server: SandboxServer) -> Iterator[Ask]:
    """A function that fetches a payment from the simulated API, as a worker does for a hint."""
    client = PSPS[psp].make_client(sandbox_server.settings(psp), Gate())

    def fetch(hint: Hint, payment: SimulatedPayment) -> Answer:
        with sandbox_server.state.lock:
            sandbox_server.state.add(payment)
        return client.fetch(hint.psp_payment_id)

    yield fetch
    client.close()


def hear(told: Told, keys: Keys, ask: Ask, waiting: list[Hint]) -> list[PaymentEvent]:
    """The events that come of one step: those of the delivery, and what is fetched for hints.

    A hint about something that the API does not show yet stays in `waiting` and is followed again after the next step.
    """
    outcome = sign(told.payment.psp, told.body, keys).read()
    check_outcome(outcome)
    assert is_understood(outcome)
    if isinstance(outcome, Hint):
        waiting.append(outcome)
    events = outcome if isinstance(outcome, list) else []
    for hint in list(waiting):
        try:
            answer = ask(hint, told.payment)
        except (NotThere, NotNow):
            continue
        waiting.remove(hint)
        fetched = PSPS[told.payment.psp].events.read_snapshot(answer.body or b"", at(told.at))
        check_outcome(fetched)
        events += fetched if isinstance(fetched, list) else []
    return events


@every_flow
def test_a_life_cycle_ends_as_its_psp_says_with_exact_amounts(
    psp: str, flow: str, sandbox_keys: Keys, ask: Ask
) -> None:
    facts: list[Fact] = []
    waiting: list[Hint] = []
    for told in live(psp, flow):
        payment = told.payment
        events = hear(told, sandbox_keys, ask, waiting)
        for event in events:
            check_against(event, payment, told.at)
        facts += [as_fact(event, f"{told.event_key}/{number}") for number, event in enumerate(events)]
    assert not waiting, "the API never showed what a hint was about"
    final = SIMULATORS[psp].flows[flow].final
    if final is None:
        assert facts == [], "no payment of ours, but events"
        return
    standing, steps = fold(Standing(), facts)
    assert not [step for step in steps.values() if step.is_forbidden]
    assert (standing.state, standing.received, standing.refunded) == (
        final,
        payment.received_minor,
        payment.refunded_minor,
    )
    assert standing.amount in (payment.amount_minor, None)


def check_against(event: PaymentEvent, payment: SimulatedPayment, now: int) -> None:
    """An event against the PSP's own record at that moment."""
    assert event.amount_minor in (None, payment.amount_minor)
    assert event.received_minor in (None, payment.received_minor)
    assert event.refunded_minor in (None, payment.refunded_minor)
    assert event.refund_minor in (None, payment.refund_minor)
    assert event.currency in (None, "MXN")
    assert event.merchant_reference in (None, payment.reference)
    assert event.psp_payment_id in (None, payment.id)
    assert event.livemode in (None, False)
    assert event.occurred_at is None or at(payment.created) <= event.occurred_at <= at(now + 1)


def as_fact(event: PaymentEvent, key: str) -> Fact:
    return Fact(
        kind=event.kind,
        key=key,
        at=event.occurred_at,
        amount=event.amount_minor,
        received=event.received_minor,
        refunded=event.refunded_minor,
        currency=event.currency,
        refund_ref=event.refund_ref,
        refund_minor=event.refund_minor,
        dispute_ref=event.dispute_ref,
        ends_disputes=event.ends_disputes or None,
    )
