"""``wmx demo``: a marked digit classifier verifies, its unmarked twin does not."""

from dataclasses import dataclass, replace
from pathlib import Path

from wmx.errors import CannotRunError
from wmx.protocol.keys import OwnerKey
from wmx.suspect.suspect import open_suspect
from wmx.training.config import Report, Training
from wmx.training.data.dataset import load_data
from wmx.training.embed import Embedded, embed, train_unmarked
from wmx.training.run_dir import RunFiles
from wmx.verification.verdict import Verdict, verify


@dataclass(frozen=True)
class DemoFiles(RunFiles):
    """The files of a demo: those of a training run, and the unmarked model."""

    names: tuple[str, ...] = (*RunFiles.names, "unmarked.onnx")

    @property
    def key(self) -> Path:
        """The owner key, which no later demo replaces: other claims may need it."""
        return self.folder / "owner.pem"

    @property
    def twin(self) -> Path:
        """The unmarked model."""
        return self.folder / "unmarked.onnx"


@dataclass(frozen=True)
class DemoResult:
    """The outcome of a demo.

    Attributes:
        key: path of the owner key.
        embedded: the marked model, its claim and its verdict.
        twin: path of the unmarked model.
        twin_accuracy: of the unmarked model on the test set, 0 to 1.
        twin_verdict: of verifying the same claim on the unmarked model.
    """

    key: Path
    embedded: Embedded
    twin: Path
    twin_accuracy: float
    twin_verdict: Verdict

    @property
    def as_expected(self) -> bool:
        """Whether the marked model verifies and its twin does not."""
        return self.embedded.verdict.verified and not self.twin_verdict.verified


def run_demo(
    out: str | Path,
    *,
    epochs: int,
    framework: str = "torch",
    force: bool = False,
    report_marked: Report | None = None,
    report_twin: Report | None = None,
) -> DemoResult:
    """Train two networks on scikit-learn's digits, one with a mark and one without.

    Args:
        out: folder for an owner key, the claim and both models.
        epochs: of both trainings.
        framework: whose adapter trains.
        force: replace the files of an earlier demo in ``out``, except its key, once the new ones
            are complete.
        report_marked, report_twin: called after every epoch.

    Raises:
        CannotRunError: ``out`` holds such files already.
        IntegrityError: the key in ``out`` is damaged, or protected by a passphrase.
        MissingExtraError: the framework or scikit-learn is not installed.
    """
    files = DemoFiles(Path(out))
    found = [
        path for path in (files.key, *files.existing(), files.replacement.folder) if path.exists()
    ]
    if found and not force:
        raise CannotRunError(
            f"{files.folder} holds files already: {', '.join(path.name for path in found)}",
            hint="choose another folder with --out, or --force to replace them",
            in_python="choose another folder with out=, or force=True to replace them",
        )
    training = Training(model="cnn", epochs=epochs, device="cpu")
    data = load_data("digits")
    try:
        files.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotRunError(f"cannot create the folder {files.folder}: {error.strerror}") from None
    owner = _owner(files.key)
    with files.written() as target:
        embedded = embed(
            owner,
            data,
            target.folder,
            training=training,
            framework=framework,
            note="wmx demo",
            report=report_marked,
        )
        for path in (target.checkpoint, target.weights):  # a demo is neither resumed nor attacked
            path.unlink()
        twin_accuracy = train_unmarked(
            data, target.twin, training=training, framework=framework, report=report_twin
        )
    watermark = embedded.watermark
    verdict, twin_verdict = (
        verify(open_suspect(path, "cpu", own=True), watermark) for path in (files.model, files.twin)
    )
    embedded = replace(embedded, files=files, verdict=verdict)
    return DemoResult(files.key, embedded, files.twin, twin_accuracy, twin_verdict)


def _owner(path: Path) -> OwnerKey:
    """Return the key of an earlier demo, or generate one."""
    if path.exists():
        return OwnerKey.load(path)
    owner = OwnerKey.generate()
    owner.save(path)
    return owner
