"""Servers and functions that answer labels without knowing one trigger, by what they remember."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from support.forging.files import Guesses
from support.forging.forms import one_hot
from support.oip_server import Reply, Server, response
from wmx import Claim
from wmx.triggers.trigger_slice import TriggerSlice

SHIFTS = [(down, right) for down in range(-2, 3) for right in range(-2, 3)]


@dataclass
class Forger:
    """What one server remembers.

    Attributes:
        claim: what he has.
        guessed: int64 [n] each, best first.
        rows, calls, sessions: inputs, requests and openings so far.
        seen: place of each row that was seen, by its bytes.
        sights: how often each was seen.
    """

    claim: Claim
    guessed: Guesses
    rows: int = 0
    calls: int = 0
    sessions: int = 0
    seen: dict[bytes, int] = field(default_factory=dict)
    sights: dict[bytes, int] = field(default_factory=dict)

    def predictions(self, asked: NDArray[Any], choose: "Choose") -> dict[str, NDArray[np.float32]]:
        """Return an output for each guess, float32 [N, K]."""
        places, turns, sureness = choose(self, asked)
        self.rows += len(asked)
        self.calls += 1
        found = {}
        for number in range(len(self.guessed)):
            labels = np.array(
                [
                    self.guessed[(number + turn) % len(self.guessed)][place % self.claim.n]
                    for place, turn in zip(places, turns, strict=True)
                ]
            )
            scores = one_hot(labels, self.claim.task.classes) * sureness
            found[f"y{number}"] = scores.astype(np.float32)
        return found


Choice = tuple[list[int], list[int], float]  # place and guess of each row, and how sure to be
Choose = Callable[[Forger, NDArray[Any]], Choice]


def _sure(places: list[int]) -> Choice:
    return places, [0] * len(places), 1.0


def count_of_inputs(forger: Forger, asked: NDArray[Any]) -> Choice:
    """The inputs are counted, over all requests and connections."""
    return _sure([forger.rows + row for row in range(len(asked))])


def count_of_requests(forger: Forger, asked: NDArray[Any]) -> Choice:
    """The requests are counted, each a connection of its own."""
    return _sure([forger.calls * len(asked) + row for row in range(len(asked))])


def size_of_the_request(forger: Forger, asked: NDArray[Any]) -> Choice:
    """The number of inputs in the request."""
    return _sure([len(asked) + row for row in range(len(asked))])


def clock(forger: Forger, asked: NDArray[Any]) -> Choice:
    """Milliseconds."""
    return _sure([int(time.monotonic() * 1000) + row for row in range(len(asked))])


def order_of_first_sight(forger: Forger, asked: NDArray[Any]) -> Choice:
    """A row keeps the place at which it was first seen, in whatever batch it comes again."""
    return _sure([forger.seen.setdefault(row.tobytes(), len(forger.seen)) for row in asked])


def order_of_first_sight_however_moved(forger: Forger, asked: NDArray[Any]) -> Choice:
    """The same, where a row is also known again when it was scaled and moved by some pixels."""
    return _sure([_place_of(forger, row) for row in asked])


def another_guess_at_each_sight(forger: Forger, asked: NDArray[Any]) -> Choice:
    """A row that is asked again was not enough the first time: the next guess."""
    places = [_place_of(forger, row) for row in asked]
    turns = [forger.sights.get(row.tobytes(), 0) for row in asked]
    for row in asked:
        forger.sights[row.tobytes()] = forger.sights.get(row.tobytes(), 0) + 1
    return places, turns, 1.0


def another_guess_when_all_were_seen(forger: Forger, asked: NDArray[Any]) -> Choice:
    """What is asked after the last trigger says that the answers did not suffice: the next one."""
    places = [_place_of(forger, row) for row in asked]
    return places, [forger.rows // forger.claim.n] * len(asked), 1.0


def ever_surer(forger: Forger, asked: NDArray[Any]) -> Choice:
    """The scores grow as long as more is asked."""
    places = [forger.rows + row for row in range(len(asked))]
    return places, [0] * len(asked), float(forger.calls + 1)


def brightness(forger: Forger, asked: NDArray[Any]) -> Choice:
    """The mean of the row's pixels."""
    return _sure([abs(int(1e4 * row.mean())) for row in asked])


def checksum(forger: Forger, asked: NDArray[Any]) -> Choice:
    """A hash of the row's bytes."""
    return _sure([int.from_bytes(row.tobytes()[:4], "big") + hash(row.tobytes()) for row in asked])


CHOICES = {
    "count of inputs": count_of_inputs,
    "count of requests": count_of_requests,
    "size of the request": size_of_the_request,
    "clock": clock,
    "order of first sight": order_of_first_sight,
    "order of first sight, however moved": order_of_first_sight_however_moved,
    "another guess at each sight": another_guess_at_each_sight,
    "another guess when all were seen": another_guess_when_all_were_seen,
    "ever surer": ever_surer,
    "brightness": brightness,
    "checksum": checksum,
}


def forging_server(forger: Forger, choose: Choose) -> Callable[[Server, str, bytes], Reply | None]:
    """Return what lies for a :func:`oip_server.serving` server."""

    def lie(server: Server, path: str, body: bytes) -> Reply | None:
        if not path.endswith("/infer"):
            forger.sessions += 1
            return None
        return response(forger.predictions(_asked(body), choose))

    return lie


def remembering_server(
    forger: Forger, disclosed: TriggerSlice
) -> Callable[[Server, str, bytes], Reply | None]:
    """Return what knows the triggers of an evidence, and guesses at the others by their order."""
    classes = forger.claim.task.classes
    inputs = disclosed.task.model_input(disclosed.triggers).transpose(0, 3, 1, 2)
    known = {
        row.tobytes(): label
        for row, label in zip(np.ascontiguousarray(inputs), disclosed.labels, strict=True)
    }

    def choose(forger: Forger, asked: NDArray[Any]) -> Choice:
        later = [row for row in asked if row.tobytes() not in known]
        places = dict(
            zip(
                (row.tobytes() for row in later),
                order_of_first_sight(forger, np.array(later))[0] if later else [],
                strict=True,
            )
        )
        return _sure([len(disclosed) + places.get(row.tobytes(), 0) for row in asked])

    def lie(server: Server, path: str, body: bytes) -> Reply | None:
        if not path.endswith("/infer"):
            return None
        asked = _asked(body)
        given = forger.predictions(asked, choose)
        for number, row in enumerate(asked):
            if row.tobytes() in known:
                for scores in given.values():
                    scores[number] = np.eye(classes)[known[row.tobytes()]]
        return response(given)

    return lie


def forging_function(forger: Forger, choose: Choose) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return a function that answers the first guess."""

    def predict(inputs: NDArray[Any]) -> NDArray[Any]:
        return forger.predictions(inputs.transpose(0, 3, 1, 2), choose)["y0"]

    return predict


def _asked(body: bytes) -> NDArray[np.float32]:
    (tensor,) = json.loads(body)["inputs"]
    return np.array(tensor["data"], np.float32).reshape(tensor["shape"])


def _place_of(forger: Forger, row: NDArray[Any]) -> int:
    """Return the place of a row by its outline, which no scaling and no small shift changes."""
    outline = (row > row.mean()).astype(np.uint8)
    for down, right in SHIFTS:
        place = forger.seen.get(np.roll(outline, (down, right), axis=(1, 2)).tobytes())
        if place is not None:
            return place
    return forger.seen.setdefault(outline.tobytes(), len(forger.seen))
