"""Calls to a PSP that misbehaves: what is repeated, what is not, and what each failure is called."""

import base64
import gzip
import json
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime

import pytest

from psps.gate import Breaker, CallLimits, Gate
from psps.http import Call, Fault, PspHttp, clean_words
from psps.outbound import NotNow, NotThere, OutcomeUnknown, PspError, Refused
from tests.psps.loopback import Loopback, Piece, drip, free_port, hang_up, reply, reset, send, serving, then, wait

READ = Call("GET", "/things/1")
CHANGE = Call("POST", "/things", content=b'{"a":1}', changes=True)
# A busy machine may stand still for a second: only a test of a limit has a short one, and then only that one.
PATIENT = CallLimits(connect=20.0, read=20.0, deadline=20.0, tries=1, tries_deadline=60.0, most_bytes=1_000)
QUICK = CallLimits(connect=1.5, read=1.0, deadline=1.5, tries=1, tries_deadline=60.0, most_bytes=1_000)
THREE_TRIES = CallLimits(connect=20.0, read=20.0, deadline=20.0, tries=3, tries_deadline=60.0, most_bytes=1_000)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"


def read_nothing(status: int, body: bytes) -> Fault:
    return Fault("")


class Caller:
    """A PspHttp whose pauses are noted and not waited for."""

    def __init__(self, url: str, limits: CallLimits = PATIENT, breaker: Breaker | None = None, **more) -> None:
        self.pauses: list[float] = []
        self.gate = Gate(limits=limits, breaker=breaker or Breaker(threshold=1_000), sleep=self.pauses.append)
        self.http = PspHttp(url, self.gate, more.pop("read_fault", read_nothing), **more)

    def call(self, call: Call = READ):
        return self.http.call(call)

    def fail(self, call: Call = READ) -> PspError:
        with pytest.raises(PspError) as caught:
            self.http.call(call)
        return caught.value


@pytest.fixture
def serve() -> Iterator[Callable[..., Loopback]]:
    servers: list[Loopback] = []

    def start(*script: Piece) -> Loopback:
        servers.append(Loopback(*script))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def ask(serve) -> Iterator[Callable[..., tuple[Caller, Loopback]]]:
    """A caller and the server of the script that it calls."""
    callers: list[Caller] = []

    def start(*script: Piece, limits: CallLimits = PATIENT, **more) -> tuple[Caller, Loopback]:
        server = serve(*script)
        callers.append(Caller(server.url, limits, **more))
        return callers[-1], server

    yield start
    for caller in callers:
        caller.http.close()


# What is sent, and what comes back ------------------------------------------------------------------------------------


def test_an_answer_has_its_status_its_headers_in_lower_case_and_its_body_as_sent(ask) -> None:
    caller, _ = ask(reply(201, b'{"amount": 10.50}', X_Thing="1"))
    answer = caller.call()
    assert (answer.status, answer.headers["x-thing"], answer.body) == (201, "1", b'{"amount": 10.50}')
    assert answer.object() == {"amount": Decimal("10.50")}


def test_parameters_headers_and_a_form_arrive_as_they_were_given(ask) -> None:
    caller, server = ask(reply(200))
    form = [("expand[]", "a"), ("name", "José & Co"), ("expand[]", "b")]
    caller.call(Call("POST", "/x", [("a.gte", "1"), ("b", "ñ")], {"idempotency-key": "k"}, form))
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /x?a.gte=1&b=%C3%B1 HTTP/1.1\r\n")
    assert b"idempotency-key: k" in head
    assert b"application/x-www-form-urlencoded" in head
    assert sorted(body.split(b"&")) == [b"expand%5B%5D=a", b"expand%5B%5D=b", b"name=Jos%C3%A9+%26+Co"]


