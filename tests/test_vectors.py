"""The frozen files of scheme wmx-3: wmx reads them, and so does a second implementation.

The second implementation, first half of this file, is written from docs/protocol.md with hashlib
alone; that it agrees shows that the page is sufficient.
"""

import base64
import hashlib
import hmac
import json
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from wmx.protocol.claim import Claim
from wmx.protocol.keys import OwnerKey
from wmx.statistics.hits import binomial_tail
from wmx.triggers.trigger_file import load_images
from wmx.watermark import Watermark

FOLDER = Path(__file__).parent / "vectors" / "wmx-3"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
NAMES = sorted(EXPECTED["claims"])


# The second implementation.


def u32(value: int) -> bytes:
    return value.to_bytes(4, "big")


def lp(data: bytes) -> bytes:
    return len(data).to_bytes(8, "big") + data


def words(seed: bytes) -> Iterator[int]:
    for start in range(0, 1 << 16, 4):
        yield int.from_bytes(hashlib.shake_256(seed).digest(start + 4)[start:], "big")


def uniform(seed: bytes, count: int, bound: int) -> list[int]:
    limit = 2**32 - 2**32 % bound
    found: list[int] = []
    for word in words(seed):
        if len(found) == count:
            break
        if word < limit:
            found.append(word % bound)
    return found


def hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    """Return both blocks, 64 bytes; the first 32 are the shorter output."""
    extracted = hmac.new(salt, key, "sha256").digest()
    first = hmac.new(extracted, info + b"\x01", "sha256").digest()
    return first + hmac.new(extracted, first + info + b"\x02", "sha256").digest()


def unsealed(sealed: bytes, key: bytes) -> Any:
    nonce, padded = sealed[:12], ChaCha20Poly1305(key[:32]).decrypt(sealed[:12], sealed[12:], b"")
    assert nonce == hmac.new(key[32:], padded, "sha256").digest()[:12]
    size = int.from_bytes(padded[:4], "big")
    assert len(padded) == next(256 << k for k in range(20) if 256 << k >= 4 + size)
    assert set(padded[4 + size :]) <= {0}
    return json.loads(padded[4 : 4 + size])


def label(digest: bytes, index: int, blind: bytes, classes: int) -> int:
    key = hashlib.scrypt(digest, salt=b"wmx-3 labels", n=4096, r=8, p=1, dklen=32)
    return uniform(b"wmx-3 label" + key + u32(index) + blind, 1, classes)[0]


def encode(dtype: str, shape: list[int], elements: bytes) -> bytes:
    return lp(dtype.encode()) + lp(u32(len(shape))) + lp(b"".join(map(u32, shape))) + lp(elements)


