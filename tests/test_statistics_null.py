"""The promise behind every verdict: a suspect without the labels gets b bits at most once in 2^b.

Labels are drawn uniformly; suspects answer whatever they like.  2,000 nulls for each kind of
suspect and each number of classes.
"""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from wmx.statistics.experts import evidence_bits
from wmx.statistics.predictions import Predictions

pytestmark = pytest.mark.slow

NULLS = 2000
N = 40
# chance that one honest comparison fails; about 200 are made, and the seeds are fixed
FALSE_ALARM = 1e-6


def suspect(kind: str, classes: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return scores [N, C] of a suspect that has never seen a label."""
    noise = rng.normal(size=(N, classes))
    match kind:
        case "constant":
            return np.tile(np.arange(classes, dtype=float), (N, 1))
        case "random":
            return noise
        case "peaked":  # four of five answers fall into one class, as real models do
            favourite = np.zeros(classes)
            favourite[rng.integers(classes)] = 10.0
            return noise + favourite * (rng.random((N, 1)) < 0.8)
        case "rank-skewed":  # the same order of classes everywhere, a little shaken
            return noise * 0.3 + rng.normal(size=classes) * 3
        case "permuted":  # confident answers in another order of the classes
            return np.eye(classes)[rng.permutation(classes)[np.arange(N) % classes]] * 9 + noise
        case "few classes":  # a head of two classes only
            return noise[:, :2]
    raise AssertionError(kind)


KINDS = ("constant", "random", "peaked", "rank-skewed", "permuted", "few classes")


@pytest.mark.parametrize("classes", [2, 10, 100, 1000])
@pytest.mark.parametrize("kind", KINDS)
def test_b_bits_come_up_at_most_once_in_two_to_the_b(kind: str, classes: int) -> None:
    rng = np.random.default_rng([classes, KINDS.index(kind)])
    bits = np.empty(NULLS)
    for number in range(NULLS):
        predictions = Predictions.from_scores(suspect(kind, classes, rng))
        bits[number] = evidence_bits(predictions, rng.integers(0, classes, N), classes)
    for b in range(1, 9):
        count = int((bits >= b).sum())
        assert binom.sf(count - 1, NULLS, 2.0**-b) > FALSE_ALARM, (b, count)


def test_the_criterion_would_notice_a_cheat() -> None:
    """A table that counts the present label before betting on it breaks the promise at once."""
    rng = np.random.default_rng(0)
    bits = np.zeros(NULLS)
    for number in range(NULLS):
        counts = np.zeros((10, 10))
        for top, label in rng.integers(0, 10, (N, 2)):
            counts[top, label] += 1
            bits[number] += np.log2(10 * (counts[top, label] + 0.1) / (counts[top].sum() + 1))
    count = int((bits >= 2).sum())
    assert binom.sf(count - 1, NULLS, 0.25) < FALSE_ALARM
