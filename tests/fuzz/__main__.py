"""`make fuzz ARGS="--seconds 60"`: every parser for so long, led by coverage; the inputs that break one are printed."""

import argparse
import sys

from tests.fuzz import led
from tests.fuzz.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("--target", action="append", choices=list(TARGETS), help="this one alone; may be repeated")
    asked = parser.parse_args()
    if not led.is_there():
        print("atheris is not installed: there are wheels for Linux on x86-64 alone. tests/fuzz runs without it.")
        return 2
    is_broken = False
    for name in asked.target or TARGETS:
        result = led.fuzz([name], asked.seconds)
        is_broken |= bool(result.crashes)
        print(f"{name}: {result.inputs} inputs, {len(result.crashes)} break it", flush=True)
        for crash in result.crashes:
            print(f"  {crash}\n{result.said[-3000:]}", flush=True)
    return int(is_broken)


if __name__ == "__main__":
    sys.exit(main())
