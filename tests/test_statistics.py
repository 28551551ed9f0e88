"""Evidence bits: laws that hold exactly, and figures that are known."""

import warnings
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from wmx.statistics.experts import (
    EXPERTS,
    Experts,
    count_hits,
    evidence_bits,
    expert_bets,
    log2_mean,
    required_bits,
)
from wmx.statistics.predictions import Predictions

SIZES = [(2, 7), (3, 5), (4, 4), (6, 3)]  # K and n: all K**n label sequences are gone through

any_score = st.one_of(
    st.floats(-10, 10),
    st.sampled_from([0.0, 1.0, np.nan, np.inf, -np.inf, 1e300, -1e300, 1e-300, 1e100]),
)


@st.composite
def small_suspects(draw: st.DrawFn) -> tuple[Predictions, int]:
    """Arbitrary answers: any scores, any number of columns, or any class numbers."""
    classes, n = draw(st.sampled_from(SIZES))
    if draw(st.booleans()):
        columns = draw(st.integers(1, 7))
        scores = draw(npst.arrays(np.float64, (n, columns), elements=any_score))
        return Predictions.from_scores(scores), classes
    labels = draw(npst.arrays(np.int64, (n,), elements=st.integers(-2, 8)))
    return Predictions.from_labels(labels, classes), classes


@pytest.mark.slow
@settings(max_examples=60)
@given(small_suspects())
def test_the_mean_wealth_over_all_label_sequences_is_exactly_one(
    suspect: tuple[Predictions, int],
) -> None:
    predictions, classes = suspect
    n = len(predictions)
    totals = dict.fromkeys([*EXPERTS, "mixture"], 0.0)
    for sequence in product(range(classes), repeat=n):
        bets = expert_bets(predictions, np.array(sequence), classes)
        wealths = {name: 2.0 ** float(bet.sum()) for name, bet in bets.items()}
        wealths["mixture"] = 2.0 ** log2_mean(float(bet.sum()) for bet in bets.values())
        for name, wealth in wealths.items():
            totals[name] += wealth
    for name, total in totals.items():
        assert total / classes**n == pytest.approx(1.0, abs=1e-12), name


