"""A normalisation under which the victim gives labels that are known already.

Labels of the draft scheme wmx-1 hung on root, owner, n and K.  The forger committed to rows, saw
their labels, and then had 2 F numbers to choose: ``mean`` and ``std`` of each feature.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from support.forging.victim import Victim
from wmx import OwnerKey
from wmx.protocol.commitment import commitment_root, draw_blinds
from wmx.protocol.encoding import u32
from wmx.protocol.prf import uniform_integers
from wmx.protocol.task import Task

SCALE = 3.0
RATE = 0.3
DECIMALS = 6


def rows_for(n: int, features: int, *, seed: int) -> NDArray[np.float32]:
    """Return sparse rows [n, F]: what the victim says to one is governed by few of the numbers."""
    filled = max(8, features // 8)
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, features)) * SCALE
    for row in rows:
        row[rng.permutation(features)[filled:]] = 0
    return rows.astype(np.float32)


def draft_labels(rows: NDArray[np.float32], key: OwnerKey, classes: int) -> NDArray[np.int64]:
    """Return the labels of wmx-1 for rows [n, F]."""
    root = commitment_root(rows, draw_blinds(hashlib.sha256(b"forged").digest(), len(rows)))
    seed = b"wmx-1 labels" + root + key.public + u32(len(rows)) + u32(classes)
    return uniform_integers(seed, len(rows), classes)


def fitting_task(
    victim: Victim, rows: NDArray[np.float32], labels: NDArray[np.int64], *, steps: int
) -> Task:
    """Return the task whose ``mean`` and ``std`` make the victim give ``labels`` to rows [n, F].

    Adam (Kingma and Ba, ICLR 2015) on the cross-entropy, over mean and log std; the best of all
    steps by hits.
    """
    features = rows.shape[1]
    values = np.zeros((2, features))  # mean, log std
    first, second = np.zeros_like(values), np.zeros_like(values)
    best, most = values, -1
    for step in range(1, steps + 1):
        scaled = (rows - values[0]) * np.exp(-values[1])
        hits = int((victim.predictions(scaled) == labels).sum())
        if hits > most:
            best, most = values.copy(), hits
        pull = victim.pull(scaled, labels) / len(rows)
        gradient = np.stack(
            [-(pull * np.exp(-values[1])).sum(axis=0), -(pull * scaled).sum(axis=0)]
        )
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        corrected = first / (1 - 0.9**step), second / (1 - 0.999**step)
        rate = RATE * (1 - step / (steps + 1))
        values = values - rate * corrected[0] / (np.sqrt(corrected[1]) + 1e-8)
    mean = [f"{value:.{DECIMALS}f}" for value in best[0]]
    std = [f"{value:.{DECIMALS}f}" for value in np.exp(best[1])]
    return Task.of((features,), victim.weights[2].shape[1], kind="features", mean=mean, std=std)
