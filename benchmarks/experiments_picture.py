"""Draw the pictures of docs/experiments.md from ``results/attacks_mnist10k_torch_*.json``.

Writes ``docs/images/attacks.svg``, the bits that each recipe has left after each of a dozen
attacks, and ``docs/images/fine_tuning.svg``, how they go as the rate of fine-tuning grows.

    python benchmarks/experiments_picture.py
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from experiments import Campaign, campaigns, mean
from picture import standalone_svg

from wmx.report.plot import color

if TYPE_CHECKING:
    from matplotlib.axes import Axes

IMAGES = Path(__file__).parents[1] / "docs" / "images"
REQUIRED, REQUIRED_DATED = 128, 64
MARKERS = ("o", "s", "^", "D")
NAMES = {
    "robust": "robust",
    "brief": "brief",
    "adi": "adi, from scratch",
    "adi-pretrained": "adi, into a trained network",
    "extraction": "extraction",
}
ATTACKS = {  # name in the results, and words beside the axis
    "int8-static": "8-bit weights, activations",
    "permute-classes": "classes renumbered",
    "shift": "inputs moved by 2 pixels",
    "ftll": "last layer fine-tuned",
    "ftal-0.01": "all layers fine-tuned, .01",
    "ftal-0.05": "all layers fine-tuned, .05",
    "rtal-0.05": "new last layer, all trained, .05",
    "fine-prune-70": "70 % pruned, fine-tuned",
    "fine-prune-90": "90 % pruned, fine-tuned",
    "overwrite-0.05 overwritten, then fine-tuned": "another mark, fine-tuned",
    "adaptive-random": "knows the scheme",
    "extract-soft": "new network from probabilities",
}
RATES = {"ftal-0.01": ".01", "ftal-0.05": ".05", "ftal-0.1": ".1"}


def bits_after(campaign: Campaign, attack: str) -> float:
    """Return the mean bits that an attack leaves, over the seeds of a campaign."""
    return float(campaign["summary"][attack]["mean_bits"])


def draw_attacks(axes: "Axes", found: dict[str, Campaign]) -> None:
    """Draw a line for each attack and a mark on it for each recipe."""
    places = range(len(ATTACKS), 0, -1)
    apart = 0.18  # of two recipes on one line, so that equal bits do not hide each other
    _draw_required(axes.axvline)
    for number, (recipe, marker) in enumerate(zip(found, MARKERS, strict=True), 1):
        axes.plot(
            [bits_after(found[recipe], attack) for attack in ATTACKS],
            [place + apart * (2.5 - number) for place in places],
            marker,
            color=color(f"series-{number}"),
            markersize=6,
            label=NAMES[recipe],
        )
    axes.set_yticks(places, list(ATTACKS.values()), fontsize=9)
    axes.set_xlabel("bits left")
    axes.grid(axis="y")
    axes.legend(loc="lower center", bbox_to_anchor=(0.3, 1.0), ncols=2, fontsize=9)


def draw_fine_tuning(axes: "Axes", series: dict[str, list[float]]) -> None:
    """Draw a line for each recipe over the rate at which all layers are fine-tuned."""
    _draw_required(axes.axhline)
    for number, ((name, bits), marker) in enumerate(zip(series.items(), MARKERS, strict=True), 1):
        axes.plot(
            range(len(bits)),
            bits,
            marker=marker,
            color=color(f"series-{number}"),
            linewidth=2,
            markersize=7,
            label=name,
        )
    axes.set_xticks(range(1 + len(RATES)), ["none", *RATES.values()])
    axes.set_xlabel("learning rate at which all layers are fine-tuned, 20 epochs")
    axes.set_ylabel("bits left")
    axes.grid(axis="y")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=9)


def _draw_required(line: Callable[..., object]) -> None:
    for bits, label in (REQUIRED, "required: 128 bits"), (REQUIRED_DATED, "with a timestamp: 64"):
        line(
            bits,
            color=color("bad"),
            linewidth=1.2,
            linestyle=(0, (5, 4)) if bits == REQUIRED else (0, (1, 2)),
            label=label,
        )


def attacks_svg() -> str:
    """Return the picture of a dozen attacks on marks of 30 epochs."""
    of_30 = campaigns("mnist10k", "torch", 30)
    found = {name: of_30[name] for name in ("robust", "adi", "adi-pretrained", "extraction")}
    verified = {
        recipe: sum(bits_after(one, attack) >= REQUIRED for attack in ATTACKS)
        for recipe, one in found.items()
    }
    counts = ", ".join(f"{NAMES[recipe]} {count}" for recipe, count in verified.items())
    return standalone_svg(
        lambda axes: draw_attacks(axes, found),
        name="attacks",
        title="Bits left after a dozen attacks, by recipe",
        description=f"Of {len(ATTACKS)} attacks, how many leave 128 bits or more: {counts}.",
    )


def fine_tuning_svg() -> str:
    """Return the picture of fine-tuning of all layers at three rates."""
    of_30, of_15 = (campaigns("mnist10k", "torch", epochs) for epochs in (30, 15))
    chosen = {
        "robust, 30 epochs": of_30["robust"],
        "brief, 15 epochs": of_15["brief"],
        "robust, 15 epochs": of_15["robust"],
        "adi, from scratch, 30 epochs": of_30["adi"],
    }
    series = {
        name: [mean(one["before_bits"]), *(bits_after(one, attack) for attack in RATES)]
        for name, one in chosen.items()
    }
    courses = "; ".join(
        f"{name}: {', '.join(f'{bits:.0f}' for bits in course)}" for name, course in series.items()
    )
    return standalone_svg(
        lambda axes: draw_fine_tuning(axes, series),
        name="fine_tuning",
        title="Bits left after fine-tuning of all layers, by its rate",
        description=f"Bits before and at rates .01, .05 and .1. {courses}.",
    )


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    for name, picture in ("attacks", attacks_svg()), ("fine_tuning", fine_tuning_svg()):
        (IMAGES / f"{name}.svg").write_text(picture)


if __name__ == "__main__":
    main()
