"""What ``--force`` replaces, and the owner may need: it is kept before."""

from pathlib import Path
from typing import TYPE_CHECKING

from wmx.cli.common import keep_in_store, store

if TYPE_CHECKING:
    from wmx.protocol.keys import OwnerKey


def keep_replaced_claim(path: Path, images: Path, owner: "OwnerKey") -> None:
    """Keep a claim whose file is about to be replaced: a model may bear its mark.

    It is added to the store.  A claim that this key cannot open is kept with its images beside
    their own names instead (:func:`wmx._internal.files.keep_aside`), and so is one with timestamps
    for which the store has no room.

    Args:
        path: file of the claim; need not exist.
        images: file of its secret trigger images; need not exist.
        owner: key that opens the claims of the store.

    Raises:
        CannotRunError: the claim can be kept in neither place.
    """
    from wmx._internal.files import keep_aside
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
