"""The owner key: an Ed25519 private key from which everything secret is derived."""

import base64
import hashlib
import re
from pathlib import Path
from typing import Self

from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from wmx._internal.files import read_bytes
from wmx._internal.writing import SECRET_MODE, write_bytes
from wmx.errors import IntegrityError, UsageError
from wmx.protocol.file_kind import kind_of_file
from wmx.protocol.key_derivation import CostlyError, require_affordable

MAX_KEY_BYTES = 64 * 1024
# y of the points of order 1, 2, 4 and 8 in every spelling below 2**255, the sign bit cleared
SMALL_ORDER_KEYS = frozenset(
    bytes.fromhex(y)
    for y in (
        "00" * 32,
        "01" + "00" * 31,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    )
)
PROTECTED = re.compile(
    rb"-----BEGIN ENCRYPTED PRIVATE KEY-----(.*?)-----END ENCRYPTED PRIVATE KEY-----", re.DOTALL
)
# an unprotected Ed25519 key as wmx and OpenSSL write it, and the DER before its 32 bytes (RFC 8410)
PLAIN = re.compile(
    rb"-----BEGIN PRIVATE KEY-----\r?\n([A-Za-z0-9+/]{64})\r?\n-----END PRIVATE KEY-----\r?\n?"
)
PLAIN_HEAD = bytes.fromhex("302e020100300506032b657004220420")
KEY_HINT = "make one with: wmx keygen -o owner.pem"


class OwnerKey:
    """An Ed25519 key pair; ``repr`` and errors never show the private half.

    >>> from wmx import OwnerKey
    >>> owner = OwnerKey.generate()
    >>> owner.save("owner.pem")
    >>> OwnerKey.load("owner.pem").public == owner.public
    True
    """

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        self._private_key = private_key

    @classmethod
    def generate(cls) -> Self:
        """Make a fresh key from the operating system's randomness."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: str | Path, passphrase: bytes | None = None) -> Self:
        """Read a PKCS#8 PEM file, as ``wmx keygen`` and ``openssl genpkey`` write it.

        Args:
            path: of the file.
            passphrase: of a protected key.

        Raises:
            CannotRunError: the file cannot be read.
            IntegrityError: not a PEM key, not Ed25519, the passphrase is wrong or missing, or the
                key derivation costs more than that of any honest file.
        """
        return cls.from_pem(read_bytes(path, "owner key", MAX_KEY_BYTES), passphrase, str(path))

    @classmethod
    def from_pem(cls, pem: bytes, passphrase: bytes | None = None, name: str = "key") -> Self:
        """Parse a PKCS#8 PEM key.  Raises as :meth:`load`.

        Args:
            pem: content of the file.
            passphrase: of a protected key.
            name: the file's name in error messages.
        """
        if is_encrypted(pem) and passphrase is None:
            raise IntegrityError(
                f"owner key {name} is protected by a passphrase, and none was given",
                hint="set WMX_PASSPHRASE_FILE to a file that holds it",
            )
        plain = _plain_key(pem)
        if plain is not None:
            return cls(plain)
        from cryptography.hazmat.primitives import serialization  # takes a while to import

        protected = _protected_key(pem, name) if is_encrypted(pem) else None
        try:
            if protected is None:
                key = serialization.load_pem_private_key(pem, None)
            else:
                key = serialization.load_der_private_key(protected, passphrase)
        except (ValueError, TypeError, UnsupportedAlgorithm, InternalError):
            # the last for a key of the right kind and the wrong length
            if protected is None:
                raise _not_a_key(name, pem) from None
            raise IntegrityError(
                f"wrong passphrase for owner key {name}",
                hint="it is the first line of the file that WMX_PASSPHRASE_FILE names, "
                "or what is typed at the prompt",
            ) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise IntegrityError(
                f"{name} holds a key of another kind, expected Ed25519", hint=KEY_HINT
            )
        return cls(key)

    def to_pem(self, passphrase: bytes | None = None) -> bytes:
        """Return PKCS#8 PEM, encrypted if a passphrase is given.  The result is secret.

        Args:
            passphrase: at least one byte; unprotected if ``None``.

        Raises:
            UsageError: the passphrase is empty, which would leave the key unprotected.
        """
        if passphrase == b"":
            raise UsageError(
                "the passphrase is empty, expected at least one byte",
                hint="omit the passphrase to keep the key unprotected",
            )
        from cryptography.hazmat.primitives import serialization

        return self._private_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(passphrase)
            if passphrase is not None
            else serialization.NoEncryption(),
        )

    def save(
        self, path: str | Path, passphrase: bytes | None = None, *, force: bool = False
    ) -> None:
        """Write the key as PKCS#8 PEM with mode 0600.

        Args:
            path: of the file.
            passphrase: to protect the key with; unprotected if ``None``.
            force: replace an existing file.

        Raises:
            CannotRunError: the file exists and ``force`` is not set, or it cannot be written.
            UsageError: the passphrase is empty.
        """
        write_bytes(path, self.to_pem(passphrase), mode=SECRET_MODE, force=force)

    @property
    def public(self) -> bytes:
        """The 32 raw bytes of the public key: the owner, in a claim."""
        return self._private_key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature."""
        return self._private_key.sign(message)

    def trigger_secret(self, salt: bytes) -> bytes:
        """Return the 32 bytes from which a claim's triggers and blinding values are drawn."""
        return self._derived(salt, b"wmx-3 trigger secret")

    def family_key(self, salt: bytes) -> bytes:
        """Return the 64 bytes under which a claim's trigger family is encrypted."""
        return self._derived(salt, b"wmx-3 trigger family", 64)

    def _derived(self, salt: bytes, info: bytes, length: int = 32) -> bytes:
        """Return HKDF-SHA256 of the private key (RFC 5869)."""
        return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(
            self._private_key.private_bytes_raw()
        )

    def __repr__(self) -> str:
        return f"OwnerKey({fingerprint(self.public)})"


