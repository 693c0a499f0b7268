"""Starts child processes that cannot outlive their parent, as the caller, in a user namespace, or as another id.

Run as a script this file is the child's side: it prepares itself and then becomes the program. That keeps Python code
out of the moment between fork and exec, where a threaded parent may deadlock.
"""

import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

AS_CALLER = "caller"
IN_NAMESPACE = "namespace"  # the caller has an ordinary id with a name inside, and still owns the same files
CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1


def launch(
    argv: Sequence[str | Path],
    *,
    identity: str = AS_CALLER,
    death_signal: signal.Signals = signal.SIGTERM,
    env: Mapping[str, str],
    cwd: Path | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    output: int | IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Start `argv` in its own session; stdout and stderr go to `output`.

    `identity` is AS_CALLER, IN_NAMESPACE or the number of a user and group id (needs root). `death_signal` is sent to
    the child when the thread that called this ends, however it ends: call it from the main thread.
    """
    side = [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(int(death_signal)), identity]
    return subprocess.Popen(
        [*side, *map(str, argv)],
        env=dict(env),
        cwd=cwd,
        stdin=stdin,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        start_new_session=True,
    )


def can_use(identity: str, paths: Sequence[Path]) -> bool:
    """True if a child with this identity can be made, and reaches every one of `paths`."""
    script = "import os,sys; sys.exit(not (os.getuid() and all(os.access(p, os.X_OK) for p in sys.argv[1:])))"
    argv = [sys.executable, "-I", "-S", "-c", script, *map(str, paths)]
    return launch(argv, identity=identity, env={}, output=subprocess.DEVNULL).wait() == 0


def named_id() -> int:
    """An unprivileged id that has a name on this machine: initdb runs under no other."""
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        return next((user.pw_uid for user in pwd.getpwall() if user.pw_uid), os.geteuid())


def _become(parent: int, death_signal: int, identity: str, argv: list[str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if identity == IN_NAMESPACE:
        _enter_namespace(libc)
    elif identity != AS_CALLER:
        os.setgroups([])
        os.setgid(int(identity))
        os.setuid(int(identity))
    _call(libc.prctl, PR_SET_PDEATHSIG, death_signal, 0, 0, 0)  # after the change of id, which clears it
    if os.getppid() != parent:
        sys.exit("the parent ended before its child began")
    os.execvp(argv[0], argv)


def _enter_namespace(libc: ctypes.CDLL) -> None:
    user, group, inner = os.geteuid(), os.getegid(), named_id()
    _call(libc.unshare, CLONE_NEWUSER)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{inner} {user} 1"),
        ("gid_map", f"{inner} {group} 1"),
    ):
        Path("/proc/self", name).write_text(text, encoding="ascii")


def _call(function: Any, *arguments: int) -> None:
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    try:
        _become(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
    except OSError as error:
        sys.exit(f"cannot start {sys.argv[4]}: {error}")
