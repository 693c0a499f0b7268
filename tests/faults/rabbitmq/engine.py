"""RabbitMQ as a child process of a test, with everything that it writes in one folder and every port on loopback."""

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from embedded import LOOPBACK, RunningEngine, free_port
from engines.launch import launch
from engines.place import make_private

# The programs on the path change the user when root calls them; these do not.
PROGRAMS = Path("/usr/lib/rabbitmq/bin")
USER = "acuse"
GREETING, START_FRAME = b"AMQP\x00\x00\x09\x01", 1
ON_LOOPBACK = "-kernel inet_dist_use_interface {127,0,0,1}"
OTHER_NAME = "127.0.0.2"  # also of this machine, but not in the certificate
SETTINGS = """\
listeners.tcp.1 = {host}:{port}
listeners.ssl.1 = {host}:{tls_port}
listeners.ssl.2 = {other}:{tls_port}
ssl_options.cacertfile = {folder}/certificate.pem
ssl_options.certfile = {folder}/certificate.pem
ssl_options.keyfile = {folder}/key.pem
default_user = {user}
default_pass = {password}
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 50MB
raft.wal_max_size_bytes = 16777216
log.console = false
log.file.level = warning
"""


def find_reason_to_skip() -> str | None:
    """Why there can be no RabbitMQ here, or None."""
    if not (PROGRAMS / "rabbitmq-server").exists() or not shutil.which("epmd"):
        return f"no {PROGRAMS}/rabbitmq-server on this machine: install rabbitmq-server"
    return None


@dataclass
class Rabbit:
    """RabbitMQ in a folder. It may be killed, stopped and started again with the same address."""

    folder: Path
    port: int
    tls_port: int
    environment: dict[str, str] = field(repr=False)
    password: str = field(repr=False)
    engine: RunningEngine = field(init=False)

    @property
    def url(self) -> str:
        return f"amqp://{USER}:{self.password}@{LOOPBACK}:{self.port}//"

    def tls_url(self, host: str = LOOPBACK) -> str:
        """Its certificate is for 127.0.0.1 alone, and signed by itself: folder/certificate.pem must be trusted."""
        return f"amqps://{USER}:{self.password}@{host}:{self.tls_port}//"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        return self.engine.process

    def kill(self) -> None:
        """End it as a crash would (kill -9)."""
        self.engine.kill()

    def stop(self) -> None:
        """Shut down cleanly."""
        self.engine.stop()

    def start(self) -> None:
        """Start it, with the data that is there. Returns when it takes connections."""
        self._write_settings()
        log = self.folder / "rabbit.log"
        server = [PROGRAMS / "rabbitmq-server", "-noinput"]
        with log.open("ab") as output:
            process = launch(server, env=self.environment, cwd=self.folder, output=output)
        self.engine = RunningEngine(
            name="RabbitMQ",
            version=_read_version(),
            folder=self.folder,
            log=log,
            port=self.port,
            url=self.url,
            process=process,
            stop_signal=signal.SIGTERM,
            answers=lambda: _greets(self.port),
        )
        self.engine.wait_until_ready()

    def _write_settings(self) -> None:
        place = {"host": LOOPBACK, "other": OTHER_NAME, "port": self.port, "tls_port": self.tls_port}
        settings = self.folder / "rabbitmq.conf"
        settings.touch(mode=0o600)
        settings.write_text(SETTINGS.format(**place, user=USER, password=self.password, folder=self.folder))

    def forget(self) -> None:
        """Remove the data of a server that does not run: it starts without queues and messages."""
        shutil.rmtree(self.folder / "data")

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Hold it: connections stay open and are taken, nothing is answered."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def control(self, *arguments: str) -> str:
        """What a rabbitmqctl command says."""
        command = [str(PROGRAMS / "rabbitmqctl"), "-q", *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def queue_types(self) -> dict[str, str]:
        """quorum or classic, by the name of the queue."""
        said = json.loads(self.control("list_queues", "name", "type", "--formatter", "json"))
        return {queue["name"]: queue["type"] for queue in said}


@contextmanager
def start_rabbit(folder: Path) -> Iterator[Rabbit]:
    """A RabbitMQ without data in `folder`, and the name server that Erlang needs; both end with the block."""
    make_private(folder)
    environment = _write_environment(folder, free_port())
    names = _start_names(folder, environment)
    try:
        _write_certificate(folder)
        rabbit = Rabbit(folder, free_port(), free_port(), environment, secrets.token_urlsafe(24))
        rabbit.start()
        try:
            yield rabbit
        finally:
            rabbit.process.send_signal(signal.SIGCONT)
            rabbit.stop()
    finally:
        names.terminate()
        names.wait(10)


def _write_environment(folder: Path, names_port: int) -> dict[str, str]:
    """Everything that would otherwise be the machine's: the name, the cookie, the folders and the ports."""
    cookie = folder / ".erlang.cookie"
    cookie.touch(mode=0o600)
    cookie.write_text(secrets.token_hex(20))
    cookie.chmod(0o400)
    (folder / "plugins").write_text("[].\n")
    (folder / "empty").touch()
    return {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "ERL_EPMD_ADDRESS": LOOPBACK,
        "ERL_EPMD_PORT": str(names_port),
        "RABBITMQ_NODENAME": f"acuse-{uuid4().hex[:8]}@localhost",
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "empty"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"+S 1:1 +SDio 2 {ON_LOOPBACK}",
        "RABBITMQ_CTL_ERL_ARGS": ON_LOOPBACK,
        "RABBITMQ_ALLOW_INPUT": "1",  # the process is then the server, without a shell around it
    }


def _start_names(folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Erlang would start its name server as a daemon that outlives it."""
    with (folder / "names.log").open("ab") as log:
        names = launch(["epmd"], env=environment, cwd=folder, output=log)
    _wait_for(lambda: _connects(int(environment["ERL_EPMD_PORT"])), "the name server listens", 10)
    return names


def _write_certificate(folder: Path) -> None:
    key, now = rsa.generate_private_key(65537, 2048), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "RabbitMQ of a test")])
    certificate = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=12))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(LOOPBACK))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _read_version() -> str:
    """From the name of the folder that it is installed in."""
    found = re.search(r"rabbitmq_server-([0-9.]+)", str((PROGRAMS / "rabbitmq-server").resolve()))
    return found[1] if found else "unknown"


def _greets(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1) as link:
            link.sendall(GREETING)
            return link.recv(1) == bytes([START_FRAME])
    except OSError:
        return False


def _connects(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def _wait_for(holds: Callable[[], bool], what: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)