def test_the_signer_sees_the_path_behind_the_api_address_and_the_bytes_that_are_sent(serve) -> None:
    server = serve(reply(200))
    seen = []

    def authorize(method: str, path: str, body: bytes) -> dict[str, str]:
        seen.append((method, path, body))
        return {"authorization": "Firma 1"}

    caller = Caller(server.url + "/api/", authorize=authorize)
    caller.call(Call("PUT", "/v1/x", [("q", "a b")], content=b'{"a":1.50}'))
    caller.http.close()
    assert seen == [("PUT", "/v1/x?q=a+b", b'{"a":1.50}')]
    assert server.requests[0].startswith(b"PUT /api/v1/x?q=a+b HTTP/1.1")
    assert b"authorization: Firma 1" in server.requests[0]


def test_a_connection_is_kept_for_the_next_call(ask) -> None:
    caller, server = ask(reply(200))
    caller.call()
    caller.call(CHANGE)
    assert (len(server.requests), server.connections) == (2, 1)


def test_a_connection_that_the_psp_has_closed_meanwhile_is_dialed_again_even_for_a_change(ask) -> None:
    caller, server = ask(then(reply(200), hang_up), reply(200))
    caller.call()
    time.sleep(0.05)
    caller.call(CHANGE)
    assert server.connections == 2


def test_a_closed_client_can_be_used_again(ask) -> None:
    caller, server = ask(reply(200))
    caller.call()
    caller.http.close()
    caller.http.close()
    caller.call()
    assert server.connections == 2


def test_proxies_of_the_environment_are_not_used(ask, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    caller, server = ask(reply(200))
    caller.call()
    assert len(server.requests) == 1


def test_a_compressed_answer_is_not_asked_for_and_not_unfolded(ask) -> None:
    bomb = gzip.compress(b" " * 100_000 + b"{}")
    caller, server = ask(reply(200, bomb, Content_Encoding="gzip"))
    answer = caller.call()
    assert answer.body == bomb
    assert b"accept-encoding: identity" in server.requests[0]
    with pytest.raises(NotNow, match="unreadable_answer"):
        answer.object()


# The time of an answer ------------------------------------------------------------------------------------------------


def make_gate(at: datetime, elapsed: float) -> Gate:
    moments = iter([0.0, 0.0, elapsed])
    return Gate(limits=PATIENT, clock=lambda: at, monotonic=lambda: next(moments))


def find_as_of(serve, date: str | None, our_clock: datetime, elapsed: float = 0.0) -> datetime:
    server = serve(reply(200, b"{}", **({"Date": date} if date else {})))
    http = PspHttp(server.url, make_gate(our_clock, elapsed), read_nothing)
    try:
        return http.call(READ).as_of
    finally:
        http.close()


NOON = datetime(2026, 11, 22, 12, 0, 0, 750_000, tzinfo=UTC)


def test_as_of_is_the_date_of_the_psp_less_the_time_that_the_call_took(serve) -> None:
    date = "Sun, 22 Nov 2026 12:00:30 GMT"
    assert find_as_of(serve, date, NOON, elapsed=4.4) == datetime(2026, 11, 22, 12, 0, 25, tzinfo=UTC)
    assert find_as_of(serve, date, NOON) == datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "date",
    [
        None,
        "",
        "yesterday",
        "Mon, 01 Jan 0001 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Sun, 22 Nov 2026 25:61:61 GMT",
        "Sun, 22 Nov 2026 14:00:00 GMT",
    ],
)
def test_as_of_is_our_own_clock_where_the_psp_tells_no_time_or_an_impossible_one(serve, date: str | None) -> None:
    assert find_as_of(serve, date, NOON) == datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


def test_a_date_without_a_zone_is_utc(serve) -> None:
    expected = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)
    assert find_as_of(serve, "Sun, 22 Nov 2026 12:00:30 -0000", NOON) == expected


# Answers that do not come, or not whole -------------------------------------------------------------------------------

