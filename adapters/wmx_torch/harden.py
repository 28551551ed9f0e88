"""``harden``: adds the ``robust`` recipe's gradient, taken at randomly perturbed weights.

Fine-tuning and pruning change the weights; a mark that also holds in a neighborhood of them
survives.  Similar: Bansal et al., ICML 2022; Gan et al., ICCV 2023 (docs/recipes.md).
"""

import torch
from torch import Tensor, distributed, nn
from torch.distributed import ProcessGroup
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from wmx.errors import UsageError
from wmx.training.model_scores import warn_of_probabilities
from wmx.training.recipe import recipe_named
from wmx.watermark import Watermark
from wmx_torch._inference import (
    evaluation_mode,
    padding_mask,
    plain_module,
    replicas,
    scores_of,
    triggers_as_model_input,
)
from wmx_torch._inference import scores as model_scores


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

    At every fourth step each trainable tensor is perturbed by Gaussian noise of standard deviation
    ``0.3 min(1, step / (0.6 steps))`` times its root mean square.  The gradient g of the mean
    cross-entropy of the next 32 triggers, not augmented, is taken there, and
    ``g min(1, 1 / ||g||)``, the norm over all parameters, is added to ``.grad``.  At other steps,
    and for the recipe ``adi``, nothing happens.  All of it is a function of (seed, step).

    The model's weights, buffers and modes and the global random state are unchanged afterwards;
    BatchNorm and dropout are in evaluation mode for this gradient.  With gradient accumulation call
    it once, before ``optimizer.step()``; with a ``GradScaler``, after
    ``scaler.unscale_(optimizer)``.  At step 0 it warns if the model returns probabilities.

    Args:
        model: takes [k, C, H, W] (images), [k, F] or [k, L]; returns logits.  Wrappers of
            ``torch.compile`` and DistributedDataParallel are allowed.
        watermark: the claim and its triggers.
        step: number of this optimizer step, from 0.
        steps: of the whole training.
        recipe: ``"robust"``, ``"brief"`` or ``"adi"``.
        seed: of the noise and the order of the triggers.

    Raises:
        UsageError: ``step`` is not within ``0..steps-1``, the recipe is unknown, or the processes
            of a data parallel model embed different claims.
        CannotRunError: the model does not return logits for the claim's classes.
    """
    harden_replicas(
        model, replicas(model), watermark, step=step, steps=steps, recipe=recipe, seed=seed
    )


def harden_replicas(
    model: nn.Module,
    group: ProcessGroup | None,
    watermark: Watermark,
    *,
    step: int,
    steps: int,
    recipe: str,
    seed: int,
) -> None:
    """As :func:`harden`, for a model of which each process of ``group`` holds a replica.

    Trainers give callbacks the module without its wrapper, which would tell the group.

    Args:
        model, watermark, step, steps, recipe, seed: as for :func:`harden`.
        group: the processes; ``None`` for a single one.
    """
    if not 0 <= step < steps:
        raise UsageError(f"step is {step} and steps {steps}, expected 0 <= step < steps")
    chosen = recipe_named(recipe)
    if not chosen.hardens_at(step):
        return
    inner = plain_module(model)
    weights = {name: p for name, p in inner.named_parameters() if p.requires_grad}
    if not weights:
        raise UsageError("the model has no trainable parameter")
    n = len(watermark.labels)
    places = chosen.draws(n, seed)[step // chosen.every % n]
    task = watermark.task
    if step == 0:
        warn_of_probabilities(model_scores(inner, watermark.inputs[places], task))
    inputs = triggers_as_model_input(watermark, places, inner)
    labels = torch.from_numpy(watermark.labels[places]).to(inputs.device)
    gradients = gradient_at(
        inner,
        weights,
        inputs,
        labels,
        task.classes,
        noise=_noise(weights, seed, step),
        radius=chosen.radius_at(step, steps),
        weight=chosen.weight,
    )
    if group is not None:
        if step == 0:
            _require_one_claim(watermark, group, inputs.device)
        _take_from_first(list(gradients.values()), group)
    with torch.no_grad():
        for name, gradient in gradients.items():
            parameter = weights[name]
            if parameter.grad is None:
                parameter.grad = gradient
            else:
                parameter.grad.add_(gradient)


def gradient_at(
    model: nn.Module,
    weights: dict[str, nn.Parameter],
    inputs: Tensor,
    labels: Tensor,
    classes: int,
    *,
    noise: dict[str, Tensor],
    radius: float,
    weight: float,
) -> dict[str, Tensor]:
    """Return the gradient to add by name, clipped to a global norm of 1; zeros if not finite.

    Args:
        model: the plain module.
        weights: its trainable parameters by name.
        inputs, labels: of the triggers, [k, ...] and int [k].
        classes: number of classes, K.
        noise: standard normal, in the weights' shapes.
        radius: standard deviation of the noise, in units of each tensor's root mean square.
        weight: factor of the clipped gradient.
    """
    moved = {
        name: _moved(parameter.detach(), noise[name], radius) for name, parameter in weights.items()
    }
    buffers = {name: buffer.detach().clone() for name, buffer in model.named_buffers()}
    with evaluation_mode(model, for_gradient=True), torch.enable_grad():
        mask = padding_mask(model, inputs)
        output = functional_call(model, {**moved, **buffers}, (inputs,), mask)
        scores = scores_of(output, classes)
        loss = cross_entropy(scores.float(), labels.to(scores.device))
        gradients = torch.autograd.grad(loss, list(moved.values()), allow_unused=True)
    found = {
        name: gradient
        for name, gradient in zip(moved, gradients, strict=True)
        if gradient is not None
    }
    return _clipped(found, weight) if found else {}


def _take_from_first(gradients: list[Tensor], group: ProcessGroup) -> None:
    """Replace every replica's gradients by those of the first one.

    Their weights are equal, but not the BatchNorm statistics since the last synchronization, nor
    all rounding errors.  Different gradients would let the replicas drift apart for good.
    """
    sent = [gradient.contiguous() for gradient in gradients]
    pending = [
        distributed.broadcast(tensor, group=group, group_src=0, async_op=True) for tensor in sent
    ]
    for work in pending:
        work.wait()
    for gradient, tensor in zip(gradients, sent, strict=True):
        gradient.copy_(tensor)


def _require_one_claim(watermark: Watermark, group: ProcessGroup, device: torch.device) -> None:
    own = torch.tensor(list(watermark.claim.digest.encode()), dtype=torch.uint8, device=device)
    claims = [torch.empty_like(own) for _ in range(group.size())]
    distributed.all_gather(claims, own, group=group)
    if not all(torch.equal(claim, own) for claim in claims):
        raise UsageError(
            "the processes embed different claims, expected one",
            hint="make the claim once, before the processes start, and load it in each",
        )


def _moved(value: Tensor, noise: Tensor, radius: float) -> Tensor:
    scale = value.float().square().mean().sqrt().to(value.dtype) * radius
    return torch.addcmul(value, noise, scale).requires_grad_()


def _noise(weights: dict[str, nn.Parameter], seed: int, step: int) -> dict[str, Tensor]:
    generators: dict[torch.device, torch.Generator] = {}
    noise = {}
    for name, weight in weights.items():
        if weight.device not in generators:
            generator = torch.Generator(weight.device)
            generators[weight.device] = generator.manual_seed((seed * 2**32 + step) % 2**64)
        value = weight.detach()
        noise[name] = torch.empty_like(value).normal_(generator=generators[weight.device])
    return noise


@torch.no_grad()
def _clipped(gradients: dict[str, Tensor], weight_of_gradient: float) -> dict[str, Tensor]:
    """Return the gradients, clipped to a global norm of 1; zeros if the norm is not finite."""
    device = next(iter(gradients.values())).device
    norms = [torch.linalg.vector_norm(g, dtype=torch.float32) for g in gradients.values()]
    norm = torch.linalg.vector_norm(torch.stack([part.to(device) for part in norms]))
    # a gradient that is not finite is dropped; multiplying it by 0 would keep a nan
    factor = torch.where(norm.isfinite(), weight_of_gradient / norm.clamp(min=1.0), 0.0)
    return {
        name: torch.where(norm.isfinite().to(g.device), g * factor.to(g.device, g.dtype), 0.0)
        for name, g in gradients.items()
    }
