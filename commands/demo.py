"""`acuse demo`: play the sample payments once and report, on the running stack or on one of its own."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

import click

from commands.database import explain_database
from commands.sample_flow import play_sample_flow
from commands.stack_parts import ROOT
from commands.stack_state import NoStack, load_state
from commands.terms import data_dir_option, fail
from config import process_environment
from embedded import free_port
from sandbox.keys import FILE_NAME, load_keys

START_SECONDS = 120
STOP_SECONDS = 60
ALL_PARTS = {"web", "worker", "worker_psp", "worker_notify", "worker_reconcile", "beat", "sandbox"}


class DemoFailed(Exception):
    """The demonstration could not be given. The message says why."""


@click.command()
@data_dir_option
def demo(data_dir: Path) -> None:
    """Play the sample payments once and report. Exit 0 only if every payment ends as it must.

    Uses the stack that runs in the data folder; where none runs, starts one of its own and removes it afterwards.
    """
    try:
        with _find_stack(data_dir) as stack:
            succeeded = _play(stack)
    except DemoFailed as error:
        fail(str(error))
    sys.exit(0 if succeeded else 1)


def _find_stack(data_dir: Path) -> AbstractContextManager[Path]:
    try:
        load_state(data_dir)
    except NoStack:
        return own_stack()
    return nullcontext(data_dir)


def _play(data_dir: Path) -> bool:
    try:
        environment = load_state(data_dir).environment
        keys = load_keys(data_dir / "sandbox" / FILE_NAME)
        receiver_url = environment["ACUSE_RECEIVER_URL"]
    except NoStack as error:
        raise DemoFailed(str(error)) from None
    except (OSError, KeyError):
        raise DemoFailed("the running stack has no sandbox: start it with `acuse up`") from None
    with explain_database():
        return play_sample_flow(receiver_url, keys, environment, click.echo)


@contextmanager
def own_stack() -> Iterator[Path]:
    """The data folder of a stack that is ready; the stack and the folder are gone afterwards.

    Nothing of the caller's configuration reaches it: it must play the samples as they are.
    """
    folder = Path(tempfile.mkdtemp(prefix="acuse-demo-"))
    data_dir = folder / "data"
    log = folder / "up.log"
    click.echo("starting a stack of its own ...")
    argv = [sys.executable, "-m", "cli", "up", "--port", str(free_port()), "--data-dir", str(data_dir)]
    environment = {name: value for name, value in process_environment().items() if not name.startswith("ACUSE_")}
    with log.open("wb") as output:
        # Its own session: Ctrl-C reaches us alone, and we stop it in order.
        process = subprocess.Popen(
            argv, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        _wait_until_ready(process, data_dir, log)
        yield data_dir
    finally:
        _stop(process)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_ready(process: subprocess.Popen[bytes], data_dir: Path, log: Path) -> None:
    give_up_at = time.monotonic() + START_SECONDS
    while not _is_ready(data_dir):
        if process.poll() is not None:
            raise DemoFailed(f"the stack ended while starting:\n{_tail(log)}")
        if time.monotonic() > give_up_at:
            raise DemoFailed(f"the stack was not ready after {START_SECONDS} s:\n{_tail(log)}")
        time.sleep(0.2)


def _is_ready(data_dir: Path) -> bool:
    with suppress(NoStack):
        processes = load_state(data_dir).processes
        return processes.keys() >= ALL_PARTS and all(child["state"] == "running" for child in processes.values())
    return False


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.terminate()  # the second one asks it to hurry
        process.wait()
