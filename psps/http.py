"""The one way out: every call to a PSP's API leaves through here.

TLS is checked, redirects are not followed, proxies of the environment are not used, an answer has a size and a call a
deadline that no slow drip can stretch. A call is repeated only where that is safe, and every failure is told apart:
Refused (the PSP said no), NotNow (nothing was done), OutcomeUnknown (it may have been done).
"""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import httpx
from tenacity import RetryCallState as Try
from tenacity import Retrying, retry_if_exception, stop_after_attempt, stop_before_delay, wait_random_exponential

from psps.calls import (
    TOO_MANY_REQUESTS,
    Authorize,
    Call,
    Fault,
    HeedHeaders,
    HttpAnswer,
    ReadFault,
    clean_words,
    find_as_of,
    find_kind,
    lost,
    read_retry_after,
    take_out_credentials,
)
from psps.dialing import dial, list_timeouts
from psps.gate import Gate
from psps.outbound import Answer, NotNow, OutcomeUnknown, PspError, Refused

__all__ = ["Authorize", "Call", "Fault", "HttpAnswer", "PspHttp", "ReadFault", "clean_words"]


def _be_anonymous(method: str, path: str, body: bytes) -> Mapping[str, str]:
    return {}


def _keep(fault: Fault, headers: Mapping[str, str]) -> Fault:
    return fault


