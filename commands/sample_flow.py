"""The sample that shows a newcomer payments moving: five stories, told to the receiver one webhook at a time."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from commands.sandbox_check import compare, keys_of
from commands.stack_payments import PspPayment, SeenPayment, StackPayments
from config import load_config
from sandbox.faults import Delivery
from sandbox.flows import play_flow
from sandbox.identity import Identity
from sandbox.keys import Keys
from sandbox.payment import Played
from sandbox.runs import new_seed
from sandbox.sender import Route, send

SETTLE_SECONDS = 30.0
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Story:
    """One payment and the way its webhooks reach us: in order, one of them twice, or one of them last."""

    title: str
    flow: str
    psp: str
    repeated: int | None = None  # place of the webhook that comes twice
    late: int | None = None  # place of the webhook that comes after all others

    def in_time(self, played: Played) -> list[Delivery]:
        """What comes while the payment moves."""
        deliveries = [Delivery(webhook) for place, webhook in enumerate(played.webhooks) if place != self.late]
        if self.repeated is not None:
            deliveries.append(Delivery(played.webhooks[self.repeated], duplicate=True))
        return deliveries

    def too_late(self, played: Played) -> list[Delivery]:
        """What comes when the payment has settled."""
        return [] if self.late is None else [Delivery(played.webhooks[self.late])]


STORIES = (
    Story("OXXO voucher, paid in cash", "oxxo.paid", "conekta"),
    Story("SPEI transfer to a CLABE", "spei.deposit", "stp"),
    Story("card, paid and refunded", "card.refunded", "stripe"),
    Story("OXXO voucher, a webhook sent twice", "oxxo.paid", "stripe", repeated=2),
    Story("SPEI transfer, a webhook late", "spei.paid", "stripe", late=1),
)


def play_sample_flow(receiver_url: str, keys: Keys, environment: Mapping[str, str], say: Say) -> bool:
    """Send the sample stories to `receiver_url`, wait until the payments settle, tell each of them in lines.

    `environment` is that of the running stack. True if every payment is as it must be.
    """
    names = Identity(new_seed(), int(time.time()))
    told = [(story, play_flow(story.flow, names, int(time.time()), story.psp)) for story in STORIES]
    route = Route(receiver_url, keys, connections=1, deadline=SETTLE_SECONDS)
    lives = [played for _, played in told]
    with StackPayments(load_config(environment)) as payments:
        accepted = _send_one_by_one((story.in_time(played) for story, played in told), route)
        _wait_until_settled(payments, lives)
        accepted &= _send_one_by_one((story.too_late(played) for story, played in told), route)
        seen, settled = _wait_until_settled(payments, lives)
    say(f"{len(told)} payments played through the sandbox")
    for story, played in told:
        for line in _describe(story, played, seen.get((played.payment.psp, played.payment.id))):
            say(line)
    say("")
    say("every payment is as it must be" if settled and accepted else "something is not as it must be")
    return settled and accepted


def _send_one_by_one(deliveries: Iterable[list[Delivery]], route: Route) -> bool:
    reports = [send([delivery], route) for some in deliveries for delivery in some]
    return all(report.clean for report in reports)


def _wait_until_settled(payments: StackPayments, lives: Sequence[Played]) -> tuple[dict[PspPayment, SeenPayment], bool]:
    events = {(webhook.psp, webhook.event_key) for life in lives for webhook in life.webhooks}
    expected = [asdict(life.expected) for life in lives if life.expected]
    give_up_at = time.monotonic() + SETTLE_SECONDS
    while True:
        unfinished = events & payments.list_unfinished()
        seen = payments.find_stories(keys_of(expected))
        settled = not unfinished and not compare(expected, seen)
        if settled or time.monotonic() > give_up_at:
            return seen, settled
        time.sleep(0.2)


def _describe(story: Story, played: Played, seen: SeenPayment | None) -> list[str]:
    lines = ["", f"{story.title} ({played.payment.psp} {played.payment.id})"]
    if seen is None:
        return [*lines, "  never became a payment"]
    lines += [f"  {at:%H:%M:%S.%f}"[:-3] + f"  {state}" for state, at in _moves(seen)]
    if story.repeated is not None:
        lines.append(f"  {played.webhooks[story.repeated].event_type} came twice and was applied once")
    if story.late is not None:
        last = seen.history[-1]
        lines.append(f"  {played.webhooks[story.late].event_type} came last and was {last.outcome}")
    refunded = f", {_money(seen.refunded_minor, seen)} refunded" if seen.refunded_minor else ""
    expected = played.expected.state if played.expected else None
    verdict = "as it must be" if seen.state == expected else f"but must be {expected}"
    return [*lines, f"  {seen.method}: {seen.state}, {_money(seen.received_minor, seen)} received{refunded}: {verdict}"]


def _moves(seen: SeenPayment) -> list[tuple[str, datetime]]:
    """The states that the payment went through, and when we learned of each (UTC)."""
    moves: list[tuple[str, datetime]] = []
    for decision in seen.history:
        if decision.to_state and (not moves or moves[-1][0] != decision.to_state):
            moves.append((decision.to_state, decision.recorded_at.astimezone(UTC)))
    return moves


def _money(minor: int, seen: SeenPayment) -> str:
    return f"{minor // 100:,}.{minor % 100:02d} {seen.currency or ''}".rstrip()
