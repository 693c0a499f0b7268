"""A TCP proxy that misbehaves on request: before Postgres, before Redis, before the simulated PSPs."""

import asyncio
import socket
import struct
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from embedded import LOOPBACK

CHUNK = 65_536
RESET_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST

PASS, LATENCY, DRIP, BLACK_HOLE, RESET, CUT, REFUSE = "pass", "latency", "drip", "black hole", "reset", "cut", "refuse"
MODES = (PASS, LATENCY, DRIP, BLACK_HOLE, RESET, CUT, REFUSE)


@dataclass
class Toxic:
    """How the proxy behaves now. `seconds` of latency for each chunk, `rate` bytes a second of drip, `after` bytes of a
    reply until it is cut."""

    mode: str = PASS
    seconds: float = 0.0
    rate: int = 100
    after: int = 20


@dataclass
class FaultProxy:
    """Forwards from a port of its own to `upstream`, in a thread of its own. `counts` tells how often each mode struck."""

    upstream: int
    port: int = 0
    toxic: Toxic = field(default_factory=Toxic)
    counts: Counter[str] = field(default_factory=Counter)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._changed = asyncio.Event()
        started = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(started,), daemon=True)
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def set(self, mode: str, *, seconds: float = 0.0, rate: int = 100, after: int = 20) -> None:
        """Behave so from now on, towards open connections too. RESET and REFUSE break those that are open."""
        assert mode in MODES
        change = self._change(Toxic(mode, seconds, rate, after))
        asyncio.run_coroutine_threadsafe(change, self._loop).result(10)

    async def _change(self, toxic: Toxic) -> None:
        if toxic.mode == REFUSE and self._server:
            self._server.close()
            self._server = None
        elif toxic.mode != REFUSE and not self._server:
            self._server = await self._listen()
        self.counts[REFUSE] += toxic.mode == REFUSE  # nobody can count who is refused
        self.toxic = toxic
        self._changed.set()
        self._changed = asyncio.Event()
        if toxic.mode in (RESET, REFUSE):
            self._reset_all()

    def _reset_all(self) -> None:
        writers = list(self._writers)
        for writer in writers:
            _reset(writer)
        self.counts[RESET] += len(writers) // 2

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._meet, LOOPBACK, self.port, backlog=512)

    def _serve(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._server: asyncio.Server | None = self._loop.run_until_complete(self._listen())
        self.port = self._server.sockets[0].getsockname()[1]
        started.set()
        self._loop.run_forever()
        if self._server:
            self._server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.toxic.mode == RESET:
            self.counts[RESET] += 1
            _reset(writer)
            return
        try:
            there, upstream = await asyncio.open_connection(LOOPBACK, self.upstream)
        except OSError:
            _reset(writer)
            return
        self._writers |= {writer, upstream}
        try:
            await asyncio.gather(self._pump(reader, upstream, is_reply=False), self._pump(there, writer, is_reply=True))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            for end in (writer, upstream):
                self._writers.discard(end)
                _reset(end)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_reply: bool) -> None:
        while chunk := await reader.read(CHUNK):
            await self._pass_on(chunk, writer, is_reply)
        with suppress(OSError):
            writer.write_eof()

    async def _pass_on(self, chunk: bytes, writer: asyncio.StreamWriter, is_reply: bool) -> None:
        while (toxic := self.toxic).mode == BLACK_HOLE:
            self.counts[BLACK_HOLE] += 1
            await self._changed.wait()
        if toxic.mode == LATENCY:
            self.counts[LATENCY] += 1
            await asyncio.sleep(toxic.seconds)
        elif toxic.mode == DRIP and is_reply:
            self.counts[DRIP] += 1
            await self._drip(chunk, writer)
            return
        elif toxic.mode == CUT and is_reply:
            self.counts[CUT] += 1
            writer.write(chunk[: toxic.after])
            with suppress(OSError):
                await writer.drain()
            raise ConnectionResetError
        writer.write(chunk)
        await writer.drain()

    async def _drip(self, chunk: bytes, writer: asyncio.StreamWriter) -> None:
        for place in range(len(chunk)):
            if self.toxic.mode != DRIP:
                writer.write(chunk[place:])
                break
            writer.write(chunk[place : place + 1])
            await writer.drain()
            await asyncio.sleep(1 / self.toxic.rate)
        await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    link = writer.get_extra_info("socket")
    with suppress(OSError):
        if link is not None:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_ONCE)
    writer.transport.abort()
