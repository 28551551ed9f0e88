"""Does the mark outlive deployment?  One ``robust`` model in all forms in which models are shipped.

The model is trained on 70 % of the data; then it is rewritten by the tools that people use, or its
classes are changed, and each file is verified as a stranger's.

    python benchmarks/deployment.py --data mnist10k.npz
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import harness
from attacks import stolen
from splits import owner_and_attacker

from wmx import Watermark, verify
from wmx.attacks.attack import Target
from wmx.attacks.catalogue import ATTACKS
from wmx.attacks.graph.class_permutation import ClassPermutation
from wmx.embed import train_unmarked
from wmx.training import Training
from wmx.verdict import judge

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from deployed import FORMS, Shipped


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
                yield name, verdict.bits, verdict.best_way


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("attacks-work"))
    arguments = parser.parse_args()
    data, attacker = owner_and_attacker(arguments.data)
    stem = f"{Path(arguments.data).stem}_torch_robust_{arguments.epochs}"
    training = Training(epochs=arguments.epochs, seed=arguments.seed, device="cpu")
    run = arguments.work / f"{stem}_{arguments.seed}"
    watermark, target = stolen(run, data, attacker, training, "torch")
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / "unmarked.onnx"
        train_unmarked(data, other, training=training)
        shipped = Shipped(target.model, watermark, other, Path(folder))
        for name, make in FORMS.items():
            verdict = verify(make(shipped), watermark, device="cpu")
            found[name] = {"bits": round(verdict.bits, 1), "way": verdict.best_way}
            print(name, found[name], flush=True)
        for name, bits, way in by_attacks(target, watermark):
            found[name] = {"bits": round(bits, 1), "way": way}
            print(name, found[name], flush=True)
    harness.record(
        f"deployment_{Path(arguments.data).stem}",
        {
            "data": Path(arguments.data).name,
            "epochs": arguments.epochs,
            "seed": arguments.seed,
            "forms": found,
        },
    )


if __name__ == "__main__":
    main()
