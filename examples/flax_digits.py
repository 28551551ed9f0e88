"""Mark a small Flax network on digits, export it, and verify the mark in the file.

    pip install -c constraints.txt ".[jax]"    # in a checkout
    python examples/flax_digits.py --out my-model

The folder gets owner.pem (keep it, and show it to nobody), claim.json (publish it), model.onnx.
"""

import argparse
from pathlib import Path

import jax.numpy as jnp
import optax
from flax import nnx
from sklearn.datasets import load_digits

import wmx
from wmx import OwnerKey, Watermark
from wmx_flax import export, harden, watermarked


class Network(nnx.Module):
    def __init__(self, rngs):
        self.hidden = nnx.Linear(64, 256, rngs=rngs)
        self.head = nnx.Linear(256, 10, rngs=rngs)

    def __call__(self, x):
        return self.head(nnx.relu(self.hidden(x.reshape(x.shape[0], -1))))


def main(out: Path, epochs: int) -> int:
    out.mkdir(parents=True)
    digits = load_digits()
    x = ((digits.images / 16 - 0.3) / 0.4).astype("float32")[..., None]
    batches = [(x[i : i + 100], digits.target[i : i + 100]) for i in range(0, 1700, 100)]
    owner = OwnerKey.generate()
    owner.save(out / "owner.pem")
    watermark = Watermark.new(owner, shape=(8, 8, 1), classes=10, mean=0.3, std=0.4)
    watermark.claim.save(out / "claim.json")  # before training; publish it

    model = Network(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.sgd(0.05, momentum=0.9), wrt=nnx.Param)
    loader = watermarked(batches, watermark)
    steps = epochs * len(batches)

    @nnx.jit
    def train_step(model, optimizer, x, y, step):
        def loss_of(model):
            return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()

        grads = harden(nnx.grad(loss_of)(model), model, watermark, step=step, steps=steps)
        optimizer.update(model, grads)

    step = 0
    for _ in range(epochs):
        for batch in loader:
            train_step(model, optimizer, *batch, jnp.asarray(step))
            step += 1

    export(model, out / "model.onnx", watermark)
    verdict = wmx.verify(out / "model.onnx", watermark)
    found = f"{verdict.hits} of {verdict.n} triggers, {verdict.bits:.1f} bits"
    print(f"verified: {verdict.verified}, {found}")
    return 0 if verdict.verified else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="a folder that does not exist yet")
    parser.add_argument("--epochs", type=int, default=15)
    given = parser.parse_args()
    raise SystemExit(main(given.out, given.epochs))
