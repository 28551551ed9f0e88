"""Files that are given as an owner key and are none, or not the right one."""

import base64
import os

from cases import Attack, Scene, collector
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from support.der import OCTETS, SEQUENCE, der, integer, oid

from wmx import OwnerKey

CASES, case = collector()


def verify(scene: Scene, key: bytes | str) -> list[str]:
    """Put a key into the scene and return the command that uses it."""
    scene.put("model.onnx", scene.model)
    return ["verify", "model.onnx", "--claim", "claim.json", "--key", scene.put("bad.pem", key)]


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@case(3, "is not an owner key")
def an_empty_key(scene: Scene) -> Attack:
    return verify(scene, b"")


@case(3, "is not an owner key")
def a_key_of_noise(scene: Scene) -> Attack:
    return verify(scene, bytes(range(256)) * 8)


@case(3, "is not an owner key")
def half_a_key(scene: Scene) -> Attack:
    return verify(scene, (scene.folder / "owner.pem").read_bytes()[:60])


@case(3, "is not an owner key")
def a_key_with_a_broken_body(scene: Scene) -> Attack:
    body = "A" * 64
    return verify(scene, f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")


@case(3, "is not an owner key")
def an_x448_key_of_the_wrong_length(scene: Scene) -> Attack:
    """Found by the fuzzer: OpenSSL's own error came through."""
    der = bytes.fromhex("302e020100300506032b656f04220420") + bytes(range(32))
    body = base64.b64encode(der).decode()
    return verify(scene, f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")


@case(3, "is not an owner key")
def a_public_key(scene: Scene) -> Attack:
    key = OwnerKey.load(scene.folder / "owner.pem")._private_key.public_key()
    return verify(
        scene,
        key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
    )


@case(3, "a key of another kind")
def a_key_of_another_curve(scene: Scene) -> Attack:
    return verify(scene, pem(ec.derive_private_key(12345, ec.SECP256R1())))


@case(3, "protected by a passphrase")
def a_key_that_says_it_is_encrypted(scene: Scene) -> Attack:
    body = "A" * 64
    return verify(
        scene, f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{body}\n-----END ENCRYPTED PRIVATE KEY-----"
    )


@case(3, "wrong passphrase")
def the_wrong_passphrase(scene: Scene) -> Attack:
    os.environ["WMX_PASSPHRASE_FILE"] = scene.put("words", "wrong\n")
    return verify(scene, OwnerKey.generate().to_pem(b"right"))


@case(4, "the passphrase file")
def an_empty_passphrase_file(scene: Scene) -> Attack:
    os.environ["WMX_PASSPHRASE_FILE"] = scene.put("words", "\nsecond line\n")
    return verify(scene, OwnerKey.generate().to_pem(b"right"))


AES_256_CBC = der(SEQUENCE, oid("60864801650304012a"), der(OCTETS, bytes(16)))
SALT = der(OCTETS, bytes(8))


def protected(scene: Scene, *algorithm: bytes) -> list[str]:
    """Verify with a key that says how its passphrase is to be hashed: an AlgorithmIdentifier."""
    os.environ["WMX_PASSPHRASE_FILE"] = scene.put("words", "right\n")
    info = der(SEQUENCE, der(SEQUENCE, *algorithm), der(OCTETS, bytes(64)))
    body = base64.b64encode(info).decode()
    begin, end = (f"-----{word} ENCRYPTED PRIVATE KEY-----\n" for word in ("BEGIN", "END"))
    return verify(scene, f"{begin}{body}\n{end}")


def pbes2(scene: Scene, *derivation: bytes) -> list[str]:
    parameters = der(SEQUENCE, der(SEQUENCE, *derivation), AES_256_CBC)
    return protected(scene, oid("2a864886f70d01050d"), parameters)


@case(3, "requires 2,147,483,647 rounds of hashing")
def a_key_that_is_to_be_hashed_for_an_hour(scene: Scene) -> Attack:
    sha256 = der(SEQUENCE, oid("2a864886f70d0209"), b"\x05\0")
    parameters = der(SEQUENCE, SALT, integer(2**31 - 1), sha256)
    return pbes2(scene, oid("2a864886f70d01050c"), parameters)


@case(3, "requires scrypt with N r p = 34,359,738,368")
def a_key_that_is_to_take_four_terabytes(scene: Scene) -> Attack:
    parameters = der(SEQUENCE, SALT, integer(2**32), integer(8), integer(1))
    return pbes2(scene, oid("2b06010401da47040b"), parameters)


@case(3, "requires scrypt with N r p = 17,179,869,184")
def a_key_that_is_to_take_little_memory_for_hours(scene: Scene) -> Attack:
    parameters = der(SEQUENCE, SALT, integer(2**11), integer(8), integer(2**20))
    return pbes2(scene, oid("2b06010401da47040b"), parameters)


@case(3, "rounds of hashing")
def a_key_that_is_to_be_hashed_in_the_old_way(scene: Scene) -> Attack:
    parameters = der(SEQUENCE, SALT, integer(2**64))
    return protected(scene, oid("2a864886f70d010c0103"), parameters)


@case(3, "is not an owner key")
def a_key_whose_parameters_are_nested_for_ever(scene: Scene) -> Attack:
    nested = b""
    while len(nested) < 30_000:
        nested = der(SEQUENCE, nested)
    return protected(scene, oid("2a864886f70d01050d"), nested)


@case(3, "is not an owner key")
def two_protected_keys_in_one_file(scene: Scene) -> Attack:
    os.environ["WMX_PASSPHRASE_FILE"] = scene.put("words", "right\n")
    return verify(scene, OwnerKey.generate().to_pem(b"right") * 2)


@case(3, "was made with another owner key")
def the_key_of_another_owner(scene: Scene) -> Attack:
    return verify(scene, OwnerKey.generate().to_pem())


@case(4, "larger than")
def a_key_of_a_megabyte(scene: Scene) -> Attack:
    attack = verify(scene, b"-----BEGIN PRIVATE KEY-----\n")
    with open("bad.pem", "r+b") as file:
        file.truncate(2**20)
    return attack


@case(4, "not a regular file")
def a_key_from_a_pipe(scene: Scene) -> Attack:
    os.mkfifo("pipe")
    scene.put("model.onnx", scene.model)
    return ["verify", "model.onnx", "--claim", "claim.json", "--key", "pipe"]
