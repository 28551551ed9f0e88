"""Commands that are killed, what has to be there before, and what may be there after.

Those that train do so in the framework of the tests; ``benchmarks/kill_nine.py`` adds PyTorch.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import numpy as np
import onnx
from PIL import Image
from safetensors.numpy import load as load_tensors

from support import killing, onnx_models
from support.evidence_files import small_evidence, small_watermark
from support.killing import Operation
from support.tsa import Authority
from wmx import Claim, OwnerKey, Watermark
from wmx._internal.writing import write_bytes
from wmx.errors import IntegrityError
from wmx.protocol.release_record import Release
from wmx.training.checkpoint import load_identity
from wmx.triggers import is_over_own_images
from wmx.triggers.trigger_file import load_images
from wmx.verification.evidence import Evidence
from wmx.verification.ledger import Ledger, ledger_folder
from wmx.verification.store import Store

MODELS = TemporaryDirectory()  # of what is prepared once and copied; removed at the end

LEDGER = f"{'ab' * 32}.json"


def nothing(folder: Path) -> None:
    """Prepare nothing."""


def old_key(folder: Path) -> None:
    """A key that is to be replaced or kept, with a ledger, and its public half."""
    key = OwnerKey.generate()
    key.save(folder / "owner.pem")
    (folder / "public").write_bytes(key.public)
    ledgers = ledger_folder(folder / "owner.pem")
    ledgers.mkdir(mode=0o700)
    write_bytes(ledgers / LEDGER, b"{}", mode=0o600)


def whole_key(folder: Path) -> None:
    """The key is a key, or is not there."""
    path = folder / "owner.pem"
    if path.exists():
        OwnerKey.load(path)


def replaced_key(folder: Path) -> None:
    """The key is the old or the new one, and the old one is never gone: claims hang on it."""
    OwnerKey.load(folder / "owner.pem")
    keys = {OwnerKey.load(path).public for path in folder.glob("*.pem")}
    assert (folder / "public").read_bytes() in keys, "the old key is gone for ever"
    (ledger,) = folder.glob(f"*/{LEDGER}")
    assert ledger.read_bytes() == b"{}", "its ledger is not"


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


def old_claim(folder: Path) -> None:
    """A claim of the key that no store knows, and that is to be replaced."""
    old_key(folder)
    claim = small_watermark(OwnerKey.load(folder / "owner.pem")).claim
    claim.save(folder / "claim.json")
    (folder / "digest").write_text(claim.digest)


def replaced_claim(folder: Path) -> None:
    """The claim is the old or the new one, and the old one is never gone."""
    whole_claims(folder)
    claims = [Claim.load(folder / "claim.json"), *Store(folder / "store").claims()]
    assert (folder / "digest").read_text() in {claim.digest for claim in claims}


def own_images(folder: Path) -> None:
    """A key, and a folder of pictures for triggers."""
    old_key(folder)
    (folder / "pictures").mkdir()
    rng = np.random.default_rng(0)
    for number in range(8):
        pixels = rng.integers(0, 256, (8, 8), np.uint8)
        Image.fromarray(pixels).save(folder / "pictures" / f"{number}.png")


def old_claim_over_images(folder: Path) -> None:
    """A claim over other pictures, which no store knows, with its secret file."""
    own_images(folder)
    assert killing.run((*CLAIM_OVER_IMAGES.split(), "-n", "7"), folder) == 0
    shutil.rmtree(folder / "store")
    (folder / "digest").write_text(Claim.load(folder / "claim.json").digest)


def replaced_claim_over_images(folder: Path) -> None:
    """The same, and the pictures of either claim are at hand: its own, or those in the store."""
    replaced_claim(folder)
    key = OwnerKey.load(folder / "owner.pem")
    claim, store = Claim.load(folder / "claim.json"), Store(folder / "store")
    beside = load_images(folder / "claim.triggers.safetensors")
    try:
        Watermark.open(claim, key, images=beside)
    except IntegrityError:
        store.open(claim, key)
    for kept in store.claims():
        store.open(kept, key)


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
    assert Ledger(folder / "owner.pem", mark.claim).spend(owner, 0, 5, suspect="", evidence=digest)
    return folder


def whole_evidence(folder: Path) -> None:
    """Evidences are whole, and the ledger has lost none of them, nor what was there before."""
    entries = Ledger(folder / "owner.pem", Claim.load(folder / "claim.json")).disclosures()
    assert (entries[0].start, entries[0].count) == (0, 5)
    for path in folder.glob("*evidence.json"):
        trigger_slice = Evidence.load(path).trigger_slice
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        (entry,) = (entry for entry in entries if entry.evidence == digest)
        assert (entry.start, entry.count) == (trigger_slice.start, len(trigger_slice))


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


def whole_records(folder: Path) -> None:
    """The release record is whole, or is not there, and so is its copy in the store."""
    whole_evidence(folder)
    claim = Claim.load(folder / "claim.json")
    kept = Store(folder / "store").last_release(claim)
    for path in folder.glob("*.release.json"):
        record = Release.load(path)
        assert record.claim.digest == claim.digest
        assert kept is None or kept.digest == record.digest


# sets of files that belong together: a run, a demonstration, the results of attacks

NOT_FIRM = 1  # so short a training leaves too few bits, and says so
CLAIM_NEW = "claim new --shape 8,8,1 --classes 10 -o claim.json --key owner.pem"
CLAIM_OVER_IMAGES = f"{CLAIM_NEW} --trigger-images pictures"
EMBED = (
    "embed --data data.npz --model mlp --epochs 2 --batch-size 32 --recipe adi --key owner.pem "
    "-o out"
)
DEMO = "demo --framework linear -o out --epochs"
ATTACK = "attack model.onnx --claim claim.json --key owner.pem --data data.npz -o out --attacks"


@dataclass(frozen=True)
class Replaced:
    """A set of files in the folder ``out``, which a command with ``--force`` replaces.

    Attributes:
        words: of the command that made the set, and of one that replaces it.
        start: makes what either needs.
        names: of the files in the set.
        kept: files beside them that no command may replace.
    """

    words: tuple[str, str]
    start: Callable[[Path], None]
    names: tuple[str, ...]
    kept: tuple[str, ...] = ()

    def prepare(self, folder: Path) -> None:
        """Make a set that is to be replaced, and all that it was made from."""
        shutil.copytree(_made_before(self), folder, dirs_exist_ok=True)

    def check(self, folder: Path) -> None:
        """The old set lies there, or what is there is of a new one; of one at least all is whole.

        A new set that is whole may still lie below, as a whole or in part.
        """
        whole_run(folder)
        before, out = _made_before(self) / "out", folder / "out"
        assert _contents(out, self.kept) == _contents(before, self.kept)
        old, found = _contents(before, self.names), _contents(out, self.names)
        if old.items() <= found.items():
            return
        remaining = [name for name in found if found[name] == old.get(name)]
        new = found.keys() - remaining
        assert not (remaining and new), f"old {remaining} beside new {sorted(new)}"
        below = {path.name for path in out.glob("*/*")}
        assert old.keys() <= new | below, "neither set is whole"

    def ending(self, folder: Path) -> None:
        """A set is whole, and nothing lies below it."""
        self.check(folder)
        out = folder / "out"
        assert _contents(out, self.names).keys() == set(self.names)
        assert [path for path in out.iterdir() if path.is_dir()] == []

    def operation(self, *more: str) -> Operation:
        """Return the command that replaces, and with these words is repeated."""
        words = (*self.words[1].split(), "--force")
        codes = (0, NOT_FIRM)
        return Operation(words, self.prepare, self.check, codes, more, self.ending)


@cache
def _made_before(replaced: Replaced) -> Path:
    folder = Path(mkdtemp(dir=MODELS.name))
    replaced.start(folder)
    assert killing.run(tuple(replaced.words[0].split()), folder) in (0, NOT_FIRM)
    return folder


def _contents(folder: Path, names: Iterable[str]) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}


def whole_run(folder: Path) -> None:
    """Keys, claims, weights, checkpoints, models and results are whole, or are not there."""
    whole_key(folder)
    for path in folder.rglob("claim.json"):
        Claim.load(path)
    list(Store(folder / "store").claims())
    for path in folder.rglob("*.safetensors"):
        load_tensors(path.read_bytes())
    for path in folder.rglob("*.onnx"):
        onnx.checker.check_model(onnx.load(path), full_check=True)
    for path in folder.rglob("checkpoint.safetensors"):
        beside, above = path.with_name("claim.json"), path.parents[1] / "claim.json"
        claim = Claim.load(beside if beside.exists() else above)  # it moves up first
        assert load_identity(path).claim == claim.digest
    for path in folder.rglob("attacks.json"):
        json.loads(path.read_bytes())
    for path in folder.rglob("attacks.html"):
        assert path.read_text().rstrip().endswith("</html>")


def training(folder: Path) -> None:
    """A key, and data of three classes."""
    old_key(folder)
    rng = np.random.default_rng(0)
    np.savez(folder / "data.npz", x=rng.integers(0, 256, (96, 8, 8), np.uint8), y=np.arange(96) % 3)


def marked_model_with_data(folder: Path) -> None:
    """As :func:`marked_model`, with data of as many classes."""
    marked_model(folder)
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (2000, 8, 8), np.uint8), np.arange(2000) % 1000
    np.savez(folder / "data.npz", x_train=x, y_train=y, x_test=x, y_test=y)


def trained(framework: str) -> Replaced:
    """A run of ``wmx embed`` in a framework."""
    names = ("claim.json", "checkpoint.safetensors", "weights.safetensors", "model.onnx")
    words = f"{EMBED} --framework {framework}"
    return Replaced((words, words), training, names)


DEMONSTRATION = Replaced(
    (f"{DEMO} 1", f"{DEMO} 2"),
    nothing,
    ("claim.json", "model.onnx", "unmarked.onnx"),
    kept=("owner.pem",),  # other claims may hang on it
)
ATTACKED = Replaced(
    (f"{ATTACK} flip", f"{ATTACK} blur"), marked_model_with_data, ("attacks.json", "attacks.html")
)


def _operation(
    words: str, prepare: Callable[[Path], None], check: Callable[[Path], None], *codes: int
) -> Operation:
    return Operation(tuple(words.split()), prepare, check, codes or (0,))


EVIDENCE = "verify model.onnx --claim claim.json --key owner.pem --evidence evidence.json"
OPERATIONS = {
    "keygen": _operation("keygen -o owner.pem", nothing, whole_key),
    "release": _operation(
        "release model.onnx --claim claim.json --key owner.pem", marked_model, whole_records
    ),
    "keygen in the store": _operation("keygen", nothing, whole_store),
    "keygen --force": _operation("keygen -o owner.pem --force", old_key, replaced_key),
    "claim new": _operation(CLAIM_NEW, old_key, whole_claims),
    "claim new --force": _operation(f"{CLAIM_NEW} --force", old_claim, replaced_claim),
    "claim new --trigger-images": _operation(CLAIM_OVER_IMAGES, own_images, whole_claims),
    "claim new --trigger-images --force": _operation(
        f"{CLAIM_OVER_IMAGES} --force", old_claim_over_images, replaced_claim_over_images
    ),
    "claim timestamp": _operation(
        "claim timestamp claim.json --response stamp.tsr", stamped_claim, whole_dates
    ),
    "verify --evidence": _operation(EVIDENCE, marked_model, whole_evidence),
    "verify --evidence --force": _operation(
        f"{EVIDENCE} --force", earlier_evidence, replaced_evidence
    ),
    "embed": _operation(f"{EMBED} --framework linear", training, whole_run, 0, NOT_FIRM),
    "embed --force": trained("linear").operation("--resume"),
    "demo --force": DEMONSTRATION.operation(),
    "attack --force": ATTACKED.operation("--resume"),
}
