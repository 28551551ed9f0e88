"""How tests/vectors/statistics was made: fixed answers and what every expert bets on them.

Everything follows from SHAKE-256 and operations that IEEE 754 rounds correctly, so the answers are
always the same bytes.  Each case is made once and then frozen: this script adds those that the file
does not hold yet, and leaves the others as they stand.
Run: PYTHONPATH=tests python tests/vectors/make_statistics.py
"""

import base64
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx.protocol.prf import shake, uniform_integers
from wmx.statistics.experts import count_hits, evidence_bits, expert_bets
from wmx.statistics.hits import binomial_tail, fraction_text
from wmx.statistics.predictions import Predictions

FILE = Path(__file__).parent / "statistics" / "cases.json"
Array = NDArray[Any]


def noise(name: str, n: int, columns: int) -> NDArray[np.float64]:
    """Return multiples of 2**-16 in 0..1, float64 [n, columns]."""
    words = np.frombuffer(shake(b"wmx vector noise " + name.encode(), 2 * n * columns), ">u2")
    return words.reshape(n, columns) / 65536.0


def one_hot(labels: Array, columns: int) -> NDArray[np.float64]:
    """Return ones at the labels."""
    return (labels[:, None] == np.arange(columns)).astype(np.float64)


def embedding(labels: Array, columns: int) -> NDArray[np.float64]:
    """Return features that are alike where the label is alike."""
    centres = 4.0 * noise("centres", int(labels.max()) + 1, columns)
    return centres[labels] + 0.25 * noise("features", len(labels), columns)


def probabilities(labels: Array, columns: int) -> NDArray[np.float64]:
    """Return rows that lie in 0..1, and need not sum to 1 for anything here."""
    return 0.5 * noise("probabilities", len(labels), columns) + 0.45 * one_hot(labels, columns)


def halves(values: Array) -> Array:
    """Round to two binary places, as an API might, so that there are zeros."""
    return np.floor(values * 4.0) / 4.0


def with_values(rows: Array, places: tuple[int, int], values: list[float]) -> Array:
    """Put some values into every seventh place."""
    changed = rows.copy()
    start, step = places
    changed.reshape(-1)[start::step] = np.resize(values, changed.reshape(-1)[start::step].shape)
    return changed


def scattered(rows: Array) -> Array:
    """Give rows magnitudes from 1e-300 to 1e300."""
    scales = np.array([1.0, 1e300, 1e-300, 1e30, 1e-70, 1e49, 1e51, 1e-49, 1e-51, 1e100])
    return rows * scales[np.arange(len(rows)) % len(scales)][:, None]


def last_bits(rows: Array) -> Array:
    """Let all rows be the first one, but for the last bit of a third of their numbers."""
    same = np.tile(rows[0], (len(rows), 1))
    return np.where(rows > 0.66, np.nextafter(same, 2.0), same)


def late(rows: Array) -> Array:
    """Silence a class until the thirtieth answer."""
    changed = rows.copy()
    changed[:30, 1] = np.nan
    return changed


def around(limit: float) -> list[float]:
    """Return a limit, its neighbours, and numbers well below and above it."""
    return [limit, limit / 2, limit * 2, np.nextafter(limit, 0.0), np.nextafter(limit, np.inf)]


def with_largest(rows: Array, sizes: list[float]) -> Array:
    """Let the largest magnitude of each row, in turn, be exactly one of these."""
    size = np.resize(sizes, len(rows))[:, None]
    return np.hstack([-size, rows[:, 1:] / 8.0 * size])


def tiny_among_ordinary(labels: Array) -> Array:
    """Let two classes of four stand at 1 and -1, which cancel, and one of the others be tiny.

    The first answers turn about the number from which on magnitudes count, so that it is all that
    varies; in later ones rows are so large or so small that they are divided first.
    """
    tiny = np.resize(around(1e-80), len(labels)) * (1.0 + 3.0 * (labels == 1))
    rows = np.stack([np.zeros_like(tiny), tiny, np.ones_like(tiny), -np.ones_like(tiny)], axis=1)
    scales = np.where(np.arange(len(labels)) < 40, 1.0, np.resize([1e60, 1e-60], len(labels)))
    return rows * scales[:, None]


