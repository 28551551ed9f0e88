"""Scores of twenty inputs for ten classes, in another order of classes for each."""

import numpy as np

N, K = 20, 10
DRAW = np.random.default_rng(0)
PLACES = DRAW.permuted(np.tile(np.arange(K), (N, 1)), axis=1)
SCORES = (2.5 * PLACES + DRAW.uniform(0, 0.5, (N, K)) - 10).astype(np.float32)  # no two are close
