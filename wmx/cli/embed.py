"""``wmx embed``: make a claim, train a marked model, export it, and verify it."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wmx.cli.common import (
    ForceOption,
    JsonOption,
    KeyOption,
    answer,
    keep_in_store,
    prepare_training,
    table,
)
from wmx.cli.held_claims import owner_for
from wmx.cli.output import NOT_VERIFIED, decision_fields, warn
from wmx.cli.outputs import prepare_folder, samples_in_use
from wmx.cli.progress import training_progress
from wmx.cli.release import advice, written
from wmx.cli.replaced import keep_replaced_claim, keep_replaced_record
from wmx.cli.timestamp import require_address
from wmx.cli.trigger_counts import require_enough_triggers
from wmx.cli.words import command_line

if TYPE_CHECKING:
    from wmx.protocol.release_record import Release
    from wmx.training.data.dataset import LabeledData
    from wmx.training.embed import Embedded
    from wmx.triggers.folder import Folder


class RecipeChoice(StrEnum):
    """Recipes, as the command line spells them."""

    robust = "robust"
    brief = "brief"
    adi = "adi"
    extraction = "extraction"


class OptimizerChoice(StrEnum):
    """Optimizers, as the command line spells them."""

    sgd = "sgd"
    adamw = "adamw"


class TrainingDeviceChoice(StrEnum):
    """Devices, as the command line spells them."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