BROKEN = {
    "silent after accept": wait(3),
    "drips its headers": drip(HEAD + b"0123456789", 0.2),
    "drips its body": then(send(HEAD), drip(b"0123456789", 0.6)),
    "hangs up without an answer": hang_up,
    "hangs up in the headers": then(send(HEAD[:20]), hang_up),
    "cuts its body off": then(send(HEAD + b"01234"), hang_up),
    "resets in its body": then(send(HEAD + b"01234"), wait(0.05), reset),
    "is no HTTP": send(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "is too large": reply(200, b"[" + b"1," * 600 + b"1]"),
    "is too large and does not say so": send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b" " * 2_000),
    "has endless headers": then(send(b"HTTP/1.1 200 OK\r\n"), send(b"X: y\r\n" * 40_000)),
}


@pytest.mark.wall_clock
@pytest.mark.parametrize("how", BROKEN)
def test_a_read_that_breaks_is_not_now_and_a_change_that_breaks_is_unknown(ask, how: str) -> None:
    for call, expected in ((READ, NotNow), (CHANGE, OutcomeUnknown)):
        caller, server = ask(BROKEN[how], limits=QUICK)
        began = time.monotonic()
        error = caller.fail(call)
        assert type(error) is expected
        assert error.status is None
        assert error.code.isidentifier()
        assert time.monotonic() - began < 4.0
        assert len(server.requests) == 1


@pytest.mark.wall_clock
def test_a_drip_is_stopped_by_the_deadline_although_every_byte_is_in_time(ask) -> None:
    patient = CallLimits(connect=1.0, read=20.0, deadline=1.0, tries=1)
    caller, _ = ask(then(send(HEAD), drip(b"0123456789", 0.5)), limits=patient)
    began = time.monotonic()
    assert caller.fail().code == "TimeoutError"
    assert 0.9 < time.monotonic() - began < 3.0


def test_after_a_broken_call_the_next_one_has_a_connection_of_its_own(ask) -> None:
    caller, server = ask(wait(2), reply(200, b'{"ok":true}'), limits=QUICK)
    caller.fail()
    assert caller.call().object() == {"ok": True}
    assert server.connections == 2


def test_nobody_listening_is_not_now_even_for_a_change() -> None:
    for call in (READ, CHANGE):
        caller = Caller(f"http://127.0.0.1:{free_port()}")
        assert type(caller.fail(call)) is NotNow
        caller.http.close()


def test_an_address_that_cannot_be_called_is_not_now() -> None:
    for url in ("https://127.0.0.1:1", "http://nobody.invalid", "ftp://127.0.0.1", "http://[::1", ""):
        caller = Caller(url)
        assert type(caller.fail(CHANGE)) is NotNow, url
        caller.http.close()


def test_a_server_without_tls_where_tls_is_expected_is_not_now(ask) -> None:
    _, server = ask(reply(200))
    caller = Caller(server.url.replace("http:", "https:"), QUICK)
    assert type(caller.fail(CHANGE)) is NotNow
    caller.http.close()


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"[]", b'"text"', b'{"a":1,"a":2}', b"\xff{}", b"NaN"])
def test_a_body_that_is_no_object_is_not_now_for_a_read_and_unknown_for_a_change(ask, body: bytes) -> None:
    caller, _ = ask(reply(200, body))
    with pytest.raises(NotNow, match="unreadable_answer"):
        caller.call().object()
    with pytest.raises(OutcomeUnknown, match="unreadable_answer"):
        caller.call(CHANGE).object()


def test_parts_of_an_answer_are_checked_too(ask) -> None:
    caller, _ = ask(reply(200, b'{"list":[1],"huge":36893488147419103232,"text":"x","ok":[{"a":1.10}]}'))
    answer = caller.call(CHANGE)
    fields = answer.object()
    assert answer.write(fields["ok"]) == b'[{"a":1.10}]'
    assert answer.objects(fields["ok"]) == [{"a": Decimal("1.10")}]
    for wrong in (fields["list"], fields["text"], None, {}):
        with pytest.raises(OutcomeUnknown, match="unexpected_answer"):
            answer.objects(wrong)
    with pytest.raises(OutcomeUnknown, match="unexpected_answer"):
        answer.write(fields)


