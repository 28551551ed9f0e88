"""Redraw the README's table of figures from ``results/``.

python benchmarks/redraw.py
"""

import json
from typing import Any

import harness


def result(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((harness.RESULTS / f"{name}.json").read_text())
    return document


Row = tuple[str, str, str, dict[str, Any]]


def accuracy_rows(accuracy: dict[str, Any]) -> list[Row]:
    """Return what the mark cost and how strong it was after so many epochs."""
    runs, epochs = accuracy["runs"], accuracy["epochs"]
    strong = sum(run["bits"] >= 300 for run in runs)
    return [
        (
            f"accuracy with the mark minus without, MNIST, {epochs} epochs, {len(runs)} seeds",
            f"{accuracy['mean_difference_points']:+.2f} points",
            ">= -0.5",
            accuracy,
        ),
        (
            f"bits right after export, K = 10, n = 100, {epochs} epochs",
            f"at least 300 in {strong} of {len(runs)} seeds (least: {accuracy['least_bits']:.0f})",
            ">= 300 in all",
            accuracy,
        ),
    ]


def rows() -> list[Row]:
    """Return (figure, measured, wanted, result) for each line of the table."""
    cost, start = result("cost"), result("start_time")
    unmarked, rebuild = result("unmarked"), result("rebuild")
    sandbox, fuzz, kills = result("sandbox_cost"), result("fuzz"), result("kill_nine")
    measured = sorted(harness.RESULTS.glob("accuracy_*.json"), reverse=True)  # most epochs first
    return [
        *(row for path in measured for row in accuracy_rows(result(path.stem))),
        (
            "training time with `adi` / without",
            f"{cost['adi']['ratio']:.3f}",
            "<= 1.04",
            cost,
        ),
        (
            "training time with `robust` / without",
            f"{cost['robust']['ratio']:.3f} (its batches alone: "
            f"{cost['robust batches only']['ratio']:.3f})",
            "<= 1.25",
            cost,
        ),
        (
            "`wmx verify` / a bare onnxruntime script on the same inputs",
            f"{start['verify']['ratio']:.2f}",
            "<= 1.5",
            start,
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
            "kill -9 in the middle: runs with a damaged or half-written file",
            f"{kills['damaged']} of {kills['killed']}",
            "0 of 200",
            kills,
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
            f"{unmarked['models']} unmarked models against {unmarked['claims']} claims each: "
            "at 64 bits or more",
            f"{unmarked['at_64_bits_or_more']} of {unmarked['pairs']} "
            f"(most: {unmarked['most_bits']:.1f} bits)",
            "0",
            unmarked,
        ),
    ]


def main() -> None:
    print("| figure | measured | wanted | date, command |")
    print("|---|---|---|---|")
    for figure, measured, wanted, source in rows():
        print(f"| {figure} | {measured} | {wanted} | {source['date']}, `{source['command']}` |")


if __name__ == "__main__":
    main()