MIXED = [float("nan"), float("inf"), float("-inf"), 1.7976931348623157e308, -0.0, 5e-324]
CASES: dict[str, tuple[int, int, Callable[[Array], Array]]] = {  # K, n, answers to labels
    "noise": (10, 60, lambda y: noise("plain", len(y), 10)),
    "oracle": (10, 60, lambda y: 8.0 * one_hot(y, 10)),
    "permuted": (10, 60, lambda y: 8.0 * one_hot((3 * y + 4) % 10, 10) + noise("p", len(y), 10)),
    "second-place": (
        10,
        60,
        lambda y: 8.0 * one_hot((y + 1 + np.arange(len(y)) % 9) % 10, 10) + 4.0 * one_hot(y, 10),
    ),
    "noisy": (10, 300, lambda y: 3.0 * noise("noisy", len(y), 10) + 1.5 * one_hot(y, 10)),
    "two-classes": (2, 70, lambda y: noise("two", len(y), 2) + 0.5 * one_hot(y, 2)),
    "thousand-classes": (1000, 12, lambda y: noise("many", len(y), 1000) + one_hot(y, 1000)),
    "fewer-scores": (7, 60, lambda y: noise("few", len(y), 4) * 5.0 + 2.0 * one_hot(y, 4)),
    "one-score": (3, 40, lambda y: noise("one", len(y), 1) - 0.25),
    "more-scores": (5, 60, lambda y: noise("more", len(y), 9) * 5.0 + 6.0 * one_hot(y + 2, 9)),
    "drift": (
        10,
        60,
        lambda y: (
            (noise("drift", len(y), 10) + 4.0 * one_hot(y, 10) + 6.0 * (np.arange(10) < 4))
            * (1.5 - np.arange(10) / 16.0)
        ),
    ),
    "class-numbers": (6, 60, lambda y: np.where(np.arange(len(y)) % 3 < 2, y, y + 4)),
    "class-numbers-beyond": (
        4,
        60,
        lambda y: np.array([-1, 4, 2**62, -(2**63), 7])[y % 5] + np.zeros(len(y), np.int64),
    ),
    "probabilities": (10, 60, lambda y: probabilities(y, 10)),
    "probabilities-rounded": (10, 60, lambda y: halves(probabilities(y, 10))),
    "probabilities-tiny": (5, 40, lambda y: probabilities(y, 5) * np.array([1, 1e-9, 1e-13, 0, 1])),
    "probabilities-that-stop": (
        5,
        60,
        lambda y: probabilities(y, 5) + 1.5 * (np.arange(len(y)) == 20)[:, None],
    ),
    "probabilities-that-stop-silent": (
        5,
        60,
        lambda y: with_values(probabilities(y, 5), (103, 10**6), [float("nan")]),
    ),
    "probabilities-last-bit": (5, 60, lambda y: last_bits(noise("bits", len(y), 5) * 0.99)),
    "features": (10, 300, lambda y: embedding(y, 16)),
    "features-offset-float32": (
        10,
        100,
        lambda y: (embedding(y, 16) + 3e6).astype(np.float32),
    ),
    "features-offset": (10, 100, lambda y: embedding(y, 16) + 1e7),
    "features-offset-large": (10, 100, lambda y: 8.0 * embedding(y, 16) - 1e15),
    "features-first-far": (
        10,
        100,
        lambda y: embedding(y, 16) + 1e12 * (np.arange(len(y)) == 0)[:, None],
    ),
    "features-tiny": (10, 60, lambda y: embedding(y, 16) * 1e-300),
    "features-huge": (10, 60, lambda y: embedding(y, 16) * 1e300),
    "features-cancelling": (
        4,
        60,
        lambda y: embedding(y, 8) * np.resize([1.0, 1e40, -1e40], len(y))[:, None],
    ),
    "magnitudes": (6, 60, lambda y: scattered(embedding(y, 6) - 2.0)),
    "magnitudes-within-a-row": (
        6,
        60,
        lambda y: (embedding(y, 6) - 2.0) * np.array([1.0, 1e-20, 1e20, 1e-79, 1e-81, 1e49]),
    ),
    "single-precision-range": (
        3,
        40,
        lambda y: (
            (embedding(y, 3) - 2.0) * np.resize([1.0, 1e-38, 1e38, 1e-44], len(y))[:, None]
        ).astype(np.float32),
    ),
    "no-numbers": (5, 60, lambda y: with_values(embedding(y, 5), (0, 7), MIXED)),
    "silent-class": (5, 40, lambda y: with_values(embedding(y, 5), (2, 5), [float("-inf")])),
    "late-class": (5, 60, lambda y: late(embedding(y, 5))),
    "silent-rows": (
        5,
        40,
        lambda y: np.where((np.arange(len(y)) % 4 == 1)[:, None], np.nan, embedding(y, 5)),
    ),
    "infinite-top": (5, 40, lambda y: np.where(one_hot(y, 5) > 0, np.inf, embedding(y, 5))),
    "repeated-rows": (5, 60, lambda y: embedding(y, 5)[np.arange(len(y)) % 3]),
    "constant-rows": (5, 60, lambda y: np.tile([0.1, 7e5, -3.3, 0.7, 1e-9], (len(y), 1))),
    "shifted-rows": (5, 60, lambda y: np.array([0.1, 0.7, -3.3, 0.2, 1.9]) + noise("t", len(y), 1)),
    "on-the-mean": (
        5,
        60,
        lambda y: np.array([0.1, 0.7, 0.3]) * np.resize([0.0, 2.0, 1.0, 1.0], len(y))[:, None],
    ),
    "zeros": (5, 40, lambda y: np.zeros((len(y), 5))),
    "tiny-among-ordinary": (4, 60, tiny_among_ordinary),
    "largest-at-the-upper-limit": (5, 60, lambda y: with_largest(embedding(y, 5), around(1e50))),
    "largest-at-the-lower-limit": (5, 60, lambda y: with_largest(embedding(y, 5), around(1e-50))),
    "infinities-alone": (5, 40, lambda y: np.where(one_hot(y, 5) > 0, np.inf, np.nan)),
}


