"""The claims that a command tests on a suspect."""

import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from wmx._internal.text import printable
from wmx.cli.common import key_file, load_owner, store
from wmx.cli.list_claims import MOST_OF_A_NOTE
from wmx.cli.output import warn
from wmx.cli.verdict_words import MOST_NAMED
from wmx.cli.words import task_text
from wmx.errors import CannotRunError, IntegrityError, UsageError, WmxError

if TYPE_CHECKING:
    from wmx.protocol.claim import Claim
    from wmx.protocol.keys import OwnerKey
    from wmx.protocol.timestamp import Roots
    from wmx.suspect.suspect import Suspect
    from wmx.watermark import Watermark


def require_one_claim(suspect: "Suspect", watermarks: "list[Watermark]", what: str) -> None:
    """Refuse to let a suspect choose the claim that a signed file will name.

    The best match depends on the suspect's predictions for triggers that stay secret, so a file
    about it would tell others of them.  Whether a claim fits depends on the suspect's inputs alone.

    Args:
        suspect: what the file will be about; it is not queried.
        watermarks: the claims to choose from.
        what: the file, in words.

    Raises:
        UsageError: several claims fit.
    """
    from wmx.verification.scan import fitting

    fits = [_named(one.claim) for one in fitting(suspect, watermarks)]
    if len(fits) > 1:
        more = len(fits) - MOST_NAMED
        named = "; ".join(fits[:MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")
        raise UsageError(
            f"{len(fits)} claims fit {suspect.reference.name}, expected one, since choosing the "
            f"best match would leak something about secret triggers to readers of {what}: {named}",
            hint="name the claim of the model that you marked with --claim FILE; wmx claim list "
            "shows the file of each",
        )


def _named(claim: "Claim") -> str:
    """Return the digest of a claim, and what its owner may remember it by."""
    note = f", {printable(claim.note, MOST_OF_A_NOTE)}" if claim.note else ""
    return f"{claim.digest} (created {claim.created}, {task_text(claim.task)}{note})"


def watermarks_to_hold(
    claim_path: Path | None, owner: "OwnerKey", triggers: Path | None, key: Path | None
) -> "tuple[list[Watermark], dict[str, WmxError]]":
    """Return the watermarks to test on the suspect, and why claims of the store have none.

    Args:
        claim_path: file of one claim; all claims of the store if ``None``.
        owner: the key that made the claims.
        triggers: file of the claim's secret images; those in the store if ``None``.
        key: file of ``owner``; the store's if ``None``.

    Raises:
        UsageError: ``triggers`` without a claim, or the store holds no claim of this owner.
        IntegrityError: the claim is broken, or another key made it.
        CannotRunError: a file cannot be read.
    """
    from wmx.protocol.claim import Claim
    from wmx.triggers.trigger_file import load_images
    from wmx.watermark import Watermark

    if claim_path is None:
        if triggers is not None:
            raise UsageError(
                "--triggers is only for a single claim", hint="name the claim with --claim"
            )
        return store().prepared(owner)
    claim = store().dated(Claim.load(claim_path))
    require_owner(claim, claim_path, owner, key)
    if triggers is not None:
        return [Watermark.open(claim, owner, images=load_images(triggers))], {}
    return [store().open(claim, owner)], {}


def to_be_signed(watermark: "Watermark", roots: "Roots") -> "Watermark":
    """Return a watermark whose claim bears as many timestamps as a signed file may hold.

    Args:
        watermark: whose claim has those of its file and of the store.
        roots: trusted root certificates: of what does not fit, trusted timestamps are kept.
    """
    return replace(watermark, claim=store().within_limit(watermark.claim, roots))


def owner_for(claim_path: Path | None, key: Path | None) -> "OwnerKey":
    """Return the owner key, as :func:`load_owner`; a claim needs the key that made it.

    Args:
        claim_path: file of the claim that the command is about; ``None`` if none was named.
        key: file of the key; the store's if ``None``.

    Raises:
        CannotRunError: there is no key; where a claim was named, the hint is to find its own, since
            a new key opens no claim that is there already.
    """
    if key is None and claim_path is not None and not store().key_path.exists():
        beside = claim_path.with_name("owner.pem")
        remedy = f"--key {beside}" if beside.exists() else "--key"
        raise CannotRunError(
            f"no owner key in the store {store().folder}, and the claim {claim_path} needs the key "
            "that made it",
            hint=f"name that key with {remedy}; a new one does not open the claim (without the "
            "owner's key, check their evidence file with: wmx check)",
        )
    _warn_if_others_read(key_file(key))
    return load_owner(key)


def _warn_if_others_read(key: Path) -> None:
    """Warn of a key that other accounts of this machine can read, as ssh does."""
    try:
        mode = key.stat().st_mode
    except OSError:  # whoever reads it says so
        return
    if os.name == "posix" and mode & stat.S_IROTH:
        warn(f"all users of this machine can read the key {key}; chmod 600 {key} forbids it")


def require_owner(claim: "Claim", path: Path, owner: "OwnerKey", key: Path | None) -> None:
    """Refuse a claim that another key made.

    Args:
        claim: what was read.
        path: its file.
        owner: the key.
        key: its file; the store's if ``None``.

    Raises:
        IntegrityError: another key made it.
    """
    if claim.owner == owner.public:
        return
    beside = path.with_name("owner.pem")  # where wmx demo puts it
    remedy = f"--key {beside}" if beside.exists() and beside != key else "--key"
    raise IntegrityError(
        f"the claim {path} was made with another owner key than {key_file(key)}",
        hint=f"give that key with {remedy}; wmx info shows the owner of a claim and the public "
        "part of a key",
    )