class PspHttp:
    """Calls the API of one account, from one thread. Connections are kept between calls.

    `read_fault` reads an answer of 4xx or 5xx, and `heed_headers` changes what it says by the answer's headers, whose
    names are lower case. `authorize` gives headers for a request that is otherwise ready.
    """

    def __init__(
        self,
        api_url: str,
        gate: Gate,
        read_fault: ReadFault,
        authorize: Authorize = _be_anonymous,
        heed_headers: HeedHeaders = _keep,
    ) -> None:
        self._gate, self._authorize = gate, authorize
        self._read_fault, self._heed_headers = read_fault, heed_headers
        self._base = api_url.rstrip("/")
        self._runner: asyncio.Runner | None = None
        self._client: httpx.AsyncClient | None = None

    def call(self, call: Call) -> HttpAnswer:
        """The answer, if its status is 2xx. Raises Refused (NotThere for 404), NotNow or OutcomeUnknown."""
        limits = self._gate.limits
        give_up_at = self._gate.monotonic() + limits.tries_deadline
        retrying = Retrying(
            stop=stop_after_attempt(limits.tries) | stop_before_delay(limits.tries_deadline),
            wait=self._wait,
            retry=retry_if_exception(self._may_repeat),
            sleep=self._gate.sleep,
            reraise=True,
        )
        return retrying(self._try, call, give_up_at)

    def close(self) -> None:
        """Hang up."""
        runner, client = self._runner, self._client
        self._runner = self._client = None
        if runner:
            if client:
                runner.run(client.aclose())
            runner.close()

    def _may_repeat(self, error: BaseException) -> bool:
        """NotNow means that nothing was done, so even a change may be repeated, if the wait is short."""
        if not isinstance(error, NotNow) or isinstance(error, _NotAtOnce) or error.is_held_back:
            return False
        return (error.retry_after or 0.0) <= self._gate.limits.tries_deadline / 4

    def _wait(self, state: Try) -> float:
        pause = wait_random_exponential(0.2, max=5)(state)
        error = state.outcome.exception() if state.outcome else None
        return max(pause, (error.retry_after or 0.0) if isinstance(error, NotNow) else 0.0)

    def _try(self, call: Call, give_up_at: float) -> HttpAnswer:
        self._gate.check()
        self._enter()
        try:
            answer = self._gate.watch.exchange(partial(self._exchange, call, give_up_at))
        except PspError as error:
            self._tell_breaker(works=_is_from_psp(error))
            raise
        except BaseException:  # the task's time is up: whether the PSP works is not known, and the line is in disorder
            self._tell_breaker(works=False)
            self._cut_off()
            raise
        self._tell_breaker(works=True)
        return answer

    def _enter(self) -> None:
        """Pass the breaker and wait for our turn. Raises NotNow."""
        try:
            self._gate.breaker.enter()
            try:
                self._gate.take_turn()
            except BaseException:
                self._gate.breaker.leave()
                raise
        except NotNow:
            self._gate.watch.hold_back()
            raise

    def _tell_breaker(self, works: bool) -> None:
        if works:
            self._gate.breaker.succeed()
        else:
            self._gate.breaker.fail()
        self._gate.watch.heed_breaker(self._gate.breaker)

    def _exchange(self, call: Call, give_up_at: float) -> HttpAnswer:
        started_at, started = self._gate.clock(), self._gate.monotonic()
        if self._runner is None:
            self._runner = asyncio.Runner()
        sent = _Sent()
        deadline = self._find_deadline(call, give_up_at - started)
        try:
            status, headers, body = self._runner.run(self._send(call, sent, deadline))
        except (httpx.RequestError, httpx.InvalidURL, ssl.SSLError, TimeoutError, UnicodeError, _TooLarge) as error:
            raise lost(call.changes and sent.began, type(error).__name__.strip("_")) from None
        as_of = find_as_of(headers.get("date"), self._gate.monotonic() - started, started_at)
        answer = HttpAnswer(status, headers, body, as_of, call.changes)
        if 200 <= status < 300:
            return answer
        raise self._explain(answer)

    def _find_deadline(self, call: Call, left: float) -> float:
        """A change that is cut off early leaves an open question, so only reads have less time at the end of all tries."""
        limits = self._gate.limits
        return limits.deadline if call.changes else max(min(limits.deadline, left), limits.connect)

    async def _send(self, call: Call, sent: "_Sent", deadline: float) -> tuple[int, dict[str, str], bytes]:
        client = self._client = self._client or dial()
        limits = self._gate.limits
        request = client.build_request(
            call.method,
            self._base + call.path,
            params=list(call.params) or None,
            content=call.content if call.form is None else None,
            data=_join_form(call.form),
            headers={"accept": "application/json", **call.headers},
            extensions={"timeout": list_timeouts(limits.connect, limits.read), "trace": sent.trace},
        )
        target = request.url.raw_path.decode("ascii")
        own_path = target.removeprefix(httpx.URL(self._base).raw_path.decode("ascii").rstrip("/"))
        request.headers.update(self._authorize(call.method, own_path, request.content))
        async with asyncio.timeout(deadline):
            response = await client.send(request, stream=True, follow_redirects=False)
            try:
                body = await _read_up_to(response, limits.most_bytes)
            finally:
                await response.aclose()
        body = take_out_credentials(body, request.headers)
        return response.status_code, {name.lower(): value for name, value in response.headers.items()}, body

    def _explain(self, answer: HttpAnswer) -> PspError:
        fault = self._heed_headers(self._read_fault(answer.status, answer.body), answer.headers)
        code, message = clean_words(fault.code) or f"http_{answer.status}", clean_words(fault.message)
        kind = fault.kind or find_kind(answer.status, answer.changes)
        if issubclass(kind, NotNow):
            limit = self._gate.limits.longest_retry_after
            wait = read_retry_after(answer.headers.get("retry-after"), self._gate.clock(), limit)
            return (NotNow if fault.may_repeat else _NotAtOnce)(code, message, answer.status, wait)
        if issubclass(kind, Refused) and fault.payment_id:
            made = Answer(answer.as_of, fault.payment, fault.payment_id)
            return kind(code, message, answer.status, made)
        return kind(code, message, answer.status)

    def _cut_off(self) -> None:
        """Drop the connection and whatever still runs on it; the next call dials again."""
        runner, self._runner, self._client = self._runner, None, None
        if runner:
            runner.close()


class _NotAtOnce(NotNow):
    """The PSP asks not to be called again for the same thing; later is another matter."""


class _TooLarge(Exception):
    """The answer has more bytes than any payment."""


class _Sent:
    """Whether a byte of the request may have left: before that, nothing can have been done."""

    def __init__(self) -> None:
        self.began = False

    async def trace(self, name: str, info: Mapping[str, Any]) -> None:
        if name.endswith("send_request_headers.started"):
            self.began = True


def _is_from_psp(error: PspError) -> bool:
    """Whether the PSP itself answered and is well: a refusal, or a conflict that leaves the outcome open."""
    if isinstance(error, NotNow | OutcomeUnknown):
        return error.status is not None and error.status < 500 and error.status != TOO_MANY_REQUESTS
    return True


async def _read_up_to(response: httpx.Response, most: int) -> bytes:
    parts, size = [], 0
    async for part in response.aiter_raw():
        size += len(part)
        if size > most:
            raise _TooLarge
        parts.append(part)
    return b"".join(parts)


def _join_form(form: Sequence[tuple[str, str]] | None) -> dict[str, list[str]] | None:
    if form is None:
        return None
    joined: dict[str, list[str]] = {}
    for name, value in form:
        joined.setdefault(name, []).append(value)
    return joined
