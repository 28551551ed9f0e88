"""What an attacker has, where the owner has one data set for all."""

from dataclasses import replace

import numpy as np

from wmx.errors import UsageError
from wmx.training.data.dataset import LabelledData

SEED = 0  # of the division; not the attacks' seed, so that all runs are tested on the same samples


def held_out_half(data: LabelledData) -> LabelledData:
    """Return half of the test part as the attacker's samples; the other half stays the test part.

    The owner trained on the training part, so the attacker has samples that the model has not
    seen, and neither of them is tested on what it was trained on.

    Raises:
        UsageError: the test part is too small to be divided.
    """
    count = len(data.y_test) // 2
    if count < 2:
        raise UsageError(
            f"{data.name}: {len(data.y_test)} test samples, expected at least 4: half of them are "
            "the attacker's"
        )
    order = np.random.default_rng(SEED).permutation(len(data.y_test))
    attacker, test = order[:count], order[count:]
    return replace(
        data,
        x_train=data.x_test[attacker],
        y_train=data.y_test[attacker],
        x_test=data.x_test[test],
        y_test=data.y_test[test],
        name=f"{data.name}, attacker",
    )
