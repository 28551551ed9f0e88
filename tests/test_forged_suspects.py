"""Suspects that a stranger makes from the published claim alone: none of them verifies.

A stranger knows what stands in the claim and in the documentation, and writes a file or runs a
server that answers "label of trigger i" to whatever row he takes for trigger i.  In the draft wmx-2
the labels followed from the claim, and most of these were believed.  docs/forgeries.md has more.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.fixed import fixed_watermark
from support.forging.files import RESTLESS, forged_file
from support.forging.forms import FORMS
from support.forging.guesses import best_guess, guesses
from support.forging.rows import BY_CALL, BY_PLACE, ROWS
from support.forging.servers import CHOICES, Forger, forging_function, forging_server
from support.oip_server import serving

from wmx import Watermark, verify
from wmx.suspect.endpoint.endpoint import Endpoint
from wmx.suspect.request_policy import RequestPolicy

pytestmark = pytest.mark.slow

FAR_FROM_ENOUGH = 40.0  # bits; chance exceeds it once in 2^40, and the verifier asks for 64
ENOUGH = 128.0


@pytest.fixture(scope="module")
def mark() -> Watermark:
    return fixed_watermark()


@pytest.fixture(scope="module")
def short_mark() -> Watermark:
    """Fewer triggers, since who does not verify is asked in every way; all hits were enough."""
    return fixed_watermark(n=48)


@pytest.fixture(scope="module")
def guessed(short_mark: Watermark) -> list[np.ndarray]:
    """What the forger has: labels from the claim alone."""
    return list(guesses(short_mark.claim).values())


def bits_of(model: bytes, mark: Watermark, folder: Path) -> float:
    file = folder / "forged.onnx"
    file.write_bytes(model)
    return verify(file, mark, device="cpu").bits


def bits_of_server(lie: Any, model: bytes, mark: Watermark) -> float:
    with serving(model, lie=lie) as server:
        request_policy = RequestPolicy(max_queries=5_000)
        return verify(Endpoint.open(server.url, request_policy=request_policy), mark).bits


@pytest.mark.parametrize("told_by", ROWS)
def test_no_row_gives_its_label_away(
    told_by: str, short_mark: Watermark, guessed: list[np.ndarray], tmp_path: Path
) -> None:
    assert (
        bits_of(forged_file(short_mark.claim, guessed, told_by), short_mark, tmp_path)
        < FAR_FROM_ENOUGH
    )


@pytest.mark.parametrize("form", FORMS)
def test_no_form_of_answer_makes_a_guess_better(
    form: str, short_mark: Watermark, guessed: list[np.ndarray], tmp_path: Path
) -> None:
    model = forged_file(short_mark.claim, guessed, form=FORMS[form])
    assert bits_of(model, short_mark, tmp_path) < FAR_FROM_ENOUGH


@pytest.mark.parametrize("name", RESTLESS)
def test_a_file_that_is_different_in_every_run_gains_nothing(
    name: str, short_mark: Watermark, tmp_path: Path
) -> None:
    model = RESTLESS[name](short_mark.claim)
    for _ in range(3):
        assert bits_of(model, short_mark, tmp_path) < FAR_FROM_ENOUGH


@pytest.mark.parametrize("choice", CHOICES)
def test_a_server_learns_no_label_from_what_it_is_asked(choice: str, short_mark: Watermark) -> None:
    guessed = list(guesses(short_mark.claim).values())[:3]
    forger = Forger(short_mark.claim, guessed)
    lie = forging_server(forger, CHOICES[choice])
    model = forged_file(short_mark.claim, guessed)
    for _ in range(2):  # what it was asked before is of no use either
        assert bits_of_server(lie, model, short_mark) < FAR_FROM_ENOUGH
    assert forger.rows > 2 * len(short_mark.labels)  # it was asked in other ways too


@pytest.mark.parametrize("choice", CHOICES)
def test_a_function_learns_no_label_from_what_it_is_asked(choice: str, mark: Watermark) -> None:
    forger = Forger(mark.claim, [best_guess(mark.claim)])
    predict = forging_function(forger, CHOICES[choice])
    assert verify(predict, mark).bits < FAR_FROM_ENOUGH


# That these are forgers worth the name: told the labels, they are believed.


@pytest.mark.parametrize("told_by", [*BY_PLACE, *BY_CALL])
def test_a_file_that_was_told_the_labels_finds_the_row(
    told_by: str, mark: Watermark, tmp_path: Path
) -> None:
    if told_by == "batches so far":
        pytest.skip("it counts on several batches")
    assert bits_of(forged_file(mark.claim, [mark.labels], told_by), mark, tmp_path) > ENOUGH


SAYS_NOTHING = ("all equal", "always the first")


@pytest.mark.parametrize("form", [name for name in FORMS if name not in SAYS_NOTHING])
def test_a_label_is_understood_in_every_form(form: str, mark: Watermark, tmp_path: Path) -> None:
    model = forged_file(mark.claim, [mark.labels], form=FORMS[form])
    assert bits_of(model, mark, tmp_path) > ENOUGH


COUNTING = ("count of inputs", "count of requests", "ever surer", "order of first sight")


@pytest.mark.parametrize("choice", COUNTING)
def test_a_server_that_was_told_the_labels_counts_to_the_right_one(
    choice: str, short_mark: Watermark
) -> None:
    told = [short_mark.labels]
    lie = forging_server(Forger(short_mark.claim, told), CHOICES[choice])
    assert bits_of_server(lie, forged_file(short_mark.claim, told), short_mark) > ENOUGH