# What a status means --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "read", "change"),
    [
        (300, NotNow, OutcomeUnknown),
        (302, NotNow, OutcomeUnknown),
        (400, Refused, Refused),
        (401, Refused, Refused),
        (402, Refused, Refused),
        (403, Refused, Refused),
        (404, NotThere, NotThere),
        (408, NotNow, OutcomeUnknown),
        (409, NotNow, OutcomeUnknown),
        (422, Refused, Refused),
        (423, NotNow, OutcomeUnknown),
        (424, Refused, Refused),
        (425, NotNow, OutcomeUnknown),
        (429, NotNow, NotNow),
        (500, NotNow, OutcomeUnknown),
        (502, NotNow, OutcomeUnknown),
        (503, NotNow, OutcomeUnknown),
        (504, NotNow, OutcomeUnknown),
        (599, NotNow, OutcomeUnknown),
    ],
)
def test_a_status_by_itself(ask, status: int, read: type[PspError], change: type[PspError]) -> None:
    caller, _ = ask(reply(status))
    for call, expected in ((READ, read), (CHANGE, change)):
        error = caller.fail(call)
        assert (type(error), error.status, error.code) == (expected, status, f"http_{status}")


def test_a_redirect_is_not_followed(serve, ask) -> None:
    elsewhere = serve(reply(200))
    caller, server = ask(reply(302, b"", Location=elsewhere.url))
    assert type(caller.fail(CHANGE)) is OutcomeUnknown
    assert type(caller.fail()) is NotNow
    assert (len(server.requests), elsewhere.requests) == (2, [])


def test_the_psp_may_say_otherwise_and_its_words_are_kept_clean(ask) -> None:
    def read_fault(status: int, body: bytes) -> Fault:
        return Fault(json.loads(body)["code"], "card 4242 4242 4242 4242 of\nana@example.com", OutcomeUnknown)

    caller, _ = ask(reply(409, {"code": "key_in_use"}), read_fault=read_fault)
    error = caller.fail(CHANGE)
    assert type(error) is OutcomeUnknown
    assert (error.code, error.message, error.status) == ("key_in_use", "card *** of ***", 409)
    assert str(error) == "key_in_use: card *** of ***"


def test_a_refusal_shows_the_payment_that_was_made_all_the_same(ask) -> None:
    fault = Fault("declined", payment_id="pay_1", payment=b'{"id":"pay_1"}')
    caller, _ = ask(reply(402), read_fault=lambda status, body: fault)
    error = caller.fail(CHANGE)
    assert isinstance(error, Refused)
    assert error.answer is not None
    assert (error.answer.psp_payment_id, error.answer.body) == ("pay_1", b'{"id":"pay_1"}')


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("plain words", "plain words"),
        ("CLABE 646180157000000004 is wrong", "CLABE *** is wrong"),
        ("card 4242-4242-4242-4242", "card ***"),
        ("card 4242\u00a04242\u00a04242\u00a04242", "card ***"),
        ("card 4242\u00ad4242\u00ad4242\u00ad4242", "card ***"),
        ("order 123456789", "order 123456789"),
        ("ñandú\x00\n\x1b[31mred", "ñandú [31mred"),
        ("write to josé.núñez@example.com.mx now", "write to *** now"),
        ("key_in_use", "key_in_use"),
        ("no such key_a1b2c3d4e5f6a7", "no such ***"),
        ("Invalid API Key provided: sk_test_51AbCdEf****wxyz", "Invalid API Key provided: ***"),
        ("Unauthorized use of APP_USR-1234-112006-0a1b2c3d__LA_LD__-987 here", "Unauthorized use of *** here"),
        ("token TEST-1234567890123456-112006-0a1b2c3d4e5f-987654321", "token ***"),
        ("A TEST- of MY_TEST", "A TEST- of MY_TEST"),
        ("bad token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln-bmF0_dXJl.", "bad token ***"),
        ("bad token 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIi'", "bad token '***'"),
        ("x" * 500, "x" * 200),
        ("x" * 195 + "4242424242424242", "x" * 195 + "***"),
        (2004, "2004"),
        (None, ""),
        (b"bytes", ""),
        ({"a": 1}, ""),
    ],
)
def test_words_of_a_psp_are_short_printable_and_name_no_account(said: object, kept: str) -> None:
    assert clean_words(said) == kept


