"""`acuse` for a shell, without the second that Python takes to import it: python -m tests.runbook.forking SOCKET

It has imported the command and waits. Whoever connects hands over its input and output, arguments, folder and environment; a
process of its own becomes that command, and its exit code is the answer.
"""

import json
import os
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import cli

# Runs under -I -S, so that it starts at once.
CLIENT = """
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as line:
    line.connect({socket!r})
    told = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(line, [len(told).to_bytes(4, "big")], [0, 1, 2])
    line.sendall(told)
    sys.exit(int(line.recv(4) or b"70"))
"""


def main() -> None:
    """Serve until SIGTERM."""
    for place in cli.COMMANDS.values():
        import_module(f"commands.{place.partition(':')[0]}")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(sys.argv[1])
        door.listen()
        while True:
            line, _ = door.accept()
            if os.fork() == 0:
                door.close()
                _answer(line)
            line.close()


def _answer(line: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, files, *_ = socket.recv_fds(line, 4, 3)
    told = b""
    while len(told) < int.from_bytes(size, "big"):
        told += line.recv(1 << 16)
    arguments, folder, environment = json.loads(told)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, file in enumerate(files):
        os.dup2(file, number)
    code = 70
    try:
        cli.main(arguments, prog_name="acuse")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        line.sendall(str(code).encode())
        os._exit(code)


def write_client(path: Path, address: Path) -> None:
    """The program that a shell finds."""
    path.write_text(f"#!{sys.executable} -IS\n{CLIENT.format(socket=str(address))}")
    path.chmod(0o755)


if __name__ == "__main__":
    main()
