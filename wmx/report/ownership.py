"""The HTML report on a verdict or on evidence: its contents, for owners and third parties.

With evidence, the report covers the triggers that the evidence discloses and no others, and may go
where the evidence goes.  Without, it is for the owner alone: for each trigger it says whether it
was a hit, never the input, the expected class or the predicted class.  The maker of the model knows
its predictions, though, and would learn from the hits which of them are labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np

from wmx._internal.writing import SECRET_MODE
from wmx._version import __version__
from wmx.protocol.claim import now_text
from wmx.report.evidence_curve import Course
from wmx.report.expert_bits import ExpertBits, expert_bits
from wmx.report.facts import (
    Facts,
    bits_sentences,
    claim_facts,
    count_facts,
    date_sentence,
    hits_sentence,
    model_facts,
    owner_words,
    proof_facts,
    repeated_facts,
    time_words,
)
from wmx.report.page import write_page
from wmx.report.reproduce import Files, Step, owner_steps, third_party_steps
from wmx.report.thumbnails import first_values, thumbnail
from wmx.statistics.mixture import EvidenceScore
from wmx.statistics.predictions import NO_CLASS, Predictions
from wmx.triggers.trigger_slice import TriggerSlice
from wmx.verification.check import NEVER_CHECKED, Checked, unchecked_date
from wmx.verification.evidence import Evidence
from wmx.verification.verdict import Verdict
from wmx.watermark import Watermark

TEMPLATE = Path(__file__).with_name("ownership.html.jinja")
LEAST_IN_GROUP, MOST_GROUPS, MOST_MARKS = 10, 60, 25


@dataclass(frozen=True)
class Group:
    """Consecutive triggers in the table of hits.

    Attributes:
        first, last: indices.
        hits: how many of them were hits.
        marks: hit or miss of each; empty where the group is too long to show them.
        bits: evidence after the last.
    """

    first: int
    last: int
    hits: int
    marks: tuple[bool, ...]
    bits: float


@dataclass(frozen=True)
class Disclosed:
    """A trigger that evidence discloses.

    Attributes:
        index: in the claim.
        picture: ``data:`` address of a PNG; empty for inputs that are no images.
        values: its first numbers in text; empty for images.
        expected: the label that the claim fixes.
        given: the class that the suspect predicted, ``None`` for no class.
    """

    index: int
    picture: str
    values: str
    expected: int
    given: int | None


@dataclass(frozen=True)
class OwnershipReport:
    """The report, ready to be written.

    Attributes:
        is_private: whether it shows which secret triggers were hit, and is for the owner alone.
        owner: the claim's note, if it has one, and the fingerprint of the owner's key.
        heading: the verdict in a word or two.
        outcome: ``"yes"``, ``"no"`` or ``"open"``; decides the color.
        summary: the verdict in sentences.
        course: the evidence curve, bits from trigger to trigger.
        penalty: bits subtracted for choices.
        experts: each of the five, with its bits.
        groups: hits of all triggers that were counted.
        disclosed: triggers that readers may see; none without evidence.
        model, claim, count: facts by their names.
        steps: how to repeat the check.
        unchecked: what was not, or cannot be, checked.
        version: of wmx.
        created: when the report was made, ``YYYY-MM-DD hh:mm:ss UTC``.
    """

    is_private: bool
    owner: str
    heading: str
    outcome: str
    summary: Sequence[str]
    course: Course
    penalty: float
    experts: Sequence[ExpertBits]
    groups: Sequence[Group]
    disclosed: Sequence[Disclosed]
    model: Facts
    claim: Facts
    count: Facts
    steps: Sequence[Step]
    unchecked: Sequence[str]
    version: str
    created: str

    def write(self, path: str | Path, *, force: bool = False) -> None:
        """Write the report as one HTML file that only its owner may read (mode 0600).

        Args:
            path: of the HTML file.
            force: replace an existing file.

        Raises:
            MissingExtraError: jinja2 or matplotlib is not installed.
            CannotRunError: ``path`` exists and ``force`` is not set, or it cannot be written.
        """
        write_page(TEMPLATE, {"report": self}, path, mode=SECRET_MODE, force=force)


def report_of_verdict(
    verdict: Verdict,
    watermark: Watermark,
    files: Files,
    *,
    stream: np.random.Generator,
    proof: Evidence | None = None,
    created: str | None = None,
) -> OwnershipReport:
    """Return the owner's report on a verdict.

    Args:
        verdict: over all triggers that are secret.
        watermark: that the verdict is about.
        files: what the command was given; readers repeat the check with them.
        stream: random numbers for the simulated models.
        proof: the evidence that was made along with it.  The report is then about its triggers and
            says nothing of the others.
        created: ``YYYY-MM-DDThh:mm:ssZ``; now if ``None``.
    """
    counted: Verdict | EvidenceScore
    if proof is None:
        # an API was queried no more often than the verdict took
        trigger_slice = watermark.trigger_slice(verdict.start).first(verdict.n)
        counted, score, predictions = verdict, verdict.score, verdict.predictions
        facts = count_facts(verdict)
    else:
        trigger_slice, score, predictions = (
            proof.trigger_slice,
            proof.score,
            {proof.probe: proof.predictions},
        )
        counted, facts = score, proof_facts(proof)
    course = Course.of(
        score, predictions, trigger_slice, required=verdict.required_bits, stream=stream
    )
    suspect = verdict.suspect.without_folder
    unchecked = [
        unchecked_date(verdict.dating),
        "that the owner tried no more claims or models than are counted here, and that nobody "
        "else knew the triggers before the model was made",
    ]
    if proof is None:
        unchecked.insert(
            0,
            "that others find the same: no trigger is disclosed here, so that nobody without the "
            "owner key can repeat it",
        )
    heading, outcome = "NOT VERIFIED", "no"
    if verdict.verified:
        heading, outcome = "VERIFIED", "yes"
    elif not verdict.is_answer:
        heading, outcome = "NOT VERIFIED, AND NO ANSWER YET", "open"
        if verdict.too_few is not None:
            heading = "CANNOT SAY"
        if verdict.lacking or verdict.passed_over or verdict.failed:
            unchecked.insert(
                0,
                "all triggers of every claim: the queries ended before, the suspect failed on "
                "some, or too few were never disclosed",
            )
    return OwnershipReport(
        is_private=proof is None,
        owner=owner_words(watermark.claim),
        heading=heading,
        outcome=outcome,
        summary=[
            hits_sentence(suspect.name, counted.hits, counted.n),
            *bits_sentences(counted.bits, verdict.required_bits, verdict.too_few),
            date_sentence(watermark.claim, verdict.dating),
        ],
        course=course,
        penalty=score.penalty,
        experts=expert_bits(score),
        groups=_groups(course),
        disclosed=[] if proof is None else _disclosed(proof.trigger_slice, proof.predictions),
        model=model_facts(suspect, verdict.engine, proof),
        claim=claim_facts(watermark.claim, verdict.dating),
        count=facts,
        steps=owner_steps(suspect, files, proved=proof is not None),
        unchecked=[*unchecked, *NEVER_CHECKED],
        version=__version__,
        created=time_words(created or now_text()),
    )


def report_of_check(
    checked: Checked,
    files: Files,
    *,
    stream: np.random.Generator,
    created: str | None = None,
) -> OwnershipReport:
    """Return a third party's report on evidence that it checked.

    Args:
        checked: what was found.  The report shows the stated or the repeated predictions, whichever
            give fewer bits, since those count.
        files: what the command was given; readers repeat the check with them.
        stream: random numbers for the simulated models.
        created: ``YYYY-MM-DDThh:mm:ssZ``; now if ``None``.
    """
    evidence, again = checked.evidence, checked.repeated
    lower = again if again is not None and again.bits <= evidence.score.bits else None
    predictions = {evidence.probe: evidence.predictions} if lower is None else lower.predictions
    score = evidence.score if lower is None else lower.score
    counted = evidence.score if lower is None else lower
    course = Course.of(
        score, predictions, evidence.trigger_slice, required=checked.required_bits, stream=stream
    )
    source = (
        "The model was not run here: its predictions are the word of the owner, who signed them."
        if again is None
        else "The disclosed inputs were given to the model again, here, and its predictions "
        "counted."
    )
    return OwnershipReport(
        is_private=False,
        owner=owner_words(evidence.claim),
        heading=checked.heading,
        outcome="no" if not checked.sufficient else "yes" if checked.verified else "open",
        summary=[
            hits_sentence(evidence.suspect.name, counted.hits, counted.n),
            *bits_sentences(checked.bits, checked.required_bits, checked.too_few),
            source,
            date_sentence(evidence.claim, checked.dating),
        ],
        course=course,
        penalty=score.penalty,
        experts=expert_bits(score),
        groups=_groups(course),
        disclosed=_disclosed(evidence.trigger_slice, predictions[score.counted]),
        model=model_facts(
            evidence.suspect, "not run here" if again is None else again.engine, evidence
        ),
        claim=claim_facts(evidence.claim, checked.dating),
        count={
            **({} if lower is None else count_facts(lower)),
            **proof_facts(evidence),
            **({} if again is None or again is lower else repeated_facts(again)),
        },
        steps=third_party_steps(evidence.suspect, files),
        unchecked=checked.unchecked,
        version=__version__,
        created=time_words(created or now_text()),
    )


def _groups(course: Course) -> list[Group]:
    n = len(course.bits)
    size = max(LEAST_IN_GROUP, ceil(n / MOST_GROUPS))
    found = []
    for begin in range(0, n, size):
        hits = course.hits[begin : begin + size]
        found.append(
            Group(
                first=course.start + begin,
                last=course.start + begin + len(hits) - 1,
                hits=int(hits.sum()),
                marks=tuple(map(bool, hits)) if size <= MOST_MARKS else (),
                bits=float(course.bits[begin + len(hits) - 1]),
            )
        )
    return found


def _disclosed(trigger_slice: TriggerSlice, predictions: Predictions) -> list[Disclosed]:
    given = predictions.top.tolist() + [NO_CLASS] * (len(trigger_slice) - len(predictions))
    is_image = trigger_slice.task.kind == "image"
    return [
        Disclosed(
            index=trigger_slice.start + row,
            picture=thumbnail(trigger) if is_image else "",
            values="" if is_image else first_values(trigger),
            expected=int(trigger_slice.labels[row]),
            given=None if given[row] == NO_CLASS else given[row],
        )
        for row, trigger in enumerate(trigger_slice.triggers)
    ]