# What is repeated -----------------------------------------------------------------------------------------------------


def test_a_read_that_fails_is_repeated_up_to_the_limit(ask) -> None:
    caller, server = ask(reply(500), limits=THREE_TRIES)
    assert type(caller.fail()) is NotNow
    assert (len(server.requests), len(caller.pauses)) == (3, 2)
    assert all(0 <= pause <= 5 for pause in caller.pauses)


def test_a_read_is_answered_as_soon_as_one_try_is(ask) -> None:
    caller, server = ask(hang_up, reply(503), reply(200), limits=THREE_TRIES)
    assert caller.call().status == 200
    assert len(server.requests) == 3


@pytest.mark.parametrize("piece", [reply(500), reply(302), hang_up])
def test_a_change_that_may_have_arrived_is_never_repeated(ask, piece: Piece) -> None:
    caller, server = ask(piece, limits=THREE_TRIES)
    assert type(caller.fail(CHANGE)) is OutcomeUnknown
    assert (len(server.requests), caller.pauses) == (1, [])


def test_a_change_that_is_not_answered_in_time_is_never_repeated(ask) -> None:
    caller, server = ask(wait(2), limits=replace(QUICK, tries=3))
    assert type(caller.fail(CHANGE)) is OutcomeUnknown
    assert (len(server.requests), caller.pauses) == (1, [])


@pytest.mark.parametrize("call", [READ, CHANGE])
def test_what_the_psp_refuses_is_not_repeated(ask, call: Call) -> None:
    caller, server = ask(reply(400), limits=THREE_TRIES)
    assert type(caller.fail(call)) is Refused
    assert len(server.requests) == 1


def test_a_change_that_could_not_be_delivered_is_repeated() -> None:
    port = free_port()
    caller = Caller(f"http://127.0.0.1:{port}", THREE_TRIES)
    assert type(caller.fail(CHANGE)) is NotNow
    assert len(caller.pauses) == 2
    caller.http.close()


@pytest.mark.wall_clock
def test_all_tries_together_have_a_deadline(ask) -> None:
    limits = CallLimits(connect=0.4, read=20.0, deadline=0.4, tries=10, tries_deadline=0.7)
    caller, server = ask(wait(5.0), limits=limits)
    began = time.monotonic()
    caller.fail()
    assert time.monotonic() - began < 2.0
    assert len(server.requests) <= 3


def test_a_change_has_its_whole_time_however_long_its_turn_took(ask) -> None:
    limits = CallLimits(connect=0.2, read=20.0, deadline=2.0, tries=2, tries_deadline=0.2)
    caller, _ = ask(then(wait(0.5), reply(200)), limits=limits)
    caller.gate.take_turn = lambda: time.sleep(0.5)
    assert caller.call(CHANGE).status == 200
    assert caller.fail().code == "TimeoutError"


def test_a_header_that_cannot_be_sent_is_not_now(ask) -> None:
    caller, server = ask(reply(200))
    for value in ("ñ", "a\nb"):
        assert isinstance(caller.fail(Call("GET", "/", headers={"x-key": value})), NotNow)
    assert server.requests == []


def test_too_many_requests_is_repeated_after_the_time_that_the_psp_asks_for(ask) -> None:
    caller, server = ask(reply(429, Retry_After="1"), reply(200), limits=THREE_TRIES)
    assert caller.call(CHANGE).status == 200
    assert len(server.requests) == 2
    assert 1 <= caller.pauses[0] <= 5


