"""Does the mark outlive deployment?  ``robust`` models in all forms in which models are shipped.

A model is trained on 70 % of the data; then it is rewritten by the tools that people use, or its
classes are changed, and each file is verified as a stranger's.

    python benchmarks/deployment.py --data mnist10k.npz
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import harness
from robust_models import parsed, robust

from wmx import Watermark, verify
from wmx.attacks.attack import Target
from wmx.attacks.catalogue import ATTACKS
from wmx.attacks.graph.class_permutation import ClassPermutation
from wmx.training.embed import train_unmarked
from wmx.verification.verdict import judge

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support.deployed import FORMS, Shipped, train_sibling


def by_attacks(target: Target, watermark: Watermark) -> Iterable[tuple[str, float, str]]:
    """Yield the forms that are attacks too: name, bits, best way."""
    attacks = {
        "int8 dynamic": ATTACKS["int8-dynamic"],
        "int8 static": ATTACKS["int8-static"],
        "classes permuted": ClassPermutation(),
        "new head, trained alone on merged classes": ATTACKS["transfer-last"],
    }
    for name, attack in attacks.items():
        with tempfile.TemporaryDirectory() as folder:
            for outcome in attack.run(target, Path(folder), lambda *_: None):
                verdict = judge(outcome.suspect, watermark)
                yield name, verdict.bits, verdict.best_probe


def in_all_forms(arguments: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Return bits and best way of every form of one model."""
    watermark, target, data, training = robust(arguments, seed)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sibling, other = folder / "sibling.onnx", folder / "unmarked.onnx"
        train_sibling(watermark, data, sibling, replace(training, seed=seed + 10))
        train_unmarked(data, other, training=replace(training, seed=seed + 20))
        shipped = Shipped(target.model, watermark, sibling, other, folder)
        for form, make in FORMS.items():
            verdict = verify(make(shipped), watermark, device="cpu")
            found[form] = {"bits": round(verdict.bits, 1), "way": verdict.best_probe}
            print(seed, form, found[form], flush=True)
        for form, bits, probe in by_attacks(target, watermark):
            found[form] = {"bits": round(bits, 1), "way": probe}
            print(seed, form, found[form], flush=True)
    return found


def main() -> None:
    arguments = parsed(__doc__)
    runs = [in_all_forms(arguments, seed) for seed in range(arguments.seeds)]
    harness.record(
        f"deployment_{Path(arguments.data).stem}",
        {
            "data": Path(arguments.data).name,
            "epochs": arguments.epochs,
            "least_bits": {form: min(run[form]["bits"] for run in runs) for form in runs[0]},
            "runs": runs,
        },
    )


if __name__ == "__main__":
    main()
