"""``wmx release``: put on record, signed and dated, which model bears your mark."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wmx.cli.common import (
    DeviceChoice,
    DeviceOption,
    ForceOption,
    JsonOption,
    KeyOption,
    MemoryOption,
    MinBitsOption,
    RootsOption,
    SecondsOption,
    WeightsOption,
    answer,
    held_to_limits,
    key_file,
    load_owner,
    never_weights,
    store,
    suspect_limits,
    table,
    trusted_roots,
)
from wmx.cli.output import NOT_VERIFIED
from wmx.cli.outputs import prepare_output
from wmx.cli.timestamp import ask, timestamp
from wmx.cli.words import command_line, dating_fields, digest_rows, stamp_rows, utc
from wmx.errors import CannotRunError

if TYPE_CHECKING:
    from wmx.protocol.claim import Claim
    from wmx.protocol.keys import OwnerKey
    from wmx.protocol.release_record import Release
    from wmx.protocol.timestamp import Dating
    from wmx.verification.verdict import Verdict
    from wmx.watermark import Watermark

TsaOption = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Have the record dated by this authority (RFC 3161)."),
]


class _ModelFirst(typer.core.TyperGroup):
    """``wmx release model.onnx`` is short for ``wmx release new model.onnx``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given = next((word for word in args if not word.startswith("-")), None)
        if given is not None and given not in self.commands:
            args = ["new", *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed


release = typer.Typer(
    cls=_ModelFirst,
    help="Put on record which model bears your mark: wmx release MODEL.onnx (or show, timestamp).",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@release.command()
@held_to_limits
def new(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx")],
    claim: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Whose mark it bears; the store's best if not given."),
    ] = None,
    key: KeyOption = None,
    triggers: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The secret images of a claim over your own images."),
    ] = None,
    weights: WeightsOption = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FILE", help="MODEL.release.json if not given."),
    ] = None,
    found: Annotated[
        bool, typer.Option("--found", help="The model is a suspect that you found, not your own.")
    ] = False,
    tsa: TsaOption = None,
    min_bits: MinBitsOption = None,
    roots: RootsOption = None,
    device: DeviceOption = DeviceChoice.auto,
    seconds: SecondsOption = None,
    memory: MemoryOption = None,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Sign that a model bears your mark, and have that dated.  Exit 1 if it does not."""
    from wmx.cli.verdict_words import verdict_fields, verdict_text
    from wmx.cli.verify import watermarks_to_hold
    from wmx.protocol.release_record import Relation
    from wmx.suspect.sandbox.process import Sandbox
    from wmx.suspect.suspect import open_suspect
    from wmx.verification.ledger import Ledger
    from wmx.verification.scan import best_match

    path = out or record_path(model)
    read = (model, claim, triggers, roots, *(weights or []))
    prepare_output("--out", path, read, force=force, key=key)
    owner = load_owner(key)

    def spent(claim: "Claim") -> int:
        return Ledger(key_file(key), claim).next_start() if found else 0

    watermarks = watermarks_to_hold(claim, owner, triggers)
    with Sandbox.start(suspect_limits(seconds, memory)) as sandbox:
        asked = open_suspect(
            model,
            device.value,
            sandbox=sandbox,
            weights=weights or [],
            apart_from=never_weights(key, claim, triggers, roots),
        )
        watermark, verdict = best_match(
            asked,
            watermarks,
            min_bits=min_bits,
            roots=trusted_roots(roots, (one.claim for one in watermarks)),
            disclosed=spent,
        )
    if not verdict.verified:
        text = f"{verdict_text(verdict)}\nNo release record was written."
        fields = {**verdict_fields(verdict), "path": None}
        answer("release", text, fields, as_json=json, exit_code=NOT_VERIFIED)
        raise typer.Exit(NOT_VERIFIED)
    relation = Relation.found if found else Relation.own
    record = written(verdict, watermark, owner, path, relation=relation, tsa=tsa, force=force)
    text = f"release record {path}\n{describe(record)}\n{advice(record, path)}"
    answer("release", text, {"path": str(path), **release_fields(record)}, as_json=json)


@release.command()
@held_to_limits
def show(
    file: Annotated[Path, typer.Argument(metavar="RELEASE")],
    roots: RootsOption = None,
    json: JsonOption = False,
) -> None:
    """Check a release record's signature and timestamps, and show what it says."""
    text, fields = shown(file, roots)
    answer("release", text, fields, as_json=json)


