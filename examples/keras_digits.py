"""Mark a small Keras network on digits, export it, and verify the mark in the file.

    pip install -c constraints.txt ".[keras]"    # in a checkout
    python examples/keras_digits.py --out my-model

The folder gets owner.pem (keep it, and show it to nobody), claim.json (publish it), model.onnx.
"""

import argparse
from pathlib import Path

import keras
from sklearn.datasets import load_digits

import wmx
from wmx import OwnerKey, Watermark
from wmx_keras import export, harden_model, watermarked


def main(out: Path, epochs: int) -> int:
    out.mkdir(parents=True)
    digits = load_digits()
    x = ((digits.images / 16 - 0.3) / 0.4).astype("float32")[..., None]
    owner = OwnerKey.generate()
    owner.save(out / "owner.pem")
    watermark = Watermark.new(owner, shape=(8, 8, 1), classes=10, mean=0.3, std=0.4)
    watermark.claim.save(out / "claim.json")  # before training; publish it

    keras.utils.set_random_seed(0)
    layers = keras.layers
    network = [
        keras.Input((8, 8, 1)),
        layers.Flatten(),
        layers.Dense(256, "relu"),
        layers.Dense(10),
    ]
    model = harden_model(keras.Sequential(network), watermark)
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    data = watermarked((x, digits.target), watermark)
    model.fit(*data, batch_size=100, epochs=epochs, verbose=0)

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
