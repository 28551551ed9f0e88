"""How tests/vectors/evidence-6 was made, once: evidences over the claims of wmx-3, and a date.

Key, claims, answers and dates are fixed, so the evidences are always the same bytes; the timestamp
and its certificates, valid for an hour, are of the day this ran.  The files are frozen: every later
version has to check them, so this script refuses to run where they exist.
Run: PYTHONPATH=tests python tests/vectors/make_evidence_6.py
"""

import hashlib
import json
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import numpy as np
from support.tsa import Authority
from vectors.make_wmx_3 import FOLDER as CLAIMS
from vectors.make_wmx_3 import suspects

from wmx.protocol.claim import Claim
from wmx.protocol.keys import OwnerKey
from wmx.protocol.model_reference import ModelReference
from wmx.protocol.timestamp import load_roots, trusted_stamp
from wmx.statistics.predictions import Predictions
from wmx.statistics.probe import ALONE, TOGETHER, Probe
from wmx.suspect.overrides import NO_OVERRIDES, Overrides
from wmx.triggers.trigger_file import load_images
from wmx.verification.evidence import Evidence, Run
from wmx.verification.selection import Selection
from wmx.watermark import Watermark

FOLDER = Path(__file__).parent / "evidence-6"
CREATED = "2026-01-02T00:00:00Z"
LIFETIME = timedelta(hours=1)
RUN = Run("onnxruntime 1.31.1 CPUExecutionProvider", ("ai.onnx 17", "ai.onnx.ml 3"), "pytorch 2.13")
PROBES = {  # and how many probes were tried
    "cells-grey": (Probe("NCHW", "scores", rows=ALONE), 1),
    "cells-grey-moved": (Probe("NCHW", "scores", (-1, 2), rows=ALONE), 3),
    "cells-grey-inside": (Probe("NCHW", "features", rows=ALONE, view="conditions met"), 28),
    "cells-colour": (Probe("NHWC", "scores", rows=8), 1),
    "features": (Probe("NF", "label", rows=ALONE), 1),
    "tokens": (Probe("NL mask", "a", rows=TOGETHER), 2),
    "folder": (Probe("NCHW", "scores", scaling="0..255", rows=2), 4),
}


def predictions_of(name: str, labels: np.ndarray, classes: int) -> Predictions:
    """Return fixed answers: scores, class numbers, or scores to whole batches alone."""
    known = suspects(labels, classes)
    match name:
        case "cells-grey":
            return Predictions.from_scores(known["noisy"])
        case "cells-grey-moved" | "cells-grey-inside":
            return Predictions.from_scores(known["oracle"] / 3)
        case "cells-colour":
            return Predictions.from_scores(known["permuted"])[:8]
        case "features":
            return Predictions.from_labels(labels, classes)
        case "tokens":
            return Predictions.from_labels((labels + 5) % (classes + 4), classes)[:8]
    return Predictions.from_scores(known["other_classes"])


WINDOWS = {  # start, count, claims tried
    "cells-grey": (43, 48, 1),
    "cells-grey-moved": (0, 50, 1),
    "cells-grey-inside": (0, 50, 1),
    "cells-colour": (0, 12, 3),
    "features": (1, 10, 1),
    "tokens": (0, 9, 1),
    "folder": (2, 4, 2),
}

SETTLED = {
    "tokens": Overrides({"temperature": "0.5"}),
    "features": Overrides(output="label"),
}


def evidence_vector(name: str, key: OwnerKey) -> dict[str, object]:
    """Write the evidence over one claim and return what is expected of it."""
    claim = Claim.load(CLAIMS / f"{name.removesuffix('-moved').removesuffix('-inside')}.claim.json")
    images = load_images(CLAIMS / "folder.triggers.safetensors") if name == "folder" else None
    mark = Watermark.open(claim, key, images=images)
    start, count, claims_tried = WINDOWS[name]
    trigger_slice = mark.trigger_slice(start).first(count)
    probe, probes = PROBES[name]
    evidence = Evidence.sign(
        key,
        trigger_slice,
        mark.openings(range(start, start + count)),
        probe,
        predictions_of(name, trigger_slice.labels, claim.task.classes),
        probes_tried=probes,
        required_bits=12.5,
        selection=Selection(claims_tried, claim.n, SETTLED.get(name, NO_OVERRIDES)),
        suspect=ModelReference(f"{name}.onnx", hashlib.sha256(name.encode()).hexdigest()),
        run=RUN,
        created=CREATED,
    )
    file = evidence.to_bytes()
    (FOLDER / f"{name}.evidence.json").write_bytes(file)
    return {
        "sha256": hashlib.sha256(file).hexdigest(),
        "claim": claim.digest,
        "start": start,
        "count": count,
        "labels": trigger_slice.labels.tolist(),
        "hits": evidence.score.hits,
        "tail": str(evidence.score.tail),
        "bits": evidence.score.bits,
    }


def dated_claim_vector() -> dict[str, object]:
    """Write a claim with two timestamps, one of them under roots that are kept beside it."""
    claim = Claim.load(CLAIMS / "cells-grey.claim.json")
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder) / "trusted", "wmx test root", lifetime=LIFETIME)
        authority.add_signer("tsa", end=LIFETIME)
        stranger = Authority(Path(folder) / "stranger", "wmx test stranger", lifetime=LIFETIME)
        stamp = authority.stamp(claim.envelope.signature, digest="sha512")
        dated = claim.with_timestamps([stranger.stamp(claim.envelope.signature), stamp])
        dated.save(FOLDER / "cells-grey.dated.claim.json")
        roots = authority.roots.read_bytes()
        (FOLDER / "roots.pem").write_bytes(roots)
        time, under = trusted_stamp(stamp, claim, load_roots(authority.roots))
    return {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ"), "authority": under}


def main() -> None:
    """Write the folder."""
    if FOLDER.exists():
        sys.exit(f"{FOLDER} exists: test vectors are made once and never changed")
    FOLDER.mkdir()
    key = OwnerKey.load(CLAIMS / "owner.pem")
    expected = {
        "evidence": {name: evidence_vector(name, key) for name in WINDOWS},
        "dated": dated_claim_vector(),
    }
    (FOLDER / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
