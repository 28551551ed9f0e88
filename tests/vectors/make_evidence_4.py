"""How tests/vectors/evidence-4 was made, once: evidences over the claims of wmx-2, and a date.

Key, claims, answers and dates are fixed, so the evidences are always the same bytes; the timestamp
and its certificates, valid for an hour, are of the day this ran.  The files are frozen: every later
version has to check them, so this script refuses to run where they exist.
Run: PYTHONPATH=tests python tests/vectors/make_evidence_4.py
"""

import hashlib
import json
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import numpy as np
from tsa import Authority
from vectors.make_wmx_2 import FOLDER as CLAIMS
from vectors.make_wmx_2 import suspects

from wmx.answers import Answers
from wmx.claim import Claim
from wmx.evidence import Evidence, Run
from wmx.keys import OwnerKey
from wmx.settled import NOTHING_SETTLED, Settled
from wmx.statistics import evidence_bits, expert_bets
from wmx.timestamp import load_roots, trusted_stamp
from wmx.trigger_file import load_images
from wmx.watermark import Watermark
from wmx.ways import Way

FOLDER = Path(__file__).parent / "evidence-4"
CREATED = "2026-01-02T00:00:00Z"
LIFETIME = timedelta(hours=1)
RUN = Run("onnxruntime 1.31.1 CPUExecutionProvider", ("ai.onnx 17", "ai.onnx.ml 3"), "pytorch 2.13")
PLAIN = Way("NCHW", "scores")


def answers_of(name: str, labels: np.ndarray, classes: int) -> dict[Way, Answers]:
    """Return fixed answers: scores, class numbers, or several ways."""
    if name == "cells-grey":
        return {PLAIN: Answers.from_scores(suspects(labels, classes)["noisy"])}
    if name == "cells-colour":
        return {PLAIN: Answers.from_scores(suspects(labels, classes)["permuted"])}
    if name == "features":
        return {Way("NF", "label"): Answers.from_labels(labels, classes)}
    if name == "tokens":
        known = suspects(labels, classes)
        return {
            Way("NL", "a"): Answers.from_scores(known["noise"] / 3),
            Way("NL", "b"): Answers.from_labels((labels + 5) % (classes + 4), classes),
        }
    known = suspects(labels, classes)
    return {
        PLAIN: Answers.from_scores(known["noise"]),
        Way("NHWC", "scores"): Answers.from_scores(known["other_classes"]),
        Way("NCHW", "scores", (-1, 2)): Answers.from_scores(known["oracle"]),
        Way("NCHW", "scores", scaling="0..255"): Answers.from_scores(known["noisy"]),
    }


WINDOWS = {  # start, count, claims tried
    "cells-grey": (43, 48, 1),
    "cells-colour": (0, 12, 3),
    "features": (1, 10, 1),
    "tokens": (0, 9, 1),
    "folder": (2, 4, 2),
}

SETTLED = {
    "tokens": Settled({"temperature": "0.5"}),
    "features": Settled(output="label"),
}


def evidence_vector(name: str, key: OwnerKey) -> dict[str, object]:
    """Write the evidence over one claim and return what is expected of it."""
    claim = Claim.load(CLAIMS / f"{name}.claim.json")
    images = load_images(CLAIMS / "folder.triggers.safetensors") if name == "folder" else None
    mark = Watermark.open(claim, key, images=images)
    start, count, claims_tried = WINDOWS[name]
    window = mark.window(start).first(count)
    evidence = Evidence.sign(
        key,
        window,
        mark.openings(range(start, start + count)),
        answers_of(name, window.labels, claim.task.classes),
        required_bits=12.5,
        claims_tried=claims_tried,
        suspect=f"{name}.onnx",
        suspect_sha256=hashlib.sha256(name.encode()).hexdigest(),
        settled=SETTLED.get(name, NOTHING_SETTLED),
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
        "labels": window.labels.tolist(),
        "hits": evidence.weight.hits,
        "tail": str(evidence.weight.tail),
        "bits": evidence.weight.bits,
    }


def bits_vector(labels: np.ndarray, classes: int) -> dict[str, object]:
    """Return evidence bits, expert by expert and mixed, of the fixed suspects."""
    expected: dict[str, object] = {}
    for name, scores in suspects(labels, classes).items():
        answers = Answers.from_scores(scores)
        bets = expert_bets(answers, labels, classes)
        expected[name] = {
            "experts": {expert: float(bet.sum()) for expert, bet in bets.items()},
            "bits": evidence_bits(answers, labels, classes),
        }
    return expected


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
    labels = np.array(
        json.loads((CLAIMS / "expected.json").read_text())["claims"]["cells-grey"]["labels"]
    )
    expected = {
        "bits_of": "labels of cells-grey, K = 10",
        "bits": bits_vector(labels, 10),
        "evidence": {name: evidence_vector(name, key) for name in WINDOWS},
        "dated": dated_claim_vector(),
    }
    (FOLDER / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
