"""A watermark: the same triggers and labels from the same key and claim, wherever it is opened."""

import hashlib
import hmac
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from wmx import Claim, OwnerKey, Task, Watermark
from wmx.errors import IntegrityError, UsageError
from wmx.protocol import jcs
from wmx.protocol.commitment import commitment_root
from wmx.protocol.encoding import encode_array
from wmx.protocol.labels import derive_labels, label_key
from wmx.protocol.prf import shake, uniform_integers
from wmx.protocol.sealing import seal_family, unseal_family
from wmx.triggers import Cells, Folder
from wmx.watermark import default_trigger_count

IMAGES = np.arange(5, dtype=np.uint8).repeat(64).reshape(5, 8, 8, 1)
DIGEST = """
import hashlib, sys
from wmx import Claim, OwnerKey, Watermark
mark = Watermark.open(Claim.load(sys.argv[1]), OwnerKey.load(sys.argv[2]))
print(hashlib.sha256(mark.triggers.tobytes() + mark.labels.astype(">i8").tobytes()).hexdigest())
"""


@pytest.mark.parametrize("shape", [(8, 8, 1), (33, 21, 3), (224, 224, 3)])
def test_another_process_rebuilds_the_same_bytes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    owner = OwnerKey.generate()
    mark = Watermark.new(owner, shape=shape, classes=10)
    owner.save(tmp_path / "key.pem")
    mark.claim.save(tmp_path / "claim.json")
    expected = hashlib.sha256(mark.triggers.tobytes() + mark.labels.astype(">i8").tobytes())
    for variables in ({"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2", "OMP_NUM_THREADS": "3"}):
        done = subprocess.run(
            [sys.executable, "-c", DIGEST, tmp_path / "claim.json", tmp_path / "key.pem"],
            env={**os.environ, **variables},
            capture_output=True,
            check=True,
            text=True,
        )
        assert done.stdout.strip() == expected.hexdigest()


def test_two_claims_of_one_key_share_nothing() -> None:
    owner = OwnerKey.generate()
    first, second = (Watermark.new(owner, shape=(8, 8, 1), classes=10) for _ in range(2))
    assert first.claim.salt != second.claim.salt
    assert (first.triggers != second.triggers).any()
    assert (first.labels != second.labels).any()


def test_another_key_does_not_open_a_claim() -> None:
    mark = Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10)
    with pytest.raises(IntegrityError, match="was made with another owner key"):
        Watermark.open(mark.claim, OwnerKey.generate())


def test_an_owner_cannot_claim_triggers_he_did_not_commit_to() -> None:
    """He signs what he likes, but the root decides; here it is another salt's."""
    owner = OwnerKey.generate()
    mark = Watermark.new(owner, shape=(8, 8, 1), classes=10)
    forged = Claim.sign(
        owner,
        task=mark.task,
        family=mark.generator.describe(),
        n=mark.claim.n,
        salt=bytes(32),
        root=mark.claim.root,
    )
    with pytest.raises(IntegrityError, match="not those the claim commits to"):
        Watermark.open(forged, owner)


@pytest.mark.parametrize(("classes", "n"), [(2, 256), (3, 162), (6, 100), (10, 100), (1000, 100)])
def test_the_default_number_of_triggers(classes: int, n: int) -> None:
    assert default_trigger_count(classes) == n


@pytest.mark.parametrize("change", [{"n": 0}, {"n": 2_000_000}, {"classes": 1}, {"shape": (8, 8)}])
def test_wrong_arguments_are_usage_errors(change: dict[str, object]) -> None:
    arguments: dict[str, object] = {"shape": (8, 8, 1), "classes": 10} | change
    with pytest.raises(UsageError):
        Watermark.new(OwnerKey.generate(), **arguments)  # type: ignore[arg-type]


def test_nothing_printed_shows_a_trigger() -> None:
    mark = Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10)
    assert "255" not in repr(mark)
    assert len(repr(mark)) < 400


# streams, labels, encodings


def test_uniform_integers_are_the_rejection_of_the_specification() -> None:
    stream = shake(b"seed", 4 * 400)
    words = [int.from_bytes(stream[i : i + 4], "big") for i in range(0, len(stream), 4)]
    for bound in (1, 2, 3, 10, 1000, 3_000_000_000, 2**32):
        limit = 2**32 - 2**32 % bound
        expected = [word % bound for word in words if word < limit][:150]
        assert uniform_integers(b"seed", 150, bound).tolist() == expected
    for wrong in (0, 2**32 + 1):
        with pytest.raises(ValueError, match="bound"):
            uniform_integers(b"seed", 1, wrong)


