"""Crowds of attackers in a process of their own: python -m tests.faults.abuse.crowds KIND PORT COUNT.

It prints one line of JSON once all of them are at it ({"reached": N, "reason": text}), and ends with its standard input.
Whoever is hung up on comes again at once.
"""

import asyncio
import json
import os
import resource
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop

from tests.faults.abuse.wire import HOST

ROOT = Path(__file__).parents[3]
KIB = 1024
POST = b"POST /webhooks/stripe HTTP/1.1\r\nhost: x\r\nstripe-signature: t=1,v1=00\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"
OPENING = 10  # attackers that come in at the same time
OPENING_SECONDS = 20.0
LEAVING, LEAVING_SECONDS = 100, 0.02  # how many leave at a time, and how long until the next
QUIET_LOOKS = 20
LOOK_SECONDS = 0.05
AGAIN_SECONDS = 1.0


async def idle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One request that is answered, so that the line may stay, and nothing more."""
    writer.write(POST + b"content-length: 0\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")


async def stalled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(POST + b"content-length: 5000\r\n\r\n{")


async def stalled_large(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Nearly a megabyte of a body, and not its end."""
    writer.write(POST + b"content-length: 1048576\r\n\r\n" + b" " * 1_000_000)
    await writer.drain()


async def stalled_heads(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Many headers, just within the limit, and not their end."""
    writer.write(POST + b"".join(b"x-%d: %b\r\n" % (number, b"1" * 1000) for number in range(60)))


async def headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ten thousand headers, and again as soon as the line is closed."""
    writer.write(POST + b"x-flood: 1\r\n" * 10_000)
    await writer.drain()


async def trailers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A trailer without end, behind a body that is there."""
    writer.write(CHUNKED + b"2\r\n{}\r\n0\r\nx-endless: ")
    while True:
        writer.write(b"1" * 64 * KIB)
        await writer.drain()


async def crumbs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A body in chunks of two bytes, and not its end."""
    writer.write(CHUNKED)
    for _ in range(450):
        writer.write(b"2\r\nxx\r\n" * 1000)
        await writer.drain()


KINDS: dict[str, Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]] = {
    attack.__name__: attack for attack in (idle, stalled, stalled_large, stalled_heads, headers, trailers, crumbs)
}
SETTLED = frozenset({"idle"})  # the next comes in once it is done


@dataclass
class Crowd:
    """The attackers of one process."""

    kind: str
    port: int
    door: asyncio.Semaphore
    reason: str = ""
    inside: int = 0

    async def attack_for_ever(self) -> None:
        while True:
            try:
                await self._attack_once()
            except (OSError, asyncio.IncompleteReadError) as error:
                self.reason = repr(error)
            await asyncio.sleep(AGAIN_SECONDS)

    async def _attack_once(self) -> None:
        writer = None
        try:
            async with self.door:
                reader, writer = await asyncio.open_connection(HOST, self.port)
                self.inside += 1
                if self.kind in SETTLED:
                    await KINDS[self.kind](reader, writer)
            if self.kind not in SETTLED:
                await KINDS[self.kind](reader, writer)
            while await reader.read(64 * KIB):
                pass
        finally:
            if writer is not None:
                self.inside -= 1
                writer.close()


async def besiege(kind: str, port: int, count: int) -> None:
    """Until standard input ends; reports once when all are inside or no more get in."""
    crowd, loop = Crowd(kind, port, asyncio.Semaphore(OPENING)), asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: None)  # whoever is hung up on comes again, that is all
    attackers = [asyncio.create_task(crowd.attack_for_ever()) for _ in range(count)]
    left = loop.run_in_executor(None, sys.stdin.read)
    most, quiet_looks, until = 0, 0, loop.time() + OPENING_SECONDS
    while most < count and quiet_looks < QUIET_LOOKS and loop.time() < until:
        await asyncio.sleep(LOOK_SECONDS)
        quiet_looks = 0 if crowd.inside > most else quiet_looks + 1
        most = max(most, crowd.inside)
    print(
        json.dumps({"reached": most, "reason": "" if most >= count else crowd.reason or "no more in this time"}),
        flush=True,
    )
    await left
    for number, attacker in enumerate(attackers):
        attacker.cancel()
        if number % LEAVING == 0:
            await asyncio.sleep(LEAVING_SECONDS)  # machines that share nothing do not leave in the same instant either
    await asyncio.gather(*attackers, return_exceptions=True)


@dataclass(frozen=True)
class Reached:
    """How many attackers were inside at the same time, and what the last one who was not was told."""

    reached: int
    reason: str


@contextmanager
def crowd(kind: str, port: int, count: int) -> Iterator[Reached]:
    """A crowd of this kind that is at it from the first line of the block to the last."""
    argv = [sys.executable, "-m", "tests.faults.abuse.crowds", kind, str(port), str(count)]
    process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin and process.stdout
    try:
        yield Reached(**json.loads(process.stdout.readline()))
        process.stdin.close()
        process.wait(10)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def main() -> None:
    kind, port, count = sys.argv[1:]
    os.nice(10)  # attackers have machines of their own: what they cost here is not what they do to the receiver
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(besiege(kind, int(port), int(count)))


if __name__ == "__main__":
    main()
