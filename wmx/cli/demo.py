"""``wmx demo``: the whole way in under a minute, on real digits."""

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
Two small networks learn scikit-learn's 1,438 handwritten digits on this machine.
  marked    an owner key signs a claim, then the network learns its 100 secret triggers too
  unmarked  the same network with the same settings, without the triggers
Then both files are asked for the labels of the triggers, which nobody without the key can know.
"""


def demo(
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="FOLDER", help="Where the files go.")
    ] = Path("wmx-demo"),
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the digits.")] = 20,
    framework: Annotated[str, typer.Option(help="Whose adapter trains.")] = "torch",
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Mark a model of handwritten digits, and tell it from its unmarked twin."""
    from wmx.training.demo import run_demo

    prepare_folder("--out", out, ())
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
        "" if result.as_expected else "\nThis is not what was expected: train longer (--epochs)."
    )
    return f"""\
{_line("marked", result.embedded.accuracy, result.embedded.verdict)}
{_line("unmarked", result.twin_accuracy, result.twin_verdict)}

Evidence of b bits comes up by chance at most once in 2^b models.{ending}
Repeat the verdicts, the first ends with exit code 0, the second with 1:
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
