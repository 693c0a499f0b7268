"""POST /webhooks/<psp>[/<account>]: raw bytes in, verified, written down, short answer out."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import sha256
from time import perf_counter
from urllib.parse import parse_qsl

from flask import Blueprint, Response, request

import crash_points
from config import DEFAULT_ACCOUNT, PspAccount
from ingress.answers import ROOT, Refusal, Refused, refusal_reply, reply_headers
from ingress.framing import Arrival, read_wsgi
from ingress.inbox_writer import InboxWriter, Ticket, WriterBusy
from ingress.metrics import ReceiverMetrics
from ingress.sources import find_source, is_allowed
from models.inbox import Delivery
from psps.base import InvalidSignature, Reply
from psps.card_data import redact
from psps.registry import PSPS, Psp

QUERY = ":query"  # what a PSP signs of the address is kept under a name that no sender can use
NEVER_STORED = frozenset({"authorization", "cookie", "proxy-authorization"})
MOST_HEADERS = 64
LONGEST_HEADER = 4096


@dataclass(frozen=True, slots=True)
class Door:
    """One account, ready to verify and to write down."""

    psp: Psp
    account: PspAccount
    verify: Callable[[Mapping[str, str], Mapping[str, str], bytes, Sequence[str], datetime], str]
    trusted_proxies: int

    @classmethod
    def of(cls, account: PspAccount, trusted_proxies: int) -> "Door":
        psp = PSPS[account.psp]
        verify = psp.signature.verify
        if psp.tolerates_time:
            verify = partial(verify, past_seconds=account.past_seconds, future_seconds=account.future_seconds)
        return cls(psp, account, verify, trusted_proxies)

    def admit(self, arrival: Arrival, now: datetime) -> Delivery:
        """The delivery that is to be stored. Raises InvalidSignature."""
        headers, body, events = arrival.headers, arrival.body, self.psp.events
        if self.account.sources and not self._is_from_the_psp(arrival):
            raise InvalidSignature("the sender's address is not one of the account's sources")
        key_label = self.verify(headers, _parse_query(arrival.query), body, self.account.secrets, now)
        kept, redacted = self._redact(body)
        if self.psp.signs_query:
            headers = {QUERY: arrival.query, **headers}
        return Delivery(
            psp=self.psp.name,
            account=self.account.account,
            event_key=events.event_key(headers, body),
            content_digest=events.content_digest(body),
            body_sha256=sha256(body).digest(),
            headers=storable_headers(headers),
            body=kept,
            verified_with=key_label,
            redacted=redacted,
            received_at=now,
            clabe=events.deposit_clabe(body) if self.account.unknown_clabe == "return" else None,
        )

    def _is_from_the_psp(self, arrival: Arrival) -> bool:
        return is_allowed(find_source(arrival.client, arrival.headers, self.trusted_proxies), self.account.sources)

    def _redact(self, body: bytes) -> tuple[bytes, bool]:
        """The body to store. What a token wraps is looked at too, and stored bare where it holds card data."""
        wrapped = self.psp.unwrap(body) if self.psp.unwrap else None
        if wrapped is not None:
            kept, redacted = redact(wrapped)
            if redacted:
                return kept, True
        return redact(body)


@dataclass(slots=True)
class Pending:
    """A delivery that is on its way to the inbox."""

    door: Door
    arrival: Arrival
    ticket: Ticket
    metrics: ReceiverMetrics

    def reply(self) -> Reply:
        """The answer, once the ticket is settled or too late."""
        stored, psp = self.ticket.stored, self.door.psp
        if stored is None:
            raise Refusal(Refused.NOT_DURABLE)
        crash_points.reach("receiver.before_answer")
        self.metrics.count_stored(psp.name, stored, perf_counter() - self.arrival.at)
        return psp.events.reply(self.arrival.body, stored.decision)


MakePending = Callable[[Door, Arrival, Ticket, ReceiverMetrics], Pending]


class Desk:
    """Where deliveries are handed in, by the edge or by Flask under any WSGI server."""

    def __init__(
        self,
        accounts: Mapping[tuple[str, str], PspAccount],
        writer: InboxWriter,
        clock: Callable[[], datetime],
        metrics: ReceiverMetrics,
        trusted_proxies: int = 0,
        make_pending: MakePending = Pending,
    ) -> None:
        self._writer, self._clock, self._metrics = writer, clock, metrics
        self._make_pending = make_pending
        self._doors: dict[str, Door] = {}
        for (psp, name), account in accounts.items():
            self._doors[f"{ROOT}{psp}/{name}"] = door = Door.of(account, trusted_proxies)
            if name == DEFAULT_ACCOUNT:
                self._doors[ROOT + psp] = door

    def find_door(self, path: str) -> Door | None:
        """The door to which deliveries are posted under this path."""
        return self._doors.get(path)

    def accept(self, door: Door, arrival: Arrival, loop: asyncio.AbstractEventLoop | None = None) -> Pending:
        """Verify a delivery and queue it. With `loop` its fate is told there. Raises Refusal."""
        try:
            delivery = door.admit(arrival, self._clock())
            crash_points.reach("receiver.verified")
            return self._make_pending(door, arrival, self._writer.put(delivery, loop), self._metrics)
        except InvalidSignature as error:
            self._metrics.count_invalid_signature(door.psp.name, str(error))
            raise Refusal(Refused.BAD_SIGNATURE) from error
        except WriterBusy as error:
            raise Refusal(Refused.NOT_DURABLE) from error


def build_blueprint(desk: Desk, metrics: ReceiverMetrics, max_body_bytes: int) -> Blueprint:
    """The webhook routes, answered once the delivery is durable."""
    blueprint = Blueprint("receiver", __name__)

    def receive(psp: str, account: str = DEFAULT_ACCOUNT) -> Response:
        door = desk.find_door(f"{ROOT}{psp}/{account}")
        if door is None:
            raise Refusal(Refused.UNKNOWN)
        pending = desk.accept(door, read_wsgi(request.environ, max_body_bytes))
        pending.ticket.wait()
        return as_response(pending.reply())

    def refuse(refusal: Refusal) -> Response:
        metrics.count_refused(request.path, refusal.why)
        return as_response(refusal_reply(refusal.why, request.path))

    for rule in (ROOT + "<psp>", ROOT + "<psp>/<account>"):
        blueprint.add_url_rule(rule, view_func=receive, methods=["POST"], provide_automatic_options=False)
    blueprint.register_error_handler(Refusal, refuse)
    return blueprint


def as_response(reply: Reply) -> Response:
    return Response(reply.body, reply.status, reply_headers(reply))


def storable_headers(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """The headers that may be kept: no credentials, no NUL, not too many, not too long."""
    kept = [pair for pair in headers.items() if pair[0] not in NEVER_STORED][:MOST_HEADERS]
    return [(name, value[:LONGEST_HEADER].replace("\0", "")) for name, value in kept]


def _parse_query(query: str) -> dict[str, str]:
    return dict(parse_qsl(query, keep_blank_values=True)) if query else {}
