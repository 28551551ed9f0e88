"""Is every framework as good as the others?  Accuracy, bits after export, and after fine-tuning.

For each stack and recipe, marked and unmarked networks are trained with the same settings; the
marked ones are exported and verified through the normal path.  Then an attacker fine-tunes all
layers (FTAL) of each ``robust`` model on 15 % of the data that the owner never saw, in the model's
own framework: SGD .05, constant, batches of 64, 20 epochs, shifted images.  The result is written
anew after every seed; ``--resume`` keeps the seeds that it holds already, and ``--seed`` runs a
single one and puts it among them.

    python benchmarks/frameworks.py --data mnist10k.npz --seeds 3
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import harness
from splits import owner_and_attacker
from stacks import add_device_option, add_stack_option, framework_of, on_device, run_all

from wmx import OwnerKey, verify
from wmx.training.config import Training, TrainingDevice
from wmx.training.data.dataset import LabeledData
from wmx.training.embed import embed
from wmx.training.loop import evaluate, fit
from wmx.training.plugins import load_adapter


def fine_tuned_bits(
    adapter: Any, attacker: LabeledData, embedded: Any, folder: Path, device: TrainingDevice
) -> dict[str, Any]:
    """Return bits and accuracy after FTAL."""
    attack = Training(
        epochs=20,
        batch_size=64,
        lr=0.05,
        schedule="constant",
        pretrained=embedded.files.weights,
        device=device,
    )
    watermark = embedded.watermark
    tuned = fit(adapter, attacker, watermark.task, None, attack)
    adapter.export(tuned, folder / "tuned.onnx", watermark.task, force=True)
    verdict = verify(folder / "tuned.onnx", watermark, device="cpu")
    accuracy = evaluate(adapter, tuned, attacker.x_test, attacker.y_test, watermark.task)
    return {"bits": round(verdict.bits, 1), "accuracy": round(100 * accuracy, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=1, help="for robust; adi has one")
    parser.add_argument("--resume", action="store_true", help="go on behind the last seed there is")
    parser.add_argument("--seed", type=int, help="only this one, kept with those there are")
    add_stack_option(parser)
    add_device_option(parser)
    arguments = parser.parse_args()
    if arguments.stack is None:
        run_all()
        return
    device: TrainingDevice = arguments.device
    framework = framework_of(arguments.stack)
    adapter = load_adapter(framework)
    data, attacker = owner_and_attacker(arguments.data)
    for seed in seeds_to_run(arguments):
        runs = []
        plain_training = Training(epochs=arguments.epochs, seed=seed, device=device)
        plain = fit(adapter, data, data.task, None, plain_training)
        unmarked = evaluate(adapter, plain, data.x_test, data.y_test, data.task)
        for recipe in ("robust", "adi") if seed == 0 else ("robust",):
            training = Training(epochs=arguments.epochs, seed=seed, recipe=recipe, device=device)
            with tempfile.TemporaryDirectory() as folder:
                marked = embed(
                    OwnerKey.generate(),
                    data,
                    Path(folder) / "run",
                    training=training,
                    framework=framework,
                )
                run: dict[str, Any] = {
                    "recipe": recipe,
                    "seed": seed,
                    "accuracy_marked": round(100 * marked.accuracy, 2),
                    "accuracy_unmarked": round(100 * unmarked, 2),
                    "hits": marked.verdict.hits,
                    "bits": round(marked.verdict.bits, 1),
                }
                if recipe == "robust":
                    run["fine_tuned"] = fine_tuned_bits(
                        adapter, attacker, marked, Path(folder), device
                    )
            runs.append(run)
            print(arguments.stack, run, flush=True)
        others = [run for run in runs_so_far(arguments) if run["seed"] != seed]
        record(arguments, data, attacker, sorted([*others, *runs], key=lambda run: run["seed"]))


def seeds_to_run(arguments: argparse.Namespace) -> list[int]:
    """Return the seeds that were asked for; without an option to keep them, those there are go."""
    if arguments.seed is not None:
        return [arguments.seed]
    if not arguments.resume:
        result_path(arguments).unlink(missing_ok=True)
    done = {run["seed"] for run in runs_so_far(arguments)}
    return [seed for seed in range(arguments.seeds) if seed not in done]


def name_of(arguments: argparse.Namespace) -> str:
    """Return what the result of these arguments is called."""
    return on_device(f"frameworks_{Path(arguments.data).stem}_{arguments.stack}", arguments.device)


def result_path(arguments: argparse.Namespace) -> Path:
    """Return the file of :func:`name_of`."""
    return harness.RESULTS / f"{name_of(arguments)}.json"


def runs_so_far(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the runs that the result holds; ``ValueError`` if they are of another length."""
    path = result_path(arguments)
    if not path.exists():
        return []
    result = json.loads(path.read_text())
    if result["epochs"] != arguments.epochs:
        raise ValueError(f"{path} is of {result['epochs']} epochs, expected {arguments.epochs}")
    runs: list[dict[str, Any]] = result["runs"]
    return runs


def record(
    arguments: argparse.Namespace,
    data: LabeledData,
    attacker: LabeledData,
    runs: list[dict[str, Any]],
) -> None:
    """Write the runs so far with their means."""
    summary = {}
    for recipe in ("robust", "adi"):
        own = [run for run in runs if run["recipe"] == recipe]
        differences = [run["accuracy_marked"] - run["accuracy_unmarked"] for run in own]
        summary[recipe] = {
            "mean_difference_points": round(statistics.mean(differences), 2),
            "least_bits": min(run["bits"] for run in own),
        }
    tuned = [run["fine_tuned"]["bits"] for run in runs if "fine_tuned" in run]
    summary["robust"]["fine_tuned_bits"] = tuned
    harness.record(
        name_of(arguments),
        {
            "data": Path(arguments.data).name,
            "stack": arguments.stack,
            "train": len(data.y_train),
            "attacker": len(attacker.y_train),
            "test": len(data.y_test),
            "epochs": arguments.epochs,
            "runs": runs,
            "summary": summary,
        },
    )


if __name__ == "__main__":
    main()
