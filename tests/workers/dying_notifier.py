"""A process that notifies, and kills itself with SIGKILL when it has all answers and has written none of them down.

python -m tests.workers.dying_notifier DATABASE KEY
"""

import os
import signal
import sys
from dataclasses import replace
from typing import Any

from models.engine import open_engine
from notifications.sealing import Sealer
from tests.workers.notify_desk import NotifyDesk
from workers import notifying


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(address: str, key: str) -> None:
    desk = NotifyDesk(open_engine(address, "worker"))
    desk.deps = replace(desk.deps, sealer=Sealer([key]))
    waiting = notifying.asyncio.wait

    async def wait_for_all(tasks: Any, **_: Any) -> Any:
        return await waiting(tasks)

    notifying.asyncio.wait = wait_for_all
    notifying.settle = lambda _, __, sent: die() if sent else ([], set())  # type: ignore[assignment]
    notifying.notify(desk.deps)


if __name__ == "__main__":
    main(*sys.argv[1:])
