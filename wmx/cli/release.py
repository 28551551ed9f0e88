"""``wmx release``: make a signed and dated record of a model that bears your mark."""

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
    TriggersOption,
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
from wmx.cli.outputs import prepare_output
from wmx.cli.replaced import keep_replaced_record
from wmx.cli.timestamp import ask, keep_asked_for, require_address, timestamp
from wmx.cli.words import command_line, dating_fields, digest_fields, digest_rows, stamp_rows, utc
from wmx.errors import CannotRunError, WmxError
from wmx.protocol.file_kind import RELEASE

if TYPE_CHECKING:
    from wmx.protocol.claim import Claim
    from wmx.protocol.dating import Dating
    from wmx.protocol.keys import OwnerKey
    from wmx.protocol.release_record import Release
    from wmx.verification.verdict import Verdict
    from wmx.watermark import Watermark

TsaOption = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Timestamp authority (RFC 3161) that dates the record."),
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
    help="Record that a model bears your mark.  wmx release MODEL.onnx is short for wmx release "
    "new MODEL.onnx, whose options wmx release new --help shows.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@release.command(short_help="Verify a model, and record that it bears your mark.")
@held_to_limits
def new(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="The model to record.")],
    claim: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Claim of the mark (default: the one in your store that fits the model).",
        ),
    ] = None,
    key: KeyOption = None,
    triggers: TriggersOption = None,
    weights: WeightsOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="FILE", help="File to write (default: MODEL.release.json)."
        ),
    ] = None,
    found: Annotated[
        bool,
        typer.Option("--found", help="The model is a suspect that you found, not your own work."),
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
    """Verify that a model bears your mark, sign a record of it, and with --tsa have that dated.

    Exit 1 if the model does not verify, 4 if too few triggers are left to verify any; no record is
    written then.  Without --claim, several claims that fit the model are an error.
    """
    from wmx.cli.held_claims import require_one_claim, to_be_signed, watermarks_to_hold
    from wmx.cli.verdict_words import exit_code_of, verdict_fields, verdict_text
    from wmx.protocol.release_record import Relation
    from wmx.suspect.sandbox.process import Sandbox
    from wmx.suspect.suspect import open_suspect
    from wmx.verification.ledger import Ledger
    from wmx.verification.scan import best_match

    require_address(tsa)
    path = out or record_path(model)
    read = (model, claim, triggers, roots, *(weights or []))
    prepare_output("--out", path, RELEASE, read, force=force, key=key)
    owner = load_owner(key)

    def spent(claim: "Claim") -> int:
        return Ledger(key_file(key), claim).next_start() if found else 0

    watermarks, unprepared = watermarks_to_hold(claim, owner, triggers, key)
    with Sandbox.start(suspect_limits(seconds, memory)) as sandbox:
        asked = open_suspect(
            model,
            device.value,
            sandbox=sandbox,
            weights=weights or [],
            apart_from=never_weights(key, claim, triggers, roots),
        )
        require_one_claim(asked, watermarks, "a release record")
        trusted = trusted_roots(roots, (one.claim for one in watermarks))
        watermark, verdict = best_match(
            asked,
            watermarks,
            min_bits=min_bits,
            roots=trusted,
            disclosed=spent,
            unprepared=unprepared,
        )
    if not verdict.verified:
        text = f"{verdict_text(verdict)}\nNo release record was written."
        fields = {**verdict_fields(verdict), "path": None}
        exit_code = exit_code_of(verdict)
        answer("release", text, fields, as_json=json, exit_code=exit_code)
        raise typer.Exit(exit_code)
    relation = Relation.found if found else Relation.own
    watermark = to_be_signed(watermark, trusted)
    record = written(verdict, watermark, owner, path, relation=relation, tsa=tsa, force=force)
    text = f"release record {path}\n{describe(record)}\n{advice(record, path)}"
    answer("release", text, {"path": str(path), **release_fields(record)}, as_json=json)


@release.command(short_help="Check a record, and show what it says.")
@held_to_limits
def show(
    file: Annotated[Path, typer.Argument(metavar="RELEASE", help="The release record.")],
    roots: RootsOption = None,
    json: JsonOption = False,
) -> None:
    """Check a release record's signature and timestamps, and show what it says."""
    text, fields = shown(file, roots)
    answer("release", text, fields, as_json=json)


release.command(short_help="Date a record by a timestamp authority.")(timestamp)


def record_path(model: Path) -> Path:
    """Return the default path for the record of a model."""
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

    Args:
        verdict: of the model.
        watermark: that was verified.
        owner: the key that signed its claim.
        path: where to write the record.
        relation: ``"own"`` or ``"found"``.
        tsa: address of a timestamp authority; without a date if ``None``.
        force: replace ``path`` if it exists; what was there is kept
            (:func:`wmx.cli.replaced.keep_replaced_record`).

    Raises:
        CannotRunError: a file cannot be written, or the authority does not answer; in the second
            case the record is written, without a date.
        IntegrityError: the authority's answer is no timestamp of the record; likewise.
        UsageError: the verdict is negative, or is not about a file.
    """
    from wmx import __version__
    from wmx._internal.writing import Staged
    from wmx.protocol.release_record import Relation, Release
    from wmx.protocol.replacing import require_output
    from wmx.verification.release import record_of

    require_output(path, RELEASE, force=force)
    keep_replaced_record(path, owner)  # first: it may become the last record, which is named
    kept = store()
    with kept.releases_of(watermark.claim) as last:
        record = record_of(
            verdict,
            watermark,
            owner,
            relation=Relation(relation),
            previous=None if last is None else last.digest,
            software=f"wmx {__version__}",
        )
        # before it has its name: a record that is used but missing in the store breaks the chain
        with Staged(path, record.to_bytes(), force=force) as file:
            copy = kept.add_release(record)
            try:
                file.publish()
            except CannotRunError as error:
                raise CannotRunError(
                    f"{error}; the record is made, and stands in {copy}",
                    hint="copy that file: your next records name it",
                ) from None
    if tsa is not None:
        try:
            stamp = ask(record, tsa)
        except WmxError as error:
            raise type(error)(
                f"{error}; the release record {path} was written, but has no date",
                hint=f"date it later, or by another authority: "
                f"{command_line('wmx', 'release', 'timestamp', path)} --tsa URL",
            ) from None
        keep_asked_for(record, stamp, path, ())
        record = Release.load(path)
    return record


def advice(record: "Release", path: Path) -> str:
    """Return what the owner has to do next.

    Args:
        record: what was written.
        path: where it is.
    """
    if record.timestamps:
        return f"Keep this record and {record.model.name} unchanged, byte for byte."
    when = "before you hand out the model"
    if record.relation == "found":
        when = "now, as the suspect is shown to exist only from that date on"
    return (
        f"Have it dated {when}: "
        f"{command_line('wmx', 'release', 'timestamp', path)} --tsa URL"
        f"\nThen keep it and {record.model.name} unchanged, byte for byte."
    )


def shown(file: Path, roots: Path | None = None) -> tuple[str, dict[str, Any]]:
    """Return what the file of a record says, for people and for programs.

    Args:
        file: the record.
        roots: root certificates to check its timestamps against; the store's if ``None``.

    Returns:
        a text, and the fields of ``--json``.

    Raises:
        CannotRunError: a file cannot be read.
        IntegrityError: the record is broken.
    """
    from wmx.protocol.release_record import Release
    from wmx.protocol.timestamp import date_claim

    record = Release.load(file)
    dating = date_claim(record, trusted_roots(roots, [record]))
    text = f"release record {file}: signed by the claim's owner, and not changed since"
    fields = {"path": str(file), **release_fields(record), **dating_fields(dating)}
    return f"{text}\n{describe(record, dating)}", fields


def describe(record: "Release", dating: "Dating | None" = None) -> str:
    """Return a record's content for people.

    Args:
        record: what is described.
        dating: what its timestamps prove; not said if ``None``.
    """
    whose = {
        "own": "the signer's own work",
        "found": "a suspect in which the signer found their mark",
    }
    rows = {
        "record": record.digest,
        "model": f"{record.model.name}: {whose[record.relation]}",
        **digest_rows(record.model),
        "claim": record.claim.digest,
        "owner": record.claim.owner.hex(),
        "previous": record.previous or "none: the first of this claim",
        "created": f"{record.created} (as the owner states)",
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
        "model": record.model.name,
        **digest_fields(record.model),
        "claim": record.claim.digest,
        "owner": record.claim.owner.hex(),
        "previous": record.previous,
        "created": record.created,
        "software": record.software,
        "timestamps": len(record.timestamps),
    }