def test_each_label_is_a_uniform_integer_from_claim_index_and_blinding_value() -> None:
    key, blinds = label_key(bytes(32)), [bytes([i]) * 32 for i in range(200)]
    labels = derive_labels(key, blinds, 10)
    for i, blind in enumerate(blinds):
        seed = b"wmx-3 label" + key + i.to_bytes(4, "big") + blind
        assert labels[i] == uniform_integers(seed, 1, 10)[0]
    assert derive_labels(key, blinds[7:], 10, start=7).tolist() == labels[7:].tolist()
    for other in (
        derive_labels(label_key(bytes([2]) * 32), blinds, 10),
        derive_labels(key, [bytes([i, 0]) * 16 for i in range(200)], 10),
        derive_labels(key, blinds, 10, start=1),
    ):
        assert (other != labels).mean() > 0.7


def test_words_that_would_bias_a_label_are_skipped() -> None:
    """2^24 - 1 classes leave 2^8 words of 2^32 out; 2^31 + 1 would leave out almost half."""
    key, classes = label_key(bytes(32)), 2**31 + 1
    blinds = [i.to_bytes(32, "big") for i in range(50)]
    seeds = [b"wmx-3 label" + key + i.to_bytes(4, "big") + b for i, b in enumerate(blinds)]
    first = [int.from_bytes(shake(seed, 4), "big") for seed in seeds]
    assert any(word >= classes for word in first)
    labels = derive_labels(key, blinds, classes)
    assert labels.tolist() == [uniform_integers(seed, 1, classes)[0] for seed in seeds]


def test_labels_cost_a_memory_hard_hash() -> None:
    """RFC 7914 with N = 2^12 and r = 8, as docs/protocol.md says: four mebibytes a try."""
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    slow = Scrypt(salt=b"wmx-3 labels", length=32, n=4096, r=8, p=1)
    assert label_key(bytes(range(32))) == slow.derive(bytes(range(32)))


def test_one_blinding_value_redraws_every_label() -> None:
    mark = Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=1000)
    blinds = [*mark.blinds[:-1], bytes(32)]
    root = commitment_root(mark.triggers, blinds)
    owner = OwnerKey.generate()
    claims = [
        Claim.sign(
            owner,
            task=mark.task,
            family=mark.generator.describe(),
            n=mark.claim.n,
            salt=bytes(32),
            root=chosen,
            created="2026-01-01T00:00:00Z",
        )
        for chosen in (mark.claim.root, root)
    ]
    before, after = (claim.labels(blinds) for claim in claims)
    assert (before[:-1] != after[:-1]).mean() > 0.9


# the trigger family in the claim


def test_the_public_claim_does_not_say_what_the_triggers_are() -> None:
    owner = OwnerKey.generate()
    sizes = set()
    for generator in (
        Cells(),
        Cells(5),
        Folder(IMAGES),
    ):
        n = 5 if isinstance(generator, Folder) else 100
        mark = Watermark.new(owner, shape=(8, 8, 1), classes=10, n=n, generator=generator)
        payload = mark.claim.envelope.payload
        assert not any(word in payload for word in (b"cells", b"folder", b"grid", b"generator"))
        assert mark.claim.family(owner) == generator.describe()
        sizes.add(len(mark.claim.sealed_family))
    assert len(sizes) == 1, "families of images have one length, which tells none apart"


def test_the_family_is_sealed_anew_for_every_claim_and_read_by_its_owner_alone() -> None:
    owner = OwnerKey.generate()
    first, second = (Watermark.new(owner, shape=(8, 8, 1), classes=10).claim for _ in range(2))
    assert first.sealed_family != second.sealed_family
    with pytest.raises(IntegrityError, match="was made with another owner key"):
        first.family(OwnerKey.generate())


@pytest.mark.parametrize("place", [0, 11, 12, 40, -1])
def test_a_changed_byte_of_the_sealed_family_is_noticed(place: int) -> None:
    key = OwnerKey.generate().family_key(bytes(32))
    sealed = bytearray(seal_family(Cells().describe(), key))
    assert unseal_family(bytes(sealed), key) == Cells().describe()
    sealed[place] ^= 1
    with pytest.raises(IntegrityError, match="not encrypted under this owner key"):
        unseal_family(bytes(sealed), key)


def encrypted(padded: bytes, key: bytes, nonce: bytes | None = None) -> bytes:
    """Seal a padded text as the protocol does, or under another nonce."""
    nonce = nonce or hmac.digest(key[32:], padded, "sha256")[:12]
    return nonce + ChaCha20Poly1305(key[:32]).encrypt(nonce, padded, None)


