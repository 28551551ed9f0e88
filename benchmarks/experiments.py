"""Redraw the paper's experiments, and the terms of IEEE 3304-2023, from ``results/attacks_*.json``.

Prints the tables of docs/experiments.md for one data set and stack.

    python benchmarks/experiments.py --data mnist10k --epochs 30
"""

import argparse
import json
from typing import Any

import harness

Campaign = dict[str, Any]
RECIPES = {
    "adi": "`adi`, from scratch",
    "adi-pretrained": "`adi`, into a trained network",
    "robust": "`robust`",
    "brief": "`brief`",
    "extraction": "`extraction`",
}
BY_SECOND_CHOICE = {"extraction"}  # its hits say nothing, and the paper's tables count hits
FINE_TUNINGS = {"ftll": "FTLL", "ftal-0.05": "FTAL", "rtll": "RTLL", "rtal-0.05": "RTAL"}
WHITE_BOX = "white box, the owner's last layer put back"


def campaigns(data: str, stack: str, epochs: int) -> dict[str, Campaign]:
    """Return the campaigns that were measured, by recipe."""
    found = {}
    for recipe in RECIPES:
        path = harness.RESULTS / f"attacks_{data}_{stack}_{recipe}_{epochs}.json"
        if path.exists():
            found[recipe] = json.loads(path.read_text())
    return found


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def table(titles: list[str], rows: list[list[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    return [
        "| " + " | ".join(titles) + " |",
        "|---" * len(titles) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


def accuracies(found: dict[str, Campaign]) -> list[str]:
    """Return the paper's first table: what the mark costs, and whether it is there."""
    first = next(iter(found.values()))
    rows = [["no mark", f"{mean(first['accuracy_unmarked']):.2f}", "", "-"]]
    for recipe, one in found.items():
        difference = mean(one["marked_minus_unmarked_points"])
        rows.append(
            [
                RECIPES[recipe],
                f"{mean(one['accuracy_unmarked']) + difference:.2f}",
                f"{difference:+.2f}",
                f"{mean(one['before_hits']):.0f}",
            ]
        )
    return table(["embedding", "test accuracy, %", "points", "trigger set, %"], rows)


def fine_tunings(found: dict[str, Campaign]) -> list[str]:
    """Return the paper's figure as a table; where it counts in a white box, that stands beside."""
    rows = []
    for recipe, one in found.items():
        for name, title in FINE_TUNINGS.items():
            if name not in one["summary"]:
                continue
            after = one["summary"][name]
            white = one["summary"].get(f"{name} {WHITE_BOX}")
            rows.append(
                [
                    RECIPES[recipe],
                    title,
                    f"{after['accuracy']:.2f}",
                    f"{mean(after['hits']):.0f}",
                    f"{mean(white['hits']):.0f}" if white else "the same",
                    str(round(after["mean_bits"])),
                ]
            )
    titles = ["embedding", "attack", "test accuracy, %", "trigger set, %, black box"]
    return table([*titles, "white box", "bits, black box"], rows)


def piracy(found: dict[str, Campaign]) -> list[str]:
    """Return what two marks in one network come to: the owner's and the thief's."""
    rows = []
    for recipe, one in found.items():
        for name, after in one["summary"].items():
            if name.startswith("overwrite-"):
                attack, _, variant = name.partition(" ")
                rows.append(
                    [
                        RECIPES[recipe],
                        attack.removeprefix("overwrite-"),
                        variant,
                        f"{after['accuracy']:.2f}",
                        str(round(after["mean_bits"])),
                        f"{after['mean_notes']['attacker_bits']:.0f}",
                    ]
                )
    titles = ["embedding", "rate", "when", "test accuracy, %", "owner's bits", "thief's bits"]
    return table(titles, rows)


def transfers(found: dict[str, Campaign]) -> list[str]:
    """Return what is left where the network learns other classes."""
    rows = [
        [RECIPES[recipe], variant or "black box", f"{after['accuracy']:.2f}", bits(after)]
        for recipe, one in found.items()
        for name, after in one["summary"].items()
        if name.startswith("transfer-")
        for variant in [name.partition(" ")[2]]
    ]
    return table(["embedding", "counted", "test accuracy, %", "bits, seed by seed"], rows)


def robustness(found: dict[str, Campaign]) -> list[str]:
    """Return every attack: bits of each recipe, and the accuracy that is left to the attacker."""
    names = list(dict.fromkeys(name for one in found.values() for name in one["summary"]))
    rows = [
        [
            named(name),
            *(
                cell
                for one in found.values()
                for after in [one["summary"].get(name)]
                for cell in (
                    (str(round(after["mean_bits"])), f"{after['accuracy']:.1f}")
                    if after
                    else ("-", "-")
                )
            ),
        ]
        for name in names
    ]
    titles = [title for recipe in found for title in (f"{RECIPES[recipe]}: bits", "accuracy, %")]
    return table(["attack", *titles], rows)


def standard(found: dict[str, Campaign]) -> list[str]:
    """Return robustness as IEEE 3304-2023 counts it: missed detections and symbol error rate."""
    names = list(dict.fromkeys(name for one in found.values() for name in one["summary"]))
    rows = [[named(name)] for name in names]
    for row, name in zip(rows, names, strict=True):
        for one in found.values():
            after = one["summary"].get(name)
            if after is None:
                row.append("-")
                continue
            count = len(after["hits"])
            errors = 1 - mean(after["hits"]) / one["triggers"]
            row.append(f"{count - after['verified']} of {count}, {errors:.2f}")
    return table(["modification", *(RECIPES[recipe] for recipe in found)], rows)


def beside_amulet(found: dict[str, Campaign], name: str) -> list[str]:
    """Return what amulet's network says after the same attacks, judged by its rule and in bits."""
    runs = json.loads((harness.RESULTS / f"{name}.json").read_text())["runs"]
    rows = []
    for attack in runs[0]["attacks"]:
        theirs = [run["attacks"][attack] for run in runs]
        if any("error" in one for one in theirs):
            continue
        own = [
            {"mean_bits": mean(one["before_bits"])}
            if attack == "before"
            else one["summary"].get(attack)
            for one in found.values()
        ]
        rows.append(
            [
                named(attack),
                ", ".join(str(one["hits"]) for one in theirs),
                f"{sum(one['amulet_says_mine'] for one in theirs)} of {len(theirs)}",
                str(round(mean([one["bits"] for one in theirs]))),
                f"{mean([one['accuracy'] for one in theirs]):.1f}",
                *(str(round(after["mean_bits"])) if after else "-" for after in own),
            ]
        )
    titles = ["attack", "amulet: hits of 100", '"mine"', "bits", "accuracy, %"]
    return table([*titles, *(f"{RECIPES[recipe]}: bits" for recipe in found)], rows)


def named(outcome: str) -> str:
    """Return an attack's name as code, and its variant, if it has one, behind it."""
    attack, _, variant = outcome.partition(" ")
    return f"`{attack}` {variant}".strip()


def bits(after: dict[str, Any]) -> str:
    return ", ".join(str(round(value)) for value in after["bits"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="mnist10k")
    parser.add_argument("--stack", default="torch")
    parser.add_argument("--epochs", type=int, default=30)
    arguments = parser.parse_args()
    found = campaigns(arguments.data, arguments.stack, arguments.epochs)
    by_hits = {recipe: one for recipe, one in found.items() if recipe not in BY_SECOND_CHOICE}
    for title, draw, which in (
        ("Accuracy", accuracies, found),
        ("The four fine-tunings", fine_tunings, by_hits),
        ("Ownership piracy", piracy, by_hits),
        ("Transfer learning", transfers, by_hits),
        ("Every attack", robustness, found),
        ("Robustness in the terms of IEEE 3304-2023", standard, by_hits),
    ):
        if which:
            print(f"\n### {title}\n")
            print("\n".join(draw(which)))
    for title, name in (
        ("Beside amulet", f"amulet_{arguments.data}"),
        ("Beside amulet, mended", f"amulet_{arguments.data}_mended"),
    ):
        if (harness.RESULTS / f"{name}.json").exists():
            print(f"\n### {title}\n")
            print("\n".join(beside_amulet(by_hits, name)))


if __name__ == "__main__":
    main()
