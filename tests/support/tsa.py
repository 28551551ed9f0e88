"""A timestamp authority for tests: certificates of every kind, and ``openssl ts`` to stamp."""

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from support.der import BITS, NULL, SEQUENCE, der, oid

DAY = timedelta(days=1)
STAMPING = (ExtendedKeyUsageOID.TIME_STAMPING,)
TST_INFO = "1.2.840.113549.1.9.16.1.4"
WEAK_SIGNATURES = {  # AlgorithmIdentifiers of certificates
    ("rsa", "md5"): (oid("2a864886f70d010104"), der(NULL)),
    ("rsa", "sha1"): (oid("2a864886f70d010105"), der(NULL)),
    ("rsa", "sha224"): (oid("2a864886f70d01010e"), der(NULL)),
    ("ecdsa", "sha1"): (oid("2a8648ce3d0401"),),
}
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

    def __init__(
        self,
        folder: Path,
        name: str = "root",
        lifetime: timedelta = DAY,
        key: CertificateIssuerPrivateKeyTypes | None = None,
        digest: str = "sha256",
    ) -> None:
        """Make the root and the signer ``tsa`` in a folder.

        Args:
            key: of the root; one that is strong if not given.
            digest: of the root's signature of itself.
        """
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "serial").write_text("01\n")
        (folder / "tsa.cnf").write_text(CONFIGURATION)
        self._root = name
        self._keys: dict[str, CertificateIssuerPrivateKeyTypes] = {}
        self._serial = 1
        self.roots = folder / "root.pem"
        now = datetime.now(UTC)
        self._keys[name] = key or ec.generate_private_key(ec.SECP256R1())
        self._write(
            "root", self._certificate(name, name, True, (), True, now - DAY, now + lifetime)
        )
        if digest != "sha256":
            self.sign_again("root", "root", digest)
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
        key: CertificateIssuerPrivateKeyTypes | None = None,
        digest: str = "sha256",
    ) -> None:
        """Make a key and a certificate, valid from ``start`` to ``end`` around now.

        Args:
            issuer: who signs it, by name; the root if empty.
            is_authority: whether it may sign others.
            key: its key; one that is strong if not given.
            digest: of its issuer's signature.
        """
        self._keys[name] = key or ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        self._serial = serial or self._serial + 1
        made = self._certificate(
            name, issuer or self._root, is_authority, usage, critical, now + start, now + end
        )
        self._write(name, made)
        if digest != "sha256":
            self.sign_again(name, issuer or "root", digest)

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

    def stamp_as(
        self,
        data: bytes,
        signer: str,
        *more: str,
        digest: str = "sha256",
        change: Callable[[bytes], bytes] = bytes,
    ) -> bytes:
        """As :meth:`stamp`, by any signer, also with a certificate that ``openssl ts`` refuses.

        Args:
            more: further certificates that the token carries, by name.
            digest: of the signature.
            change: what is done to the TSTInfo before it is signed, DER.
        """
        response = self.stamp(data)
        (self.folder / "token").write_bytes(_content(response)[len(GRANTED) :])
        verify = ("cms", "-verify", "-inform", "DER", "-in", "token", "-noverify")
        self.openssl(*verify, "-purpose", "any", "-out", "info")
        info = self.folder / "info"
        info.write_bytes(change(info.read_bytes()))
        sign = ("cms", "-sign", "-binary", "-nodetach", "-cades", "-md", digest, "-in", "info")
        certificates = ("-certfile", self._bag(more)) if more else ()
        form = ("-econtent_type", TST_INFO, "-outform", "DER", "-out", "signed")
        self.openssl(*sign, *self._signer(signer), *certificates, *form)
        return der(SEQUENCE, GRANTED, (self.folder / "signed").read_bytes())

    def verify(self, data: bytes, response: bytes) -> None:
        """Let ``openssl ts -verify`` judge a response; raises where it refuses it."""
        (self.folder / "judged.bin").write_bytes(data)
        (self.folder / "judged.tsr").write_bytes(response)
        verify = ("ts", "-verify", "-in", "judged.tsr", "-data", "judged.bin")
        self.openssl(*verify, "-CAfile", self.roots.name)

    def sign_again(self, name: str, issuer: str, digest: str) -> None:
        """Sign a certificate over a digest that the library of :meth:`_certificate` refuses."""
        certificate = x509.load_pem_x509_certificate((self.folder / f"{name}.pem").read_bytes())
        kind = "rsa" if isinstance(self._key(issuer), rsa.RSAPrivateKey) else "ecdsa"
        algorithm = der(SEQUENCE, *WEAK_SIGNATURES[kind, digest])
        before = _content(certificate.public_bytes(serialization.Encoding.DER))
        content = certificate.tbs_certificate_bytes
        old = before[len(content) :]  # the algorithm, which stands in the content too
        old = old[: 2 + old[1]]
        (self.folder / "tbs").write_bytes(
            der(SEQUENCE, _content(content).replace(old, algorithm, 1))
        )
        self.openssl("dgst", f"-{digest}", "-sign", f"{issuer}.key", "-out", "signed", "tbs")
        signature = der(BITS, b"\0", (self.folder / "signed").read_bytes())
        made = der(SEQUENCE, (self.folder / "tbs").read_bytes(), algorithm, signature)
        pem = x509.load_der_x509_certificate(made).public_bytes(serialization.Encoding.PEM)
        (self.folder / f"{name}.pem").write_bytes(pem)

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

    def _write(self, name: str, certificate: x509.Certificate) -> None:
        """Write a certificate and its key, which bears the name of its subject."""
        (self.folder / f"{name}.pem").write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
        )
        (self.folder / f"{name}.key").write_bytes(
            self._key(name).private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    def _key(self, name: str) -> CertificateIssuerPrivateKeyTypes:
        """Return a key by the name of its files; those of the root are called root."""
        return self._keys[self._root if name == "root" else name]

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
        key = self._keys[issuer]
        hashed = not isinstance(key, ed25519.Ed25519PrivateKey)  # which hashes by itself
        return builder.sign(key, hashes.SHA256() if hashed else None)


@contextmanager
def serving(predictions: "Authority | bytes") -> Iterator[str]:
    """Serve on the loopback interface, from an authority or always the same bytes; give the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/timestamp-query"
            request = self.rfile.read(int(self.headers["Content-Length"]))
            body = predictions if isinstance(predictions, bytes) else predictions.answer(request)
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


def with_status(response: bytes, status: int) -> bytes:
    """Return a response that was granted with another PKIStatus."""
    head, token = response[:4], response[4 + len(GRANTED) :]
    assert response[4:].startswith(GRANTED)
    return head + GRANTED[:-1] + bytes([status]) + token


def moved_by(amount: timedelta) -> Callable[[bytes], bytes]:
    """Return a change of a TSTInfo that moves its time."""

    def change(info: bytes) -> bytes:
        at = info.index(b"\x18\x0f20") + 2
        time = datetime.strptime(info[at : at + 15].decode(), "%Y%m%d%H%M%SZ") + amount
        return info[:at] + time.strftime("%Y%m%d%H%M%SZ").encode() + info[at + 15 :]

    return change


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _content(sequence: bytes) -> bytes:
    """Return what a DER sequence holds."""
    size = sequence[1] - 0x80 if sequence[1] >= 0x80 else 0
    return sequence[2 + size :]
