"""Load from wrk: whole signed requests, each sent once, at full speed or by a timetable."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.deliveries import write_requests

THREADS = 2
CONNECTIONS = 64
REPLAY = Path(__file__).with_name("replay.lua")
MOST_PER_SECOND = 14_000  # requests are made ahead for this rate, so that none is sent twice
FASTER = 1.2  # nor with a timetable


@dataclass(frozen=True)
class Load:
    """What one load saw. `broken`: answers that were no 200, cut connections and time-outs."""

    requests: int
    seconds: float
    broken: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


@dataclass(frozen=True)
class Target:
    """Where deliveries go, and how they are signed."""

    port: int
    path: str
    secret: str
    folder: Path
    wrk: str = "wrk"


def run_load(
    target: Target, run: str, seconds: float, rate: float | None = None, most: float = MOST_PER_SECOND
) -> Load:
    """Send for some seconds; `run` (letters and digits) is in the id of every event. With `rate`: that many a second.

    At full speed deliveries are made for `most` a second.
    """
    ahead = int((rate * FASTER if rate else most) * (seconds + 1))
    write_requests(target.folder, ahead, THREADS, target.secret, run, target.path)
    return replay(target, seconds, rate)


def replay(target: Target, seconds: float, rate: float | None = None) -> Load:
    """Send what lies in the target's folder, see `write_requests`."""
    timetable = [str(rate / THREADS)] if rate else []
    done = subprocess.run(
        [target.wrk, f"-t{THREADS}", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", "--timeout", "10s", "--latency", "-s",
         str(REPLAY), f"http://127.0.0.1:{target.port}", "--", str(target.folder), *timetable],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"wrk failed: {done.stderr.strip() or done.stdout.strip()}")
    return read_result(done.stdout)


def read_result(said: str) -> Load:
    """The line that replay.lua writes at the end."""
    [line] = [line for line in said.splitlines() if line.startswith("RESULT")]
    requests, microseconds, bad, errors, p50, p90, p99, slowest = (int(word) for word in line.split()[1:])
    times = (number / 1000 for number in (p50, p90, p99, slowest))
    return Load(requests, microseconds / 1e6, bad + errors, *times)
