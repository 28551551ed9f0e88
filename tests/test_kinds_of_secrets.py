"""Archives, databases, key stores and keys, told from weights by what they begin with."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from wmx.suspect.policy.secrets import HEAD_BYTES, kind_of_secret

NOISE = np.random.default_rng(0).bytes(4096)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(65537, 2048)
PEM = EC_KEY.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
)
ORDERS: tuple[Literal["little", "big"], ...] = ("little", "big")
TIME = bytes.fromhex("65000000")


def archive(mode: str) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as tar:  # type: ignore[call-overload]
        member = tarfile.TarInfo("owner.pem")
        member.size = len(NOISE)
        tar.addfile(member, io.BytesIO(NOISE))
    return made.getvalue()


def zipped(*names: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for name in names:
            file.writestr(name, NOISE)
    return made.getvalue()


def number(value: int, order: Literal["little", "big"]) -> bytes:
    return value.to_bytes(4, order)


ARCHIVES = {
    "zip": zipped("owner.pem"),
    "empty zip": zipped(),
    "gzip": gzip.compress(NOISE),
    "tar": archive("w:"),
    "tar.gz": archive("w:gz"),
    "tar.bz2": archive("w:bz2"),
    "tar.xz": archive("w:xz"),
    "bzip2": bz2.compress(NOISE),
    "xz": lzma.compress(NOISE),
    "lzma": lzma.compress(NOISE, lzma.FORMAT_ALONE),
    "compress": b"\x1f\x9d\x90" + NOISE,
    "zstd": b"\x28\xb5\x2f\xfd" + NOISE,
    "zstd, skippable": b"\x5a\x2a\x4d\x18" + NOISE,
    "lz4": b"\x04\x22\x4d\x18" + NOISE,
    "lzip": b"LZIP\x01" + NOISE,
    "7z": b"7z\xbc\xaf\x27\x1c" + NOISE,
    "rar": b"Rar!\x1a\x07\x01\0" + NOISE,
    "cab": b"MSCF\0\0\0\0" + NOISE,
    "xar": b"xar!" + NOISE,
    "ar": b"!<arch>\n" + NOISE,
    "cpio": b"070701" + NOISE,
}
DATABASES = {
    "SQLite": b"SQLite format 3\0" + NOISE,
    **{
        f"Berkeley {magic:x}, {order}, at {place}": bytes(place) + number(magic, order) + NOISE
        for magic in (0x61561, 0x53162, 0x42253, 0x74582)
        for order in ORDERS
        for place in (0, 12)
    },
    "GDBM": number(0x13579ACE, "little") + NOISE,
    "LMDB": bytes(16) + number(0xBEEFC0DE, "little") + NOISE,
}
STORES = {
    "KeePass": b"\x03\xd9\xa2\x9a\x67\xfb\x4b\xb5" + NOISE,
    "KeePass 1": b"\x03\xd9\xa2\x9a\x65\xfb\x4b\xb5" + NOISE,
    "JKS": b"\xfe\xed\xfe\xed\0\0\0\2" + NOISE,
    "JCEKS": b"\xce\xce\xce\xce\0\0\0\2" + NOISE,
    "keychain": b"kych" + NOISE,
    "keybox": bytes(8) + b"KBXf" + NOISE,
}
IN_DER = {
    "encrypted PKCS #8": EC_KEY.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"passphrase"),
    ),
    "encrypted PKCS #8 of RSA": RSA_KEY.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"passphrase"),
    ),
    "PKCS #8": RSA_KEY.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ),
    "PKCS #12": pkcs12.serialize_key_and_certificates(
        b"me", EC_KEY, None, None, serialization.BestAvailableEncryption(b"passphrase")
    ),
    "PKCS #12 in BER": b"\x30\x80\x02\x01\x03" + NOISE,
    "PKCS #7": bytes.fromhex("308006092a864886f70d010703") + NOISE,
}
OPENPGP = {
    "RSA": b"\x95\x03\x98\x04" + TIME + b"\x01" + NOISE,
    "Ed25519": b"\x94\x58\x04" + TIME + b"\x16" + NOISE,
    "long": b"\x96\0\0\x0b\xb8\x04" + TIME + b"\x01" + NOISE,
    "new format": b"\xc5\x4b\x06" + TIME + b"\x1b" + NOISE,
    "new format, two bytes": b"\xc5\xc2\x98\x04" + TIME + b"\x01" + NOISE,
    "subkey": b"\x9d\x03\x98\x04" + TIME + b"\x01" + NOISE,
    "version 3": b"\x95\x01\x98\x03" + TIME + b"\0\0\x01" + NOISE,
    "GnuPG": b"(11:private-key(3:rsa(1:n257:" + NOISE,
    "GnuPG, protected": b"(21:protected-private-key(3:rsa(1:n257:" + NOISE,
}
ENCRYPTED = {
    "openssl": b"Salted__" + NOISE,
    "age": b"age-encryption.org/v1\n-> X25519 x\n" + NOISE,
    "LUKS": b"LUKS\xba\xbe\0\x02" + NOISE,
}
EXPECTED = {
    "an archive": ARCHIVES,
    "a database": DATABASES,
    "a key store": STORES,
    "in DER": IN_DER,
    "an OpenPGP key": OPENPGP,
    "an encrypted file": ENCRYPTED,
}


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, files in EXPECTED.items() for name in files]
)
def test_it_is_told_by_its_first_bytes(kind: str, name: str) -> None:
    found = kind_of_secret(EXPECTED[kind][name][:HEAD_BYTES])
    assert found is not None
    assert kind in found


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("before", [b"", b"\x01\x02\x03\x04", NOISE])
def test_pem_in_two_bytes_a_character(encoding: str, before: bytes) -> None:
    assert kind_of_secret(before + PEM.decode().encode(encoding)) is not None


@pytest.mark.parametrize("encoding", ["utf-32", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("before", [b"", b"\x01\x02\x03\x04", NOISE])
def test_pem_in_four_bytes_a_character(encoding: str, before: bytes) -> None:
    assert kind_of_secret(before + PEM.decode().encode(encoding)) is not None


def test_armor_is_pem() -> None:
    armor = b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOYBGUAAAABCAC7\n"
    assert kind_of_secret(bytes(9) + armor) == "a PEM file, which may hold a key"


@pytest.mark.parametrize("encoding", ["utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("length", [5, HEAD_BYTES])
def test_text_in_four_bytes_a_character(encoding: str, mark: str, length: int) -> None:
    """Cut as its reader cuts it, too."""
    data = (mark + "token" * length).encode(encoding)[:HEAD_BYTES]
    assert kind_of_secret(data) == "a text file, which may hold a password or a token"


WIDE = ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]


@pytest.mark.parametrize("encoding", WIDE)
@pytest.mark.parametrize("times", [1, 3000])
@pytest.mark.parametrize(
    "text",
    [
        "Passwörter: hunter2 5€ token=sk-secret-123456",
        "пароль: секрет 5€",
        "κωδικός πρόσβασης",
        "סיסמה סודית של החשבון שלי",
        "पासवर्ड: गुप्त कुंजी",
        "密码: 机密令牌 一二三四五六七八九十",
        "密碼: 非常機密的權杖, 請勿外傳給別人",
        "パスワード: ひみつの鍵です, 秘密",
        "비밀번호: 아주 비밀스러운 열쇠",
        "the token 😀 of my account",
    ],
)
def test_text_of_any_language_is_told_without_a_mark(encoding: str, times: int, text: str) -> None:
    data = (text * times).encode(encoding)[:HEAD_BYTES]
    assert kind_of_secret(data) == "a text file, which may hold a password or a token"


def weights_of(rng: np.random.Generator, count: int) -> Iterator[np.ndarray]:
    """Yield weights as files hold them: of any scale, sparse or not, also quantized."""
    for scale in (1e-3, 5e-3, 0.02, 0.1, 0.5, 1.0, 5.0):
        drawn = rng.normal(0, scale, count)
        for values in (drawn, drawn * (rng.random(count) < 0.1)):
            for dtype in ("<f4", ">f4", "<f2", ">f2", "<f8"):
                yield values.astype(dtype)
            yield (values.astype("<f4").view("<u4") >> 16).astype("<u2")  # bfloat16
    for scale in (5, 10, 20, 30, 60):
        drawn = np.clip(rng.normal(0, scale, count), -128, 127)
        for values in (drawn, drawn * (rng.random(count) < 0.2)):
            yield values.astype(np.int8)
            if count > 100:  # so few without a control character are text by their bytes alone
                yield (values + 128).astype(np.uint8)
            yield (values * 100).astype(np.int16)
            yield (values * 1000).astype(np.int32)


@pytest.mark.parametrize("count", [100, 1000, 20_000])
def test_weights_of_any_type_are_no_text(count: int) -> None:
    rng = np.random.default_rng(3)
    for _ in range(10 if count < 20_000 else 1):
        for weights in weights_of(rng, count):
            assert kind_of_secret(weights.tobytes()[:HEAD_BYTES]) is None
    for one in (1.0, 0.5, -1.0):
        for dtype in (np.float16, np.float32, np.float64):
            assert kind_of_secret(np.full(count, one, dtype).tobytes()) is None
    assert kind_of_secret(rng.bytes(4 * count)) is None


def test_whole_numbers_as_weights_are_no_text() -> None:
    for dtype in (np.int32, np.int64, np.float32):
        assert kind_of_secret(np.arange(-128, 128).astype(dtype).tobytes()) is None
    assert kind_of_secret(np.full(300, 65, np.int64).tobytes()) is None


def test_random_weights_are_none_of_them() -> None:
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(20_000, 64)).astype(np.float32)
    assert [kind for row in weights if (kind := kind_of_secret(row.tobytes()))] == []


def test_the_page_names_every_kind() -> None:
    page = (Path(__file__).parents[1] / "docs" / "security.md").read_text("utf-8")
    assert "zip, gzip, compress, bzip2, xz, lzma of unknown size, lzip, zstd, lz4, 7z, RAR" in page
    for word in (
        "SQLite, Berkeley DB, GDBM, LMDB",
        "KeePass 1",
        "JKS and JCEKS",
        "PKCS #12",
        "LUKS",
    ):
        assert word in page
