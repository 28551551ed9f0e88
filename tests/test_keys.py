"""Owner keys: read and written as openssl does, and never shown."""

import base64
import hashlib
import hmac
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from support.der import OCTETS, SEQUENCE, der, oid

from wmx import OwnerKey
from wmx.errors import CannotRunError, IntegrityError, UsageError
from wmx.protocol.key_derivation import require_affordable


def openssl(*arguments: str, cwd: Path) -> bytes:
    return subprocess.run(["openssl", *arguments], cwd=cwd, capture_output=True, check=True).stdout


@pytest.mark.parametrize("passphrase", [None, b"correct horse"])
def test_openssl_reads_the_key(tmp_path: Path, passphrase: bytes | None) -> None:
    key = OwnerKey.generate()
    key.save(tmp_path / "key.pem", passphrase)
    options = () if passphrase is None else ("-passin", "pass:correct horse")
    text = openssl("pkey", "-in", "key.pem", "-noout", "-text_pub", *options, cwd=tmp_path)
    shown = b"".join(text.split(b"pub:")[1].split()).replace(b":", b"").decode()
    assert shown == key.public.hex()
    assert OwnerKey.load(tmp_path / "key.pem", passphrase).public == key.public


def test_a_key_made_by_openssl_is_read(tmp_path: Path) -> None:
    openssl("genpkey", "-algorithm", "ed25519", "-out", "key.pem", cwd=tmp_path)
    public = openssl("pkey", "-in", "key.pem", "-pubout", "-outform", "DER", cwd=tmp_path)
    assert OwnerKey.load(tmp_path / "key.pem").public == public[-32:]


@pytest.mark.parametrize(
    "options",
    [
        ("-iter", "100000"),
        ("-scrypt", "-scrypt_N", "8192", "-scrypt_r", "8", "-scrypt_p", "1"),
        ("-v1", "PBE-SHA1-3DES"),
    ],
)
def test_a_key_that_openssl_protected_more_slowly_is_read(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    key = OwnerKey.generate()
    key.save(tmp_path / "plain.pem")
    pkcs8 = ("pkcs8", "-topk8", "-in", "plain.pem", "-out", "key.pem", "-passout", "pass:words")
    openssl(*pkcs8, *options, cwd=tmp_path)
    assert OwnerKey.load(tmp_path / "key.pem", b"words").public == key.public


@given(st.binary(max_size=100))
def test_parameters_of_any_bytes_are_read_to_an_end(data: bytes) -> None:
    with suppress(ValueError):
        require_affordable(data)


@pytest.mark.parametrize("parameters", [b"\x30\x80\2\1\1\0\0", b"\x3f\x10\3\2\1\1"])
def test_parameters_in_a_form_that_der_does_not_have_are_refused(parameters: bytes) -> None:
    """A sequence without a length, or with a long tag: two readers may see two things in it."""
    pbes2 = oid("2a864886f70d01050d")
    with pytest.raises(ValueError, match="does not stand here in DER"):
        require_affordable(der(SEQUENCE, der(SEQUENCE, pbes2, parameters), der(OCTETS, bytes(8))))


def test_the_file_is_the_owners_alone(tmp_path: Path) -> None:
    OwnerKey.generate().save(tmp_path / "key.pem")
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600


def test_wrong_missing_and_empty_passphrases(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    OwnerKey.generate().save(path, b"correct")
    with pytest.raises(IntegrityError, match="wrong passphrase") as caught:
        OwnerKey.load(path, b"wrong")
    assert caught.value.hint
    with pytest.raises(IntegrityError, match="none was given") as caught:
        OwnerKey.load(path)
    assert caught.value.hint
    with pytest.raises(UsageError):
        OwnerKey.generate().to_pem(b"")  # an empty one would protect nothing


def test_what_is_no_ed25519_key_is_refused(tmp_path: Path) -> None:
    other = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with pytest.raises(IntegrityError, match="another kind, expected Ed25519"):
        OwnerKey.from_pem(other)
    pem = OwnerKey.generate().to_pem()
    for broken in (b"", b"hello", pem[:60], pem.replace(b"M", b"N", 3), pem[:-30]):
        with pytest.raises(IntegrityError):
            OwnerKey.from_pem(broken)
    with pytest.raises(CannotRunError, match="no such file"):
        OwnerKey.load(tmp_path / "gone.pem")
    (tmp_path / "large.pem").write_bytes(bytes(100_000))
    with pytest.raises(CannotRunError, match="larger than"):
        OwnerKey.load(tmp_path / "large.pem")


def test_the_trigger_secret_is_hkdf_sha256() -> None:
    """RFC 5869 written out with hmac alone."""
    private = Ed25519PrivateKey.generate()
    salt = bytes(range(32))
    extracted = hmac.digest(salt, private.private_bytes_raw(), hashlib.sha256)
    expanded = hmac.digest(extracted, b"wmx-3 trigger secret\x01", hashlib.sha256)
    assert OwnerKey(private).trigger_secret(salt) == expanded
    assert OwnerKey(private).trigger_secret(bytes(32)) != expanded


def test_nothing_shows_the_private_half() -> None:
    private = Ed25519PrivateKey.generate()
    key = OwnerKey(private)
    secret = private.private_bytes_raw()
    for shown in (repr(key), str(key), f"{key}"):
        assert secret.hex() not in shown
        assert repr(secret) not in shown


def test_a_key_in_any_spelling_of_its_file_is_the_same() -> None:
    """The usual form is read without the library that reads every form."""
    key = OwnerKey.generate()
    pem = key.to_pem()
    head, body, end = pem.split(b"\n")[:3]
    spellings = (
        pem,
        pem.replace(b"\n", b"\r\n"),
        pem.rstrip(b"\n"),
        b"\n".join([head, body[:40], body[40:], end]),  # as no tool writes it
        b"a comment\n" + pem,
    )
    assert {OwnerKey.from_pem(spelling).public for spelling in spellings} == {key.public}


def test_every_single_change_of_a_plain_key_is_another_key_or_none() -> None:
    key = OwnerKey.generate()
    pem = key.to_pem()
    der = base64.b64decode(pem.split(b"\n")[1])
    for position in range(len(der)):
        changed = bytearray(der)
        changed[position] ^= 1
        body = base64.b64encode(bytes(changed))
        file = b"-----BEGIN PRIVATE KEY-----\n" + body + b"\n-----END PRIVATE KEY-----\n"
        try:
            assert OwnerKey.from_pem(file).public != key.public
        except IntegrityError:
            assert position < 16
        else:
            assert position >= 16