def test_a_family_has_one_sealed_form() -> None:
    key = OwnerKey.generate().family_key(bytes(32))
    text = jcs.dumps(Cells().describe())
    prefixed = len(text).to_bytes(4, "big") + text
    padded = prefixed.ljust(256, b"\0")
    assert encrypted(padded, key) == seal_family(Cells().describe(), key)
    for other in (
        encrypted(padded, key, nonce=bytes(12)),
        encrypted(prefixed.ljust(512, b"\0"), key),
        encrypted(prefixed.ljust(255, b"\0") + b"\1", key),
        encrypted((1000).to_bytes(4, "big") + padded[4:], key),
    ):
        with pytest.raises(IntegrityError, match="another nonce, padding or length"):
            unseal_family(other, key)


def test_a_family_may_be_chosen_with_the_secret_of_the_claim() -> None:
    owner, given = OwnerKey.generate(), []

    def choose(secret: bytes) -> Cells:
        given.append(secret)
        return Cells(9)

    mark = Watermark.new(owner, shape=(12, 12, 1), classes=10, generator=choose)
    assert given == [owner.trigger_secret(mark.claim.salt)]
    assert mark.generator == Cells(9)


def test_encodings_are_the_same_in_any_byte_order_and_memory_layout() -> None:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    expected = encode_array(array)
    assert encode_array(array.astype(">f4")) == expected
    assert encode_array(np.asfortranarray(array)) == expected
    assert encode_array(array[:, ::-1][:, ::-1]) == expected
    assert encode_array(array.reshape(3, 2, 4)) != expected
    assert encode_array(np.zeros(4, np.uint8)) != encode_array(np.zeros(1, np.float32))
    with pytest.raises(ValueError, match="float64"):
        encode_array(array.astype(np.float64))


# tasks


def test_inputs_are_normalised_as_the_task_says() -> None:
    task = Task.of((1, 2, 3), 5, value_range=(-1, 1), mean=(0.5, 0, -0.25), std=(2, 1, 0.5))
    pixels = np.array([[[[0, 127, 255], [255, 0, 51]]]], np.uint8)
    expected = (pixels / 255 * 2 - 1 - np.array([0.5, 0, -0.25])) / np.array([2, 1, 0.5])
    np.testing.assert_allclose(task.model_input(pixels), expected, rtol=1e-6)
    assert task.model_input(pixels).dtype == np.float32
    np.testing.assert_array_equal(task.model_input(pixels), task.model_input(pixels * 1.0))
    planes = task.model_input(pixels, planes=True)
    np.testing.assert_array_equal(planes, task.model_input(pixels))
    assert planes.transpose(0, 3, 1, 2).flags.c_contiguous


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (-0.0, "0"), (0.5, "0.5"), (1e-7, "0.0000001"), (100.0, "100"), ("0.10", "0.10")],
)
def test_numbers_become_plain_decimals(number: float | str, text: str) -> None:
    from wmx.protocol.task import decimal_string

    assert decimal_string(number) == text


@pytest.mark.parametrize(
    "wrong", ["1e5", "nan", float("inf"), "", "1.", ".5", "+1", 1e30, "5.0.0", "-0.0.0"]
)
def test_other_spellings_of_numbers_are_refused(wrong: float | str) -> None:
    from wmx.protocol.task import decimal_string

    with pytest.raises(ValueError, match="plain decimal"):
        decimal_string(wrong)


@pytest.mark.parametrize(
    "change",
    [
        {"shape": (8, 8, 5)},
        {"shape": (0, 8, 1)},
        {"shape": (100_000, 100_000, 1)},
        {"classes": 1},
        {"std": 0},
        {"std": (1, 1)},
        {"value_range": (1, 0)},
        {"kind": "sound"},
        {"shape": 8},
        {"classes": "ten"},
    ],
)
def test_tasks_that_make_no_sense_are_refused(change: dict[str, object]) -> None:
    arguments: dict[str, object] = {"shape": (8, 8, 1), "classes": 10} | change
    with pytest.raises(UsageError, match=r"expected|out of range|not iterable|invalid literal"):
        Task.of(**arguments)  # type: ignore[arg-type]


def test_a_task_survives_json() -> None:
    task = Task.of((4, 5, 3), 7, mean=(0.1, 0.2, 0.3), std=0.25, value_range=(0, 255))
    assert Task.from_json(task.to_json()) == task
    with pytest.raises(TypeError):
        Task.from_json(task.to_json() | {"mean": "5"})
