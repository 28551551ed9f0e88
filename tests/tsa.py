"""A timestamp authority for tests: certificates of every kind, and ``openssl ts`` to stamp."""

import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from der import SEQUENCE, der

DAY = timedelta(days=1)
STAMPING = (ExtendedKeyUsageOID.TIME_STAMPING,)
TST_INFO = "1.2.840.113549.1.9.16.1.4"
CONFIGURATION = """
[tsa]
default_tsa = authority
[authority]
serial = serial
default_policy = 1.2.3.4.1
digests = md5, sha1, sha256, sha384, sha512
signer_digest = sha256
ess_cert_id_chain = no
"""


class Authority:
    """A root certificate and the signers under it, in files of ``folder``."""

    def __init__(self, folder: Path, name: str = "root", lifetime: timedelta = DAY) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "serial").write_text("01\n")
        (folder / "tsa.cnf").write_text(CONFIGURATION)
        self._root = name
        self._keys = {name: ec.generate_private_key(ec.SECP256R1())}
        self._serial = 1
        now = datetime.now(UTC)
        root = self._certificate(name, name, True, (), True, now - DAY, now + lifetime)
        self.roots = folder / "root.pem"
        self.roots.write_bytes(root.public_bytes(serialization.Encoding.PEM))
        self.add_signer("tsa")

    def add_signer(
        self,
        name: str,
        *,
        usage: tuple[x509.ObjectIdentifier, ...] = STAMPING,
        critical: bool = True,
        start: timedelta = -DAY,
        end: timedelta = DAY,
        serial: int | None = None,
        issuer: str = "",
        is_authority: bool = False,
    ) -> None:
        """Make a key and a certificate, valid from ``start`` to ``end`` around now.

        Args:
            issuer: who signs it, by name; the root if empty.
            is_authority: whether it may sign others.
        """
        self._keys[name] = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        self._serial = serial or self._serial + 1
        made = self._certificate(
            name, issuer or self._root, is_authority, usage, critical, now + start, now + end
        )
        (self.folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
        (self.folder / f"{name}.key").write_bytes(
            self._keys[name].private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    def state_accuracy(self, accuracy: str) -> None:
        """Let all stamps from now on say by how much they may be off, as openssl spells it."""
        with (self.folder / "tsa.cnf").open("a") as configuration:
            configuration.write(f"accuracy = {accuracy}\n")

    def answer(self, request: bytes, signer: str = "tsa", chain: Sequence[str] = ()) -> bytes:
        """Return the response to an RFC 3161 request.

        Args:
            chain: further certificates that the token carries, by name, behind the signer's.
        """
        (self.folder / "query").write_bytes(request)
        reply = ("ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query")
        more = ("-chain", self._bag(chain)) if chain else ()
        self.openssl(*reply, *self._signer(signer), *more, "-out", "response")
        return (self.folder / "response").read_bytes()

    def stamp(
        self, data: bytes, signer: str = "tsa", digest: str = "sha256", chain: Sequence[str] = ()
    ) -> bytes:
        """Return a response over ``data``; the arguments are those of :meth:`answer`."""
        (self.folder / "data").write_bytes(data)
        self.openssl("ts", "-query", "-data", "data", f"-{digest}", "-cert", "-out", "own-query")
        return self.answer((self.folder / "own-query").read_bytes(), signer, chain)

    def stamp_as(self, data: bytes, signer: str, *more: str) -> bytes:
        """As :meth:`stamp`, by any signer, also with a certificate that ``openssl ts`` refuses.

        Args:
            more: further certificates that the token carries, by name.
        """
        response = self.stamp(data)
        (self.folder / "token").write_bytes(_content(response)[len(GRANTED) :])
        verify = ("cms", "-verify", "-inform", "DER", "-in", "token", "-noverify")
        self.openssl(*verify, "-purpose", "any", "-out", "info")
        sign = ("cms", "-sign", "-binary", "-nodetach", "-cades", "-md", "sha256", "-in", "info")
        certificates = ("-certfile", self._bag(more)) if more else ()
        form = ("-econtent_type", TST_INFO, "-outform", "DER", "-out", "signed")
        self.openssl(*sign, *self._signer(signer), *certificates, *form)
        return der(SEQUENCE, GRANTED, (self.folder / "signed").read_bytes())

    def openssl(self, *arguments: str) -> None:
        """Run openssl in the folder."""
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def _bag(self, names: Sequence[str]) -> str:
        """Write certificates into one file, in this order, and return its name."""
        bag = b"".join((self.folder / f"{name}.pem").read_bytes() for name in names)
        (self.folder / "bag.pem").write_bytes(bag)
        return "bag.pem"

    def _signer(self, name: str) -> tuple[str, ...]:
        return ("-signer", f"{name}.pem", "-inkey", f"{name}.key")

    def _certificate(
        self,
        name: str,
        issuer: str,
        authority: bool,
        usage: tuple[x509.ObjectIdentifier, ...],
        critical: bool,
        start: datetime,
        end: datetime,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name(issuer))
            .public_key(self._keys[name].public_key())
            .serial_number(self._serial)
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
        )
        if usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=critical)
        return builder.sign(self._keys[issuer], hashes.SHA256())


@contextmanager
def serving(answers: "Authority | bytes") -> Iterator[str]:
    """Serve on the loopback interface, from an authority or always the same bytes; give the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/timestamp-query"
            request = self.rfile.read(int(self.headers["Content-Length"]))
            body = answers if isinstance(answers, bytes) else answers.answer(request)
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def dripping(start: bytes) -> Iterator[str]:
    """Serve one answer that begins like this and goes on, a byte at a time, without an end."""
    closing = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.sendall(start)
            while not closing.wait(0.05):
                connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            closing.set()
            thread.join()


GRANTED = bytes.fromhex("3003020100")  # PKIStatusInfo


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _content(sequence: bytes) -> bytes:
    """Return what a DER sequence holds."""
    size = sequence[1] - 0x80 if sequence[1] >= 0x80 else 0
    return sequence[2 + size :]