def embed(
    data: Annotated[
        str,
        typer.Option(
            help="Labeled data: digits, cifar10[:PATH], cifar100[:PATH], FILE.npz, a folder with "
            "one folder per class, or package.module:callable."
        ),
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="FOLDER", help="Folder for the files.")
    ],
    key: KeyOption = None,
    framework: Annotated[
        str,
        typer.Option(
            help="Framework that trains: torch, keras, jax or sklearn; wmx doctor lists what is "
            "installed."
        ),
    ] = "torch",
    model: Annotated[
        str,
        typer.Option(
            help="Network: cnn, mlp (sklearn: forest, boosting), or package.module:callable."
        ),
    ] = "cnn",
    recipe: Annotated[
        RecipeChoice,
        typer.Option(
            help="How the triggers are trained: robust, brief (about 15 epochs), adi (no extra "
            "cost per step), extraction (for a model behind an API)."
        ),
    ] = RecipeChoice.robust,
    pretrained: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Weights to start from, in safetensors format."),
    ] = None,
    epochs: Annotated[int, typer.Option(help="Number of training epochs.")] = 30,
    batch_size: Annotated[
        int, typer.Option(help="Training samples per step, not counting triggers.")
    ] = 100,
    optimizer: Annotated[
        OptimizerChoice, typer.Option(help="Optimizer that trains.")
    ] = OptimizerChoice.sgd,
    lr: Annotated[
        float | None,
        typer.Option(help="Peak learning rate (default: 0.1 for sgd, 0.002 for adamw)."),
    ] = None,
    weight_decay: Annotated[float, typer.Option(help="Weight decay of the optimizer.")] = 5e-4,
    seed: Annotated[
        int, typer.Option(help="Random seed of weights, shuffling and augmentation.")
    ] = 0,
    device: Annotated[
        TrainingDeviceChoice, typer.Option(help="Device to train on.")
    ] = TrainingDeviceChoice.auto,
    image_size: Annotated[
        int | None,
        typer.Option(help="For a folder of images: resize them to this height and width."),
    ] = None,
    trigger_images: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder of your own images, to use as triggers."),
    ] = None,
    n: Annotated[
        int | None,
        typer.Option(
            "-n", help="Number of triggers (default: 100, or 256 / log2 of the classes if more)."
        ),
    ] = None,
    note: Annotated[str, typer.Option(help="Free text in the claim; it is public.")] = "",
    tsa: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Also make a release record, dated by this timestamp authority (RFC 3161).",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Train a model that bears your mark, export it to ONNX, and verify the exported file.

    Exit 0 if it verifies, else 1.
    """
    prepare_training()
    from wmx.training.config import Training
    from wmx.training.data.dataset import data_path, load_data
    from wmx.training.embed import embed as embed_mark
    from wmx.training.run_dir import RunFiles
    from wmx.training.scale import narrow_pixels

    training = Training(
        model=model,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer.value,
        lr=lr,
        weight_decay=weight_decay,
        seed=seed,
        recipe=recipe.value,
        device=device.value,
        pretrained=pretrained,
    )
    require_address(tsa)
    read = (trigger_images, pretrained, samples_in_use(data_path(data), out))
    prepare_folder("--out", out, read, names=RunFiles(out).names, force=force, key=key)
    owner = owner_for(None, key)
    labeled = load_data(data, image_size=image_size)
    if labeled.kind == "image" and (problem := narrow_pixels(labeled.x_train)) is not None:
        warn(f"{problem}; multiply them up to 255")
    triggers = None if trigger_images is None else _own_images(trigger_images, labeled, n)
    if triggers is not None:
        n = len(triggers.images)
    require_enough_triggers(n, labeled.task, own_images=triggers is not None)
    if force:
        for before in (RunFiles(out), RunFiles(out).replacement):  # one may be unfinished
            keep_replaced_claim(before.claim, before.triggers, owner)
            keep_replaced_record(before.release, owner)
    try:
        with training_progress(silent=json) as report_as:
            embedded = embed_mark(
                owner,
                labeled,
                out,
                training=training,
                framework=framework,
                n=n,
                generator=triggers,
                note=note,
                resume=resume,
                force=force,
                report=report_as("embed"),
            )
    except KeyboardInterrupt:
        files = RunFiles(out)
        if files.checkpoint.exists() or files.replacement.checkpoint.exists():
            print(  # noqa: T201
                f"wmx: the finished epochs are kept in {out}; to continue, repeat the command with "
                "--resume",
                file=sys.stderr,
            )
        raise
    watermark = embedded.watermark
    keep_in_store(watermark)
    record = None
    if tsa is not None and embedded.verdict.verified:
        files = embedded.files
        record = written(embedded.verdict, watermark, owner, files.release, tsa=tsa, force=resume)
    exit_code = 0 if embedded.verdict.verified else NOT_VERIFIED
    text, fields = _text(embedded, record), _fields(embedded, record)
    answer("embed", text, fields, as_json=json, exit_code=exit_code)
    raise typer.Exit(exit_code)


def _own_images(folder: Path, data: "LabeledData", n: int | None) -> "Folder":
    from wmx.errors import UsageError
    from wmx.triggers.folder import read_folder

    if data.kind != "image":
        raise UsageError(f"--trigger-images is only for image data, and the data are {data.kind}")
    try:
        return read_folder(folder, data.task.shape, n)
    except ValueError as error:
        raise UsageError(f"--trigger-images {folder}: {error}") from None


def _text(embedded: "Embedded", record: "Release | None") -> str:
    verdict, files = embedded.verdict, embedded.files
    if verdict.verified:
        head = f"the mark is in the model: {verdict.bits:.0f} evidence bits"
    else:
        head = (
            f"the mark is NOT strong enough in the model: {verdict.bits:.0f} evidence bits, "
            f"{verdict.required_bits:.0f} needed.\n"
            "Train longer (--epochs), or use more triggers (-n)."
        )
    rows = {
        "triggers": f"{verdict.hits} of {verdict.n} learned",
        "accuracy": f"{embedded.accuracy:.2%} on the test set",
        "claim": str(files.claim),
        "model": str(files.model),
    }
    if files.weights.exists():
        rows["weights"] = str(files.weights)
    if files.triggers.exists():
        rows["secret"] = (
            f"{files.triggers}: your trigger images, needed to verify on another machine"
        )
    if record is not None:
        rows["release"] = f"{files.release}, dated"
        return f"{head}\n{table(rows)}\n{advice(record, files.release)}"
    text = f"{head}\n{table(rows)}"
    if verdict.verified:
        text += (
            "\nBefore you hand out the model, make a dated record that it is yours:\n"
            f"  {command_line('wmx', 'release', files.model, '--claim', files.claim)} --tsa URL"
        )
    return text


def _fields(embedded: "Embedded", record: "Release | None") -> dict[str, Any]:
    verdict, files = embedded.verdict, embedded.files
    return {
        **decision_fields(verdict),
        "accuracy": embedded.accuracy,
        "claim": verdict.claim,
        "claim_path": str(files.claim),
        "model_path": str(files.model),
        "model_sha256": verdict.suspect.sha256,
        "weights_path": str(files.weights) if files.weights.exists() else None,
        "triggers_path": str(files.triggers) if files.triggers.exists() else None,
        "release_path": None if record is None else str(files.release),
    }
