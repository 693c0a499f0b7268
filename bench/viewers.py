"""People who look at the operators' pages: a program of its own at the lowest priority, since their browsers are on other machines.

It is told in one line of JSON on stdin: `api`, `cookies`, `pages` and how many `viewers`. It says that it is ready, looks until stdin
ends, and writes one line of JSON: `seen`, milliseconds by kind of page, and `wrong`, the pages that were not answered 200.
"""

import json
import os
import re
import sys
import threading
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import uniform

import httpx

PAUSE_SECONDS = 1.0  # after each page, on average: people do not click all at the same moment
LOWEST = 19
READY = "ready"


@dataclass
class Viewer:
    """One person who looks at page after page, beginning at one of them; milliseconds by kind of page."""

    client: httpx.Client
    pages: list[str]
    first: int
    seen: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wrong: list[str] = field(default_factory=list)

    def look_around(self, stop: threading.Event) -> None:
        page = self.first
        while not stop.wait(uniform(0, 2 * PAUSE_SECONDS)):  # nosec B311 - a pause
            path = self.pages[page % len(self.pages)]
            begun = time.monotonic()
            answer = self.client.get(path)
            self.seen[re.sub(r"[0-9a-f-]{8,}|\d+", "N", path)].append((time.monotonic() - begun) * 1000)
            if answer.status_code != 200:
                self.wrong.append(f"{path}: {answer.status_code}")
            page += 1


def main() -> None:
    os.nice(LOWEST)
    with suppress(OSError):  # the priority of a session among others, where Linux groups by them
        Path("/proc/self/autogroup").write_text(str(LOWEST))
    told = json.loads(sys.stdin.readline())
    many, pages = told["viewers"], told["pages"]
    clients = [
        httpx.Client(base_url=told["api"], cookies=told["cookies"], trust_env=False, timeout=30) for _ in range(many)
    ]
    # Together they see all of the pages soon.
    viewers = [Viewer(client, pages, number * len(pages) // many) for number, client in enumerate(clients)]
    stop = threading.Event()
    threads = [threading.Thread(target=viewer.look_around, args=(stop,)) for viewer in viewers]
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
    for thread in threads:
        thread.start()
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    seen: dict[str, list[float]] = defaultdict(list)
    for viewer in viewers:
        for page, times in viewer.seen.items():
            seen[page] += times
    sys.stdout.write(json.dumps({"seen": seen, "wrong": [one for viewer in viewers for one in viewer.wrong]}))


if __name__ == "__main__":
    main()
