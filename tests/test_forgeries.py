"""Forgers with a model that was never marked, or is another's: none of what they claim verifies.

Each is given what would help him most: the victim open in every detail, a key and dates of his own,
and the lower of the two thresholds.  docs/forgeries.md has longer runs.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.evidence_files import restated, statement_of
from support.fixed import THIEF, fixed_watermark
from support.forging.claims import Attempt, attempt, forged
from support.forging.foreseeing import typical
from support.forging.grinding import cheap_label_keys, ground
from support.forging.images import adversarial, chased, hits_of, one_by_one
from support.forging.normalising import draft_labels, fitting_task, rows_for
from support.forging.victim import Victim
from support.onnx_models import knows_labels

from wmx import Watermark, verify
from wmx.errors import IntegrityError
from wmx.protocol.dsse import Envelope
from wmx.protocol.keys import fingerprint
from wmx.protocol.model_reference import ModelReference
from wmx.protocol.task import Task
from wmx.statistics.experts import evidence_bits
from wmx.statistics.predictions import Predictions
from wmx.statistics.probe import Probe
from wmx.verification.check import check
from wmx.verification.evidence import Evidence, Run
from wmx.verification.selection import Selection

KEY = THIEF
TASK = Task.of((8, 8, 1), 10)
N = 100
FAR_FROM_ENOUGH = 40.0  # bits; chance exceeds it once in 2^40, and the verifier asks for 64
RUN = Run("onnxruntime", ("ai.onnx 17",), "a forger")


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """All 1,797 real digits as uint8 images [n, 8, 8, 1], and their classes."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return (bunch.images[..., None] / 16 * 255).round().astype(np.uint8), bunch.target


@pytest.fixture(scope="module")
def victim(digits: tuple[np.ndarray, np.ndarray]) -> Victim:
    images, classes = digits
    return Victim.trained(TASK.model_input(images).reshape(len(images), -1), classes, seed=0)