def fingerprint(public: bytes) -> str:
    """Return the SHA-256 of a raw public key in hexadecimal; the ``keyid`` of envelopes."""
    return hashlib.sha256(public).hexdigest()


def signature_is_valid(public: bytes, signature: bytes, message: bytes) -> bool:
    """Return whether an Ed25519 signature is valid.

    Public keys of small order are refused: with them one signature fits every message, and they
    have no private key.

    Args:
        public: 32 bytes.
        signature: 64 bytes.
        message: that was signed.
    """
    if len(public) != 32 or public[:31] + bytes([public[31] & 0x7F]) in SMALL_ORDER_KEYS:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def is_encrypted(pem: bytes) -> bool:
    """Return whether a PEM key is protected by a passphrase."""
    return b"ENCRYPTED" in pem


def _plain_key(pem: bytes) -> Ed25519PrivateKey | None:
    """Return an unprotected key in its usual form; ``None`` for any other, which a library reads.

    That library brings every format of keys there is; to import it is a part of each start.
    """
    found = PLAIN.fullmatch(pem)
    der = b"" if found is None else base64.b64decode(found[1])
    if not der.startswith(PLAIN_HEAD):
        return None
    return Ed25519PrivateKey.from_private_bytes(der[len(PLAIN_HEAD) :])


def _protected_key(pem: bytes, name: str) -> bytes:
    """Return the EncryptedPrivateKeyInfo in PEM bytes, DER, which can be opened within seconds."""
    try:
        (body,) = PROTECTED.findall(pem)
        der = base64.b64decode(b"".join(body.split()), validate=True)
        require_affordable(der)
    except CostlyError as error:
        raise IntegrityError(
            f"owner key {name} requires {error}: it is damaged or hostile",
            hint="protect it again with fewer: openssl pkcs8 -topk8 -iter 600000",
        ) from None
    except ValueError:
        raise _not_a_key(name, pem) from None
    return der


def _not_a_key(name: str, pem: bytes) -> IntegrityError:
    kind = kind_of_file(pem)
    found = "not an owner key" if kind in (None, "a key") else kind
    return IntegrityError(
        f"{name} is {found}: expected an Ed25519 private key, PKCS#8 PEM", hint=KEY_HINT
    )
