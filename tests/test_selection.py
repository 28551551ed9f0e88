"""The penalty for what was chosen before the evidence was counted."""

import doctest
from math import log2

import numpy as np
import pytest
from support.evidence_files import PLAIN, RUN, SUSPECT, small_watermark
from support.fixed import OWNER

from wmx.errors import IntegrityError
from wmx.statistics.predictions import Predictions
from wmx.suspect.function import FunctionSuspect
from wmx.suspect.overrides import Overrides
from wmx.verification import selection
from wmx.verification.evidence import Evidence
from wmx.verification.selection import NO_SELECTION, Selection
from wmx.verification.verdict import measure


def test_its_example_runs() -> None:
    found = doctest.testmod(selection)
    assert found.attempted
    assert not found.failed


def test_penalties_add_up() -> None:
    overrides = Overrides({"a": "1.5"}, "y")
    assert NO_SELECTION.penalty == 0
    assert Selection(8).penalty == 3
    assert Selection(4, starts=100).penalty == pytest.approx(2 + log2(100))
    assert Selection(4, 2, overrides).penalty == 2 + 1 + overrides.penalty


def test_overrides_are_paid_for_by_the_suspect_that_has_them() -> None:
    """A party's evidence states some; the judge, who opens the model without, owes nothing."""
    suspect = FunctionSuspect(lambda inputs: np.zeros(len(inputs)))
    stated = Selection(claims_tried=2, overrides=Overrides(output="y"))
    found = measure(suspect, small_watermark(OWNER).trigger_slice(), required=20, selection=stated)
    assert found.selection == Selection(claims_tried=2)
    assert found.score.penalty == 1


def test_an_evidence_pays_for_every_start() -> None:
    mark = small_watermark(OWNER)
    trigger_slice = mark.trigger_slice().first(2)
    with pytest.raises(IntegrityError, match="states 2 hits"):
        Evidence.sign(
            OWNER,
            trigger_slice,
            mark.openings(range(2)),
            PLAIN,
            Predictions.from_labels(trigger_slice.labels, mark.task.classes),
            probes_tried=1,
            required_bits=1,
            selection=Selection(starts=1),
            suspect=SUSPECT,
            run=RUN,
        )
