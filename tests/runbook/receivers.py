"""A receiver with other settings than the stack's, as one that was started again after they were changed."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from embedded import LOOPBACK, free_port
from engines.launch import launch
from tests.faults.watching import answers_at, wait_until
from tests.runbook.scene import Scene
from tests.system.stack import ROOT


@contextmanager
def run_receiver(scene: Scene) -> Iterator[Callable[[str, str], None]]:
    """Yields a function that puts a value in front of a list variable, starts a receiver that has it, and lets the shell
    have both."""
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, value: str) -> None:
        url = f"http://{LOOPBACK}:{(port := free_port())}"
        scene.environment |= {name: f"{value},{scene.environment[name]}", "ACUSE_RECEIVER_URL": url}
        argv = [scene.python, "-m", "ingress.serve", "--host", LOOPBACK, "--port", str(port), "--only", "receiver"]
        with (scene.folder / "receiver.log").open("ab") as log:
            started.append(launch(argv, env=scene.environment, cwd=ROOT, output=log))
        wait_until(lambda: answers_at(f"{url}/readyz"), "the new receiver is ready", 30)

    try:
        yield start
    finally:
        for process in started:
            process.terminate()
            process.wait(30)