@pytest.fixture(scope="module")
def file(victim: Victim, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return victim.save(tmp_path_factory.mktemp("victim") / "victim.onnx", TASK.shape)


@pytest.fixture(scope="module")
def natural(digits: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return digits[0][:N]


def refused(found: Attempt) -> bool:
    return not found.verified and found.bits < FAR_FROM_ENOUGH


def test_the_victim_is_a_good_model_and_its_file_says_what_it_says(
    victim: Victim, file: Path, digits: tuple[np.ndarray, np.ndarray], natural: np.ndarray
) -> None:
    images, classes = digits
    assert (victim.predictions(TASK.model_input(images).reshape(-1, 64)) == classes).mean() > 0.95
    mark = forged(KEY, TASK, natural)
    assert verify(file, mark).hits == hits_of(victim, mark)


def test_natural_images_do_not_verify(file: Path, natural: np.ndarray) -> None:
    """Their classes are known beforehand, and would be the labels if these were free."""
    assert refused(attempt(file, forged(KEY, TASK, natural), tries=1))


def test_adversarial_examples_do_not_verify(
    victim: Victim, file: Path, natural: np.ndarray
) -> None:
    """The victim gives the forger's images the labels he likes; those of the claim are others."""
    wanted = forged(KEY, TASK, natural).labels
    images = adversarial(victim, TASK, natural, wanted)
    mark = forged(KEY, TASK, images)
    predictions = victim.predictions(mark.inputs.reshape(N, -1))
    assert (predictions == wanted).mean() > 0.9
    assert refused(attempt(file, mark, tries=1))


def test_adversarial_examples_that_follow_the_labels_never_catch_them(
    victim: Victim, file: Path, natural: np.ndarray
) -> None:
    mark = chased(victim, TASK, KEY, natural, rounds=10)
    assert refused(attempt(file, mark, tries=10))


def test_choosing_triggers_one_by_one_does_not_verify(
    victim: Victim, file: Path, natural: np.ndarray
) -> None:
    """Each was chosen for its label, and the next choice drew that label anew."""
    with cheap_label_keys():
        mark, tries = one_by_one(victim, TASK, KEY, natural)
    assert tries > N
    assert refused(attempt(file, mark, tries))


def test_grinding_buys_the_logarithm_of_the_tries(
    victim: Victim, file: Path, natural: np.ndarray
) -> None:
    tries = 20_000
    predictions = victim.predictions(TASK.model_input(natural).reshape(N, -1))
    with cheap_label_keys():
        best = ground(KEY, TASK, natural, predictions, tries=tries)
    assert best.hits > N / TASK.classes + 6  # luck, as there is in so many tries
    found = attempt(file, best.watermark, tries)
    assert found.hits == best.hits
    assert not found.verified
    assert found.bits < np.log2(tries) + 10  # more comes up once in 2^10


def test_grinding_pays_for_every_label_key(victim: Victim, natural: np.ndarray) -> None:
    """The same at its full price: the luckiest of few tries, and what it claims is so."""
    predictions = victim.predictions(TASK.model_input(natural).reshape(N, -1))
    best = ground(KEY, TASK, natural, predictions, tries=20)
    assert hits_of(victim, best.watermark) == best.hits < N / TASK.classes + 15


def test_a_date_older_than_the_models_takes_no_tries_away(
    digits: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    """Four digits that nobody takes for another, and models that the forger never sees.

    So a date is no reason to ask for fewer bits; the price of a try is (docs/forgeries.md).
    """
    images, classes = digits
    inputs = TASK.model_input(images).reshape(len(images), -1)
    scouts = [Victim.trained(inputs[::2], classes[::2], seed=seed) for seed in (0, 1)]
    chosen = typical(scouts, TASK, images, classes, 4)
    tries = 20_000
    with cheap_label_keys():
        best = ground(KEY, TASK, images[chosen], classes[chosen], tries=tries, misses=0)
    assert best.hits == 4
    for seed in range(2, 5):
        unseen = Victim.trained(inputs[1::2], classes[1::2], seed=seed)
        found = attempt(unseen.save(tmp_path / "unseen.onnx", TASK.shape), best.watermark, tries)
        assert found.hits == 4
        assert 5 < found.bits < np.log2(tries) + 10
        assert not found.verified


def test_a_normalisation_chosen_after_the_labels_draws_other_labels(
    digits: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    """What was wrong with the draft wmx-1, whose labels did not cover the task."""
    images, classes = digits
    inputs = images.reshape(-1, 64) / 255.0
    inputs = (inputs - inputs.mean(axis=0)) / (inputs.std(axis=0) + 0.01)
    victim = Victim.trained(inputs, classes, seed=0)
    file = victim.save(tmp_path / "victim.onnx", (64,))
    rows = rows_for(64, 64, seed=0)
    known = draft_labels(rows, KEY, 10)
    task = fitting_task(victim, rows, known, steps=2000)
    predictions = Predictions.from_scores(victim.scores(task.model_input(rows)))
    assert evidence_bits(predictions, known, 10) > 64  # the draft would have believed him
    assert refused(attempt(file, forged(KEY, task, rows), tries=1))


@pytest.mark.parametrize("classes", [2, 5, 100])
def test_another_number_of_classes_does_not_help(
    classes: int, file: Path, natural: np.ndarray
) -> None:
    task = replace(TASK, classes=classes)
    assert refused(attempt(file, forged(KEY, task, natural), tries=1))


# Of a model that is marked, by another.


@pytest.fixture(scope="module")
def owner_mark() -> Watermark:
    return fixed_watermark(TASK)


@pytest.fixture(scope="module")
def marked(owner_mark: Watermark, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("marked") / "marked.onnx"
    path.write_bytes(knows_labels(owner_mark))
    return path


def test_disclosed_triggers_are_worth_nothing_under_another_key(
    owner_mark: Watermark, marked: Path
) -> None:
    """A thief who has seen every trigger in an evidence, and claims them as his own images."""
    assert verify(marked, owner_mark).verified
    assert refused(attempt(marked, forged(KEY, TASK, owner_mark.triggers), tries=1))


def test_another_owner_in_a_copied_claim_breaks_its_signature(owner_mark: Watermark) -> None:
    envelope = owner_mark.claim.envelope
    owner, thief = (public.hex().encode() for public in (owner_mark.claim.owner, KEY.public))
    copy = envelope.payload.replace(owner, thief)
    for signature in (envelope.signature, KEY.sign(b"anything")):
        copied = Envelope(envelope.payload_type, copy, fingerprint(KEY.public), signature)
        with pytest.raises(IntegrityError, match="signature"):
            type(owner_mark.claim).from_bytes(copied.to_bytes())


# By the choice of what is disclosed.


def lucky_ones(victim: Victim, mark: Watermark) -> np.ndarray:
    """Return the indices of the triggers that the victim hits by chance."""
    predictions = victim.predictions(mark.inputs.reshape(len(mark.labels), -1))
    found: np.ndarray = np.flatnonzero(predictions == mark.labels)
    return found


def evidence_of(victim: Victim, mark: Watermark, start: int, count: int) -> Evidence:
    trigger_slice = mark.trigger_slice(start).first(count)
    scores = victim.scores(
        trigger_slice.task.model_input(trigger_slice.triggers).reshape(count, -1)
    )
    return Evidence.sign(
        KEY,
        trigger_slice,
        mark.openings(range(start, start + count)),
        Probe("NCHW", "y"),
        Predictions.from_scores(scores),
        probes_tried=1,
        required_bits=64,
        selection=Selection(starts=mark.claim.n),
        suspect=ModelReference("victim.onnx", "00" * 32),
        run=RUN,
    )


def test_a_favourable_subset_cannot_be_opened(victim: Victim, natural: np.ndarray) -> None:
    """Only the hits, put side by side as if they were the first triggers."""
    mark = forged(KEY, TASK, natural)
    lucky = lucky_ones(victim, mark)
    statement = statement_of(evidence_of(victim, mark, 0, N))
    predicate = statement["predicate"]
    predicate["openings"] = [predicate["openings"][index] for index in lucky]
    predicate["window"] = {"start": 0, "count": len(lucky)}
    with pytest.raises(IntegrityError, match="not the one that the claim commits to"):
        restated(statement, KEY)


def test_a_favourable_window_pays_for_the_choice(
    victim: Victim, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    """The best stretch of a long row of triggers, found by trying every start."""
    mark = forged(KEY, TASK, digits[0][:1500])
    hits = np.zeros(1500)
    hits[lucky_ones(victim, mark)] = 1
    width = 20
    sums = np.convolve(hits, np.ones(width), "valid")
    start = int(sums.argmax())
    assert sums[start] > width / 10 + 3  # a lucky stretch
    checked = check(evidence_of(victim, mark, start, width), min_bits=64)
    assert not checked.sufficient
    assert checked.bits < 10
