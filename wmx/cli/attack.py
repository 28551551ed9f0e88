"""``wmx attack``: does my mark survive attacks?  To be asked before the model is shipped."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wmx._internal.text import printable
from wmx.cli.common import (
    ForceOption,
    JsonOption,
    KeyOption,
    WeightsOption,
    answer,
    prepare_training,
    store,
)
from wmx.cli.embed import TrainingDeviceChoice
from wmx.cli.held_claims import owner_for, require_owner
from wmx.cli.outputs import prepare_folder, samples_in_use
from wmx.cli.progress import attack_progress

if TYPE_CHECKING:
    from wmx.attacks.attack import Target
    from wmx.attacks.results import Results
    from wmx.watermark import Watermark

RESULTS, PAGE = "attacks.json", "attacks.html"


def attack(
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="RUN_FOLDER|MODEL.onnx", help="Output folder of wmx embed, or an ONNX file."
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="The --data given to wmx embed.  Half of its test set becomes the attacker's data."
        ),
    ] = None,
    attacks: Annotated[
        str, typer.Option(help="Attacks or groups to run, separated by commas; see --list.")
    ] = "quick",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="[ATTACK:]FIELD=VALUE",
            help="Change an attack's setting, such as --set epochs=5; repeatable.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FOLDER",
            help="Folder for the results (default: attacks, beside the model).",
        ),
    ] = None,
    claim: Annotated[
        Path | None, typer.Option(metavar="FILE", help="For an ONNX file: the claim of its mark.")
    ] = None,
    key: KeyOption = None,
    weights: WeightsOption = None,
    framework: Annotated[
        str | None,
        typer.Option(
            help="For an ONNX file: framework in which extraction attacks train: torch, keras or "
            "jax."
        ),
    ] = None,
    network: Annotated[
        str,
        typer.Option("--model", help="For an ONNX file: network that extraction attacks train."),
    ] = "cnn",
    transfer_data: Annotated[
        str | None, typer.Option(help="Data with other classes, for the transfer learning attack.")
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(help="For a folder of images: resize them to this height and width."),
    ] = None,
    min_bits: Annotated[
        float | None, typer.Option(help="Bits required to verify (default: 128).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    device: Annotated[
        TrainingDeviceChoice, typer.Option(help="Where to train.")
    ] = TrainingDeviceChoice.auto,
    show: Annotated[bool, typer.Option("--list", help="List the attacks, and run none.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep the finished attacks, and run the others.")
    ] = False,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Attack your own model, and measure how many bits of its mark survive.

    Exit 0 once all attacks have run.
    """
    from wmx.errors import UsageError

    if show:
        _list_attacks(as_json=json)
        return
    if model is None or data is None:
        raise UsageError(
            "expected a model to attack, and --data",
            hint="wmx attack RUN_FOLDER --data DATA; wmx attack --list shows the attacks",
        )
    prepare_training()
    from wmx._internal.file_sets import FileSet
    from wmx.attacks.campaign import attack_model, exists_already
    from wmx.attacks.catalogue import chosen_attacks
    from wmx.attacks.report import write_report
    from wmx.report.page import require_engines
    from wmx.training.data.dataset import data_path, load_data

    folder = out or (model if model.is_dir() else model.parent) / "attacks"
    given = [data_path(one) for one in (data, transfer_data) if one is not None]
    samples = [samples_in_use(one, folder) for one in given]
    read = (None if model.is_dir() else model, claim, *(weights or []), *samples)
    prepare_folder("--out", folder, read, names=(RESULTS, PAGE), force=force, key=key)
    chosen = chosen_attacks(attacks, settings or ())
    require_engines()  # now: after an hour of attacks would be too late
    watermark = _watermark(model, claim, key)
    labeled = load_data(data, image_size=image_size)
    other = None if transfer_data is None else load_data(transfer_data, image_size=image_size)
    stolen = _target(
        model, watermark, labeled, other, seed, device.value, framework, network, weights or []
    )
    folder.mkdir(parents=True, exist_ok=True)
    files = FileSet(folder, (RESULTS, PAGE))
    found = [*files.existing(), *files.replacement.existing()]
    if found and not (resume or force):
        raise exists_already(found[0])
    try:
        with attack_progress(silent=json) as report, files.written(resume=resume) as target:
            target.folder.mkdir(exist_ok=True)
            results = attack_model(
                stolen,
                watermark,
                chosen,
                target.folder / RESULTS,
                min_bits=min_bits,
                resume=resume,
                report=report,
            )
            write_report(results, target.folder / PAGE, title=str(model), force=True)
    except KeyboardInterrupt:
        print(  # noqa: T201
            f"wmx: the finished attacks are kept in {folder}; to continue, repeat the command with "
            "--resume",
            file=sys.stderr,
        )
        raise
    paths = {"results": folder / RESULTS, "report": folder / PAGE}
    fields = {**results.to_json(), "paths": {name: str(path) for name, path in paths.items()}}
    answer("attack", _text(results, paths), fields, as_json=json)


