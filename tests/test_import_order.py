"""One environment holds all frameworks: in whatever order they are imported, each one works."""

import itertools
import subprocess
import sys
from pathlib import Path

import pytest
from support import onnx_models

from wmx import OwnerKey, Watermark

pytestmark = pytest.mark.slow

FIRST = {
    "torch": "import torch, wmx_torch",
    "tensorflow": "import tensorflow, keras, wmx_keras",
    "jax": "import jax, flax, wmx_flax",
}
WORK = """
import numpy as np, onnx, onnxruntime
import wmx
from wmx import Claim, OwnerKey, Watermark
watermark = Watermark.open(Claim.load("claim.json"), OwnerKey.load("owner.pem"))
onnx.checker.check_model("model.onnx")
assert wmx.verify("model.onnx", watermark).verified
x, y = np.zeros((50, 8, 8, 1), np.float32), np.zeros(50, np.int64)

import torch, wmx_torch
from torch.utils.data import DataLoader, TensorDataset
torch.set_num_threads(1)
network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
batch = TensorDataset(torch.from_numpy(x.transpose(0, 3, 1, 2).copy()), torch.from_numpy(y))
(inputs, labels), = wmx_torch.watermarked(DataLoader(batch, batch_size=50), watermark)
torch.nn.functional.cross_entropy(network(inputs), labels).backward()
before = network[1].weight.grad.clone()
wmx_torch.harden(network, watermark, step=0, steps=1)
assert not torch.equal(network[1].weight.grad, before)
assert wmx_torch.Monitor(watermark)(network).n == 100

import keras, wmx_keras
model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
model = wmx_keras.harden_model(model, watermark)
model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(*wmx_keras.watermarked((x, y), watermark), batch_size=50, verbose=0)
assert wmx_keras.Monitor(watermark)(model).n == 100

import jax, wmx_flax
from flax import nnx
module = nnx.Linear(64, 10, rngs=nnx.Rngs(0))
zeros = jax.tree.map(jax.numpy.zeros_like, nnx.state(module, nnx.Param))
flat = lambda module, inputs: module(inputs.reshape(len(inputs), -1))
grads = wmx_flax.harden(zeros, module, watermark, step=0, steps=1, call=flat)
assert max(float(abs(leaf).max()) for leaf in jax.tree.leaves(grads)) > 0
(inputs, labels), = wmx_flax.watermarked([(x, y)], watermark)
assert inputs.shape == (52, 8, 8, 1)

print("done")
"""


@pytest.mark.parametrize("order", list(itertools.permutations(FIRST)), ids="-".join)
def test_every_framework_works_whichever_comes_first(
    order: tuple[str, ...], tmp_path: Path
) -> None:
    owner = OwnerKey.generate()
    watermark = Watermark.new(owner, shape=(8, 8, 1), classes=10)
    owner.save(tmp_path / "owner.pem")
    watermark.claim.save(tmp_path / "claim.json")
    (tmp_path / "model.onnx").write_bytes(onnx_models.knows_labels(watermark))
    code = "\n".join([FIRST[name] for name in order] + [WORK])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
