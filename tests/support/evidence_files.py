"""Small evidences for tests: 1,000 classes, so that a few triggers suffice."""

import json
from dataclasses import replace
from typing import Any

import numpy as np

from wmx import OwnerKey, Watermark
from wmx.protocol import jcs
from wmx.protocol.dsse import Envelope
from wmx.protocol.model_reference import ModelReference
from wmx.protocol.statement import PAYLOAD_TYPE
from wmx.protocol.task import Task
from wmx.statistics.hits import fraction_text
from wmx.statistics.mixture import score_predictions
from wmx.statistics.predictions import Predictions
from wmx.statistics.probe import ALONE, SHIFTS, Probe
from wmx.verification.codec import predictions_from_json, probe_from_json, trigger_slice_from_json
from wmx.verification.evidence import Evidence, Run
from wmx.verification.selection import Selection

RUN = Run("onnxruntime 1.31.1 CPUExecutionProvider", ("ai.onnx 17",), "tests")
PLAIN = Probe("NCHW", "y", rows=ALONE)
SUSPECT = ModelReference("model.onnx", "aa" * 32)


def small_watermark(
    key: OwnerKey, n: int = 6, *, number: int = 0, classes: int = 1000
) -> Watermark:
    """Return the one watermark of ``key``; another ``number`` gives another claim."""
    return Watermark.for_task(
        key,
        Task.of((8, 8, 1), classes),
        n=n,
        salt=number.to_bytes(32, "big"),
        created="2026-01-01T00:00:00Z",
    )


def small_evidence(
    key: OwnerKey,
    mark: Watermark,
    *,
    start: int = 0,
    count: int = 4,
    probe: Probe = PLAIN,
    predictions: Predictions | None = None,
    probes_tried: int = 1,
    suspect: ModelReference = SUSPECT,
) -> Evidence:
    """Evidence from ``count`` triggers, all of them hits unless other answers are given."""
    trigger_slice = mark.trigger_slice(start).first(count)
    return Evidence.sign(
        key,
        trigger_slice,
        mark.openings(range(start, start + count)),
        probe,
        predictions or Predictions.from_labels(trigger_slice.labels, mark.task.classes),
        probes_tried=probes_tried,
        required_bits=20,
        selection=Selection(starts=mark.claim.n),
        suspect=suspect,
        run=RUN,
        created="2026-11-24T00:00:00Z",
    )


def scored_evidence(key: OwnerKey) -> Evidence:
    """Evidence with all that can stand in one: scores to fewer triggers than are disclosed, given
    moved and two at a time, other probes, weights beside the model; of ten classes, so that it
    stays small."""
    mark = small_watermark(key, classes=10)
    return small_evidence(
        key,
        mark,
        probe=Probe("NCHW", "y", SHIFTS[0], rows=2),
        predictions=scores_of(mark.labels[:3], 10, seed=1),
        probes_tried=2,
        suspect=replace(SUSPECT, external={"model.onnx.data": "bb" * 32}),
    )


def statement_of(evidence: Evidence) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(evidence.envelope.payload)
    return document


def signed(statement: Any, key: OwnerKey) -> bytes:
    """What an owner who wants to cheat can do: sign any statement."""
    return Envelope.seal(PAYLOAD_TYPE, jcs.dumps(statement), key).to_bytes()


def restated(statement: dict[str, Any], key: OwnerKey) -> bytes:
    """Sign a statement after making its numbers fit its own openings and answers again."""
    from wmx.protocol.claim import Claim

    predicate = statement["predicate"]
    claim = Claim.from_json(predicate["claim"]["file"])
    trigger_slice = trigger_slice_from_json(predicate["window"], predicate["openings"], claim)
    probe = probe_from_json(predicate["way"], claim.task)
    predictions = predictions_from_json(predicate["answers"], trigger_slice)
    score = score_predictions(
        {probe: predictions},
        trigger_slice,
        penalty=Selection(predicate["claims_tried"], claim.n).penalty,
        plain={probe.group: predicate["probes_tried"]},
    )
    predicate["claim"]["digest"]["sha256"] = claim.digest
    predicate["counted"] = {
        "bits": f"{score.bits:.6f}",
        "hits": score.hits,
        "tail": fraction_text(score.tail),
    }
    return signed(statement, key)


def scores_of(labels: np.ndarray, classes: int, seed: int) -> Predictions:
    """Scores that put every label on top."""
    noise = np.random.default_rng(seed).random((len(labels), classes)).astype(np.float32)
    return Predictions.from_scores(noise + np.eye(classes, dtype=np.float32)[labels])