@settings(max_examples=80)
@given(
    n=st.integers(2, 30),
    classes=st.integers(2, 12),
    columns=st.integers(1, 12),
    cut=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_bet_hangs_on_nothing_that_comes_after_it(
    n: int, classes: int, columns: int, cut: float, seed: int
) -> None:
    """Bet i may use answers up to i and labels before i; label i only settles it."""
    rng = np.random.default_rng(seed)
    first = int(cut * (n - 1))
    scores, labels = rng.normal(size=(n, columns)), rng.integers(0, classes, n)
    other_scores, other_labels = scores.copy(), labels.copy()
    other_scores[first + 1 :] = rng.normal(size=(n - first - 1, columns)) * 100
    other_labels[first + 1 :] = rng.integers(0, classes, n - first - 1)
    bets = expert_bets(Predictions.from_scores(scores), labels, classes)
    others = expert_bets(Predictions.from_scores(other_scores), other_labels, classes)
    for name, bet in bets.items():
        np.testing.assert_allclose(
            bet[: first + 1], others[name][: first + 1], rtol=1e-9, atol=1e-9, err_msg=name
        )


@pytest.mark.parametrize("cut", [1, 50, 256, 1024, 1025, 2050])
def test_the_first_bets_of_many_are_the_bets_of_the_first(cut: int) -> None:
    rng = np.random.default_rng(5)
    scores, labels = rng.normal(size=(2100, 6)), rng.integers(0, 6, 2100)
    scores[::50] = np.nan
    scores[7::90] *= 1e120
    predictions = Predictions.from_scores(scores)
    whole = expert_bets(predictions, labels, 6)
    for name, bet in expert_bets(predictions[:cut], labels[:cut], 6).items():
        np.testing.assert_allclose(bet, whole[name][:cut], rtol=1e-9, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("columns", [1, 3, 6, 9])
@pytest.mark.parametrize("sizes", [[1] * 700, [4] * 175, [699, 1], [256, 1, 255, 188]])
def test_bets_are_the_same_to_the_bit_in_whatever_increments(
    sizes: list[int], columns: int
) -> None:
    rng = np.random.default_rng(8)
    scores, labels = rng.normal(size=(700, columns)), rng.integers(0, 6, 700)
    scores[::50] = np.nan
    scores[7::90] *= 1e120
    predictions = Predictions.from_scores(scores)
    experts, parts, start = Experts(6), [], 0
    for size in sizes:
        rows = slice(start, start + size)
        parts.append(experts.update(predictions[rows], labels[rows]))
        start += size
    for name, bets in expert_bets(predictions, labels, 6).items():
        found = np.concatenate([part[name] for part in parts])
        np.testing.assert_array_equal(found, bets, err_msg=name)


def held(thing: object) -> int:
    """Return the bytes of all arrays that an object holds."""
    if isinstance(thing, np.ndarray):
        return thing.nbytes
    if isinstance(thing, dict):
        return sum(map(held, thing.values()))
    return sum(map(held, vars(thing).values())) if hasattr(thing, "__dict__") else 0


def test_what_experts_remember_does_not_grow_with_the_triggers() -> None:
    rng = np.random.default_rng(8)
    scores, labels = rng.normal(size=(1000, 5)), rng.integers(0, 4, 1000)
    experts, sizes = Experts(4), []
    for start in range(0, 1000, 100):
        rows = slice(start, start + 100)
        experts.update(Predictions.from_scores(scores[rows]), labels[rows])
        sizes.append(held(experts))
    assert sizes[0] < sizes[2] == sizes[-1] < 20_000


def test_increments_of_other_columns_are_refused() -> None:
    experts = Experts(3)
    experts.update(Predictions.from_scores(np.zeros((0, 4))), np.zeros(0, np.int64))
    experts.update(Predictions.from_scores(np.zeros((2, 4))), np.zeros(2, np.int64))
    with pytest.raises(ValueError, match="predictions of 3 scores after some of 4"):
        experts.update(Predictions.from_scores(np.zeros((2, 3))), np.zeros(2, np.int64))


@given(classes=st.integers(2, 12), n=st.integers(1, 12), seed=st.integers(0, 2**32 - 1))
def test_each_bet_is_a_distribution_over_the_labels(classes: int, n: int, seed: int) -> None:
    """For fixed earlier labels the probabilities of label n sum to 1."""
    rng = np.random.default_rng(seed)
    predictions = Predictions.from_scores(rng.normal(size=(n, classes)))
    labels = rng.integers(0, classes, n)
    totals = dict.fromkeys(EXPERTS, 0.0)
    for last in range(classes):
        labels[-1] = last
        for name, bet in expert_bets(predictions, labels, classes).items():
            totals[name] += 2.0 ** bet[-1] / classes
    for name, total in totals.items():
        assert total == pytest.approx(1.0, abs=1e-12), name


# figures that are known


def one_hot(labels: NDArray[np.int64], classes: int) -> Predictions:
    return Predictions.from_scores(np.eye(classes)[labels] * 8.0)


@pytest.mark.parametrize("seed", range(20))
def test_an_oracle_gets_320_bits_and_permuted_classes_250(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, 100)
    assert evidence_bits(one_hot(labels, 10), labels, 10) >= 320
    permuted = rng.permutation(10)[labels]
    assert evidence_bits(one_hot(permuted, 10), labels, 10) >= 250


def test_labels_pushed_to_the_second_place_are_seen_by_the_rank_expert() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 100)
    top = (labels + rng.integers(1, 10, 100)) % 10
    predictions = Predictions.from_scores(np.eye(10)[top] * 8.0 + np.eye(10)[labels] * 4.0)
    assert count_hits(predictions, labels) == 0
    bets = expert_bets(predictions, labels, 10)
    assert bets["rank"].sum() > 250
    assert bets["agreement"].sum() < 20
    assert evidence_bits(predictions, labels, 10) > 250


def test_a_drift_and_a_stretch_of_all_triggers_alike_are_seen_by_the_softmax_expert() -> None:
    """The labels of six classes are lost to the other four, and still tell the triggers apart."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 100)
    drift = np.array([6.0, 6.0, 6.0, 6.0, 0, 0, 0, 0, 0, 0])
    stretch = np.linspace(1.5, 0.5, 10)
    scores = stretch * (np.eye(10)[labels] * 4.0 + drift + 0.3 * rng.normal(size=(100, 10)))
    predictions = Predictions.from_scores(scores)
    bets = expert_bets(predictions, labels, 10)
    others = max(bet.sum() for name, bet in bets.items() if name not in ("softmax", "neighbours"))
    assert bets["softmax"].sum() > 250 > 2 * others
    assert evidence_bits(predictions, labels, 10) > 250


def test_how_far_a_label_stands_out_is_worth_more_than_its_place() -> None:
    """Labels lead by much, or fail by little: bets grow with the lead."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 200)
    predictions = Predictions.from_scores(rng.normal(size=(200, 10)) + 2.0 * np.eye(10)[labels])
    bets = expert_bets(predictions, labels, 10)
    assert bets["softmax"].sum() > 1.2 * max(bets["rank"].sum(), bets["agreement"].sum())


def probabilities_of(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_logits_probabilities_and_their_logarithms_give_the_softmax_expert_the_same() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 10, 60)
    logits = rng.normal(size=(60, 10)) * 3 + np.eye(10)[labels] * 3 + np.arange(10)
    found = [
        expert_bets(Predictions.from_scores(scores), labels, 10)["softmax"]
        for scores in (logits, probabilities_of(logits), np.log(probabilities_of(logits)))
    ]
    np.testing.assert_allclose(found[1], found[0], atol=1e-9)
    np.testing.assert_allclose(found[2], found[0], atol=1e-9)


@pytest.mark.parametrize("decimals", [4, 2])
def test_probabilities_that_an_api_rounds_keep_their_evidence(decimals: int) -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 10, 100)
    logits = 2 * rng.normal(size=(100, 10)) + 4 * np.eye(10)[labels] + 4 * (np.arange(10) < 4)
    exact, rounded = (
        expert_bets(Predictions.from_scores(scores), labels, 10)["softmax"].sum()
        for scores in (logits, np.round(probabilities_of(logits), decimals))
    )
    assert rounded > 0.8 * exact > 100


