"""PyTorch, for the contract."""

from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from wmx_torch import Monitor, export, harden, watermarked  # noqa: F401
from wmx_torch._training import learner
from wmx_torch._training.models import cnn
from wmx_torch.harden import gradient_at

torch.set_num_threads(1)
STACK = "torch"
ADAPTER = learner
PACKAGES = ["torch"]
FORMS = {"loader": True}  # form: whether every batch has the share to the trigger


def data(form: str, x: np.ndarray, y: np.ndarray) -> Any:
    inputs = torch.from_numpy(x.transpose(0, 3, 1, 2).copy())
    own_stream = torch.Generator().manual_seed(0)  # or it draws from PyTorch's global one
    dataset = TensorDataset(inputs, torch.from_numpy(y))
    return DataLoader(dataset, batch_size=100, generator=own_stream)


def batches(loader: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(x.permute(0, 2, 3, 1).numpy(), y.numpy()) for x, y in loader]


def network(seed: int = 0) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return cnn(input_shape=(8, 8, 1), num_classes=10)


def values(model: Any) -> list[np.ndarray]:
    return [value.numpy().copy() for value in model.state_dict().values()]


def random_state() -> list[bytes]:
    return [torch.get_rng_state().numpy().tobytes()]


def train(model: Any, loader: Any, watermark: Any, epochs: int) -> None:
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    step, steps = 0, epochs * len(loader)
    for _ in range(epochs):
        for x, y in loader:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x), y).backward()
            if watermark is not None:
                harden(model, watermark, step=step, steps=steps)
            optimizer.step()
            step += 1
    model.eval()


def recipe_gradient(arrays: list[np.ndarray], noise: Any, **arguments: Any) -> list[np.ndarray]:
    """In the order of convolution, scale, shift, mean, variance, ...; kernels as [H, W, I, O]."""
    model = network()
    state = {n: t for n, t in model.state_dict().items() if "num_batches" not in n}
    model.load_state_dict(
        {n: torch.from_numpy(_theirs(a)) for n, a in zip(state, arrays, strict=True)}, strict=False
    )
    weights = dict(model.named_parameters())
    order = [n for n in state if n in weights]
    draws = {n: torch.from_numpy(_theirs(noise(i))) for i, n in enumerate(state) if n in weights}
    found = gradient_at(
        model,
        weights,
        torch.from_numpy(arguments["inputs"].transpose(0, 3, 1, 2).copy()),
        torch.from_numpy(arguments["labels"]),
        10,
        noise=draws,
        radius=arguments["radius"],
        weight=arguments["weight"],
    )
    return [_ours(found[name].numpy()) for name in order]


def _theirs(array: np.ndarray) -> np.ndarray:
    if array.ndim == 4:
        return np.ascontiguousarray(array.transpose(3, 2, 0, 1))
    return np.ascontiguousarray(array.T)


def _ours(array: np.ndarray) -> np.ndarray:
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
