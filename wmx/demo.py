"""The demonstration: a marked model of the digits verifies, its unmarked twin does not."""

from dataclasses import dataclass
from pathlib import Path

from wmx.data import load_data
from wmx.embed import Embedded, embed, train_unmarked
from wmx.errors import CannotRunError
from wmx.keys import OwnerKey
from wmx.run_files import RunFiles
from wmx.suspect import open_suspect
from wmx.training import Report, Training
from wmx.verdict import Verdict, verify


@dataclass(frozen=True)
class DemoResult:
    """What the demonstration showed.

    Attributes:
        key: path of the owner key.
        embedded: the marked model, its claim and its verdict.
        twin: path of the unmarked model.
        twin_accuracy: of the unmarked model on the test set, 0 to 1.
        twin_verdict: the same claim held against the unmarked model.
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
        out: folder for a fresh owner key, the claim and both models.
        epochs: of both.
        framework: whose adapter trains.
        force: replace the files of an earlier demonstration in ``out``.
        report_marked, report_twin: called after every epoch.

    Raises:
        CannotRunError: ``out`` holds such files already.
        MissingExtraError: the framework or scikit-learn is not installed.
    """
    files = RunFiles(Path(out))
    key, twin = files.folder / "owner.pem", files.folder / "unmarked.onnx"
    found = [path for path in (key, twin, *files.existing()) if path.exists()]
    if found and not force:
        raise CannotRunError(
            f"{files.folder} holds files already: {', '.join(path.name for path in found)}",
            hint="choose another folder with --out, or --force to replace them",
        )
    training = Training(model="cnn", epochs=epochs, device="cpu")
    data = load_data("digits")
    try:
        files.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotRunError(f"cannot make the folder {files.folder}: {error.strerror}") from None
    for path in found:
        path.unlink()
    owner = OwnerKey.generate()
    owner.save(key)
    embedded = embed(
        owner,
        data,
        files.folder,
        training=training,
        framework=framework,
        note="wmx demo",
        report=report_marked,
    )
    for path in (files.checkpoint, files.weights):  # of use to embed, not to the demonstration
        path.unlink()
    twin_accuracy = train_unmarked(
        data, twin, training=training, framework=framework, report=report_twin
    )
    twin_verdict = verify(open_suspect(twin, "cpu", own=True), embedded.watermark)
    return DemoResult(key, embedded, twin, twin_accuracy, twin_verdict)