def test_a_long_wait_is_left_to_the_schedule(ask) -> None:
    caller, server = ask(reply(429, Retry_After="90"), limits=THREE_TRIES)
    error = caller.fail(CHANGE)
    assert isinstance(error, NotNow)
    assert error.retry_after == 90
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        (" 7 ", 7.0),
        ("86400", 300.0),
        (format_datetime(NOON + timedelta(seconds=60, milliseconds=250), usegmt=True), 60.25),
        (format_datetime(NOON - timedelta(days=1), usegmt=True), 0.0),
        (format_datetime(NOON + timedelta(days=1), usegmt=True), 300.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("1" * 30, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_up_to_a_limit(serve, value: str, seconds: float | None) -> None:
    server = serve(reply(503, Retry_After=value))
    http = PspHttp(server.url, Gate(limits=PATIENT, clock=lambda: NOON), read_nothing)
    with pytest.raises(NotNow) as caught:
        http.call(READ)
    http.close()
    assert (
        caught.value.retry_after == pytest.approx(seconds, abs=1.0) if seconds else caught.value.retry_after == seconds
    )


def test_a_psp_that_asks_not_to_be_called_again_at_once_is_obeyed(ask) -> None:
    def heed(fault: Fault, headers) -> Fault:
        return Fault(headers["x-again"], may_repeat=False)

    caller, server = ask(reply(503, X_Again="never"), limits=THREE_TRIES, heed_headers=heed)
    error = caller.fail()
    assert isinstance(error, NotNow)
    assert (error.code, len(server.requests)) == ("never", 1)


# The gate -------------------------------------------------------------------------------------------------------------


class Forbidden(Exception):
    pass


def test_a_check_that_raises_stops_the_call_before_any_byte(ask) -> None:
    caller, server = ask(reply(200))

    def refuse() -> None:
        raise Forbidden

    caller.gate.check = refuse
    with pytest.raises(Forbidden):
        caller.call()
    assert server.connections == 0
    assert caller.gate.breaker.state == "closed"


def test_every_try_takes_its_turn(ask) -> None:
    caller, _ = ask(reply(500), limits=THREE_TRIES)
    turns = []
    caller.gate.take_turn = lambda: turns.append(1)
    caller.fail()
    assert len(turns) == 3


@pytest.mark.parametrize("held_back", [True, False])
def test_a_call_whose_turn_does_not_come_is_no_failure_of_the_psp(ask, held_back: bool) -> None:
    caller, server = ask(reply(200), breaker=Breaker(threshold=1))

    def wait_for_ever() -> None:
        raise NotNow("not_our_turn", "", None, 2.0, is_held_back=held_back)

    caller.gate.take_turn = wait_for_ever
    error = caller.fail(CHANGE)
    assert isinstance(error, NotNow)
    assert error.code == "not_our_turn"
    assert (server.connections, caller.gate.breaker.state) == (0, "closed")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_breaker_opens_after_failures_in_a_row_and_holds_calls_back(ask, clock: Clock) -> None:
    caller, server = ask(reply(500), breaker=Breaker(threshold=3, pause=15.0, monotonic=clock))
    for _ in range(3):
        assert caller.gate.breaker.state == "closed"
        caller.fail()
    assert caller.gate.breaker.state == "open"
    clock.now += 5
    error = caller.fail(CHANGE)
    assert isinstance(error, NotNow)
    assert (error.code, error.is_held_back, error.retry_after) == ("breaker_open", True, 10.0)
    assert len(server.requests) == 3


def test_a_call_that_is_held_back_is_not_repeated_and_does_not_lengthen_the_pause(ask, clock: Clock) -> None:
    breaker = Breaker(threshold=1, pause=15.0, monotonic=clock)
    caller, _ = ask(reply(500), reply(200), limits=THREE_TRIES, breaker=breaker)
    caller.fail(CHANGE)
    clock.now += 14
    caller.fail()
    assert caller.pauses == []
    clock.now += 1
    assert breaker.state == "half-open"
    assert caller.call().status == 200
    assert breaker.state == "closed"


def test_half_open_lets_one_call_try_and_its_fate_decides(clock: Clock) -> None:
    breaker = Breaker(threshold=2, pause=15.0, monotonic=clock)
    breaker.fail()
    breaker.fail()
    clock.now += 15
    breaker.enter()
    with pytest.raises(NotNow):
        breaker.enter()
    breaker.fail()
    assert breaker.state == "open"
    with pytest.raises(NotNow):
        breaker.enter()
    clock.now += 15
    breaker.enter()
    breaker.leave()  # it was not made after all, so another one may try
    breaker.enter()
    breaker.succeed()
    assert breaker.state == "closed"
    breaker.enter()


def test_a_success_between_failures_starts_the_count_anew(ask) -> None:
    caller, _ = ask(reply(500), reply(200), reply(500), breaker=Breaker(threshold=2))
    caller.fail()
    caller.call()
    caller.fail()
    assert caller.gate.breaker.state == "closed"


@pytest.mark.parametrize(
    ("status", "kind", "state"),
    [
        (400, None, "closed"),
        (404, None, "closed"),
        (409, OutcomeUnknown, "closed"),  # an open question, and a PSP in good health
        (429, None, "open"),
        (500, None, "open"),
        (302, None, "closed"),
    ],
)
def test_which_answers_speak_against_the_psp(ask, status: int, kind, state: str) -> None:
    fault = Fault("", "", kind)
    caller, _ = ask(reply(status), breaker=Breaker(threshold=1), read_fault=lambda status, body: fault)
    caller.fail(CHANGE)
    assert caller.gate.breaker.state == state


BASIC = base64.b64encode(b"sk_9f8e7d6c5b4a39281706:").decode()


@pytest.mark.parametrize("status", [200, 400, 401, 500])
@pytest.mark.parametrize(
    ("headers", "secrets"),
    [
        ({"authorization": "Bearer TEST-99-112233-abcdef"}, ["TEST-99-112233-abcdef"]),
        ({"authorization": f"Basic {BASIC}"}, [BASIC, "sk_9f8e7d6c5b4a39281706"]),
        (
            {"authorization": "Bitso bx_canary1234:1795400000123:0f1e2d3c4b5a6978"},
            ["bx_canary1234", "0f1e2d3c4b5a6978"],
        ),
        ({"api-secret": "two/of/three-words"}, ["two/of/three-words", "two\\/of\\/three-words"]),
        ({"access-token": "eyCanary.token.of-it"}, ["eyCanary.token.of-it"]),
    ],
)
def test_credentials_that_the_psp_says_back_are_taken_out_of_its_answer(ask, status, headers, secrets) -> None:
    said: list[bytes] = []

    def read_all(status: int, body: bytes) -> Fault:
        said.append(body)
        return Fault("code", body.decode())

    echoed = b'{"id":1795400000123,"message":"no such key: %s"}' % " or ".join(secrets).encode()
    caller, server = ask(reply(status, echoed), authorize=lambda *about: headers, read_fault=read_all)
    told = caller.call().body if status == 200 else str(caller.fail()).encode() + said[0]
    assert all(secret.encode() not in told for secret in secrets)
    assert b"no such key: ***" in told
    assert b"1795400000123" in told or status != 200, "a number is no credential"
    sent = next(iter(headers.values())).encode()
    assert sent in server.requests[0], "the PSP itself is told"


class TimeIsUp(Exception):
    pass


@pytest.fixture
def alarm() -> Iterator[None]:
    """As a task queue's soft time limit: a signal that raises wherever the program is."""

    def ring(number: int, frame: object) -> None:
        raise TimeIsUp

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.15)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("alarm")
def test_a_task_whose_time_is_up_in_the_middle_of_a_call_leaves_a_usable_client(ask) -> None:
    breaker = Breaker(threshold=1)
    patient = CallLimits(read=3.0, deadline=3.0)
    caller, server = ask(wait(0.5), reply(200, b'{"ok":true}'), limits=patient, breaker=breaker)
    with pytest.raises(TimeIsUp):
        caller.call(CHANGE)
    assert breaker.state == "open"
    caller.gate.breaker = Breaker()
    assert caller.call().object() == {"ok": True}
    assert (len(server.requests), server.connections) == (2, 2)


def test_a_server_that_is_used_as_a_context_stops() -> None:
    with serving(reply(200)) as server:
        caller = Caller(server.url)
        caller.call()
        caller.http.close()
    assert type(caller.fail()) is NotNow
    caller.http.close()
