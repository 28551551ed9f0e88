"""The count of hits: exact odds where they are short, their logarithm everywhere."""

import json
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wmx import OwnerKey, Watermark, verify
from wmx._internal.text import scientific
from wmx.cli.verdict_words import verdict_fields
from wmx.statistics.hits import MAX_EXACT, binomial_tail, fraction_text, log10_binomial_tail

WIDE = Context(prec=60, Emin=-(10**8), Emax=10**8)


def exact(hits: int, n: int, classes: int) -> Fraction:
    """The formula of docs/statistics.md."""
    favourable = sum(comb(n, i) * (classes - 1) ** (n - i) for i in range(hits, n + 1))
    return Fraction(favourable, classes**n)


def log10_of(part: Decimal, rest: Decimal) -> float:
    """log10 of part / (part + rest), also where that is close to 1."""
    with localcontext(WIDE):
        if part < rest:
            return float((part / (part + rest)).log10())
        missing = rest / (part + rest)
        if missing > Decimal(10) ** -20:
            return float((1 - missing).log10())
        return float(-(missing + missing * missing / 2) / Decimal(10).ln())


def log10_tails(counts: list[int], n: int, classes: int) -> dict[int, float]:
    """The logarithms for several counts, ascending, from the terms of the formula in 60 digits."""
    with localcontext(WIDE):
        term = Decimal(1)  # C(n, i) (K - 1) ** (n - i), while i runs down from n
        parts = [term]  # sums of terms: from each count up to the next one, the highest first
        for i in range(n, 0, -1):
            if i in counts:
                parts.append(Decimal(0))
            term = term * (i * (classes - 1)) / (n - i + 1)
            parts[-1] += term
        pairs = [(sum(parts[:end]), sum(parts[end:])) for end in range(1, len(parts) + 1)]
        pairs = pairs if counts[0] == 0 else pairs[:-1]
        return dict(zip(reversed(counts), [log10_of(*pair) for pair in pairs], strict=True))


@given(
    n=st.integers(1, 300),
    share=st.floats(0, 1),
    classes=st.sampled_from([2, 3, 10, 1000, 2**24]),
)
@example(n=300, share=1.0, classes=2**24)
@example(n=300, share=1 / 300, classes=2**24)
def test_the_tail_and_its_logarithm_are_the_sum_on_the_page(
    n: int, share: float, classes: int
) -> None:
    hits = round(share * n)
    expected = exact(hits, n, classes)
    assert binomial_tail(hits, n, classes) == expected
    wanted = log10_tails([hits], n, classes)[hits]
    assert log10_binomial_tail(hits, n, classes) == pytest.approx(wanted, rel=1e-12)


def test_the_tail_is_a_count_of_guesses() -> None:
    for hits in range(6):
        brute = sum(
            sum(guess == 0 for guess in guesses) >= hits for guesses in product(range(3), repeat=5)
        )
        assert binomial_tail(hits, 5, 3) == Fraction(brute, 3**5)
    assert binomial_tail(100, 100, 10) == Fraction(1, 10**100)
    assert binomial_tail(99, 100, 10) == Fraction(1 + 100 * 9, 10**100)
    assert binomial_tail(0, 7, 4) == 1
    assert binomial_tail(1, 3, 2) == 1 - Fraction(comb(3, 0), 8)


@pytest.mark.parametrize(("share", "classes"), [(0.0, 2), (0.1, 10), (0.9, 10), (1.0, 1000)])
def test_the_longest_exact_tail(share: float, classes: int) -> None:
    hits = round(share * MAX_EXACT)
    tail = binomial_tail(hits, MAX_EXACT, classes)
    assert tail == exact(hits, MAX_EXACT, classes)
    wanted = log10_tails([hits], MAX_EXACT, classes)[hits]
    assert log10_binomial_tail(hits, MAX_EXACT, classes) == pytest.approx(wanted, rel=1e-12)
    assert binomial_tail(hits, MAX_EXACT + 1, classes) is None


@pytest.mark.parametrize(
    ("n", "classes"), [(24_000, 10), (100_000, 2), (1_000_000, 10), (50_000, 2**24)]
)
def test_the_logarithm_of_many_triggers_is_right_to_twelve_digits(n: int, classes: int) -> None:
    mean, deviation = n / classes, (n * (classes - 1)) ** 0.5 / classes
    around = [round(mean + z * deviation) for z in (-40, -20, -3, -1, 0, 1, 3, 40)]
    counts = sorted({0, 1, 2, n // classes, n // 2, n - 1, n, *around} & set(range(n + 1)))
    wanted = log10_tails(counts, n, classes)
    for hits in counts:
        assert binomial_tail(hits, n, classes) is None
        found = log10_binomial_tail(hits, n, classes)
        assert found == pytest.approx(wanted[hits], rel=1e-12, abs=1e-300), hits


def test_more_hits_are_never_more_likely() -> None:
    found = [log10_binomial_tail(hits, 5_000, 7) for hits in range(0, 5_001, 50)]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("hits", [-1, 8])
def test_hits_beyond_the_triggers_are_refused(hits: int) -> None:
    for count in (binomial_tail, log10_binomial_tail):
        with pytest.raises(ValueError, match=f"{hits} hits of 7"):
            count(hits, 7, 4)


def test_a_fraction_of_more_digits_than_python_prints_of_an_integer() -> None:
    numerator, denominator = fraction_text(Fraction(3, 10**5000)) or []
    assert numerator == "3"
    assert denominator == "1" + "0" * 5000
    assert fraction_text(None) is None


def test_a_verdict_on_more_triggers_states_the_logarithm_alone() -> None:
    mark = Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10, n=MAX_EXACT + 4)
    verdict = verify(lambda images: np.eye(10)[mark.labels], mark)
    fields = json.loads(json.dumps(verdict_fields(verdict)))
    assert fields["tail"] is None
    assert fields["log10_tail"] == pytest.approx(-(MAX_EXACT + 4), rel=1e-12)


@pytest.mark.parametrize(
    ("log10", "said"),
    [
        (-100.0000001, "1e-100"),
        (-99.7, "2e-100"),
        (-3.5, "3.2e-4"),
        (-2.5, "0.003"),
        (0.0, "1.000"),
    ],
)
def test_small_probabilities_are_spelled_as_one_writes_them(log10: float, said: str) -> None:
    assert scientific(log10) == said
