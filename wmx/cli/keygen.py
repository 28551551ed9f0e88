"""``wmx keygen``: make an owner key."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wmx.cli.common import ForceOption, JsonOption, answer, store
from wmx.cli.outputs import prepare_key
from wmx.cli.passphrase import stored_passphrase, typed_passphrase
from wmx.errors import UsageError

if TYPE_CHECKING:
    from wmx.protocol.keys import OwnerKey


def keygen(
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="FILE", help="File to write (default: the key of your store)."
        ),
    ] = None,
    passphrase: Annotated[
        bool,
        typer.Option(
            "--passphrase",
            help="Encrypt the key; the passphrase is typed, or read from the file that "
            "WMX_PASSPHRASE_FILE names.",
        ),
    ] = False,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Make an owner key (Ed25519, PKCS#8 PEM).  Keep a backup: without it you can prove nothing.

    With --force, a key that exists is renamed and not deleted: your claims may depend on it.
    """
    from wmx.protocol.keys import OwnerKey, fingerprint

    home = store()
    path = out or home.key_path
    if out is None:
        home.open_for_writing()
    prepare_key(path, force=force)
    words = _new_passphrase() if passphrase else None
    key = OwnerKey.generate()
    kept = _saved(key, path, words, force=force)
    text = f"owner key {path}\npublic key {key.public.hex()}\n"
    if kept is not None:
        text += f"the key that existed is now {kept}\n"
    answer(
        "keygen",
        text
        + "Keep this file secret, and keep a backup: every watermark made with it depends on it.",
        {
            "path": str(path),
            "public": key.public.hex(),
            "fingerprint": fingerprint(key.public),
            "kept": None if kept is None else str(kept),
        },
        as_json=json,
    )


def _saved(key: "OwnerKey", path: Path, passphrase: bytes | None, *, force: bool) -> Path | None:
    """Save a new key; return the name under which the key that it replaces is kept.

    The ledgers of disclosed triggers stay where they are: they count for every key in the folder.
    """
    import os

    from wmx._internal.file_lock import locked
    from wmx._internal.writing import keep_aside

    if not force:
        key.save(path, passphrase)
        return None
    # else two processes at once would keep the same old key, and one of the new ones would be lost
    with locked(path.with_name(f"{path.name}.lock")):
        if not os.path.lexists(path):
            key.save(path, passphrase)
            return None
        kept = keep_aside(path)
        key.save(path, passphrase, force=True)
    return kept


def _new_passphrase() -> bytes:
    stored = stored_passphrase()
    if stored is not None:
        return stored
    import sys

    if not sys.stdin.isatty():
        raise UsageError(
            "--passphrase needs a terminal to ask for it",
            hint="or set WMX_PASSPHRASE_FILE to the path of a file that holds the passphrase",
        )
    first = typed_passphrase("New passphrase: ")
    if not first or first != typed_passphrase("Again: "):
        raise UsageError("the passphrase is empty, or the two do not match")
    return first