def vector(name: str) -> dict[str, object]:
    """Return answers, labels and what is expected of them."""
    classes, n, answer = CASES[name]
    labels = uniform_integers(b"wmx vector labels " + name.encode(), n, classes)
    given = answer(labels)
    predictions = (
        Predictions.from_labels(given, classes)
        if given.ndim == 1
        else Predictions.from_scores(given)
    )
    hits = count_hits(predictions, labels)
    bets = expert_bets(predictions, labels, classes)
    return {
        "classes": classes,
        "labels": labels.tolist(),
        "answers": {
            "data": base64.b64encode(
                given.astype(given.dtype.newbyteorder(">")).tobytes()
            ).decode(),
            "dtype": given.dtype.name,
            "shape": list(given.shape),
        },
        "expected": {
            "experts": {expert: float(bet.sum()) for expert, bet in bets.items()},
            "bits": evidence_bits(predictions, labels, classes),
            "hits": hits,
            "tail": fraction_text(binomial_tail(hits, n, classes)),
        },
    }


def main() -> None:
    """Write the cases that are not there yet."""
    made = json.loads(FILE.read_text()) if FILE.exists() else {}
    missing = [name for name in CASES if name not in made]
    if not missing:
        sys.exit(f"{FILE} holds every case: test vectors are made once and never changed")
    FILE.parent.mkdir(exist_ok=True)
    made |= {name: vector(name) for name in missing}
    FILE.write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()
