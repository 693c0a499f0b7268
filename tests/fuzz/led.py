"""Fuzzing that is led by coverage: a process of its own, which atheris ends, tries some targets for some seconds.

An input is a byte that chooses the target, and what is given to it.
"""

import base64
import importlib.util
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = ["ingress", "notifications", "psps", "schedules", "tests.fuzz"]  # what coverage is counted in
MOST_BYTES, SLOWEST_SECONDS, MOST_MEGABYTES, SEED = 4096, 10, 2048, 1
COUNT = re.compile(r"stat::number_of_executed_units:\s*([0-9]+)")


def is_there() -> bool:
    """Whether atheris is installed: there are wheels for Linux on x86-64 alone."""
    return importlib.util.find_spec("atheris") is not None


@dataclass(frozen=True)
class Led:
    """What came of it. `crashes` are the inputs, as base64 behind the name of their target; `said` is the fuzzer's output."""

    inputs: int
    crashes: list[str]
    said: str


def fuzz(names: Sequence[str], seconds: int) -> Led:
    """Try the targets for so long, from their seeds, in another process."""
    with tempfile.TemporaryDirectory() as folder:
        crashes = Path(folder, "crashes")
        crashes.mkdir()
        limits = (f"-max_total_time={seconds}", f"-timeout={SLOWEST_SECONDS}", f"-rss_limit_mb={MOST_MEGABYTES}")
        options = (
            *limits,
            f"-max_len={MOST_BYTES}",
            f"-seed={SEED}",
            "-print_final_stats=1",
            f"-artifact_prefix={crashes}/",
        )
        command = [sys.executable, "-m", __name__, *names, "--", *options, str(Path(folder, "corpus"))]
        done = subprocess.run(
            command, check=False, cwd=ROOT, capture_output=True, text=True, errors="replace", timeout=seconds * 3 + 300
        )
        said = done.stdout + done.stderr
        found = [_describe(names, path.read_bytes()) for path in sorted(crashes.iterdir())]
        if done.returncode and not found:
            raise RuntimeError(f"the fuzzer ended with {done.returncode}: {said[-2000:]}")
        count = COUNT.search(said)
        return Led(int(count[1]) if count else 0, found, said)


def _describe(names: Sequence[str], data: bytes) -> str:
    return f"{_choose(names, data)}: {base64.b64encode(data[1:]).decode()}"


def _choose(names: Sequence[str], data: bytes) -> str:
    return names[data[0] % len(names)] if data else names[0]


def main() -> None:
    """The process of its own: names of targets, `--`, and libFuzzer's options with the folder of the corpus last."""
    import atheris

    split = sys.argv.index("--")
    names, options = sys.argv[1:split], sys.argv[split + 1 :]
    with atheris.instrument_imports(include=OURS):
        from tests.fuzz.targets import FAULTY, TARGETS

    targets = {**TARGETS, **FAULTY}
    corpus = Path(options[-1])
    corpus.mkdir()
    for number, name in enumerate(names):
        for seed, data in enumerate(targets[name].seeds()):
            (corpus / f"{number}-{seed}").write_bytes(bytes([number]) + data)

    def run(data: bytes) -> None:
        targets[_choose(names, data)].run(data[1:])

    atheris.Setup([sys.argv[0], *options], run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
