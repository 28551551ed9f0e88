"""Which recipe is worth its price?  Candidates side by side on seeds that no report uses.

A candidate is ``robust`` with other settings.  Each is trained as ``benchmarks/attacks.py`` does
it, on the same seeds, beside one unmarked network for each seed, and goes through the attacks that
tell recipes apart.  Results are kept as they come: a candidate that was measured is not run again,
and ``--first-seed`` keeps the search away from seeds 0, 1, 2, on which the campaign reports.

    python benchmarks/recipe_search.py --data mnist10k.npz weight=2 weight=2,every=2
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import harness
from attacks import NETWORK, stolen, tell, unmarked
from splits import owner_and_attacker

from wmx.attacks.campaign import attack_model
from wmx.attacks.catalogue import chosen_attacks
from wmx.errors import UsageError
from wmx.training.config import Training
from wmx.training.data.dataset import LabeledData
from wmx.training.recipe import RECIPES, Recipe

TELLING = "ftal-0.05,ftal-0.1,rtal-0.05,fine-prune-70,fine-prune-90,overwrite-0.05"


def candidate(changes: str) -> Recipe:
    """Return ``robust`` with changes such as ``"weight=2,every=2"``; ``"robust"`` without any."""
    robust = RECIPES["robust"]
    if changes == robust.name:
        return robust
    settings: dict[str, Any] = {}
    for change in changes.split(","):
        field, _, text = change.partition("=")
        if not isinstance(getattr(robust, field, None), int | float) or not text:
            raise UsageError(f"{change!r} is not SETTING=NUMBER of a recipe")
        settings[field] = type(getattr(robust, field))(text)
    return replace(robust, name=changes, **settings)


def measured(
    recipe: Recipe,
    seed: int,
    data: LabeledData,
    attacker: LabeledData,
    plain: float,
    arguments: argparse.Namespace,
) -> dict[str, Any]:
    """Train one candidate with one seed, attack it, and return its figures."""
    RECIPES[recipe.name] = recipe
    training = Training(NETWORK, arguments.epochs, seed=seed, recipe=recipe.name, device="cpu")
    folder = arguments.work / f"{recipe.name}_{arguments.epochs}_{seed}"
    watermark, target = stolen(folder, data, attacker, training, "torch")
    attacks = chosen_attacks(arguments.attacks)
    run = attack_model(
        target, watermark, attacks, folder / "attacks.json", resume=True, report=tell
    )
    return {
        "recipe": recipe.name,
        "epochs": arguments.epochs,
        "seed": seed,
        "points": round(100 * (run.before.accuracy - plain), 2),
        "bits": round(run.before.bits, 1),
        **{
            f"{result.name} {one.variant}".strip(): round(one.bits, 1)
            for result in run.attacks
            for one in result.outcomes
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("candidates", nargs="*", default=["robust"])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--attacks", default=TELLING)
    parser.add_argument("--work", type=Path, default=Path("attacks-work/search"))
    arguments = parser.parse_args()
    recipes = [candidate(changes) for changes in arguments.candidates]
    data, attacker = owner_and_attacker(arguments.data)
    name = f"recipe_search_{Path(arguments.data).stem}"
    path = harness.RESULTS / f"{name}.json"
    runs = json.loads(path.read_text())["runs"] if path.exists() else []
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        wanted = [recipe for recipe in recipes if not _is_done(recipe, seed, arguments, runs)]
        if not wanted:
            continue
        training = Training(NETWORK, arguments.epochs, seed=seed, device="cpu")
        _, plain = unmarked(arguments.work, data, training, "torch")
        for recipe in wanted:
            runs.append(measured(recipe, seed, data, attacker, plain, arguments))
            print(runs[-1], flush=True)
            harness.record(name, {"data": Path(arguments.data).name, "runs": runs})


def _is_done(recipe: Recipe, seed: int, arguments: argparse.Namespace, runs: list[Any]) -> bool:
    found = (recipe.name, seed, arguments.epochs)
    return any(found == (run["recipe"], run["seed"], run["epochs"]) for run in runs)


if __name__ == "__main__":
    main()
