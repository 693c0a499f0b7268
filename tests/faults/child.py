"""Starts one of our programs with a fault built in: python -m tests.faults.child [options] -- celery -A ... worker

The program itself is the one that is shipped; what is changed is changed before it starts, in this process alone.
"""

import argparse
import os
import runpy
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import crash_points
from tests.faults import broken, conditions

ACTIONS = ("kill", "kill group", "stop")


def arm(markers: Mapping[str, Path], action: str, nth: int) -> None:
    """Have `action` happen when this process comes to one of these points for the nth time, once at each, in one process
    only: the one that makes the point's marker, which is the proof that it happened."""
    seen: Counter[str] = Counter()

    def reach(name: str) -> None:
        seen[name] += 1
        if name in markers and seen[name] >= nth and _is_first(markers[name]):
            _act(action)

    crash_points.reach = reach


def list_markers(points: Sequence[str], marker: Path) -> dict[str, Path]:
    """`marker` itself for one point; for several it is what the names of their markers begin with."""
    return {point: marker if len(points) == 1 else Path(f"{marker}-{point}") for point in points}


def _is_first(marker: Path) -> bool:
    try:
        file = os.open(marker, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return False
    os.write(file, f"{os.getpid()} {time.time()}".encode())
    os.fsync(file)
    os.close(file)
    return True


def _act(action: str) -> None:
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "kill group":
        os.killpg(0, signal.SIGKILL)
    else:
        os.killpg(0, signal.SIGSTOP)


def shift_clock(seconds: float) -> None:
    """Let the clock of every part go before or after by so much. Signatures are judged by the real one."""
    import bootstrap_starting

    bootstrap_starting.utc_now = lambda: datetime.now(UTC) + timedelta(seconds=seconds)


def set_visibility(seconds: int) -> None:
    """Have the broker give a message to another worker when it is not acknowledged for so long."""
    import celeryconfig

    celeryconfig.visibility_timeout = seconds
    celeryconfig.REDIS_OPTIONS |= {"visibility_timeout": seconds, "unacked_restore_interval": 1}


def main() -> None:
    """Change what the options say and become the program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--at", action="append", default=[])
    parser.add_argument("--do", default="kill", choices=ACTIONS)
    parser.add_argument("--nth", type=int, default=1)
    parser.add_argument("--marker", type=Path)
    parser.add_argument("--break", dest="broken", action="append", default=[], choices=list(broken.BUILDS))
    parser.add_argument("--shift", type=float, default=0.0)
    parser.add_argument("--visibility", type=int, default=0)
    parser.add_argument("--with", dest="conditions", action="append", default=[], metavar="NAME=TEXT")
    parser.add_argument("module")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if options.at:
        arm(list_markers(options.at, options.marker), options.do, options.nth)
    if options.shift:
        shift_clock(options.shift)
    if options.visibility:
        set_visibility(options.visibility)
    for condition in options.conditions:
        conditions.apply(condition)
    for name in options.broken:
        broken.BUILDS[name]()
    sys.argv = [options.module, *options.arguments]
    runpy.run_module(options.module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