def test_replaced_heads_are_seen_by_the_neighbours_expert() -> None:
    """Only an embedding is left: 16 numbers, alike where the label is alike."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 100)
    centres = rng.normal(size=(10, 16))
    predictions = Predictions.from_scores(centres[labels] + 0.05 * rng.normal(size=(100, 16)))
    assert expert_bets(predictions, labels, 10)["neighbours"].sum() > 128
    assert evidence_bits(predictions, labels, 10) > 128


def test_agreement_is_the_krichevsky_trofimov_estimate_written_out() -> None:
    labels = np.array([1, 1, 0, 2])
    predictions = Predictions.from_labels(np.array([1, 0, 0, 2]), 3)
    hit_rates = [1 / 2, 3 / 4, 1 / 2, 5 / 8]  # (h + 1/2) / (t + 1)
    expected = [3 * hit_rates[0], 3 * (1 - hit_rates[1]) / 2, 3 * hit_rates[2], 3 * hit_rates[3]]
    np.testing.assert_allclose(
        2.0 ** expert_bets(predictions, labels, 3)["agreement"], expected, rtol=1e-12
    )


def test_mapping_is_the_dirichlet_table_written_out() -> None:
    labels = np.array([2, 2, 0])
    predictions = Predictions.from_labels(np.array([1, 1, 1]), 4)
    prior = 1 / 4
    expected = [4 * prior, 4 * (1 + prior) / 2, 4 * prior / 3]
    np.testing.assert_allclose(
        2.0 ** expert_bets(predictions, labels, 4)["mapping"], expected, rtol=1e-12
    )


def test_neighbours_is_the_weighted_vote_written_out() -> None:
    rng = np.random.default_rng(1)
    scores, labels, classes = rng.normal(size=(12, 5)), rng.integers(0, 3, 12), 3
    expected = []
    for i in range(12):
        mean = scores[: i + 1].mean(axis=0)
        own, votes, total = scores[i] - mean, 0.25 / classes, 0.25
        for j in range(i):
            other = scores[j] - mean
            cosine = own @ other / np.linalg.norm(own) / np.linalg.norm(other)
            weight = max(0.0, cosine) ** 4
            total += weight
            votes += weight * (labels[j] == labels[i])
        expected.append(classes * votes / total)
    given_bets = expert_bets(Predictions.from_scores(scores), labels, classes)["neighbours"]
    np.testing.assert_allclose(2.0**given_bets, expected, rtol=1e-9)


def test_rank_bins_are_1_2_3to4_5to8() -> None:
    scores = np.tile(-np.arange(9.0), (1, 1))  # class c has rank c
    first_bets = [
        2.0 ** expert_bets(Predictions.from_scores(scores), np.array([label]), 9)["rank"][0]
        for label in range(9)
    ]
    share = 9 / 5  # five bins of equal prior: 1 | 2 | 3-4 | 5-8 | 9
    expected = [share, share, *[share / 2] * 2, *[share / 4] * 4, share]
    np.testing.assert_allclose(first_bets, expected, rtol=1e-12)


def test_softmax_is_the_mixture_over_temperatures_written_out() -> None:
    """Over two blocks, with fewer classes than the task has, and with a class silent at times."""
    rng = np.random.default_rng(5)
    n, columns, classes = 1200, 4, 6
    scores, labels = rng.normal(size=(n, columns)) * [1, 2, 3, 4], rng.integers(0, classes, n)
    scores[::7, 1] = np.nan
    rows = scores - np.nanmean(scores, axis=1, keepdims=True)
    expected = np.zeros((5, n))
    for i in range(n):
        seen = rows[: i + 1]
        heard = np.isfinite(seen).sum(axis=0)
        with warnings.catch_warnings():  # a class that never spoke
            warnings.simplefilter("ignore", RuntimeWarning)
            means, variances = np.nanmean(seen, axis=0), np.nanvar(seen, axis=0)
        average = np.nanmean(variances)
        deviations = np.sqrt((heard * variances + 10 * average) / (heard + 10))
        z = np.zeros(classes)
        if average > 0:
            z[:columns] = np.nan_to_num((rows[i] - means) / deviations)
        for t, b in enumerate((0.25, 0.5, 1, 2, 4)):
            expected[t, i] = classes * np.exp(b * z[labels[i]]) / np.exp(b * z).sum()
    wealth = np.log2(expected).cumsum(axis=1)
    mixed = np.logaddexp2.reduce(wealth, axis=0) - np.log2(5)
    given_bets = expert_bets(Predictions.from_scores(scores), labels, classes)["softmax"]
    np.testing.assert_allclose(given_bets.cumsum(), mixed, atol=1e-8)


def test_only_scores_that_all_lie_in_0_to_1_so_far_are_probabilities() -> None:
    labels = np.array([0, 1, 1, 0, 1])
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 1.7], [0.9, 0.1], [0.4, 0.6]])
    mixed = np.where(np.arange(5)[:, None] < 2, np.log(scores), scores)
    found, expected = (
        expert_bets(Predictions.from_scores(rows), labels, 2)["softmax"] for rows in (scores, mixed)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_what_never_varies_bets_nothing() -> None:
    predictions = Predictions.from_scores(np.tile([0.1, 7e5, -3.3], (50, 1)))
    bets = expert_bets(predictions, np.arange(50) % 3, 3)["softmax"]
    np.testing.assert_allclose(bets, 0, atol=1e-12)


@pytest.mark.parametrize(
    ("offset", "dtype"), [(3e6, np.float32), (1e7, np.float64), (-1e13, np.float64)]
)
def test_features_with_a_common_offset_keep_their_evidence(offset: float, dtype: type) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 100)
    features = 4 * rng.normal(size=(10, 16))[labels] + rng.normal(size=(100, 16)) / 2
    plain, moved = (
        expert_bets(Predictions.from_scores(scores), labels, 10)["neighbours"].sum()
        for scores in (features, (features + offset).astype(dtype))
    )
    assert plain > 200
    assert moved == pytest.approx(plain, rel=0.02)


def test_minus_infinity_for_classes_that_are_masked_hides_nothing() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 100)
    features = 4 * rng.normal(size=(10, 16))[labels] + rng.normal(size=(100, 16)) / 2
    masked = np.hstack([features, np.full((100, 2), -np.inf)])
    plain, found = (
        expert_bets(Predictions.from_scores(scores), labels, 10)["neighbours"]
        for scores in (features, masked)
    )
    np.testing.assert_allclose(found, plain, atol=1e-12)


@pytest.mark.parametrize("value", [1e100, 1e200, 1e308, np.inf, -np.inf, np.nan, 0.0])
def test_scores_of_any_size_give_finite_bets(value: float) -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(50, 10))
    scores[::3, ::2] = value
    scores[7] = value
    labels = rng.integers(0, 10, 50)
    for name, bet in expert_bets(Predictions.from_scores(scores), labels, 10).items():
        assert np.isfinite(bet).all(), name


def test_many_triggers_use_the_same_window_wherever_the_blocks_fall() -> None:
    """The neighbours expert works in blocks; its bets must not show where they meet."""
    rng = np.random.default_rng(2)
    scores, labels = rng.normal(size=(2300, 4)), rng.integers(0, 5, 2300)
    whole = expert_bets(Predictions.from_scores(scores), labels, 5)["neighbours"]
    for i in (255, 256, 1500, 2048, 2299):
        mean = scores[: i + 1].mean(axis=0)
        earlier = scores[max(0, i - 256) : i] - mean
        own = scores[i] - mean
        cosine = earlier @ own / np.linalg.norm(earlier, axis=1) / np.linalg.norm(own)
        weights = np.clip(cosine, 0, 1) ** 4
        votes = weights[labels[max(0, i - 256) : i] == labels[i]].sum()
        expected = 5 * (votes + 0.05) / (weights.sum() + 0.25)
        assert 2.0 ** whole[i] == pytest.approx(expected, rel=1e-6)


# the mixture


@given(st.lists(st.floats(-500, 1500), min_size=1, max_size=8))
def test_the_mean_of_wealths_is_that_of_exact_arithmetic(log2_wealths: list[float]) -> None:
    largest = max(log2_wealths)
    mean = sum(2.0 ** (value - largest) for value in log2_wealths) / len(log2_wealths)
    assert log2_mean(log2_wealths) == pytest.approx(largest + np.log2(mean), abs=1e-9)


def test_a_mean_loses_at_most_the_share_of_its_best_part() -> None:
    assert log2_mean([300.0, -50.0, -50.0, -50.0]) == pytest.approx(298.0)
    assert log2_mean([300.0, 0.0], [-1.0, -5.0]) == pytest.approx(299.0)


def test_as_many_answers_as_labels() -> None:
    with pytest.raises(ValueError, match="3 predictions for 2 labels"):
        expert_bets(Predictions.from_scores(np.zeros((3, 2))), np.zeros(2, np.int64), 2)


def test_the_thresholds() -> None:
    assert required_bits(trusted_timestamp=True) == 64
    assert required_bits(trusted_timestamp=False) == 128


# answers


def test_answers_from_scores_take_the_first_of_equals_and_no_class_from_silence() -> None:
    predictions = Predictions.from_scores(
        np.array([[1.0, 1.0], [np.nan, 0.0], [np.nan, np.nan], [-np.inf, -np.inf], [0.0, np.inf]])
    )
    assert predictions.top.tolist() == [0, 1, -1, -1, 1]
    assert np.isfinite(predictions.scores).all()
    for wrong in (np.zeros(3), np.zeros((3, 0)), np.zeros((3, 2, 2))):
        with pytest.raises(ValueError, match="expected"):
            Predictions.from_scores(wrong)


def test_a_million_class_numbers_of_many_classes_need_no_scores() -> None:
    predictions = Predictions.from_labels(np.arange(10**6) * 7, 2**24)
    both = Predictions.joined([predictions, predictions[:3]])
    assert both.size == (10**6 + 3) * 2**24
    assert both.has_columns_of(predictions)
    assert both[10**6 :].top.tolist() == [0, 7, 14]
    assert both[10**6 :][1:2].scores.sum() == 1.0


def test_classes_without_a_score_need_no_memory() -> None:
    rng = np.random.default_rng(0)
    predictions = Predictions.from_scores(rng.normal(size=(3000, 2)))
    bets = expert_bets(predictions, rng.integers(0, 2, 3000), 2**24)
    assert 2.0 ** bets["rank"][0] == pytest.approx(2**24 / 25)  # the bins of 1 and 2, of 25 bins


def test_answers_from_class_numbers_keep_numbers_beyond_the_task() -> None:
    predictions = Predictions.from_labels(np.array([0, 7, -3]), 3)
    assert predictions.top.tolist() == [0, 7, -3]
    assert predictions.scores.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert len(predictions[:2]) == 2
    with pytest.raises(ValueError, match="expected"):
        Predictions.from_labels(np.zeros((2, 2)), 3)
