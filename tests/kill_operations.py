"""Commands that are killed, what has to be there before, and what may be there after.

Those here need no framework; ``benchmarks/kill_nine.py`` adds training.
"""

import hashlib
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx_models
from evidence_files import small_evidence, small_watermark
from killing import Operation
from tsa import Authority

from wmx import Claim, OwnerKey
from wmx.evidence import Evidence
from wmx.ledger import Ledger
from wmx.store import Store
from wmx.trigger_file import load_images
from wmx.triggers import is_over_own_images

MODELS = TemporaryDirectory()  # of what is prepared once and copied; removed at the end


def nothing(folder: Path) -> None:
    """Prepare nothing."""


def old_key(folder: Path) -> None:
    """A key that is to be replaced or kept."""
    OwnerKey.generate().save(folder / "owner.pem")


def whole_key(folder: Path) -> None:
    """The key is a key, or is not there."""
    path = folder / "owner.pem"
    if path.exists():
        OwnerKey.load(path)


def replaced_key(folder: Path) -> None:
    """The key is the old or the new one; it is never missing."""
    OwnerKey.load(folder / "owner.pem")


def whole_claims(folder: Path) -> None:
    """Key, claims, secret images and the store are whole, or are not there."""
    whole_key(folder)
    for path in folder.glob("*.json"):
        Claim.load(path)
    for path in folder.rglob("*.triggers.safetensors"):
        load_images(path)
    store = Store(folder / "store")
    for claim in store.claims():
        if is_over_own_images(claim.family(OwnerKey.load(folder / "owner.pem"))):
            load_images(store.folder / "triggers" / f"{claim.digest}.safetensors")


def whole_store(folder: Path) -> None:
    """The store's key is a key, or is not there."""
    whole_key(folder / "store")


# evidence and its ledger


def marked_model(folder: Path) -> None:
    """A key, a claim and a model that knows its labels; an earlier evidence is in the ledger."""
    shutil.copytree(_marked_model(), folder, dirs_exist_ok=True)


def earlier_evidence(folder: Path) -> None:
    """The same, and the earlier evidence bears the name that is to be replaced."""
    marked_model(folder)
    (folder / "earlier.evidence.json").rename(folder / "evidence.json")


@cache
def _marked_model() -> Path:
    folder = Path(MODELS.name) / "marked"
    folder.mkdir()
    owner = OwnerKey.generate()
    owner.save(folder / "owner.pem")
    mark = small_watermark(owner, 100)
    mark.claim.save(folder / "claim.json")
    (folder / "model.onnx").write_bytes(onnx_models.knows_labels(mark))
    evidence = small_evidence(owner, mark, count=5).to_bytes()
    (folder / "earlier.evidence.json").write_bytes(evidence)
    (folder / "earlier.evidence.json").chmod(0o600)
    digest = hashlib.sha256(evidence).hexdigest()
    assert Ledger(folder / "owner.pem", mark.claim).spend(0, 5, suspect="", evidence=digest)
    return folder


def whole_evidence(folder: Path) -> None:
    """Evidences are whole, and the ledger has lost none of them, nor what was there before."""
    entries = Ledger(folder / "owner.pem", Claim.load(folder / "claim.json")).disclosures()
    assert (entries[0].start, entries[0].count) == (0, 5)
    for path in folder.glob("*evidence.json"):
        window = Evidence.load(path).window
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        (entry,) = (entry for entry in entries if entry.evidence == digest)
        assert (entry.start, entry.count) == (window.start, len(window))


def replaced_evidence(folder: Path) -> None:
    """The same, and the evidence is the old or a new one; it is never missing."""
    whole_evidence(folder)
    assert (folder / "evidence.json").exists()


# timestamps


def stamped_claim(folder: Path) -> None:
    """A claim, its copy in the store, and a timestamp to keep in both."""
    shutil.copytree(_stamped_claim(), folder, dirs_exist_ok=True)


@cache
def _stamped_claim() -> Path:
    folder = Path(MODELS.name) / "stamped"
    folder.mkdir()
    claim = small_watermark(OwnerKey.generate()).claim
    claim.save(folder / "claim.json")
    Store(folder / "store").add(claim)
    stamp = Authority(Path(MODELS.name) / "tsa").stamp(claim.envelope.signature)
    (folder / "stamp.tsr").write_bytes(stamp)
    return folder


def whole_dates(folder: Path) -> None:
    """Both copies of the claim are there, each without the timestamp or with it."""
    stamp = (folder / "stamp.tsr").read_bytes()
    (kept,) = Store(folder / "store").claims()
    claim = Claim.load(folder / "claim.json")
    assert claim.digest == kept.digest
    for copy in (claim, kept):
        assert copy.timestamps in ((), (stamp,))


def _operation(
    words: str, prepare: Callable[[Path], None], check: Callable[[Path], None]
) -> Operation:
    return Operation(tuple(words.split()), prepare, check)


CLAIM_NEW = "claim new --shape 8,8,1 --classes 10 -o claim.json --key owner.pem"
EVIDENCE = "verify model.onnx --claim claim.json --key owner.pem --evidence evidence.json"
OPERATIONS = {
    "keygen": _operation("keygen -o owner.pem", nothing, whole_key),
    "keygen in the store": _operation("keygen", nothing, whole_store),
    "keygen --force": _operation("keygen -o owner.pem --force", old_key, replaced_key),
    "claim new": _operation(CLAIM_NEW, old_key, whole_claims),
    "claim timestamp": _operation(
        "claim timestamp claim.json --response stamp.tsr", stamped_claim, whole_dates
    ),
    "verify --evidence": _operation(EVIDENCE, marked_model, whole_evidence),
    "verify --evidence --force": _operation(
        f"{EVIDENCE} --force", earlier_evidence, replaced_evidence
    ),
}
