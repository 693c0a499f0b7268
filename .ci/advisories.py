"""Ask the advisories about the locked packages: python .ci/advisories.py requirements.lock requirements-image.lock

The exit code is 1 where one of them has a known hole. Where the advisories cannot be asked that is said, and nothing fails.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

SECONDS = 60
AUDIT = (sys.executable, "-m", "pip_audit", "-s", "osv", "--disable-pip", "--timeout", "10")


class NotRun(Exception):
    """The advisories could not be asked. The message says why."""


def main(arguments: Sequence[str]) -> int:
    """Options of pip-audit may stand before the locks, such as --osv-url."""
    try:
        packages = ask(arguments)
    except NotRun as error:
        print(f"pip-audit: not run: {error}")
        return 0
    holes = [f"{one['name']} {one['version']}: {hole['id']}" for one in packages for hole in one.get("vulns", ())]
    for line in (*holes, f"{len(packages)} packages, {len(holes)} with a known hole"):
        print(f"pip-audit: {line}")
    return 1 if holes else 0


def ask(arguments: Sequence[str]) -> list[dict[str, Any]]:
    """What pip-audit says of every package. Raises NotRun."""
    named = [part for name in arguments for part in (["-r", name] if name.endswith(".lock") else [name])]
    argv = [*AUDIT, "--format", "json", "--progress-spinner", "off", *named]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise NotRun(f"no answer within {SECONDS} seconds") from None
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        said = done.stderr.strip().splitlines() or [f"exit {done.returncode} without a word"]
        raise NotRun(said[-1][:300]) from None
    if unknown := [one["name"] for one in packages if "skip_reason" in one]:
        raise NotRun(f"nothing is known of {', '.join(unknown)}")
    return packages


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
