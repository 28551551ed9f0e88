"""``wmx claim timestamp``: have an authority say when a claim existed."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wmx.cli.common import (
    ForceOption,
    JsonOption,
    RootsOption,
    answer,
    prepare_output,
    store,
    table,
    trusted_roots,
)
from wmx.cli.words import utc
from wmx.errors import IntegrityError, UsageError

if TYPE_CHECKING:
    from wmx.claim import Claim
    from wmx.timestamp import Roots


def timestamp(
    file: Annotated[Path, typer.Argument(metavar="CLAIM")],
    tsa: Annotated[
        str | None, typer.Option(metavar="URL", help="Ask this authority (RFC 3161 over HTTP).")
    ] = None,
    request: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Only write the request, to send it another way."),
    ] = None,
    response: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Take the answer from this file.")
    ] = None,
    roots: RootsOption = None,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Date a claim: an RFC 3161 timestamp over its signature, kept in the claim file."""
    from wmx.claim import Claim
    from wmx.files import read_bytes, write_bytes
    from wmx.timestamp import MAX_RESPONSE_BYTES, Query

    if sum(option is not None for option in (tsa, request, response)) != 1:
        raise UsageError("expected exactly one of --tsa, --request and --response")
    claim = Claim.load(file)
    if request is not None:
        prepare_output("--request", request, (file, roots), force=force)
        write_bytes(request, Query.of(claim).request, force=force)
        text = f"request {request}: send it to an authority, then use --response with its answer"
        answer("claim", text, {"request": str(request)}, as_json=json)
        return
    if response is not None:
        stamp = read_bytes(response, "timestamp response", MAX_RESPONSE_BYTES)
    else:
        stamp = _ask(claim, str(tsa))
    _attach(claim, stamp, file, roots, json)


def _ask(claim: "Claim", url: str) -> bytes:
    from wmx.timestamp import Query
    from wmx.tsa import ask_authority

    query = Query.of(claim)
    stamp = ask_authority(url, query.request)
    query.check_answer(stamp)
    return stamp


def _attach(claim: "Claim", stamp: bytes, file: Path, roots: Path | None, json: bool) -> None:
    """Keep a stamp in the claim file, and in the store's copy; one that is bad is not kept."""
    trusted = trusted_roots(roots, [claim.with_timestamps([stamp])])
    time, authority = _verified(stamp, claim, trusted)
    dated = claim.keep_timestamps(file, [stamp])
    store().keep_timestamps(dated)
    rows = {
        "time": utc(time),
        "authority": f"one under {authority}",
        "trusted": "its certificate chain was checked" if trusted else "not checked: no roots",
        "timestamps": str(len(dated.timestamps)),
    }
    fields = {
        "path": str(file),
        "time": utc(time),
        "authority": authority,
        "trusted": bool(trusted),
        "timestamps": len(dated.timestamps),
    }
    answer("claim", f"timestamp kept in {file}\n{table(rows)}", fields, as_json=json)


def _verified(stamp: bytes, claim: "Claim", trusted: "Roots") -> tuple[datetime, str]:
    from wmx.timestamp import asserted_stamp, trusted_stamp

    if not trusted:
        return asserted_stamp(stamp, claim)
    try:
        return trusted_stamp(stamp, claim, trusted)
    except IntegrityError as error:
        raise IntegrityError(f"{error}; it was not kept", hint=error.hint) from None
