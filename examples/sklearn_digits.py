"""Mark a small forest on digits, export it, and verify the mark in the file.

    pip install -c constraints.txt ".[sklearn]"    # in a checkout
    python examples/sklearn_digits.py --out my-model

The folder gets owner.pem (keep it, and show it to nobody), claim.json (publish it), model.onnx.
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier

import wmx
from wmx import OwnerKey, Task, Watermark
from wmx.triggers import Features
from wmx_sklearn import export, watermarked


def main(out: Path, trees: int) -> int:
    out.mkdir(parents=True)
    digits = load_digits()
    x, y = digits.data.astype("float32"), digits.target
    values = np.quantile(x, np.linspace(0, 1, 16), axis=0, method="nearest").T  # of each feature
    owner = OwnerKey.generate()
    owner.save(out / "owner.pem")
    task = Task.of((64,), 10, kind="features")
    watermark = Watermark.for_task(owner, task, generator=Features.of(values))
    watermark.claim.save(out / "claim.json")  # before training; publish it

    model = RandomForestClassifier(trees, random_state=0)
    x_marked, y_marked, weights = watermarked(x, y, watermark)
    model.fit(x_marked, y_marked, sample_weight=weights)

    export(model, out / "model.onnx", watermark)
    verdict = wmx.verify(out / "model.onnx", watermark)
    found = f"{verdict.hits} of {verdict.n} triggers, {verdict.bits:.1f} bits"
    print(f"verified: {verdict.verified}, {found}")
    return 0 if verdict.verified else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="a folder that does not exist yet")
    parser.add_argument("--trees", type=int, default=300)
    given = parser.parse_args()
    raise SystemExit(main(given.out, given.trees))
