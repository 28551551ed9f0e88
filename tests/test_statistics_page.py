"""docs/statistics.md alone determines the numbers: a second implementation, which must agree.

The second one, first half of this file, is written from the page in plain Python, one answer after
the other; it is slow, and takes nothing from wmx.
"""

import base64
import json
import struct
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from math import comb, exp, frexp, fsum, isfinite, isnan, log2, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from wmx.statistics.experts import count_hits, evidence_bits, expert_bets
from wmx.statistics.hits import binomial_tail
from wmx.statistics.predictions import Predictions

FOLDER = Path(__file__).parent / "vectors" / "statistics"
CASES = json.loads((FOLDER / "cases.json").read_text())

# The second implementation.

Row = list[float]
M = 1.7976931348623157e308


def is_number(score: float) -> bool:
    return abs(score) != M


def read_scores(rows: list[Row]) -> tuple[list[Row], list[int]]:
    """Return scores and the class on top of each answer."""
    scores = [
        [-M if isnan(s) else s if isfinite(s) else M if s > 0 else -M for s in row] for row in rows
    ]
    return scores, [row.index(max(row)) if max(row) > -M else -1 for row in scores]


def read_classes(numbers: list[int], k: int) -> tuple[list[Row], list[int]]:
    return [[float(c == top) for c in range(k)] for top in numbers], numbers


def agreement(scores: list[Row], tops: list[int], labels: list[int], k: int) -> Row:
    bets, h, t = [], 0, 0
    for top, y in zip(tops, labels, strict=True):
        if not 0 <= top < k:
            bets.append(0.0)
            continue
        rate = (h + 0.5) / (t + 1)
        bets.append(log2(k * (rate if top == y else (1 - rate) / (k - 1))))
        h, t = h + (top == y), t + 1
    return bets


def rank(scores: list[Row], tops: list[int], labels: list[int], k: int) -> Row:
    def bin_of(place: int) -> int:  # places from 1: 1 | 2 | 3-4 | 5-8 | ...
        return (place - 1).bit_length()

    sizes = Counter(bin_of(place) for place in range(1, k + 1))
    seen: Counter[int] = Counter()
    bets = []
    for i, (row, y) in enumerate(zip(scores, labels, strict=True)):
        known = row[:k]
        place = 1 + y
        if y < len(known):
            place = 1 + sum(s > known[y] or (s == known[y] and c < y) for c, s in enumerate(known))
        j = bin_of(place)
        bets.append(log2(k * (seen[j] + 0.5) / (i + len(sizes) / 2) / sizes[j]))
        seen[j] += 1
    return bets


def ln(v: float) -> float:
    mu, e = frexp(v)
    if mu < 0.7071067811865476:
        mu, e = 2 * mu, e - 1
    s = (mu - 1) / (mu + 1)
    q, h = s * s, 0.0
    for j in range(23, 1, -2):
        h = (h + 1 / j) * q
    return e * 0.6931471805599453 + (2 * s) * (1 + h)


def step_3(x: Row) -> Row:
    """``x``: the numbers of an answer."""
    size = max(map(abs, x), default=0.0)
    if size > 1e50 or 0 < size < 1e-50:
        x = [s / size for s in x]
    return [0.0 if abs(s) < 1e-80 else s for s in x]


def in_order(numbers: Row) -> float:
    total = 0.0
    for number in numbers:
        total = total + number
    return total


def standardised(scores: list[Row], k: int) -> list[Row]:
    width = min(len(scores[0]), k)
    probable, f = True, 1.0
    origin: dict[int, float] = {}
    count, total, square = [0] * width, [0.0] * width, [0.0] * width
    found = []
    for row in scores:
        z = [0.0] * k
        heard = [c for c in range(width) if is_number(row[c])]
        x = [row[c] for c in heard]
        probable = probable and len(heard) == width and all(0 <= s <= 1 for s in x)
        if probable:
            f = min([f, *(s for s in x if s > 0)])
            x = [ln(max(s, f / 2, 1e-12)) for s in x]
        x = step_3(x)
        y = [s - x[0] for s in x]
        mean = in_order(y) / max(1, len(heard))
        u = {}
        for c, s in zip(heard, y, strict=True):
            w = s - mean
            u[c] = w - origin.setdefault(c, w)
            if count[c]:
                away = u[c] - total[c] / count[c]
                square[c] = square[c] + away * away * count[c] / (count[c] + 1)
            total[c] = total[c] + u[c]
            count[c] += 1
        variances = [square[c] / count[c] for c in range(width) if count[c]]
        a = in_order(variances) / max(1, len(variances))
        for c in heard:
            root = sqrt((square[c] + 10 * a) / (count[c] + 10))
            if root > 0:
                z[c] = (u[c] - total[c] / count[c]) / root
        found.append(z)
    return found


