"""What is kept where not everything fits into memory."""

from collections.abc import Mapping
from typing import TypeVar

K = TypeVar("K")


def narrowest(sizes: Mapping[K, int], most: int) -> set[K]:
    """Return what fits into a limit together, the smallest first.

    Args:
        sizes: of each, in the unit of ``most``; those of one size in the order of preference.
        most: that all of them together may take.

    >>> narrowest({"a": 3, "b": 5, "c": 1}, most=5) == {"a", "c"}
    True
    """
    kept = set()
    for key in sorted(sizes, key=sizes.__getitem__):
        most -= sizes[key]
        if most < 0:
            break
        kept.add(key)
    return kept
