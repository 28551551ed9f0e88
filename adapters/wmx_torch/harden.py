"""``harden``: the ``robust`` recipe's added gradient, taken at randomly perturbed weights.

Fine-tuning and pruning move the weights; a mark that also holds in a ball around them survives.
Kin: Bansal et al., ICML 2022; Gan et al., ICCV 2023 (docs/recipes.md).
"""

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from wmx.errors import UsageError
from wmx.recipe import recipe_named
from wmx.watermark import Watermark
from wmx_torch.inference import (
    as_model_input,
    evaluation_mode,
    plain_module,
    scores_of,
)


def harden(
    model: nn.Module,
    watermark: Watermark,
    *,
    step: int,
    steps: int,
    recipe: str = "robust",
    seed: int = 0,
) -> None:
    """Add the recipe's gradient to ``model``; call it between ``backward()`` and ``step()``.

    At every fourth step each trainable tensor is moved by Gaussian noise of
    ``0.3 min(1, step / (0.6 steps))`` times its root mean square, the gradient g of the mean
    cross-entropy of the next 32 plain triggers is taken there, and ``g min(1, 1 / ||g||)``, the
    norm over all parameters, is added to ``.grad``.  At other steps, and for the recipe ``adi``,
    nothing happens.  All of it is a function of (seed, step).

    The model's weights, buffers, modes and the global random state stay as they are; BatchNorm and
    dropout are in evaluation mode for this gradient.  With gradient accumulation call it once,
    before ``optimizer.step()``; with a ``GradScaler`` after ``scaler.unscale_(optimizer)``.

    Args:
        model: takes [k, C, H, W] (images), [k, F] or [k, L]; returns logits.  ``torch.compile`` and
            DistributedDataParallel wrappers are seen through.
        watermark: the claim and its triggers.
        step: of this optimiser step, from 0.
        steps: of the whole training.
        recipe: ``"robust"`` or ``"adi"``.
        seed: of the noise and the order of the triggers.

    Raises:
        UsageError: ``step`` is not within ``0..steps-1``, or the recipe is unknown.
        CannotRunError: the model does not return logits for the claim's classes.
    """
    if not 0 <= step < steps:
        raise UsageError(f"step is {step} of {steps} steps, expected 0 to {steps - 1}")
    chosen = recipe_named(recipe)
    if not chosen.hardens_at(step):
        return
    inner = plain_module(model)
    weights = {name: p for name, p in inner.named_parameters() if p.requires_grad}
    if not weights:
        raise UsageError("the model has no parameter that is trained")
    n = len(watermark.labels)
    places = chosen.draws(n, seed)[step // chosen.every % n]
    task = watermark.task
    inputs = as_model_input(task.model_input(watermark.triggers[places]), task, inner)
    labels = torch.from_numpy(watermark.labels[places]).to(inputs.device)
    moved = _perturbed(weights, chosen.radius_at(step, steps), seed, step)
    buffers = {name: buffer.detach().clone() for name, buffer in inner.named_buffers()}
    with evaluation_mode(inner, for_gradient=True), torch.enable_grad():
        scores = scores_of(functional_call(inner, {**moved, **buffers}, (inputs,)), task.classes)
        loss = cross_entropy(scores.float(), labels)
        gradients = torch.autograd.grad(loss, list(moved.values()), allow_unused=True)
    _add(list(weights.values()), gradients, chosen.weight)


def _perturbed(
    weights: dict[str, nn.Parameter], radius: float, seed: int, step: int
) -> dict[str, Tensor]:
    """Return copies of the weights moved by noise of ``radius`` times their root mean square."""
    generators: dict[torch.device, torch.Generator] = {}
    moved = {}
    for name, weight in weights.items():
        if weight.device not in generators:
            generator = torch.Generator(weight.device)
            generators[weight.device] = generator.manual_seed((seed * 2**32 + step) % 2**64)
        value = weight.detach()
        noise = torch.empty_like(value).normal_(generator=generators[weight.device])
        scale = value.float().square().mean().sqrt().to(value.dtype) * radius
        moved[name] = torch.addcmul(value, noise, scale).requires_grad_()
    return moved


@torch.no_grad()
def _add(
    weights: list[nn.Parameter], gradients: tuple[Tensor | None, ...], weight_of_gradient: float
) -> None:
    """Add the gradients, clipped to a common norm of 1, where all of them are finite."""
    found = [
        (weight, gradient)
        for weight, gradient in zip(weights, gradients, strict=True)
        if gradient is not None
    ]
    if not found:
        return
    device = found[0][1].device
    norms = [torch.linalg.vector_norm(gradient, dtype=torch.float32) for _, gradient in found]
    norm = torch.linalg.vector_norm(torch.stack([part.to(device) for part in norms]))
    # a gradient that is not finite says nothing; multiplying it by 0 would keep a nan
    factor = torch.where(norm.isfinite(), weight_of_gradient / norm.clamp(min=1.0), 0.0)
    for weight, gradient in found:
        own_factor = factor.to(gradient.device, gradient.dtype)
        added = torch.where(norm.isfinite().to(gradient.device), gradient * own_factor, 0.0)
        if weight.grad is None:
            weight.grad = added
        else:
            weight.grad.add_(added)
