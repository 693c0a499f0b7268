"""A canary that must hear nothing, networks below the wall that never leave this machine, and a server with TLS."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpcore
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from notifications.sending import Sender, SendResult
from tests.psps.loopback import Loopback, Piece

PUBLIC, PUBLIC_V6 = "93.184.216.34", "2606:2800:220:1::248"
NAME = "hooks.example"


class Canary:
    """Listens on this machine, on 127.0.0.1 and where there is one on ::1, and counts who connects."""

    def __init__(self) -> None:
        self._peers: list[tuple[str, int]] = []
        self._knocks = 0
        self._heard = threading.Condition()
        self._listeners = [socket.create_server(("127.0.0.1", 0))]
        self.port = int(self._listeners[0].getsockname()[1])
        with suppress(OSError):  # no IPv6 here
            self._listeners.append(socket.create_server(("::1", self.port), family=socket.AF_INET6))
        for listener in self._listeners:
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def count(self) -> int:
        """How many have connected until now. Connections are accepted in their order, so a knock of our own comes last."""
        for listener in self._listeners:
            with socket.create_connection(listener.getsockname()[:2], 5) as knock, self._heard:
                own = knock.getsockname()[:2]
                assert self._heard.wait_for(lambda own=own: own in self._peers, 5), "the canary is deaf"
                self._knocks += 1
        return len(self._peers) - self._knocks

    def stop(self) -> None:
        for listener in self._listeners:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, peer = listener.accept()
            except OSError:
                return
            with connection, self._heard:
                self._peers.append(peer[:2])
                self._heard.notify_all()


class OneRoad(httpcore.AnyIOBackend):
    """A network in which every address is this machine at `port`. What is dialled is noted; nothing leaves."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.dialled: list[tuple[str, int]] = []

    async def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):
        self.dialled.append((host, port))
        return await super().connect_tcp("127.0.0.1", self.port, timeout, local_address, socket_options)


class Names:
    """A name server that gives the next of its answers to each question, and the last one from then on."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = [list(answer) for answer in answers]
        self.asked: list[tuple[str, int]] = []

    async def resolve(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class TlsLoopback(Loopback):
    """A misbehaving server behind TLS. `names` are the host names that its clients asked for."""

    def __init__(self, context: ssl.SSLContext, *script: Piece) -> None:
        self.names: list[str | None] = []
        self._context = context
        context.sni_callback = lambda _, name, __: self.names.append(name)
        super().__init__(*script)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def _serve(self, connection: socket.socket) -> None:
        try:
            secured = self._context.wrap_socket(connection, server_side=True)
        except OSError:
            connection.close()
        else:
            super()._serve(secured)


@dataclass(frozen=True)
class Authority:
    """A certificate authority of our own."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def trust(self) -> ssl.SSLContext:
        """A client that trusts it and nobody else."""
        return ssl.create_default_context(cadata=self.certificate.public_bytes(Encoding.PEM).decode())

    def serve(self, folder: Path, *names: str) -> ssl.SSLContext:
        """A server with a certificate for `names`, which may be IP addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(key, names)
        file = folder / "server.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write_bytes(private + certificate.public_bytes(Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _sign(self, key: ec.EllipticCurvePrivateKey, names: Sequence[str]) -> x509.Certificate:
        builder = start_certificate("server", self.certificate.subject, key)
        builder = builder.add_extension(x509.SubjectAlternativeName([general_name(name) for name in names]), False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return builder.add_extension(issuer, False).sign(self.key, SHA256())


def make_authority() -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
    builder = start_certificate("authority", subject, key).add_extension(x509.BasicConstraints(True, None), True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    return Authority(key, builder.sign(key, SHA256()))


def start_certificate(subject: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
    )


def general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def make_local(deadline: float = 15.0) -> Sender:
    """A sender as in development. It trusts nobody, because to load the authorities of the world takes a tenth of a second."""
    return Sender(True, ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), deadline=deadline)


def send(sender: Sender, url: str, body: bytes = b"{}", headers: Sequence[tuple[str, str]] = ()) -> SendResult:
    """One delivery in an event loop of its own."""

    async def run() -> SendResult:
        try:
            return await sender.send(url, headers, body)
        finally:
            await sender.close()

    return asyncio.run(run())
