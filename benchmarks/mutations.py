"""Does any single-byte change of a claim, an evidence or a release record leave it standing?

Every byte of an undated claim, a dated one, a dated release record and two evidences is replaced by
each of the 255 others (by ``--values`` of them, evenly spread), and is deleted and doubled.  The
first evidence is that of a claim with 1,000 classes and four openings, so that it is small; the
second has scores, two outputs, a shift, and weights beside the model, over ten classes.  A change
counts as standing if the file is still read without an error: the verdict would be the same or
stronger.  With ``--file`` one is tried again, and the results of the others are kept.

    python benchmarks/mutations.py
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import harness

from wmx import Claim, OwnerKey
from wmx.errors import IntegrityError
from wmx.protocol.model_reference import ModelReference
from wmx.protocol.release_record import Relation, Release
from wmx.verification.evidence import Evidence

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support.evidence_files import scored_evidence, small_evidence, small_watermark
from support.tsa import Authority

FILES = ("claim", "dated claim", "dated release", "evidence", "evidence with scores")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--values", type=int, default=255)
    parser.add_argument("--file", choices=FILES)
    arguments = parser.parse_args()
    key = OwnerKey.generate()
    mark = small_watermark(key)
    released = Release.sign(
        key,
        mark.claim,
        relation=Relation.own,
        model=ModelReference("model.onnx", "ab" * 32, {"model.onnx.data": "cd" * 32}),
        previous="ef" * 32,
        software="wmx",
    )
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder))
        stamp, other = (authority.stamp(file.envelope.signature) for file in (mark.claim, released))
    files: dict[str, tuple[bytes, Callable[[bytes], object]]] = {
        "claim": (mark.claim.to_bytes(), Claim.from_bytes),
        "dated claim": (mark.claim.with_timestamps([stamp]).to_bytes(), Claim.from_bytes),
        "dated release": (released.with_timestamps([other]).to_bytes(), Release.from_bytes),
        "evidence": (small_evidence(key, mark).to_bytes(), Evidence.from_bytes),
        "evidence with scores": (scored_evidence(key).to_bytes(), Evidence.from_bytes),
    }
    figures: dict[str, Any] = {}
    if arguments.file:
        figures = json.loads((harness.RESULTS / "mutations.json").read_text())["files"]
    for name in [arguments.file] if arguments.file else FILES:
        file, read = files[name]
        read(file)
        began = time.monotonic()
        tried = standing = 0
        for changed in mutations(file, arguments.values):
            tried += 1
            try:
                read(changed)
            except IntegrityError:
                continue
            standing += 1
        seconds = round(time.monotonic() - began)
        figures[name] = {
            "bytes": len(file),
            "changes": tried,
            "standing": standing,
            "seconds": seconds,
        }
        print(name, figures[name], file=sys.stderr)
    harness.record("mutations", {"files": figures})


def mutations(file: bytes, values: int) -> Iterator[bytes]:
    """Yield the file with one byte replaced, deleted or doubled, for every byte."""
    steps = [1 + 255 * i // values for i in range(values)]
    for position, byte in enumerate(file):
        head, tail = file[:position], file[position + 1 :]
        for step in steps:
            yield head + bytes([byte ^ step]) + tail
        yield head + tail
        yield head + bytes([byte, byte]) + tail


if __name__ == "__main__":
    main()