def cells(seed: bytes, shape: list[int], generator: dict[str, Any]) -> bytes:
    height, width, channels = shape
    grid = generator["grid"]
    stream = hashlib.shake_256(seed).digest(grid * grid * channels // 8 + 1)
    pixels = bytearray()
    for row in range(height):
        for column in range(width):
            for channel in range(channels):
                cell = (row * grid // height) * grid + column * grid // width
                bit = cell * channels + channel
                pixels.append(255 * (stream[bit // 8] >> (7 - bit % 8) & 1))
    return encode("uint8", shape, bytes(pixels))


def features(seed: bytes, shape: list[int], generator: dict[str, Any]) -> bytes:
    table = generator["quantiles"]
    chosen = uniform(seed, shape[0], len(table[0]))
    values = [float(row[j]) for row, j in zip(table, chosen, strict=True)]
    return encode("float32", shape, b"".join(struct.pack(">f", value) for value in values))


def tokens(seed: bytes, shape: list[int], generator: dict[str, Any]) -> bytes:
    allowed = [i for i in range(generator["vocabulary"]) if i not in generator["excluded"]]
    chosen = uniform(seed, shape[0], len(allowed))
    return encode("int32", shape, b"".join(struct.pack(">i", allowed[j]) for j in chosen))


def folder_pictures() -> bytes:
    raw = (FOLDER / "folder.triggers.safetensors").read_bytes()
    header = int.from_bytes(raw[:8], "little")
    start, end = json.loads(raw[8 : 8 + header])["triggers"]["data_offsets"]
    return raw[8 + header + start : 8 + header + end]


def tree_head(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    halves = tree_head(leaves[:split]) + tree_head(leaves[split:])
    return hashlib.sha256(b"\x01" + halves).digest()


def encoded_triggers(
    document: dict[str, Any], generator: dict[str, Any], secret: bytes
) -> list[bytes]:
    shape = document["task"]["shape"]
    if generator["name"] == "folder":
        size = shape[0] * shape[1] * shape[2]
        pictures = folder_pictures()
        return [
            encode("uint8", shape, pictures[i * size : (i + 1) * size])
            for i in range(document["n"])
        ]
    draw = {"cells": cells, "features": features, "tokens": tokens}[generator["name"]]
    return [draw(secret + b"trigger" + u32(i), shape, generator) for i in range(document["n"])]


@pytest.mark.parametrize("name", NAMES)
def test_the_specification_alone_rebuilds_every_byte(name: str) -> None:
    expected = EXPECTED["claims"][name]
    envelope = json.loads((FOLDER / f"{name}.claim.json").read_bytes())
    payload = base64.b64decode(envelope["payload"])
    document = json.loads(payload)
    kind = b"application/vnd.wmx.claim+json"
    pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    owner = bytes.fromhex(document["owner"])
    private, salt = bytes.fromhex(EXPECTED["private_key"]), bytes.fromhex(document["salt"])
    secret = hkdf(private, salt, b"wmx-3 trigger secret")[:32]
    family_key = hkdf(private, salt, b"wmx-3 trigger family")
    family = unsealed(base64.b64decode(document["family"]), family_key)
    digest = hashlib.sha256(payload).digest()
    blinds = [
        hashlib.shake_256(secret + b"blind" + u32(i)).digest(32) for i in range(document["n"])
    ]
    triggers = encoded_triggers(document, family, secret)
    leaves = [
        hashlib.sha256(b"\x00" + blind + trigger).digest()
        for blind, trigger in zip(blinds, triggers, strict=True)
    ]
    root = tree_head(leaves)
    n, classes = document["n"], document["task"]["classes"]

    assert {
        "salt": document["salt"],
        "trigger_secret": secret.hex(),
        "first_blind": blinds[0].hex(),
        "trigger_sha256": [hashlib.sha256(trigger).hexdigest() for trigger in triggers],
        "leaves": [leaf.hex() for leaf in leaves],
        "root": root.hex(),
        "family_key": family_key.hex(),
        "family": family,
        "label_key": hashlib.scrypt(digest, salt=b"wmx-3 labels", n=4096, r=8, p=1, dklen=32).hex(),
        "labels": [label(digest, i, blinds[i], classes) for i in range(n)],
        "pae_sha256": hashlib.sha256(pae).hexdigest(),
        "signature": base64.b64decode(envelope["signatures"][0]["sig"]).hex(),
        "digest": digest.hex(),
    } == expected
    assert document["root"] == expected["root"]
    assert envelope["payloadType"] == kind.decode()
    assert envelope["signatures"][0]["keyid"] == hashlib.sha256(owner).hexdigest()


# What wmx itself makes of the files.


@pytest.fixture(scope="module")
def owner() -> OwnerKey:
    return OwnerKey.load(FOLDER / "owner.pem")


def test_the_frozen_key_still_loads(owner: OwnerKey) -> None:
    assert owner.public.hex() == EXPECTED["public_key"]
    assert owner.to_pem() == (FOLDER / "owner.pem").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_every_frozen_claim_still_opens(name: str, owner: OwnerKey) -> None:
    claim = Claim.load(FOLDER / f"{name}.claim.json")
    images = load_images(FOLDER / "folder.triggers.safetensors") if name == "folder" else None
    watermark = Watermark.open(claim, owner, images=images)
    expected = EXPECTED["claims"][name]
    assert claim.digest == expected["digest"]
    assert claim.to_bytes() == (FOLDER / f"{name}.claim.json").read_bytes()
    assert watermark.labels.tolist() == expected["labels"]
    assert owner.trigger_secret(claim.salt).hex() == expected["trigger_secret"]


@pytest.mark.parametrize(("hits", "n", "classes", "tail"), EXPECTED["binomial_tail"])
def test_the_binomial_tails_never_change(hits: int, n: int, classes: int, tail: str) -> None:
    assert binomial_tail(hits, n, classes) == Fraction(tail)