release.command()(timestamp)


def record_path(model: Path) -> Path:
    """Return where the record of a model goes if nothing else is said."""
    return model.with_suffix(".release.json")


def written(
    verdict: "Verdict",
    watermark: "Watermark",
    owner: "OwnerKey",
    path: Path,
    *,
    relation: str = "own",
    tsa: str | None = None,
    force: bool = False,
) -> "Release":
    """Sign, date and write a record of a verified model, and keep a copy in the store.

    Raises:
        CannotRunError: a file cannot be written, or the authority does not answer; the record is
            then there without a date.
    """
    from wmx import __version__
    from wmx.protocol.release_record import Relation
    from wmx.verification.release import record_of

    last = store().last_release(watermark.claim)
    record = record_of(
        verdict,
        watermark,
        owner,
        relation=Relation(relation),
        previous=None if last is None else last.digest,
        software=f"wmx {__version__}",
    )
    record.save(path, force=force)
    store().add_release(record)
    if tsa is not None:
        try:
            stamp = ask(record, tsa)
        except CannotRunError as error:
            raise CannotRunError(
                f"{error}; the release record {path} is written, but bears no date",
                hint=f"ask later, or another authority: "
                f"{command_line('wmx', 'release', 'timestamp', path)} --tsa URL",
            ) from None
        record = record.keep_timestamps(path, [stamp])
        store().keep_timestamps(record)
    return record


def advice(record: "Release", path: Path) -> str:
    """Return what is still to be done."""
    if record.timestamps:
        return f"Keep this record and {record.model} as they are, byte for byte."
    when = "before the model leaves your hands"
    if record.relation == "found":
        when = "now, since it shows that the suspect existed only from its date on"
    return (
        f"Have it dated {when}: "
        f"{command_line('wmx', 'release', 'timestamp', path)} --tsa URL"
        f"\nThen keep it and {record.model} as they are, byte for byte."
    )


def shown(file: Path, roots: Path | None = None) -> tuple[str, dict[str, Any]]:
    """Return what the file of a record says, for people and for programs."""
    from wmx.protocol.release_record import Release
    from wmx.protocol.timestamp import date_claim

    record = Release.load(file)
    dating = date_claim(record, trusted_roots(roots, [record]))
    text = f"release record {file}: signed by the claim's owner, unchanged since"
    fields = {"path": str(file), **release_fields(record), **dating_fields(dating)}
    return f"{text}\n{describe(record, dating)}", fields


def describe(record: "Release", dating: "Dating | None" = None) -> str:
    """Return a record's content for people."""
    whose = {"own": "the signer's own work", "found": "found by the signer, who made his mark out"}
    rows = {
        "record": record.digest,
        "model": f"{record.model}: {whose[record.relation]}",
        **digest_rows(record.sha256, record.external),
        "claim": record.claim.digest,
        "owner": record.claim.owner.hex(),
        "before it": record.previous or "none by this claim's owner",
        "created": f"{record.created} (the owner's own word)",
        "made by": record.software,
        **stamp_rows(record),
        **({} if dating is None else _dating_rows(dating)),
    }
    return table(rows)


def _dating_rows(dating: "Dating") -> dict[str, str]:
    rows = {f"untrusted {number}": reason for number, reason in enumerate(dating.refused, 1)}
    if dating.time is not None:
        rows["dated"] = f"{utc(dating.time)}, by an authority under {dating.authority}"
    return rows


def release_fields(record: "Release") -> dict[str, Any]:
    """Return a record's content for programs."""
    return {
        "release": record.digest,
        "relation": str(record.relation),
        "model": record.model,
        "sha256": record.sha256,
        "external": dict(record.external),
        "claim": record.claim.digest,
        "owner": record.claim.owner.hex(),
        "previous": record.previous,
        "created": record.created,
        "software": record.software,
        "timestamps": len(record.timestamps),
    }
