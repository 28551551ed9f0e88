"""Which timestamps a file keeps where there are more than it may hold.

No signature of the owner covers them, so anybody can fill a public copy with timestamps of an
authority of their own.  Such a copy must push no other timestamp out of a file, in whatever order
the owner's commands come.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from wmx.errors import MissingExtraError
from wmx.protocol.dating import Dating
from wmx.protocol.stamped import MAX_TIMESTAMPS, Stamped
from wmx.protocol.timestamp import Roots, date_claim

File = TypeVar("File", bound=Stamped)


def exceeds_limit(file: Stamped) -> bool:
    """Say whether there are more timestamps than a file may hold; two copies together can."""
    return len(file.timestamps) > MAX_TIMESTAMPS


def within_limit(file: File, roots: Roots, asked_for: Sequence[bytes] = ()) -> File:
    """Return a file with as many of its timestamps as it may hold.

    Those that the owner asks for come first.  If there are too many, the earliest trusted one of
    each authority comes next, earliest first: others of the same authority prove less, and of an
    authority that is trusted a stranger can have no earlier one than the owner.  The others follow
    in their order, and the last are left out.

    Args:
        file: with any number of timestamps.
        roots: root certificates that are trusted.
        asked_for: RFC 3161 responses that the owner has asked for, DER.

    Raises:
        UsageError: as :meth:`Stamped.with_timestamps`.
        LimitError: the current budget is spent.
    """
    every = replace(file, timestamps=tuple(dict.fromkeys([*asked_for, *file.timestamps])))
    if exceeds_limit(every):
        ordered = dict.fromkeys([*asked_for, *_earliest(every, roots), *every.timestamps])
        every = replace(every, timestamps=tuple(ordered)[:MAX_TIMESTAMPS])
    return every.with_timestamps([])


def _earliest(file: Stamped, roots: Roots) -> list[bytes]:
    """Return the earliest trusted timestamp of each authority, earliest first."""
    found: dict[str, tuple[Dating, bytes]] = {}
    for response in file.timestamps:
        try:
            dating = date_claim(replace(file, timestamps=(response,)), roots)
        except MissingExtraError:  # none can be checked
            return []
        if not dating.is_trusted:
            continue
        best = found.get(dating.authority)
        if best is None or dating.latest < best[0].latest:
            found[dating.authority] = dating, response
    return [response for _, response in sorted(found.values(), key=lambda pair: pair[0].latest)]
