"""Documents in which a value is of another type, one at each place: what no reader may trip over.

A signature says who wrote a document, not that it is well made: an owner may sign what he likes,
and a file that is no secret may be changed by whoever can write it.
"""

import copy
from collections.abc import Iterator
from typing import Any, TypeAlias

Place: TypeAlias = tuple[str | int, ...]

# of every JSON type that RFC 8785 can write here, at its edges; and no value at all
VALUES: dict[str, Any] = {
    "null": None,
    "true": True,
    "zero": 0,
    "minus one": -1,
    "2^53 - 1": 2**53 - 1,
    "an empty string": "",
    "a string": "x",
    "a string of controls": "\x00\x1b[2J\u202e",
    "digits": "7" * 5000,
    "an empty list": [],
    "a list of lists": [[[]]],
    "a long list": [0] * 3000,
    "an empty object": {},
    "an object": {"name": {"": []}},
}
FEW = ("null", "minus one", "a string", "a list of lists", "an object")  # one of each type
GONE = "gone"


def places(document: Any) -> Iterator[Place]:
    """Yield where a value stands, in objects and at both ends of lists, the document itself first.

    Args:
        document: JSON.
    """
    yield ()
    if isinstance(document, dict):
        for name, value in document.items():
            yield from ((name, *rest) for rest in places(value))
    elif isinstance(document, list):
        for number in sorted({0, len(document) - 1} if document else ()):
            yield from ((number, *rest) for rest in places(document[number]))


def at(document: Any, place: Place) -> Any:
    """Return the value at a place."""
    for step in place:
        document = document[step]
    return document


def changed(document: Any, place: Place, name: str) -> Any:
    """Return a copy with the value of this name at a place, or with what stands there gone."""
    if not place:
        return [] if name == GONE else copy.deepcopy(VALUES[name])
    made = copy.deepcopy(document)
    parent, last = at(made, place[:-1]), place[-1]
    if name == GONE:
        del parent[last]
    else:
        parent[last] = copy.deepcopy(VALUES[name])
    return made


def spelled(place: Place) -> str:
    """Name a place for people."""
    return "/".join(map(str, place)) or "all of it"
