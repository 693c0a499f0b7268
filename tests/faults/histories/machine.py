"""Anything that may happen to deliveries, workers, schedules and the clock, as rules; what must hold after each, and at the end."""

import json
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from psps.registry import PSPS
from sandbox.flows import SIMULATORS
from sandbox.payment import Webhook
from tests.faults.histories.fates import Blow, Died, Fate
from tests.faults.histories.invariants import Watch
from tests.faults.histories.lives import FLOWS, PLAYED, Life, begin_life
from tests.faults.histories.world import MEXICO_IS_BEHIND, NO_BLOW, World
from tests.faults.model import expected_payments
from workers.state_machine import MOVES

MOST_RUNS = 2  # they take a hundred times as long as anything else
LONGEST_QUIET = 40  # rounds of some minutes until everything must have come to rest
any_one = st.integers(0, 10_000)
Strike = tuple[Blow, int]
# At which commit or transaction of a worker: the first claims, the second stores what was done. Reconciling takes many more.
BLOWS: list[Strike] = [
    ("die after a commit", 1),
    ("die before a commit", 2),
    ("die after a commit", 2),
    ("stall between transactions", 2),
    ("stall between transactions", 2),
]
blows = st.sampled_from([None, *BLOWS])
Spoil = Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes]]
# From the sweep's patience and a lease to more than all deadlines; summer time begins elsewhere on the way, and Mexico's days end.
pauses = st.sampled_from([timedelta(seconds=s) for s in (11, 61, 600, 7_200, 86_400, 5 * 86_400)] + [None])


