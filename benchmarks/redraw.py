"""Redraw the tables of docs/figures.md from ``results/``: attacks, in general, and by framework.

python benchmarks/redraw.py
"""

import json
from collections.abc import Callable
from functools import partial
from statistics import mean
from typing import Any

import harness
from experiments import RECIPES
from stacks import STACKS


def result(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((harness.RESULTS / f"{name}.json").read_text())
    return document


CAMPAIGNS = ("robust_30", "robust_15", "brief_15")
Row = tuple[str, str, str, dict[str, Any]]


def accuracy_rows(campaign: dict[str, Any]) -> list[Row]:
    """Return what the mark cost and how strong it was before any attack."""
    recipe, epochs = f"`{campaign['recipe']}`", campaign["epochs"]
    costs, bits = campaign["marked_minus_unmarked_points"], campaign["before_bits"]
    strong = sum(value >= 300 for value in bits)
    return [
        (
            f"accuracy with {recipe} minus without, MNIST, {epochs} epochs, {len(costs)} seeds",
            f"{mean(costs):+.2f} points",
            ">= -0.5",
            campaign,
        ),
        (
            f"bits right after export, {recipe}, K = 10, n = {campaign['triggers']}, "
            f"{epochs} epochs",
            f"at least 300 in {strong} of {len(bits)} seeds (least: {min(bits):.0f})",
            ">= 300 in all",
            campaign,
        ),
    ]


def rows() -> list[Row]:
    """Return (figure, measured, wanted, result) for each line of the table."""
    start, unmarked, rebuild = result("start_time"), result("unmarked"), result("rebuild")
    many = result("many_triggers")
    check, mutations, killed = result("check_time"), result("mutations"), result("kill_nine")
    triggers = check["triggers_for_128_bits"]
    files = mutations["files"].values()
    sandbox, fuzz, dear = result("sandbox_cost"), result("fuzz"), result("hostile_budget")
    forged = [result(path.stem) for path in sorted(harness.RESULTS.glob("forgeries_*.json"))]
    attempts = [
        found
        for one in forged
        for part in ("images", "features")
        for found in one[part]["attempts"].values()
    ]
    return [
        *(
            row
            for name in CAMPAIGNS
            for row in accuracy_rows(result(f"attacks_mnist10k_torch_{name}"))
        ),
        (
            "`wmx verify` / a bare onnxruntime script on the same inputs",
            f"{start['verify']['ratio']:.2f}",
            "<= 1.5",
            start,
        ),
        (
            "what the verifier adds to the runtime for 100,000 triggers, K = 10",
            f"{max(many['seconds']):.1f} s",
            "<= 3 s",
            many,
        ),
        (
            '`wmx --help` / `python -c "import typer"`',
            f"{start['help']['ratio']:.2f}",
            "<= 2.0",
            start,
        ),
        (
            "`wmx verify` with the suspect's process / without, demo model",
            f"{sandbox['ratio']:.2f}, "
            + ("the same verdict" if sandbox["same_verdict"] else "ANOTHER verdict"),
            "<= 1.3",
            sandbox,
        ),
        (
            f"fuzzing: executions of each of {len(fuzz['parsers'])} parsers",
            f"at least {fuzz['least_executions']:,}, {fuzz['findings']} findings",
            ">= 1,000,000 without",
            fuzz,
        ),
        (
            f"{dear['worst']['cases']} hostile models, claims and evidence files under "
            f"`{' '.join(dear['limits'])}`: CPU time and memory of the process with the key, at "
            "worst",
            f"{dear['worst']['cpu_seconds']:.1f} s, {dear['worst']['gib']:.2f} GiB",
            "<= 8 s, <= 1.5 GiB",
            dear,
        ),
        (
            "triggers and labels rebuilt in another process",
            "identical" if rebuild["all_identical"] else "NOT identical",
            "identical",
            rebuild,
        ),
        (
            "100 triggers of 224 x 224 x 3 drawn",
            f"{rebuild['seconds_100_triggers_224']:.3f} s",
            "< 0.2 s",
            rebuild,
        ),
        (
            f"false positives: {unmarked['models']} unmarked models against "
            f"{unmarked['claims']} claims each: at 64 bits or more",
            f"{unmarked['at_64_bits_or_more']} of {unmarked['pairs']} "
            f"(most: {unmarked['most_bits']:.1f} bits)",
            "0",
            unmarked,
        ),
        (
            f"{len(attempts)} forgeries, the longest of "
            f"{max(found['tries'] for found in attempts):,} tries: verified at 64 bits",
            f"{sum(found['verified'] for found in attempts)} "
            f"(most: {max(found['bits'] for found in attempts):.1f} bits)",
            "0",
            forged[0],
        ),
        (
            f"`wmx check` of an evidence file with {check['openings']} openings of 28 x 28, "
            "less the start (`import typer`)",
            f"{seconds(check, 'wmx check'):.2f} s (with the model: "
            f"{seconds(check, 'wmx check --model'):.2f} s)",
            "< 0.5 s",
            check,
        ),
        (
            "triggers disclosed for 128 bits, K = 10: a perfect mark, the demo's trained models",
            f"{triggers['perfect']}, {', '.join(map(str, triggers['trained']))}",
            "<= 45",
            check,
        ),
        (
            "changes of one byte of a claim, a dated claim and two evidence files that left a "
            "verdict",
            f"{sum(file['standing'] for file in files)} of "
            f"{sum(file['changes'] for file in files):,}",
            "0",
            mutations,
        ),
        (
            f"commands killed at {killed['killed']} random moments (keys, claims, timestamps, "
            "evidence, training): a damaged file, a lost ledger entry, a readable secret",
            str(killed["damaged"]),
            "0",
            killed,
        ),
        *dispute_rows(),
        *suspect_rows(),
    ]


def dispute_rows() -> list[Row]:
    """Return who was named in disputes over stolen and overwritten models."""
    disputes = result("disputes_digits")
    ends, count = disputes["summary"], disputes["summary"]["models"]

    def named(kind: str) -> str:
        return f"{ends[kind]['owner named']}; {ends[kind]['thief named']}"

    wanted = f"{count}; 0"
    return [
        (
            f"{count} stolen, overwritten models (digits), disputed with dated originals, the "
            "thief's his own and younger: owner named; thief named",
            named("later own model"),
            wanted,
            disputes,
        ),
        (
            "the same, the thief signs what he ships",
            named("signs what he ships"),
            wanted,
            disputes,
        ),
        (
            "the same, the thief has an older claim and an older model of his own",
            named("older claim and older own model"),
            "-; 0",
            disputes,
        ),
        (
            "the same, and the suspect was brought near to that model",
            named("older own model, suspect brought near to it"),
            "-; 0",
            disputes,
        ),
    ]


CHANGED = {  # forms whose scores are no longer the model's own, and the bits that are wanted
    "average with an unmarked model": 250,
    "classes permuted": 250,
    "classes merged in pairs": None,
    "classes added in front": None,
    "new head, trained alone on merged classes": 100,
    "features as output": 100,
}


def suspect_rows() -> list[Row]:
    """Return what other forms, kinds of data and APIs do to the mark."""
    shipped, kinds = result("deployment_mnist10k"), result("kinds_of_data")
    queries, large = result("queries_mnist10k"), result("large_inputs")
    least, seeds = shipped["least_bits"], len(shipped["runs"])
    plain = [bits for form, bits in least.items() if form not in CHANGED]
    return [
        (
            f"`robust` MNIST models in {len(plain)} forms of deployment, {seeds} seeds: bits",
            f"at least {min(plain):.0f}",
            ">= 250 in all",
            shipped,
        ),
        *(
            (
                f"the same, {form}: bits, each seed",
                ", ".join(f"{run[form]['bits']:.0f}" for run in shipped["runs"]),
                f">= {wanted}" if wanted else "-",
                shipped,
            )
            for form, wanted in CHANGED.items()
        ),
        *(
            (
                f"{kind} ({found['data']}), {len(found['runs'])} seeds: accuracy with the mark "
                "minus without; bits",
                f"{found['mean_difference_points']:+.2f} points; at least "
                f"{found['least_bits']:.0f}",
                ">= -0.5; >= 128",
                kinds,
            )
            for kind, found in kinds["kinds"].items()
        ),
        (
            "inputs that an API is asked until 64 bits (128 bits), K = 10, intact mark",
            f"at most {queries['most']['64 bits']} ({queries['most']['128 bits']})",
            "<= 24",
            queries,
        ),
        (
            f"`wmx.verify` of {large['triggers']:,} triggers of 224 x 224 x 3, a network of "
            "ResNet-18's size / the same batches in bare onnxruntime: time; peak memory",
            f"{large['time']['ratio']:.2f}; {large['memory_ratio']:.2f}",
            "<= 1.05; <= 1.2",
            large,
        ),
    ]


def seconds(check: dict[str, Any], name: str) -> float:
    """Return how much longer a check takes than the start of interpreter and command line."""
    medians: dict[str, float] = check["median_seconds"]
    return medians[name] - medians["import typer"]


DATA_SETS = {"digits": "digits", "mnist10k": "MNIST"}
NOT_MEASURED = "-"


def framework_table() -> list[str]:
    """Return the lines of the comparison of frameworks; a dash is what was not measured."""
    columns: list[tuple[str, Callable[[str], str]]] = [
        *(
            (f"bits, `{recipe}`, {shown}", partial(least_bits, name, recipe))
            for recipe in ("adi", "robust")
            for name, shown in DATA_SETS.items()
        ),
        *((f"accuracy, {shown}", partial(difference, name)) for name, shown in DATA_SETS.items()),
        ("bits after FTAL, MNIST", fine_tuned_bits),
        *((f"time, `{recipe}`", partial(time_ratio, recipe)) for recipe in ("adi", "robust")),
    ]
    lines = [
        f"| stack | {' | '.join(title for title, _ in columns)} |",
        "|---" * (len(columns) + 1) + "|",
    ]
    lines += [f"| {stack} | {' | '.join(cell(stack) for _, cell in columns)} |" for stack in STACKS]
    return lines


def least_bits(data: str, recipe: str, stack: str) -> str:
    marks = result_or_none(f"frameworks_{data}_{stack}")
    return f"{marks['summary'][recipe]['least_bits']:.0f}" if marks else NOT_MEASURED


def difference(data: str, stack: str) -> str:
    marks = result_or_none(f"frameworks_{data}_{stack}")
    return f"{marks['summary']['robust']['mean_difference_points']:+.2f}" if marks else NOT_MEASURED


def fine_tuned_bits(stack: str) -> str:
    marks = result_or_none(f"frameworks_mnist10k_{stack}")
    if not marks:
        return NOT_MEASURED
    return ", ".join(f"{bits:.0f}" for bits in marks["summary"]["robust"]["fine_tuned_bits"])


def time_ratio(recipe: str, stack: str) -> str:
    cost = result_or_none(f"cost_{stack}")
    return f"{cost[recipe]['ratio']:.2f}" if cost else NOT_MEASURED


def result_or_none(name: str) -> dict[str, Any] | None:
    return result(name) if (harness.RESULTS / f"{name}.json").exists() else None


ATTACKS = {
    "int8-static": "8-bit weights and activations",
    "fp16": "16-bit weights",
    "ftll": "fine-tuning of the last layer",
    "ftal-0.05": "fine-tuning of all layers, rate .05",
    "rtal-0.05": "a new last layer, all layers trained, rate .05",
    "fine-prune-70": "70 % pruned, then fine-tuned",
    "fine-prune-90": "90 % pruned, then fine-tuned",
    "overwrite-0.05 overwritten, then fine-tuned": "another mark trained over it, then fine-tuned",
    "adaptive-random": "an attacker who knows the scheme",
    "shift": "inputs moved by 2 pixels",
    "permute-classes": "classes renumbered",
    "extract-soft": "a new network from its probabilities",
    "extract-hard": "a new network from its top classes",
}
EMBEDDINGS = ("robust", "extraction", "adi", "adi-pretrained")


def survival_table() -> list[str]:
    """Return the lines of what each embedding survives, amulet's network beside wmx's."""
    campaigns = {
        RECIPES[recipe]: result(f"attacks_mnist10k_torch_{recipe}_30") for recipe in EMBEDDINGS
    }
    rival = result("amulet_mnist10k_mended")["runs"]
    costs = [f"{mean(one['marked_minus_unmarked_points']):+.2f}" for one in campaigns.values()]
    lines = [
        f"| bits left after | {' | '.join(campaigns)} | amulet |",
        "|---" * (len(campaigns) + 2) + "|",
    ]
    for name, shown in ATTACKS.items():
        left = [str(round(one["summary"][name]["mean_bits"])) for one in campaigns.values()]
        tried = [run["attacks"][name]["bits"] for run in rival if name in run["attacks"]]
        theirs = str(round(mean(tried))) if tried else NOT_MEASURED
        lines.append(f"| {shown} | {' | '.join(left)} | {theirs} |")
    lines.append(f"| *points of accuracy* | {' | '.join(costs)} | {rivals_cost(rival)} |")
    return lines


def rivals_cost(runs: list[dict[str, Any]]) -> str:
    """Return what amulet's marking changed in the accuracy of the network it was given."""
    changes = [run["accuracy_after_marking"] - run["accuracy_before_marking"] for run in runs]
    return f"{mean(changes):+.2f}"


def main() -> None:
    print("\n".join(survival_table()))
    print()
    print("| figure | measured | wanted | date, command |")
    print("|---|---|---|---|")
    for figure, measured, wanted, source in rows():
        print(f"| {figure} | {measured} | {wanted} | {source['date']}, `{source['command']}` |")
    print()
    print("\n".join(framework_table()))


if __name__ == "__main__":
    main()
