"""All attacks by group and name, with their default settings."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

from wmx.attacks.attack import Attack
from wmx.attacks.graph.class_permutation import ClassPermutation
from wmx.attacks.graph.half_precision import HalfPrecision
from wmx.attacks.graph.quantization import DynamicQuantization, StaticQuantization
from wmx.attacks.graph.weight_noise import WeightNoise
from wmx.attacks.graph.weight_pruning import WeightPruning
from wmx.attacks.inputs.filters import Blur, FewLevels, InputNoise, Jpeg
from wmx.attacks.inputs.moves import Flip, Shift
from wmx.attacks.training.adaptive import AdaptiveFineTuning
from wmx.attacks.training.adversarial import AdversarialFineTuning
from wmx.attacks.training.extraction import Extraction
from wmx.attacks.training.fine_pruning import FinePruning
from wmx.attacks.training.fine_tuning import FineTuning
from wmx.attacks.training.overwriting import Overwriting
from wmx.attacks.training.transfer import TransferLearning
from wmx.errors import UsageError

CATALOGUE: Mapping[str, Mapping[str, Attack]] = {
    "graph": {
        "fp16": HalfPrecision(),
        "int8-dynamic": DynamicQuantization(),
        "int8-static": StaticQuantization(),
        "weight-noise-0.1": WeightNoise(0.1),
        "weight-noise-0.2": WeightNoise(0.2),
        "weight-noise-0.3": WeightNoise(0.3),
        "prune-50": WeightPruning(0.5),
        "prune-70": WeightPruning(0.7),
        "prune-90": WeightPruning(0.9),
        "permute-classes": ClassPermutation(),
    },
    "input": {
        "input-noise-0.1": InputNoise(0.1),
        "input-noise-0.3": InputNoise(0.3),
        "blur": Blur(),
        "4-levels": FewLevels(4),
        "2-levels": FewLevels(2),
        "jpeg": Jpeg(),
        "shift": Shift(),
        "flip": Flip(),
    },
    "finetune": {
        "ftll": FineTuning(layers="last", lr=0.01),
        "ftal-0.01": FineTuning(lr=0.01),
        "ftal-0.05": FineTuning(lr=0.05),
        "ftal-0.1": FineTuning(lr=0.1),
        "rtll": FineTuning(layers="last", new_head=True, lr=0.01),
        "rtal-0.05": FineTuning(new_head=True, lr=0.05),
    },
    "fine-prune": {
        "fine-prune-50": FinePruning(share=0.5),
        "fine-prune-70": FinePruning(share=0.7),
        "fine-prune-90": FinePruning(share=0.9),
    },
    "extract": {
        "distil-soft": Extraction(labels="soft"),
        "distil-hard": Extraction(labels="hard"),
        "extract-soft": Extraction(labels="soft", inputs="queries", epochs=12),
        "extract-hard": Extraction(labels="hard", inputs="queries", epochs=12),
        "extract-other": Extraction(inputs="queries", architecture="other", epochs=12),
    },
    "overwrite": {
        "overwrite-0.01": Overwriting(lr=0.01),
        "overwrite-0.05": Overwriting(lr=0.05),
    },
    "adaptive": {
        "adaptive-random": AdaptiveFineTuning(answers="random"),
        "adaptive-own": AdaptiveFineTuning(answers="own"),
        "adaptive-common": AdaptiveFineTuning(answers="common"),
    },
    "transfer": {
        "transfer-last": TransferLearning(layers="last"),
        "transfer-0.05": TransferLearning(),
    },
    "adversarial": {"adversarial": AdversarialFineTuning()},
}
ATTACKS: Mapping[str, Attack] = {
    name: attack for group in CATALOGUE.values() for name, attack in group.items()
}
QUICK = ("graph", "input")
GROUPS: Mapping[str, tuple[str, ...]] = {
    "all": tuple(ATTACKS),
    "quick": tuple(name for group in QUICK for name in CATALOGUE[group]),
    **{group: tuple(attacks) for group, attacks in CATALOGUE.items()},
}


def chosen_attacks(spec: str, settings: Iterable[str] = ()) -> dict[str, Attack]:
    """Return the attacks that the user chose, by name, in the order given.

    Args:
        spec: names and groups, separated by commas.
        settings: ``"FIELD=VALUE"``, for every chosen attack that has this setting, or
            ``"ATTACK:FIELD=VALUE"`` for one.

    Raises:
        UsageError: no such attack, group or setting, or a value of the wrong type.
    """
    chosen: dict[str, Attack] = {}
    for word in filter(None, (part.strip() for part in spec.split(","))):
        if word not in GROUPS and word not in ATTACKS:
            raise UsageError(
                f"no attack or group {word!r}; groups are {', '.join(GROUPS)}",
                hint="wmx attack --list shows every attack",
            )
        chosen |= {name: ATTACKS[name] for name in GROUPS.get(word, (word,))}
    if not chosen:
        raise UsageError("no attack was chosen", hint="for example --attacks quick")
    for setting in settings:
        chosen |= _changed(chosen, setting)
    return chosen


def _changed(attacks: Mapping[str, Attack], setting: str) -> dict[str, Attack]:
    """Return the attacks that a ``--set`` applies to, with the setting changed."""
    place, equals, text = setting.partition("=")
    hint = "for example --set epochs=5; wmx attack --list shows the fields"
    if not equals:
        raise UsageError(
            f"--set is {setting!r}, expected FIELD=VALUE or ATTACK:FIELD=VALUE", hint=hint
        )
    only, colon, field = place.rpartition(":")
    concerned = {
        name: attack
        for name, attack in attacks.items()
        if (not colon or name == only) and field in {own.name for own in fields(attack)}
    }
    if not concerned:
        raise UsageError(
            f"--set {setting}: none of the chosen attacks has this setting",
            hint=hint,
        )
    return {
        name: replace(attack, **{field: _parsed(text, getattr(attack, field), setting)})
        for name, attack in concerned.items()
    }


def _parsed(text: str, current: Any, setting: str) -> Any:
    """Convert a setting's text to the type of its current value: number, string or bool."""
    kind = type(current)
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        return kind(text)
    except (KeyError, ValueError):
        expected = "true or false" if kind is bool else f"a value like {current}"
        raise UsageError(f"--set {setting}: {text!r} is not {expected}") from None