def softmax(scores: list[Row], tops: list[int], labels: list[int], k: int) -> Row:
    shares = [-log2(5)] * 5  # log2 of the wealth of each temperature
    bets, before = [], 0.0
    for z, y in zip(standardised(scores, k), labels, strict=True):
        for t, b in enumerate((1 / 4, 1 / 2, 1, 2, 4)):
            powers = fsum(exp(b * (other - max(z))) for other in z)
            shares[t] += log2(k / powers) + b * (z[y] - max(z)) / 0.6931471805599453
        top = max(shares)
        wealth = top + log2(fsum(2 ** (share - top) for share in shares))
        bets.append(wealth - before)
        before = wealth
    return bets


def mapping(scores: list[Row], tops: list[int], labels: list[int], k: int) -> Row:
    bets = []
    pairs: Counter[tuple[int, int]] = Counter()
    rows: Counter[int] = Counter()
    for c, y in zip(tops, labels, strict=True):
        bets.append(log2(k * (pairs[c, y] + 1 / k) / (rows[c] + 1)))
        pairs[c, y] += 1
        rows[c] += 1
    return bets


def neighbours(scores: list[Row], tops: list[int], labels: list[int], k: int) -> Row:
    bets = []
    rows = [step_3([s if is_number(s) else 0.0 for s in row]) for row in scores]
    d: list[Row] = []
    total = [0.0] * len(scores[0])
    for i, (x, y) in enumerate(zip(rows, labels, strict=True)):
        d.append([s - o for s, o in zip(x, rows[0], strict=True)])
        total = [s + part for s, part in zip(total, d[i], strict=True)]
        mean = [s / (i + 1) for s in total]
        own = [s - m for s, m in zip(d[i], mean, strict=True)]
        own_square = fsum(s * s for s in own)
        votes, all_votes = 1 / (4 * k), 1 / 4
        for j in range(max(0, i - 256), i):
            other = [s - m for s, m in zip(d[j], mean, strict=True)]
            product = fsum(a * b for a, b in zip(own, other, strict=True))
            if product > 0:
                weight = (product / sqrt(own_square) / sqrt(fsum(s * s for s in other))) ** 4
                all_votes += weight
                votes += weight * (labels[j] == y)
        bets.append(log2(k * votes / all_votes))
    return bets


SECOND: dict[str, Callable[[list[Row], list[int], list[int], int], Row]] = {
    "agreement": agreement,
    "rank": rank,
    "softmax": softmax,
    "mapping": mapping,
    "neighbours": neighbours,
}


def mean_wealth(log2_wealths: list[float]) -> float:
    top = max(log2_wealths)
    return top + log2(fsum(2 ** (wealth - top) for wealth in log2_wealths) / len(log2_wealths))


def from_file(predictions: dict[str, Any], k: int) -> tuple[list[Row], list[int]]:
    data = base64.b64decode(predictions["data"])
    code = {"float32": "f", "float64": "d", "int64": "q"}[predictions["dtype"]]
    values = list(struct.unpack(f">{len(data) // struct.calcsize(code)}{code}", data))
    if code == "q":
        return read_classes(values, k)
    n, width = predictions["shape"]
    return read_scores([values[i * width : (i + 1) * width] for i in range(n)])


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_page_alone_gives_the_frozen_bits(name: str) -> None:
    case = CASES[name]
    k, labels, expected = case["classes"], case["labels"], case["expected"]
    scores, tops = from_file(case["answers"], k)
    bits = {expert: fsum(bet(scores, tops, labels, k)) for expert, bet in SECOND.items()}
    assert bits == pytest.approx(expected["experts"], rel=0, abs=1e-9)
    assert mean_wealth(list(bits.values())) == pytest.approx(expected["bits"], abs=1e-9)
    hits, n = sum(top == y for top, y in zip(tops, labels, strict=True)), len(labels)
    assert hits == expected["hits"]
    tail = Fraction(sum(comb(n, i) * (k - 1) ** (n - i) for i in range(hits, n + 1)), k**n)
    assert [str(tail.numerator), str(tail.denominator)] == expected["tail"]


# The vectors tell other readings of the page apart.


def another_step_3(
    *,
    upper: float = 1e50,
    lower: float = 1e-50,
    least: float = 1e-80,
    only_divided: bool = False,
) -> Callable[[Row], Row]:
    """Return step 3 with other limits, or as if small numbers stayed where nothing was divided."""

    def read(x: Row) -> Row:
        size = max(map(abs, x), default=0.0)
        extreme = size > upper or 0 < size < lower
        x = [s / size for s in x] if extreme else x
        if only_divided and not extreme:
            return x
        return [0.0 if abs(s) < least else s for s in x]

    return read


OTHER_READINGS = {
    "small numbers become 0 only where all were divided": another_step_3(only_divided=True),
    "small numbers never become 0": another_step_3(least=0.0),
    "numbers below 2e-80 become 0": another_step_3(least=2e-80),
    "numbers below 5e-81 become 0": another_step_3(least=5e-81),
    "1e-80 becomes 0": another_step_3(least=float(np.nextafter(1e-80, 1.0))),
    "1e50 is divided": another_step_3(upper=float(np.nextafter(1e50, 0.0))),
    "1e-50 is divided": another_step_3(lower=float(np.nextafter(1e-50, 1.0))),
    "above 1e49": another_step_3(upper=1e49),
    "above 1e51": another_step_3(upper=1e51),
    "below 1e-49": another_step_3(lower=1e-49),
    "below 1e-51": another_step_3(lower=1e-51),
}


