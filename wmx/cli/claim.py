"""``wmx claim``: make a claim without training a model, date it, or show one."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wmx._internal.text import printable
from wmx.cli.common import (
    ForceOption,
    JsonOption,
    KeyOption,
    RootsOption,
    answer,
    held_to_limits,
    integers,
    keep_in_store,
    load_owner,
    numbers,
    table,
    trusted_roots,
)
from wmx.cli.list_claims import list_claims
from wmx.cli.output import warn
from wmx.cli.outputs import prepare_output
from wmx.cli.replaced import keep_replaced_claim
from wmx.cli.timestamp import timestamp
from wmx.cli.trigger_counts import warn_of_too_few_triggers
from wmx.cli.words import claim_fields, dating_rows, stamp_rows, task_text
from wmx.errors import UsageError
from wmx.protocol.file_kind import CLAIM
from wmx.protocol.replacing import TRIGGERS

if TYPE_CHECKING:
    from wmx.protocol.claim import Claim
    from wmx.protocol.dating import Dating
    from wmx.triggers import Generator

MAX_NOTE_SHOWN = 2000  # characters; all of it is in the answer for programs

claim = typer.Typer(
    help="Make a claim (to train with your own loop), date it, show it, or list all.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class KindChoice(StrEnum):
    """Kinds of input, as the command line spells them."""

    image = "image"
    features = "features"
    tokens = "tokens"


@claim.command(short_help="Make a claim, to train with your own loop.")
def new(
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="FILE", help="Where to write the claim.")
    ],
    shape: Annotated[
        str,
        typer.Option(
            help="Shape of one input: 8,8,1 for images (height, width, channels), 30 for features, "
            "24 for tokens."
        ),
    ],
    classes: Annotated[int, typer.Option(help="Number of classes.")],
    key: KeyOption = None,
    kind: Annotated[KindChoice, typer.Option(help="Kind of input.")] = KindChoice.image,
    mean: Annotated[
        str, typer.Option(help="Mean that the model's inputs are normalized with; one per channel.")
    ] = "0",
    std: Annotated[
        str, typer.Option(help="Standard deviation they are divided by; one per channel.")
    ] = "1",
    value_range: Annotated[
        str,
        typer.Option(
            "--range",
            help="Scale that pixels 0 and 255 are mapped to, before mean and std: 0,1 or 0,255.",
        ),
    ] = "0,1",
    n: Annotated[
        int | None,
        typer.Option(
            "-n", help="Number of triggers (default: 100, or 256 / log2 of the classes if more)."
        ),
    ] = None,
    trigger_images: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder of your own images, to use as triggers."),
    ] = None,
    quantiles: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.npy",
            help="For features: one row per feature, the quantiles to draw it from.",
        ),
    ] = None,
    vocabulary: Annotated[
        int | None, typer.Option(help="For tokens: size of the vocabulary; ids are below it.")
    ] = None,
    exclude: Annotated[
        str | None,
        typer.Option(
            help="For tokens: ids of special tokens that triggers must not use, such as 0,1,2."
        ),
    ] = None,
    note: Annotated[str, typer.Option(help="Free text in the claim; it is public.")] = "",
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Make a claim: the signed public file that commits to your triggers before training."""
    from wmx.protocol.dating import UNDATED
    from wmx.protocol.task import Task
    from wmx.triggers.folder import Folder
    from wmx.triggers.trigger_file import save_images
    from wmx.watermark import Watermark

    images_path = out.with_suffix(".triggers.safetensors")
    read = (quantiles, trigger_images)
    prepare_output("--out", out, CLAIM, read, force=force, key=key)
    if trigger_images is not None:
        prepare_output("--out", images_path, TRIGGERS, read, force=force, key=key)
    dims = integers(shape, "--shape")
    generator = _generator(dims, n, trigger_images, quantiles, vocabulary, exclude)
    low_high = numbers(value_range, "--range")
    if len(low_high) != 2:
        raise UsageError(f"--range is {value_range!r}, expected two numbers such as 0,1")
    if isinstance(generator, Folder):
        n = len(generator.images)
    owner = load_owner(key)
    task = Task.of(
        dims,
        classes,
        kind=kind.value,
        value_range=(low_high[0], low_high[1]),
        mean=numbers(mean, "--mean"),
        std=numbers(std, "--std"),
    )
    watermark = Watermark.for_task(owner, task, n=n, generator=generator, note=note)
    if force:
        keep_replaced_claim(out, images_path, owner)
    keep_in_store(watermark)  # first: whatever the next lines replace, it is there
    images = generator.images if isinstance(generator, Folder) else None
    if images is not None:
        save_images(images_path, images, force=force)
    watermark.claim.save(out, force=force)
    if problem := task.scale_problem():
        warn(problem)
    warn_of_too_few_triggers(watermark.claim.n, watermark.claim.task, own_images=images is not None)
    text = f"claim {out}\n{describe(watermark.claim, UNDATED)}"
    if images is not None:
        text += f"\nsecret images of the triggers, needed to verify: {images_path}"
    answer(
        "claim", text, {"path": str(out), **claim_fields(watermark.claim, UNDATED)}, as_json=json
    )