class Machine(RuleBasedStateMachine):
    """One example is one history of the world, which begins empty."""

    world: ClassVar[World]
    struck: ClassVar[Counter[str]]  # what befell whom, over all examples: a fault that never lands proves nothing

    def __init__(self) -> None:
        super().__init__()
        self.world.begin_anew()
        self.watch = Watch(self.world.watching)
        self.lives: list[Life] = []
        self.held: list[Webhook] = []  # told by the PSPs and not acknowledged yet
        self.sent: list[Webhook] = []
        self.acknowledged: set[tuple[str, bytes]] = set()  # (PSP, content digest)
        self.attempts, self.runs = 1, 0

    # What happens at the PSPs.

    @rule(kind=st.sampled_from(FLOWS), which=any_one, steps=st.integers(1, 4))
    def tell(self, kind: tuple[str, str], which: int, steps: int) -> None:
        """A payment goes on, or a new one begins."""
        going = [life for life in self.lives if not life.is_over]
        if which % 2 or not going:
            going = [begin_life(self.world.sandbox, *kind, self._tick())]
            self.lives += going
        self._go_on(going[which % len(going)], steps)

    def _go_on(self, life: Life, steps: int) -> None:
        for _ in range(min(steps, len(life.flow.steps) - len(life.told))):
            self.held.append(life.go_on(self.world.sandbox, self._tick()))

    def _tick(self) -> int:
        self.world.now += timedelta(seconds=2)
        return int(self.world.now.timestamp())

    # What happens on the way: any order, again, something else under the same name, a stranger, lost answers.

    @precondition(lambda self: self.held)
    @rule(order=st.lists(any_one, min_size=1, max_size=6), is_worked_on=st.booleans(), blow=blows, calling=blows)
    def deliver(
        self,
        order: list[int],
        is_worked_on: bool = False,
        blow: Strike | None = None,
        calling: Strike | None = None,
    ) -> None:
        """Some of what is held back, in any order; a worker may take it at once."""
        for which in order[: len(self.held)]:
            webhook = self.held[which % len(self.held)]
            if self._post(webhook, webhook.body) == 200:
                self.held.remove(webhook)
                self.sent.append(webhook)
        if is_worked_on:
            self.work(blow, calling, most=1000)

    @precondition(lambda self: self.held or self.sent)
    @rule(which=any_one, how=st.sampled_from(["again", "another body", "forged", "cut off before", "cut off after"]))
    def deliver_oddly(self, which: int, how: str) -> None:
        """Once more, another body under a known key, by a stranger, or while the database goes away before or after the commit."""
        is_known = how in ("again", "another body")
        if webhooks := self.sent if is_known else self.held:
            self.struck[how] += 1
            webhook = webhooks[which % len(webhooks)]
            self._repeat(webhook, how == "again") if is_known else self._fail(webhook, how)

    def _repeat(self, webhook: Webhook, is_same: bool) -> None:
        self.attempts += 1
        body = SIMULATORS[webhook.psp].send_again(webhook.body, self.attempts)
        body = body if is_same else _falsify(webhook, self.lives)
        key = PSPS[webhook.psp].events.event_key
        assert key({}, body) == key({}, webhook.body)
        assert self._post(webhook, body) == 200

    def _fail(self, webhook: Webhook, how: str) -> None:
        stored = self.world.rows("select count(*) from inbox_events")
        if how == "forged":
            assert self._post(webhook, webhook.body, SIMULATORS[webhook.psp].spoil) == 401, "I7: a forgery was taken"
            assert self.world.rows("select count(*) from inbox_events") == stored, "I7: a forgery was stored"
        else:
            self.world.store.fails = "before" if how == "cut off before" else "after"
            assert self._post(webhook, webhook.body) == 503

    def _post(self, webhook: Webhook, body: bytes, spoil: Spoil | None = None) -> int:
        simulator, keys = SIMULATORS[webhook.psp], self.world.sandbox.keys[webhook.psp]
        headers = simulator.sign(body, keys, int(self.world.now.timestamp()))
        if spoil:
            headers, body = spoil(headers, body)
        status = self.world.post(webhook.psp, headers, body, webhook.query)
        if status == 200:
            self.acknowledged.add((webhook.psp, PSPS[webhook.psp].events.content_digest(body)))
        return status

    # What happens behind the door.

    @precondition(lambda self: self.world.rung or self.world.calls)
    @rule(blow=blows, calling=blows, most=st.sampled_from([1, 2, 1000]))
    def work(self, blow: Strike | None, calling: Strike | None, most: int) -> None:
        """A worker takes what was rung for, then one makes the calls that follow; they may die over it or be thought dead."""
        if self.world.rung:
            self._befall("process", blow, lambda fate: self.world.take_rung(fate, most))
        if self.world.calls:
            self._befall("call", calling, self.world.take_calls, later=1)

    @precondition(lambda self: self.runs < MOST_RUNS)
    @rule(psp=st.sampled_from(PLAYED), blow=blows, later=st.integers(0, 9))
    def reconcile(self, psp: str, blow: Strike | None, later: int) -> None:
        self.runs += 1
        self.world.now += timedelta(minutes=5)
        self._befall("reconcile", blow, lambda fate: self.world.reconcile(psp, fate), later)

    def _befall(self, name: str, blow: Strike | None, work: Callable[[Fate], None], later: int = 0) -> None:
        if blow is None:
            work(NO_BLOW)
            return
        fate = Fate(blow[0], blow[1] + later, self._rest)
        with suppress(Died):
            work(fate)
        self.struck[f"{name}: {blow[0]}"] += fate.struck

    @rule(pause=pauses, is_lost=st.booleans(), is_swept=st.booleans())
    def let_time_pass(self, pause: timedelta | None, is_lost: bool, is_swept: bool) -> None:
        """None: until a second before the next midnight in Mexico City. The broker may lose all that was rung for."""
        if is_lost and (self.world.rung or self.world.calls):
            self.world.rung.clear()
            self.world.calls.clear()
            self.struck["the broker lost everything"] += 1
        local = self.world.now - MEXICO_IS_BEHIND + timedelta(seconds=1)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        self.world.now = midnight + MEXICO_IS_BEHIND - timedelta(seconds=1) if pause is None else self.world.now + pause
        if is_swept:
            self.world.sweep()

    def _rest(self) -> None:
        """What the others do in two minutes; a worker that stalls is a zombie then."""
        self.world.now += timedelta(minutes=2)
        self.world.sweep()
        self.world.take_rung()
        self.world.take_calls()

    @invariant()
    def what_must_hold_holds(self) -> None:
        self.watch.check()

    # The end of the history.

    def teardown(self) -> None:
        if sys.exc_info()[0] is None:  # else it is over already
            self._tell_all()
            self._come_to_rest()
            self._check_end()
            self.world.now += timedelta(hours=2)
            self.world.reconcile_now({life.psp for life in self.lives})
            self._come_to_rest()
            self._check_end()
            left = self.world.rows("select psp, kind, ours, theirs from discrepancies where closed_at is null")
            assert not left, f"a difference is left: {left[:2]}"

    def _tell_all(self) -> None:
        for life in self.lives:
            while not life.is_over:
                self._go_on(life, steps=1)
        while self.held:
            self.deliver([0])

    def _come_to_rest(self) -> None:
        """Until nothing is left to do. A person replays what was parked: an event that was in the hands of too many dead workers."""
        for _ in range(LONGEST_QUIET):
            self._rest()
            self.world.keep_house()
            parked = [id for (id,) in self.world.rows("select id from inbox_events where status = 'parked'")]
            unfinished = self.world.rows(
                "select id, status, attempts, reason from inbox_events where processed_at is null"
            )
            if not (parked or unfinished):
                return
            if parked:
                self.world.replay(parked)
            self.world.now += timedelta(minutes=5)
        raise AssertionError(f"I2: never finished: {unfinished[:3]}, parked: {parked[:3]}")

    def _check_end(self) -> None:
        stored = {
            (psp, bytes(digest)) for psp, digest in self.world.rows("select psp, content_digest from inbox_events")
        }
        assert self.acknowledged <= stored, "I1: an acknowledged delivery is not there"
        payments = self.world.rows("select psp, psp_payment_id, state, received_minor, refunded_minor from payments")
        ends = {(psp, id): (state, received, refunded) for psp, id, state, received, refunded in payments}
        wanted = expected_payments(webhook for life in self.lives for webhook in life.told)
        wanted |= {life.key: life.end for life in self.lives if PSPS[life.psp].is_hint}
        assert ends == wanted, "I8: payments do not end as the model says"
        refused = self.world.rows("select theirs from discrepancies where source = 'door' and closed_at is null")
        assert not refused, f"the door refused what a PSP tells of a whole life: {refused[:2]}"
        with self.world.worker.unit_of_work() as work:
            findings = [one for one in work.audit(self.world.now, MOVES) if one.broken]
        assert not findings, f"the product's own audit finds {findings}"


def _falsify(webhook: Webhook, lives: list[Life]) -> bytes:
    """The same event, and other money; where the body tells no money, something else in it."""
    amount = next(life.payment.amount_minor for life in lives if life.key == (webhook.psp, webhook.psp_payment_id))
    other = webhook.body.replace(str(amount).encode(), str(amount + 100).encode())
    return other if other != webhook.body else json.dumps({**json.loads(webhook.body), "more": "words"}).encode()
