"""One limit on how deeply JSON files may nest, the same for every reader.

Python's own recursion limit counts the calls around a reader too, so one file could be read in one
place and be refused in another, and other languages have other limits.
"""

from typing import Any

MAX_DEPTH = 64  # lists and objects inside one another, the outermost counted: no file needs ten


def is_nested_too_deeply(value: Any) -> bool:
    """Say whether parsed JSON nests lists and objects deeper than :data:`MAX_DEPTH`.

    It looks at one level after the other, so that nothing is called as deeply as the value nests.
    """
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for outer in level
            if isinstance(outer, dict | list | tuple)
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return any(isinstance(item, dict | list | tuple) for item in level)