@claim.command(short_help="Check a claim, and show what it says.")
@held_to_limits
def show(
    file: Annotated[Path, typer.Argument(metavar="CLAIM", help="The claim file.")],
    roots: RootsOption = None,
    json: JsonOption = False,
) -> None:
    """Check a claim's signature and timestamps, and show what it says."""
    text, fields = shown(file, roots)
    answer("claim", text, fields, as_json=json)


claim.command("list", short_help="List the claims of your store.")(list_claims)
claim.command(short_help="Date a claim by a timestamp authority.")(timestamp)


def shown(file: Path, roots: Path | None = None) -> tuple[str, dict[str, Any]]:
    """Return what a claim file says, for people and for programs.

    Args:
        file: the claim.
        roots: root certificates to check its timestamps against; the store's if ``None``.

    Returns:
        a text, and the fields of ``--json``.

    Raises:
        CannotRunError: a file cannot be read.
        IntegrityError: the claim is broken.
    """
    from wmx.protocol.claim import Claim
    from wmx.protocol.timestamp import date_claim

    claim = Claim.load(file)
    dating = date_claim(claim, trusted_roots(roots, [claim]))
    name = printable(str(file), None)
    text = f"claim {name}: signed by its owner, and not changed since\n{describe(claim, dating)}"
    return text, {"path": str(file), **claim_fields(claim, dating)}


def describe(claim: "Claim", dating: "Dating") -> str:
    """Return the claim's content for people.

    Args:
        claim: what is described.
        dating: what its timestamps prove.
    """
    task = claim.task
    normalization = f"mean {', '.join(task.mean)}; std {', '.join(task.std)}"
    if task.kind == "image":
        normalization = f"pixels to {task.low}..{task.high}; {normalization}"
    rows = {
        "claim": claim.digest,
        "owner": claim.owner.hex(),
        "task": task_text(task),
        "normalized": normalization,
        "triggers": f"{claim.n}; how they are drawn is encrypted for the owner",
        "root": claim.root.hex(),
        "created": f"{claim.created} (as the owner states)",
        **stamp_rows(claim),
        **dating_rows(dating),
    }
    if claim.note:
        rows["note"] = printable(claim.note, MAX_NOTE_SHOWN)
    return table(rows)


def _generator(
    shape: list[int],
    n: int | None,
    trigger_images: Path | None,
    quantiles: Path | None,
    vocabulary: int | None,
    exclude: str | None,
) -> "Generator | None":
    """Return the trigger family that the options ask for, ``None`` for the kind's default."""
    given = [option is not None for option in (trigger_images, quantiles, vocabulary)]
    if sum(given) > 1:
        raise UsageError("expected only one of --trigger-images, --quantiles and --vocabulary")
    try:
        if trigger_images is not None:
            from wmx.triggers.folder import read_folder

            if len(shape) != 3:
                raise UsageError("--trigger-images needs --shape height,width,channels")
            return read_folder(trigger_images, tuple(shape), n)
        if quantiles is not None:
            from wmx.training.data.loaders import read_table
            from wmx.triggers.features import Features

            return Features.of(read_table(quantiles, "quantiles"))
        if vocabulary is not None:
            from wmx.triggers.tokens import Tokens

            special = sorted(set(integers(exclude, "--exclude"))) if exclude else []
            return Tokens(vocabulary, tuple(special))
    except ValueError as error:
        raise UsageError(str(error)) from None
    return None
