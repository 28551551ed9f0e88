"""``wmx claim timestamp`` and ``wmx release timestamp``: date a file by an RFC 3161 authority."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wmx.cli.common import (
    ForceOption,
    JsonOption,
    RootsOption,
    answer,
    store,
    table,
    trusted_roots,
)
from wmx.cli.output import warn
from wmx.cli.outputs import prepare_output
from wmx.cli.words import utc
from wmx.errors import IntegrityError, UsageError, WmxError
from wmx.protocol.replacing import REQUEST

if TYPE_CHECKING:
    from wmx.protocol.claim import Claim
    from wmx.protocol.release_record import Release
    from wmx.protocol.timestamp import Roots


def timestamp(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The claim or release record.")],
    tsa: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Timestamp authority to ask (RFC 3161 over HTTP)."),
    ] = None,
    request: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Only write the request to this file, to send it by other means."
        ),
    ] = None,
    response: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Read the authority's answer from this file."),
    ] = None,
    roots: RootsOption = None,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Date a claim or a release record: add an RFC 3161 timestamp to its file."""
    from wmx._internal.files import read_bytes
    from wmx._internal.writing import write_bytes
    from wmx.protocol.stamped import MAX_RESPONSE_BYTES
    from wmx.protocol.timestamp import Query

    if sum(option is not None for option in (tsa, request, response)) != 1:
        raise UsageError(
            "expected exactly one of --tsa, --request and --response",
            hint="--tsa URL asks an authority; --request FILE writes what to send to one, and "
            "--response FILE adds its answer",
        )
    stamped = load_stamped(file)
    if request is not None:
        prepare_output("--request", request, REQUEST, (file, roots), force=force)
        write_bytes(request, Query.of(stamped).request, force=force)
        text = f"request {request}: send it to an authority, then give its answer with --response"
        answer(command_of(stamped), text, {"request": str(request)}, as_json=json)
        return
    if response is not None:
        stamp = read_bytes(response, "timestamp response", MAX_RESPONSE_BYTES)
    else:
        stamp = ask(stamped, str(tsa))
    _attach(stamped, stamp, file, roots, json)


def load_stamped(path: Path) -> "Claim | Release":
    """Read a claim or a release record, whichever the payload says it is."""
    from wmx._internal.files import read_bytes
    from wmx.protocol import jcs
    from wmx.protocol.claim import Claim
    from wmx.protocol.release_record import MAX_RELEASE_BYTES, Release
    from wmx.protocol.statement import stated_type

    data = read_bytes(path, "claim or release record", MAX_RELEASE_BYTES)
    if stated_type(jcs.loads(data, str(path))) is None:
        return Claim.load(path)
    return Release.load(path)


def command_of(stamped: "Claim | Release") -> str:
    """Return the command whose files are of this kind."""
    return stamped.KIND.split()[0]


def require_address(tsa: str | None) -> None:
    """Refuse a wrong address of a timestamp authority before any work is done."""
    if tsa is not None:
        from wmx._internal.http import checked_address

        checked_address(tsa, "--tsa")


def ask(stamped: "Claim | Release", url: str) -> bytes:
    """Return the answer of a timestamp authority, RFC 3161, DER.

    Args:
        stamped: the file to date.
        url: address of the authority.

    Raises:
        CannotRunError: it does not answer.
        IntegrityError: its answer is not a timestamp for this request.
    """
    from wmx.protocol.timestamp import Query
    from wmx.protocol.tsa import ask_authority

    query = Query.of(stamped)
    stamp = ask_authority(url, query.request)
    query.check_answer(stamp)
    return stamp


def _attach(
    stamped: "Claim | Release", stamp: bytes, file: Path, roots: Path | None, json: bool
) -> None:
    """Add a valid timestamp to the file and to the store's copy; refuse an invalid one."""
    trusted = trusted_roots(roots, [replace(stamped, timestamps=(stamp,))])
    time, authority = _verified(stamp, stamped, trusted)
    dated = keep_asked_for(stamped, stamp, file, trusted)
    rows = {
        "time": utc(time),
        "authority": f"one under {authority}",
        "trusted": "yes: its certificate chain was checked"
        if trusted
        else "not checked: no root certificates (--roots)",
        "timestamps": str(len(dated.timestamps)),
    }
    fields = {
        "path": str(file),
        "time": utc(time),
        "authority": authority,
        "trusted": bool(trusted),
        "timestamps": len(dated.timestamps),
    }
    text = f"timestamp added to {file}\n{table(rows)}"
    answer(command_of(stamped), text, fields, as_json=json)


def keep_asked_for(
    stamped: "Claim | Release", stamp: bytes, path: Path, roots: "Roots"
) -> "Claim | Release":
    """Add a timestamp that the owner asked for to a file and to the store's copy of it.

    It comes first in both, and is kept even where strangers have filled the file with their own:
    the last of those gives way, which a warning says.

    Args:
        stamped: what the file holds.
        stamp: RFC 3161 response, DER.
        path: the file.
        roots: trusted root certificates, besides the store's.

    Returns:
        what the file holds then.

    Raises:
        CannotRunError, IntegrityError: one of the two cannot be changed.
    """
    home = store()
    before: list[bytes] = []

    def change(kept: Any) -> Any:
        before.extend(kept.timestamps)
        return home.within_limit(kept, roots, [stamp])

    dated = stamped.update(path, change)
    if gone := len(set(before) - set(dated.timestamps)):
        warn(
            f"{path} holds at most {len(dated.timestamps)} timestamps: {gone} gave way to this one"
        )
    try:
        # this one alone: anybody can have added others to a file that is public
        home.keep_asked_for(stamped, stamp, roots)
    except WmxError as error:
        raise type(error)(
            f"the timestamp was added to {path}, and not to the copy in the store: {error}",
            hint=error.hint,
        ) from None
    return dated


def _verified(stamp: bytes, stamped: "Claim | Release", trusted: "Roots") -> tuple[datetime, str]:
    from wmx.protocol.timestamp import asserted_stamp, trusted_stamp

    if not trusted:
        return asserted_stamp(stamp, stamped)
    try:
        return trusted_stamp(stamp, stamped, trusted)
    except IntegrityError as error:
        raise IntegrityError(f"{error}; it was not added to the file", hint=error.hint) from None
