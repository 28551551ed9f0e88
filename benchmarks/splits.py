"""Three parts of any data set: 70 % to train, 15 % kept for an attacker, 15 % to test."""

from pathlib import Path

import numpy as np

from wmx.training.data.dataset import LabeledData, load_data


def train_and_test(spec: str) -> LabeledData:
    """Return the training and the test part; a permutation of seed 0 decides who is where.

    Args:
        spec: any of the forms of ``--data``.
    """
    return owner_and_attacker(spec)[0]


def owner_and_attacker(spec: str) -> tuple[LabeledData, LabeledData]:
    """Return what the owner trains on and what the attacker has, with the same test part."""
    data = load_data(spec)
    x = np.concatenate([data.x_train, data.x_test])
    y = np.concatenate([data.y_train, data.y_test])
    order = np.random.default_rng(0).permutation(len(y))
    first, second = int(0.70 * len(y)), int(0.85 * len(y))
    train, attacker, test = order[:first], order[first:second], order[second:]
    return (
        LabeledData.of(x[train], y[train], x[test], y[test], data.name),
        LabeledData.of(x[attacker], y[attacker], x[test], y[test], f"{data.name}, attacker"),
    )


def data_name(spec: str) -> str:
    """Return what files and results about this data are called."""
    return Path(spec).stem.replace(":", "-")
