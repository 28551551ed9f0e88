"""``wmx demo``: mark, train and verify a small model of real digits in under a minute."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wmx.cli.common import ForceOption, JsonOption, answer, prepare_training
from wmx.cli.outputs import prepare_folder
from wmx.cli.progress import training_progress

if TYPE_CHECKING:
    from wmx.training.demo import DemoResult
    from wmx.verification.verdict import Verdict

UNEXPECTED = 1
INTRODUCTION = """\
Trains two small networks on 1,438 handwritten digits of scikit-learn.
  marked    the owner key signs a claim; the network also learns the claim's 100 secret triggers
  unmarked  the same network and settings, without the triggers
Then both ONNX files are queried for the labels of the triggers, which only the key's owner knows.
"""


def demo(
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="FOLDER", help="Folder for the files.")
    ] = Path("wmx-demo"),
    epochs: Annotated[int, typer.Option(min=1, help="Number of training epochs.")] = 20,
    framework: Annotated[
        str,
        typer.Option(
            help="Framework that trains: torch, keras or jax; wmx doctor lists what is installed."
        ),
    ] = "torch",
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Train a marked and an unmarked model of handwritten digits, and verify both."""
    from wmx.training.demo import DemoFiles, run_demo

    prepare_folder("--out", out, (), names=DemoFiles(out).names, force=force)
    prepare_training(threads=1)
    began = time.monotonic()
    if not json:
        print(INTRODUCTION, file=sys.stderr)  # noqa: T201
    with training_progress(silent=json) as report_as:
        result = run_demo(
            out,
            epochs=epochs,
            framework=framework,
            force=force,
            report_marked=report_as("marked"),
            report_twin=report_as("unmarked"),
        )
    exit_code = 0 if result.as_expected else UNEXPECTED
    seconds = time.monotonic() - began
    answer("demo", _text(result), _fields(result, seconds), as_json=json, exit_code=exit_code)
    raise typer.Exit(exit_code)


def _text(result: "DemoResult") -> str:
    claim = result.embedded.files.claim
    verify = f"--claim {claim} --key {result.key}"
    ending = (
        ""
        if result.as_expected
        else "\nThese are not the verdicts expected of them: train longer (--epochs)."
    )
    return f"""\
{_line("marked", result.embedded.accuracy, result.embedded.verdict)}
{_line("unmarked", result.twin_accuracy, result.twin_verdict)}

An unmarked model reaches b bits by chance with probability 2^-b at most.{ending}
To repeat the verdicts (the first command exits with code 0, the second with 1):
  wmx verify {result.embedded.files.model} {verify}
  wmx verify {result.twin} {verify}"""


def _line(name: str, accuracy: float, verdict: "Verdict") -> str:
    word = "VERIFIED" if verdict.verified else "not verified"
    return (
        f"{name:<9} {accuracy:.1%} of test digits right, {verdict.hits} of {verdict.n} triggers, "
        f"{max(0.0, verdict.bits):.0f} bits of {verdict.required_bits:.0f} needed: {word}"
    )


def _fields(result: "DemoResult", seconds: float) -> dict[str, Any]:
    verdict, twin = result.embedded.verdict, result.twin_verdict
    return {
        "as_expected": result.as_expected,
        "marked": _model_fields(result.embedded.files.model, result.embedded.accuracy, verdict),
        "unmarked": _model_fields(result.twin, result.twin_accuracy, twin),
        "claim_path": str(result.embedded.files.claim),
        "key_path": str(result.key),
        "seconds": round(seconds, 1),
    }


def _model_fields(path: Path, accuracy: float, verdict: "Verdict") -> dict[str, Any]:
    return {
        "path": str(path),
        "accuracy": accuracy,
        "verified": verdict.verified,
        "bits": verdict.bits,
        "hits": verdict.hits,
        "n": verdict.n,
    }
