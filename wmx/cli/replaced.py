"""What ``--force`` replaces, and the owner may need: it is kept before."""

from pathlib import Path
from typing import TYPE_CHECKING

from wmx.cli.common import keep_in_store, store

if TYPE_CHECKING:
    from wmx.protocol.keys import OwnerKey


def keep_replaced_claim(path: Path, images: Path, owner: "OwnerKey") -> None:
    """Keep a claim whose file is about to be replaced: a model may bear its mark.

    It is added to the store.  A claim that this key cannot open is kept with its images beside
    their own names instead (:func:`wmx._internal.writing.keep_aside`), and so is one with
    timestamps for which the store has no room.

    Args:
        path: file of the claim; need not exist.
        images: file of its secret trigger images; need not exist.
        owner: key that opens the claims of the store.

    Raises:
        CannotRunError: the claim can be kept in neither place.
    """
    from wmx._internal.writing import keep_aside
    from wmx.errors import WmxError
    from wmx.protocol.claim import Claim
    from wmx.triggers.trigger_file import load_images
    from wmx.watermark import Watermark

    try:
        claim = Claim.load(path)
        found = load_images(images) if images.exists() else None
        watermark = Watermark.open(claim, owner, images=found)
    except WmxError:  # there is none, or another key's
        for file in (path, images):
            if file.exists():
                keep_aside(file)
        return
    keep_in_store(watermark)
    store().keep_timestamps(claim)
    if not store().holds(claim):  # it has no room for all timestamps
        keep_aside(path)


def keep_replaced_record(path: Path, owner: "OwnerKey") -> None:
    """Keep a release record whose file is about to be replaced, and the dates that only it has.

    Its timestamps are added to the store's copy, and the record itself if it follows the last one
    of the store.  What the store does not take, such as another key's record or one of another
    store, is kept beside its own name instead (:func:`wmx._internal.writing.keep_aside`).

    Args:
        path: file of the record; need not exist.
        owner: key of the store's records.

    Raises:
        CannotRunError: the record can be kept in neither place.
        IntegrityError: a record of the store is broken.
    """
    from wmx._internal.writing import keep_aside
    from wmx.errors import WmxError
    from wmx.protocol.release_record import Release

    if not path.exists():
        return
    try:
        record = Release.load(path)
    except WmxError:
        keep_aside(path)
        return
    if record.claim.owner == owner.public:
        store().keep_timestamps(record)
    if not store().holds(record):
        keep_aside(path)