def _watermark(model: Path, claim: Path | None, key: Path | None) -> "Watermark":
    from wmx.errors import UsageError
    from wmx.protocol.claim import Claim
    from wmx.training.run_dir import RunFiles
    from wmx.triggers.trigger_file import load_images
    from wmx.watermark import Watermark

    files = RunFiles(model)
    if claim is None and not model.is_dir():
        raise UsageError(f"{model} is an ONNX file, expected its claim too", hint="give --claim")
    path = claim or files.claim
    found = Claim.load(path)
    owner = owner_for(path, key)
    require_owner(found, path, owner, key)
    if model.is_dir() and files.triggers.exists():
        return Watermark.open(found, owner, images=load_images(files.triggers))
    return store().open(found, owner)


def _target(
    model: Path,
    watermark: "Watermark",
    data: Any,
    other: Any,
    seed: int,
    device: Any,
    framework: str | None,
    network: str,
    weights: list[Path],
) -> "Target":
    from dataclasses import replace

    from wmx.attacks.attack import Framework
    from wmx.attacks.target import target_from_file, target_from_run
    from wmx.errors import UsageError
    from wmx.training.plugins import load_stepwise_adapter

    if not model.is_dir():
        target = target_from_file(
            model, watermark, data, seed=seed, other_data=other, weights=weights
        )
        if framework is None:
            return target
        where = Framework(load_stepwise_adapter(framework), network, None, data.vocabulary, device)
        return replace(target, framework=where)
    if weights:
        raise UsageError(
            "--weights is only for ONNX files; the output folder of wmx embed has its own weights"
        )
    if framework is not None:
        raise UsageError(
            "--framework is only for ONNX files; a wmx embed model is attacked in its own one"
        )
    return target_from_run(model, watermark, data, seed=seed, device=device, other_data=other)


def _list_attacks(*, as_json: bool) -> None:
    from wmx.attacks.catalogue import CATALOGUE

    lines = ["groups: all, quick (graph and input attacks), and those below"]
    for group, attacks in CATALOGUE.items():
        lines += ["", group]
        for name, one in attacks.items():
            settings = " ".join(f"{field}={value}" for field, value in one.settings().items())
            lines += [f"  {name:<18} {one.threat}", f"  {'':<18} {settings}".rstrip()]
    fields = {
        "attacks": [
            {
                "name": name,
                "group": group,
                "needs": one.needs,
                "threat": one.threat,
                "source": one.source,
                "settings": one.settings(),
            }
            for group, attacks in CATALOGUE.items()
            for name, one in attacks.items()
        ]
    }
    answer("attack", "\n".join(filter(str.rstrip, lines)), fields, as_json=as_json)


def _text(results: "Results", paths: dict[str, Path]) -> str:
    before = results.before
    lines = [
        f"{'':<44} accuracy     hits   bits",
        f"{'before any attack':<44} {before.accuracy:8.1%} {before.hits:5d}/{before.n} "
        f"{before.bits:6.0f}",
    ]
    for result in results.attacks:
        if result.error is not None:
            failed = f"{result.name:<44} failed: {result.error}"
            lines.append(printable(failed, None))  # it may come from a file
        for one in result.outcomes:
            name = printable(f"{result.name}  {one.variant}")
            gone = "" if one.verified else "  does not verify"
            lines.append(
                f"{name[:44]:<44} {one.accuracy:8.1%} {one.hits:5d}/{one.n} {one.bits:6.0f}{gone}"
            )
    lines += ["", *(f"{name:<8} {path}" for name, path in paths.items())]
    return "\n".join(lines)
