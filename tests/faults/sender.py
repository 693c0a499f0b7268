"""The sender's side: python -m tests.faults.sender --target URL --keys FILE --acks FILE --truth FILE --count N ...

Plays life cycles of simulated PSPs, writes down how each payment must end by the PSP's own record and by the reference model,
and sends the webhooks, each attempt on the disk before the next step. Ends with 1 unless every genuine delivery was
acknowledged and every forged one refused.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from sandbox.ack_log import AckLog
from sandbox.faults import Faults
from sandbox.flows import play_mixture
from sandbox.identity import Identity
from sandbox.keys import load_keys
from sandbox.runs import run
from sandbox.sender import Route
from tests.faults.model import expected_payments


def main() -> int:
    """Send, and tell how it went as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", required=True)
    for name in ("--keys", "--acks", "--truth"):
        parser.add_argument(name, type=Path, required=True)
    for name in ("--count", "--seed", "--connections"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--psps", required=True)
    parser.add_argument("--deadline", type=float, default=200.0)
    for name in ("--duplicates", "--delay", "--drop", "--tamper"):
        parser.add_argument(name, type=float, default=0.0)
    parser.add_argument("--shuffle", action="store_true")
    asked = parser.parse_args()
    now = int(time.time())
    played = play_mixture(asked.count, asked.psps.split(","), Identity(asked.seed, now), now)
    model = expected_payments(webhook for life in played for webhook in life.webhooks) if not asked.drop else {}
    faults = Faults(asked.duplicates, asked.shuffle, asked.delay, asked.drop, asked.tamper)
    with AckLog(asked.acks) as acks:
        route = Route(asked.target, load_keys(asked.keys), asked.connections, deadline=asked.deadline, ack_log=acks)
        finished = run(played, faults, asked.seed, route)
    modelled = [[*payment, *end] for payment, end in model.items()]
    asked.truth.write_text(json.dumps({"expected": finished.expected, "model": modelled}))
    print(json.dumps(finished.report.as_dict()))
    return 0 if finished.report.clean else 1


if __name__ == "__main__":
    sys.exit(main())
