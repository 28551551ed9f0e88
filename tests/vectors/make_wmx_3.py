"""How tests/vectors/wmx-3 was made, once: fixed key, salts and dates, nothing random.

The files are frozen: every later version has to read them and rebuild the same bytes, so this
script refuses to run where they exist.  Run: python tests/vectors/make_wmx_3.py
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wmx.protocol.claim import PAYLOAD_TYPE, Claim
from wmx.protocol.commitment import commitment_root, draw_blinds
from wmx.protocol.dsse import pre_authentication_encoding
from wmx.protocol.encoding import encode_array
from wmx.protocol.keys import OwnerKey
from wmx.protocol.labels import label_key
from wmx.protocol.merkle import leaf_hash
from wmx.protocol.prf import shake
from wmx.protocol.task import Task
from wmx.statistics.hits import binomial_tail
from wmx.triggers import Cells, Features, Folder, Generator, Tokens, draw_triggers
from wmx.triggers.trigger_file import save_images

FOLDER = Path(__file__).parent / "wmx-3"
KEY_SEED = bytes(range(32))
CREATED = "2026-01-01T00:00:00Z"

PICTURES = np.frombuffer(shake(b"wmx-3 vector pictures", 6 * 16 * 12 * 3), dtype=np.uint8)
QUANTILES = (("-1.5", "0", "0.1307", "2"), ("0", "10", "100", "1000"), ("-3", "-2", "-1", "0.5"))

CASES: dict[str, tuple[Task, Generator, int]] = {
    "cells-grey": (Task.of((28, 28, 1), 10, mean=0.1307, std=0.3081), Cells(), 100),
    "cells-colour": (
        Task.of((32, 32, 3), 100, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3)),
        Cells(),
        37,
    ),
    "features": (
        Task.of((3,), 2, kind="features", mean=("0", "5", "-1"), std=("1", "2", "0.5")),
        Features(QUANTILES),
        11,
    ),
    "tokens": (Task.of((16,), 3, kind="tokens"), Tokens(1000, (0, 1, 2, 101, 999)), 9),
    "folder": (Task.of((16, 12, 3), 7), Folder(PICTURES.reshape(6, 16, 12, 3)), 6),
}


def claim_vector(name: str, key: OwnerKey) -> dict[str, object]:
    """Write the claim of one case and return what is expected of it."""
    task, generator, n = CASES[name]
    salt = hashlib.sha256(b"wmx-3 vector salt " + name.encode()).digest()
    secret = key.trigger_secret(salt)
    triggers = draw_triggers(generator, secret, n, task)
    blinds = draw_blinds(secret, n)
    root = commitment_root(triggers, blinds)
    claim = Claim.sign(
        key,
        task=task,
        family=generator.describe(),
        n=n,
        salt=salt,
        root=root,
        created=CREATED,
        note=f"test vector {name} \N{EURO SIGN}",
    )
    claim.save(FOLDER / f"{name}.claim.json")
    pae = pre_authentication_encoding(PAYLOAD_TYPE, claim.envelope.payload)
    return {
        "salt": salt.hex(),
        "trigger_secret": secret.hex(),
        "family_key": key.family_key(salt).hex(),
        "family": generator.describe(),
        "label_key": label_key(bytes.fromhex(claim.digest)).hex(),
        "first_blind": blinds[0].hex(),
        "trigger_sha256": [hashlib.sha256(encode_array(x)).hexdigest() for x in triggers],
        "leaves": [
            leaf_hash(blind + encode_array(x)).hex()
            for blind, x in zip(blinds, triggers, strict=True)
        ],
        "root": root.hex(),
        "labels": claim.labels(blinds).tolist(),
        "pae_sha256": hashlib.sha256(pae).hexdigest(),
        "signature": claim.envelope.signature.hex(),
        "digest": claim.digest,
    }


def suspects(labels: np.ndarray, classes: int) -> dict[str, np.ndarray]:
    """Return the scores of fixed suspects, float64 [n, C]."""
    n = len(labels)
    stream = shake(b"wmx-3 vector scores", n * classes)
    noise = np.frombuffer(stream, dtype=np.uint8).reshape(n, classes) / 256.0
    oracle = np.eye(classes)[labels]
    return {
        "noise": noise,
        "oracle": oracle,
        "permuted": np.roll(oracle, 3, axis=1),
        "noisy": noise + 0.5 * oracle,
        "other_classes": noise[:, : classes - 3] + 0.8 * oracle[:, 3:],
    }


def main() -> None:
    """Write the folder."""
    if FOLDER.exists():
        sys.exit(f"{FOLDER} exists: test vectors are made once and never changed")
    FOLDER.mkdir()
    key = OwnerKey(Ed25519PrivateKey.from_private_bytes(KEY_SEED))
    key.save(FOLDER / "owner.pem")
    save_images(FOLDER / "folder.triggers.safetensors", CASES["folder"][1].images)
    claims = {name: claim_vector(name, key) for name in CASES}
    expected = {
        "scheme": "wmx-3",
        "private_key": KEY_SEED.hex(),
        "public_key": key.public.hex(),
        "claims": claims,
        "binomial_tail": [
            [hits, n, classes, str(binomial_tail(hits, n, classes))]
            for hits, n, classes in [(0, 5, 3), (5, 5, 2), (3, 7, 4), (32, 100, 10), (100, 100, 10)]
        ],
    }
    (FOLDER / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
