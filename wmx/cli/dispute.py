"""``wmx dispute``: several claims verify on one model; whose is it?"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wmx._internal.budget import paused
from wmx.cli.common import (
    DeviceChoice,
    JsonOption,
    MemoryOption,
    MinBitsOption,
    RootsOption,
    SecondsOption,
    WeightsOption,
    answer,
    held_to_limits,
    never_weights,
    prepare_training,
    suspect_limits,
)
from wmx.cli.dispute_words import settlement_fields, settlement_text
from wmx.cli.disputing_parties import disputing_parties
from wmx.cli.output import NOT_VERIFIED
from wmx.cli.progress import tuning_progress

if TYPE_CHECKING:
    from wmx.disputes.fine_tuning import FineTuned
    from wmx.disputes.settling import Settlement
    from wmx.suspect.suspect import Suspect


@held_to_limits
def dispute(
    suspect: Annotated[Path, typer.Argument(metavar="SUSPECT.onnx", help="The model in dispute.")],
    weights: WeightsOption = None,
    claim: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="A party's claim; its digest and its owner's key tell which --evidence, --release "
            "and --key belong to it; repeatable.",
        ),
    ] = None,
    key: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Key that made a claim, in any order; your store's is tried too; repeatable.",
        ),
    ] = None,
    evidence: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="Evidence file of a party whose key you do not have; repeatable."
        ),
    ] = None,
    release: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Release record of a party's own model, or of the suspect; it names its claim and "
            "the model by digest; repeatable.",
        ),
    ] = None,
    original: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE.onnx",
            help="A model that a release record names by its SHA-256; repeatable.",
        ),
    ] = None,
    triggers: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLAIM=FILE",
            help="Trigger images of a claim made with --trigger-images; repeatable.",
        ),
    ] = None,
    min_bits: MinBitsOption = None,
    roots: RootsOption = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Labeled data, as for wmx embed: if undecided, fine-tune the suspect on it."
        ),
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(help="For a folder of images: resize them to this height and width."),
    ] = None,
    epochs: Annotated[int, typer.Option(help="Epochs of the fine-tuning.")] = 20,
    lr: Annotated[float, typer.Option(help="Learning rate of the fine-tuning.")] = 0.003,
    seed: Annotated[int, typer.Option(help="Random seed of the fine-tuning.")] = 0,
    device: Annotated[
        DeviceChoice, typer.Option(help="Where to run the models.")
    ] = DeviceChoice.auto,
    seconds: SecondsOption = None,
    memory: MemoryOption = None,
    json: JsonOption = False,
) -> None:
    """Compare the claims and records of several parties, and name whose model a suspect is.

    Exit 0 if a party is named, 1 if nobody is; 2 to 4 as everywhere.
    """
    from wmx.disputes.originals import opened
    from wmx.disputes.settling import settle
    from wmx.suspect.policy.external_files import beside
    from wmx.suspect.sandbox.process import Sandbox
    from wmx.suspect.suspect import open_suspect

    limits = suspect_limits(seconds, memory)
    with Sandbox.start(limits) as sandbox:
        images = [Path(text.rpartition("=")[2]) for text in triggers or []]
        named = [*(claim or []), *(key or []), *(evidence or []), *(release or []), *images, roots]
        never = list(never_weights(None, *named))
        asked = open_suspect(
            suspect,
            device.value,
            sandbox=sandbox,
            weights=beside(suspect, weights or []),
            apart_from=never,
        )
        parties, records = disputing_parties(
            claim or [],
            key or [],
            evidence or [],
            release or [],
            original or [],
            triggers or [],
            roots,
            suspect=asked,
            open_model=partial(
                opened,
                device=device.value,
                limits=limits,
                weights=weights or [],
                apart_from=never,
            ),
        )
        settlement = settle(
            asked,
            parties,
            records,
            min_bits=min_bits,
            device=device.value,
            limits=limits,
            weights=weights or [],
            apart_from=never,
        )
        tuned = None
        if data is not None and settlement.outcome == "undecided":
            settings = (epochs, lr, seed)
            given = (seconds, memory)
            tuned = _fine_tuned(asked, settlement, data, image_size, settings, given, silent=json)
    exit_code = NOT_VERIFIED if settlement.named is None else 0
    text, fields = settlement_text(settlement, tuned), settlement_fields(settlement, tuned)
    answer("dispute", text, fields, as_json=json, exit_code=exit_code)
    raise typer.Exit(exit_code)


def _fine_tuned(
    suspect: "Suspect",
    settlement: "Settlement",
    data: str,
    image_size: int | None,
    settings: tuple[int, float, int],
    limits: tuple[float | None, float | None],
    *,
    silent: bool,
) -> "FineTuned":
    prepare_training()
    from wmx.disputes.fine_tuning import TUNING_LIMITS, default_training, fine_tune
    from wmx.training.data.dataset import load_data

    with paused():  # the judge's own data
        samples = load_data(data, image_size=image_size)
    with tuning_progress(silent=silent) as report:
        return fine_tune(
            suspect,
            settlement.standing,
            samples,
            default_training(*settings),
            limits=suspect_limits(*limits, TUNING_LIMITS),
            report=report,
        )
