"""``wmx embed``: claim, training, export and proof in one command."""

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
    keep_replaced_claim,
    load_owner,
    prepare_training,
    table,
)
from wmx.cli.output import NOT_VERIFIED, decision_fields
from wmx.cli.outputs import prepare_folder
from wmx.cli.progress import training_progress
from wmx.cli.release import advice, written
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
            help="digits, cifar10[:PATH], cifar100[:PATH], FILE.npz, a folder of class folders, or "
            "package.module:callable."
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FOLDER", help="Where the files go.")],
    key: KeyOption = None,
    framework: Annotated[str, typer.Option(help="Whose adapter trains.")] = "torch",
    model: Annotated[
        str, typer.Option(help="cnn, mlp (sklearn: forest, boosting), or package.module:callable.")
    ] = "cnn",
    recipe: Annotated[
        RecipeChoice, typer.Option(help="How the triggers enter the training.")
    ] = RecipeChoice.robust,
    pretrained: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Weights to start from, safetensors.")
    ] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the training set.")] = 30,
    batch_size: Annotated[int, typer.Option(help="Samples per step, without triggers.")] = 100,
    optimizer: Annotated[OptimizerChoice, typer.Option()] = OptimizerChoice.sgd,
    lr: Annotated[
        float | None, typer.Option(help="Highest learning rate; sgd 0.1, adamw 0.002.")
    ] = None,
    weight_decay: Annotated[float, typer.Option()] = 5e-4,
    seed: Annotated[int, typer.Option(help="Of weights, shuffling and augmentation.")] = 0,
    device: Annotated[TrainingDeviceChoice, typer.Option()] = TrainingDeviceChoice.auto,
    image_size: Annotated[
        int | None, typer.Option(help="Side to which a folder's images are resized.")
    ] = None,
    trigger_images: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Use your own images as triggers.")
    ] = None,
    n: Annotated[int | None, typer.Option("-n", help="Number of triggers.")] = None,
    note: Annotated[str, typer.Option(help="Free text for the claim; it is public.")] = "",
    tsa: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Make a release record at the end, dated by this authority."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run.")
    ] = False,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Train a model that bears your mark, and prove it on the exported file."""
    prepare_training()
    from wmx.training.config import Training
    from wmx.training.data.dataset import load_data
    from wmx.training.embed import embed as embed_mark
    from wmx.training.run_dir import RunFiles

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
    prepare_folder("--out", out, (trigger_images,), names=RunFiles(out).names, key=key)
    owner = load_owner(key)
    labelled = load_data(data, image_size=image_size)
    triggers = None if trigger_images is None else _own_images(trigger_images, labelled, n)
    if force:
        before = RunFiles(out)
        keep_replaced_claim(before.claim, before.triggers, owner)
    try:
        with training_progress(silent=json) as report_as:
            embedded = embed_mark(
                owner,
                labelled,
                out,
                training=training,
                framework=framework,
                n=n if triggers is None else len(triggers.images),
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
                f"wmx: the finished epochs are kept in {out}; go on with the same command and "
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
        raise UsageError(f"--trigger-images is for images, and the data are {data.kind}")
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
            f"the mark is NOT in the model firmly enough: {verdict.bits:.0f} evidence bits, "
            f"{verdict.required_bits:.0f} needed.\n"
            "Train longer (--epochs), or take more triggers (-n)."
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
        rows["secret"] = f"{files.triggers}, needed to verify elsewhere"
    if record is not None:
        rows["release"] = f"{files.release}, dated"
        return f"{head}\n{table(rows)}\n{advice(record, files.release)}"
    text = f"{head}\n{table(rows)}"
    if verdict.verified:
        text += (
            "\nBefore the model leaves your hands, put on record that it is yours:\n"
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
        "model_sha256": verdict.suspect_sha256,
        "weights_path": str(files.weights) if files.weights.exists() else None,
        "triggers_path": str(files.triggers) if files.triggers.exists() else None,
        "release_path": None if record is None else str(files.release),
    }
