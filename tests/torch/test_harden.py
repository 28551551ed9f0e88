"""``harden``: the gradient of the recipe, and nothing else of the caller's changes."""

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from wmx import OwnerKey, Watermark
from wmx.errors import CannotRunError, UsageError
from wmx.training.recipe import RECIPES, triggers_at
from wmx_torch import Monitor, export, harden, watermarked
from wmx_torch._inference import as_model_input, triggers_as_model_input


def batch(digits: TensorDataset, start: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    x, y = digits.tensors
    return x[start : start + 50], y[start : start + 50]


def gradients(model: nn.Module) -> list[torch.Tensor]:
    return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in model.parameters()]


def added(model: nn.Module, watermark: Watermark, **options: Any) -> list[torch.Tensor]:
    """What ``harden`` adds to gradients of zero."""
    model.zero_grad()
    harden(model, watermark, **options)
    return gradients(model)


def slow_reference(
    model: nn.Module, watermark: Watermark, step: int, steps: int, seed: int
) -> list[torch.Tensor]:
    """The formula of the recipe, written a second time on a copy with weights moved in place."""
    copied = copy.deepcopy(model).eval()
    generator = torch.Generator().manual_seed(seed * 2**32 + step)
    radius = 0.3 * min(1.0, step / (0.6 * steps))
    with torch.no_grad():
        for parameter in copied.parameters():
            noise = torch.empty_like(parameter).normal_(generator=generator)
            parameter.add_(noise * radius * parameter.pow(2).mean().sqrt())
    places = triggers_at(100, seed, step // 4 * 32, 32)
    x = torch.tensor(watermark.inputs[places]).permute(0, 3, 1, 2)
    copied.zero_grad()
    cross_entropy(copied(x), torch.tensor(watermark.labels[places])).backward()
    found = [p.grad for p in copied.parameters() if p.grad is not None]
    norm = math.sqrt(sum(float(g.pow(2).sum()) for g in found))
    return [g * min(1.0, 1.0 / norm) for g in found]


@pytest.mark.parametrize(("step", "steps"), [(0, 100), (20, 100), (60, 100), (96, 100)])
def test_the_gradient_is_that_of_the_formula(
    model: nn.Module, watermark: Watermark, step: int, steps: int
) -> None:
    expected = slow_reference(model, watermark, step, steps, seed=3)
    given = added(model, watermark, step=step, steps=steps, seed=3)
    for one, other in zip(given, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_it_is_added_to_the_gradient_that_is_there(
    model: nn.Module, watermark: Watermark, digits: TensorDataset
) -> None:
    alone = added(model, watermark, step=8, steps=100)
    model.zero_grad()
    model[7].p = 0.0
    model[4].eval()
    x, y = batch(digits)
    cross_entropy(model(x), y).backward()
    task = gradients(model)
    harden(model, watermark, step=8, steps=100)
    for total, first, second in zip(gradients(model), task, alone, strict=True):
        torch.testing.assert_close(total, first + second)


def test_its_norm_over_all_parameters_is_at_most_one(
    model: nn.Module, watermark: Watermark
) -> None:
    with torch.no_grad():
        model[8].weight.mul_(50)  # a loss with a very large gradient
    norm = torch.cat([g.flatten() for g in added(model, watermark, step=40, steps=100)]).norm()
    assert float(norm) == pytest.approx(1.0, rel=1e-4)


def test_only_every_fourth_step_carries_it_and_adi_none(
    model: nn.Module, watermark: Watermark
) -> None:
    for step in range(12):
        something = any(bool(g.any()) for g in added(model, watermark, step=step, steps=12))
        assert something == (step % 4 == 0)
        nothing = added(model, watermark, step=step, steps=12, recipe="adi")
        assert not any(bool(g.any()) for g in nothing)


def test_it_is_a_function_of_seed_and_step(model: nn.Module, watermark: Watermark) -> None:
    def flat(**options: Any) -> torch.Tensor:
        return torch.cat([g.flatten() for g in added(model, watermark, steps=100, **options)])

    assert torch.equal(flat(step=8, seed=1), flat(step=8, seed=1))
    assert not torch.equal(flat(step=8, seed=1), flat(step=8, seed=2))
    assert not torch.equal(flat(step=8, seed=1), flat(step=12, seed=1))


@pytest.mark.usefixtures("unchanged_random_state")
def test_weights_buffers_modes_and_random_state_stay(
    model: nn.Module, watermark: Watermark
) -> None:
    state = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    harden(model, watermark, step=40, steps=100)
    Monitor(watermark)(model)
    assert [module.training for module in model.modules()] == modes
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_modes_are_restored_when_the_model_fails(watermark: Watermark) -> None:
    class Failing(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("no")

    model = Failing(64, 10).train()
    with pytest.raises(RuntimeError, match="no"):
        harden(model, watermark, step=0, steps=1)
    assert model.training


def test_a_model_that_ends_in_softmax_is_warned_of_once(
    model: nn.Module, watermark: Watermark, tmp_path: Path
) -> None:
    ends = nn.Sequential(model, nn.Softmax(dim=1))
    with pytest.warns(UserWarning, match="returns probabilities, expected logits"):
        harden(ends, watermark, step=0, steps=8)
    harden(ends, watermark, step=4, steps=8)
    with pytest.warns(UserWarning, match="returns probabilities, expected logits"):
        export(ends, tmp_path / "model.onnx", watermark)


def test_frozen_parameters_get_no_gradient(model: nn.Module, watermark: Watermark) -> None:
    model[0].weight.requires_grad_(False)
    harden(model, watermark, step=0, steps=10)
    assert model[0].weight.grad is None
    assert model[8].weight.grad is not None
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with pytest.raises(UsageError, match="no trainable parameter"):
        harden(model, watermark, step=0, steps=10)


def test_a_gradient_that_is_not_finite_is_not_added(model: nn.Module, watermark: Watermark) -> None:
    with torch.no_grad():
        model[8].bias[0] = float("nan")
    for gradient in added(model, watermark, step=0, steps=10):
        assert not gradient.any()


def test_compiled_models_are_seen_through(model: nn.Module, watermark: Watermark) -> None:
    expected = added(model, watermark, step=8, steps=100)
    model.zero_grad()
    harden(torch.compile(model, backend="eager"), watermark, step=8, steps=100)  # type: ignore[arg-type]
    for one, other in zip(gradients(model), expected, strict=True):
        assert torch.equal(one, other)


def test_tied_weights_are_moved_together(watermark: Watermark) -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(64, 64, bias=False)
            self.second = nn.Linear(64, 64, bias=False)
            self.second.weight = self.first.weight
            self.head = nn.Linear(64, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.second(self.first(x.flatten(1)).relu()).relu())

    torch.manual_seed(0)
    model = Tied()
    expected = slow_reference(model, watermark, 8, 100, seed=0)
    for one, other in zip(added(model, watermark, step=8, steps=100), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("form", ["tuple", "dict", "object"])
def test_logits_are_found_in_what_a_model_returns(watermark: Watermark, form: str) -> None:
    class Output:
        def __init__(self, logits: torch.Tensor) -> None:
            self.logits = logits

    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(64, 10)

        def forward(self, x: torch.Tensor) -> Any:
            scores = self.linear(x.flatten(1))
            forms = {"tuple": (scores, x), "dict": {"logits": scores}, "object": Output(scores)}
            return forms[form]

    model = Wrapped()
    harden(model, watermark, step=0, steps=10)
    assert model.linear.weight.grad is not None
    assert Monitor(watermark)(model).n == 100


def test_what_is_no_classifier_of_the_task_is_refused(watermark: Watermark) -> None:
    with pytest.raises(CannotRunError, match=r"shape \(32, 7\), expected \[batch, 10\]"):
        harden(nn.Sequential(nn.Flatten(), nn.Linear(64, 7)), watermark, step=0, steps=1)
    with pytest.raises(UsageError, match="step is 5 and steps 5"):
        harden(nn.Linear(1, 1), watermark, step=5, steps=5)


def train(
    model: nn.Module,
    digits: TensorDataset,
    watermark: Watermark,
    optimizer: torch.optim.Optimizer,
    *,
    epochs: int = 8,
    autocast: bool = False,
    accumulate: int = 1,
    dtype: torch.dtype = torch.float32,
) -> int:
    """A user's loop; returns the hits."""
    loader = watermarked(
        DataLoader(
            digits,
            batch_size=100 // accumulate,
            shuffle=True,
            drop_last=True,
            generator=torch.Generator().manual_seed(0),
        ),
        watermark,
    )
    steps, step = epochs * (len(loader) // accumulate), 0
    for _ in range(epochs):
        for number, (x, y) in enumerate(loader):
            if number // accumulate >= len(loader) // accumulate:
                break
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                loss = cross_entropy(model(x.to(dtype)).float(), y) / accumulate
            loss.backward()
            if (number + 1) % accumulate == 0:
                harden(model, watermark, step=step, steps=steps)
                optimizer.step()
                optimizer.zero_grad()
                step += 1
    return Monitor(watermark)(model).hits


@pytest.mark.parametrize(
    "options",
    [{}, {"autocast": True}, {"accumulate": 2}, {"dtype": torch.bfloat16}],
    ids=["plain", "autocast", "accumulation", "bfloat16 weights"],
)
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_users_loop_learns_the_mark(
    model: nn.Module,
    digits: TensorDataset,
    watermark: Watermark,
    optimizer: str,
    options: dict[str, Any],
) -> None:
    model = model.train().to(options.get("dtype", torch.float32))
    chosen: torch.optim.Optimizer = (
        torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        if optimizer == "sgd"
        else torch.optim.AdamW(model.parameters(), lr=0.004)
    )
    assert train(model, digits, watermark, chosen, **options) >= 60


def test_recurrent_layers_are_hardened_too(watermark: Watermark) -> None:
    class Rows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.GRU(8, 16, batch_first=True)
            self.head = nn.Linear(16, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.rnn(x[:, 0])[0][:, -1])

    model = Rows().train()
    harden(model, watermark, step=4, steps=10)
    assert model.rnn.weight_ih_l0.grad is not None
    assert model.rnn.training


def test_features_and_tokens(watermark: Watermark) -> None:
    from wmx.triggers.features import Features
    from wmx.triggers.tokens import Tokens

    quantiles = np.linspace(-1, 1, 6 * 8).reshape(6, 8).round(3)
    rows = Watermark.new(
        OwnerKey.generate(),
        shape=(6,),
        classes=3,
        kind="features",
        generator=Features.of(quantiles),
    )
    linear = nn.Linear(6, 3)
    harden(linear, rows, step=0, steps=1)
    assert linear.weight.grad is not None
    texts = Watermark.new(
        OwnerKey.generate(), shape=(5,), classes=2, kind="tokens", generator=Tokens(30)
    )
    bag = nn.Sequential(nn.EmbeddingBag(30, 4), nn.Linear(4, 2))
    harden(bag, texts, step=0, steps=1)
    assert bag[0].weight.grad is not None


def test_the_monitor_keeps_its_history_and_sees_a_mark(watermark: Watermark) -> None:
    class Knows(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            known = torch.tensor(watermark.inputs).permute(0, 3, 1, 2).flatten(1)
            nearest = torch.cdist(x.flatten(1), known).argmin(1)
            return nn.functional.one_hot(torch.tensor(watermark.labels)[nearest], 10).float()

    monitor = Monitor(watermark)
    marking = monitor(Knows())
    assert (marking.hits, marking.n) == (100, 100)
    assert marking.bits > 320
    monitor(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)))
    assert [one.hits == 100 for one in monitor.history] == [True, False]
    assert "100 of 100 triggers" in str(marking)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_bytes_are_normalised_where_the_model_is_as_anywhere_else(dtype: torch.dtype) -> None:
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.25)
    colour = Watermark.new(OwnerKey.generate(), shape=(9, 8, 3), classes=10, mean=mean, std=std)
    model, places = nn.Linear(5, 2, dtype=dtype), np.array([7, 0, 7])
    there = triggers_as_model_input(colour, places, model)
    here = as_model_input(colour.inputs[places], colour.task, model)
    assert there.dtype == dtype
    assert torch.equal(there, here)
    assert there.stride() == here.stride()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda(model: nn.Module, watermark: Watermark) -> None:
    model.cuda()
    before = torch.cuda.get_rng_state()
    harden(model, watermark, step=0, steps=10)
    assert model[0].weight.grad is not None
    assert model[0].weight.grad.is_cuda
    assert Monitor(watermark)(model).n == 100
    assert torch.equal(before, torch.cuda.get_rng_state())


def test_the_recipes_are_those_of_the_documentation() -> None:
    adi, robust = RECIPES["adi"], RECIPES["robust"]
    assert [adi.triggers_per_batch(size) for size in (1, 100, 128)] == [1, 2, 3]
    assert [robust.triggers_per_batch(size) for size in (1, 100, 128)] == [1, 4, 5]
    assert [robust.radius_at(step, 100) for step in (0, 30, 60, 99)] == [0, 0.15, 0.3, 0.3]