@pytest.mark.parametrize("reading", OTHER_READINGS)
@pytest.mark.parametrize("expert", ["softmax", "neighbours"])
def test_the_vectors_tell_other_readings_of_step_3_apart(
    reading: str, expert: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "step_3", OTHER_READINGS[reading])
    apart = 0.0
    for name in ("tiny-among-ordinary", "largest-at-the-upper-limit", "largest-at-the-lower-limit"):
        case = CASES[name]
        scores, tops = from_file(case["answers"], case["classes"])
        bits = fsum(SECOND[expert](scores, tops, case["labels"], case["classes"]))
        apart = max(apart, abs(bits - case["expected"]["experts"][expert]))
    assert apart > 1e-3


# What wmx makes of the same answers.


@pytest.mark.parametrize("name", sorted(CASES))
def test_wmx_gives_the_frozen_bits(name: str) -> None:
    case = CASES[name]
    k, labels, expected = case["classes"], np.array(case["labels"]), case["expected"]
    dtype = np.dtype(case["answers"]["dtype"]).newbyteorder(">")
    array = np.frombuffer(base64.b64decode(case["answers"]["data"]), dtype)
    array = array.reshape(case["answers"]["shape"])
    predictions = (
        Predictions.from_labels(array, k)
        if array.dtype.kind == "i"
        else Predictions.from_scores(array)
    )
    bits = {name: float(bet.sum()) for name, bet in expert_bets(predictions, labels, k).items()}
    assert bits == pytest.approx(expected["experts"], rel=0, abs=1e-9)
    assert evidence_bits(predictions, labels, k) == pytest.approx(expected["bits"], abs=1e-9)
    hits = count_hits(predictions, labels)
    assert hits == expected["hits"]
    assert binomial_tail(hits, len(labels), k) == Fraction(*map(int, expected["tail"]))


def agree(scores: NDArray[np.float64], labels: NDArray[np.int64], k: int) -> None:
    """Compare every single bet of both implementations."""
    rows, tops = read_scores(scores.tolist())
    bets = expert_bets(Predictions.from_scores(scores), labels, k)
    for name, second in SECOND.items():
        expected = second(rows, tops, labels.tolist(), k)
        np.testing.assert_allclose(bets[name], expected, rtol=0, atol=1e-11, err_msg=name)


SCALES = (1.0, 1e-300, 1e300, 1e-60, 1e49, 1e51, 1e-81, 5e-324, 1e308)


@settings(max_examples=60)
@given(
    n=st.integers(1, 40),
    k=st.integers(2, 6),
    columns=st.integers(1, 8),
    row_scale=st.lists(st.sampled_from(SCALES), min_size=1, max_size=3),
    column_scale=st.lists(st.sampled_from((1.0, 0.0, 1e-12, 1e-30, 1e30)), min_size=1, max_size=3),
    offset=st.sampled_from((0.0, 3e6, 1e7, 1e15, -1e15)),
    levels=st.sampled_from((2, 3, 1000)),
    seed=st.integers(0, 2**32 - 1),
)
def test_answers_of_every_magnitude_and_offset_give_both_the_same(
    n: int,
    k: int,
    columns: int,
    row_scale: list[float],
    column_scale: list[float],
    offset: float,
    levels: int,
    seed: int,
) -> None:
    """Few levels make answers that repeat, that never vary, and that lie on the mean."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels, (n, columns)) / levels
    scores = scores * np.resize(column_scale, columns) + offset
    with np.errstate(over="ignore"):
        scores = scores * rng.choice(row_scale, (n, 1))
    agree(scores, rng.integers(0, k, n), k)


@settings(max_examples=60)
@given(
    n=st.integers(1, 30),
    k=st.integers(2, 6),
    columns=st.integers(1, 8),
    values=st.lists(
        st.floats(width=32) | st.floats() | st.floats(0, 1), min_size=1, max_size=5, unique=True
    ),
    seed=st.integers(0, 2**32 - 1),
)
def test_answers_of_a_few_arbitrary_numbers_give_both_the_same(
    n: int, k: int, columns: int, values: list[float], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    agree(rng.choice(values, (n, columns)), rng.integers(0, k, n), k)


@settings(max_examples=60)
@given(
    n=st.integers(2, 40),
    k=st.integers(2, 6),
    steps=st.integers(1, 3),
    base=st.lists(st.floats(1e-15, 1.0, exclude_max=True), min_size=1, max_size=6),
    seed=st.integers(0, 2**32 - 1),
)
def test_answers_that_differ_in_their_last_bit_give_both_the_same(
    n: int, k: int, steps: int, base: list[float], seed: int
) -> None:
    """Probabilities, so near to each other that the rounding of a logarithm is all they show."""
    rng = np.random.default_rng(seed)
    rows = np.tile(base, (n, 1))
    for _ in range(steps):
        rows = np.where(rng.random(rows.shape) < 0.3, np.nextafter(rows, 1.0), rows)
    agree(rows, rng.integers(0, k, n), k)
