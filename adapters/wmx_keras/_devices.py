"""Checking that the devices of a ``keras.distribution`` can share batches with triggers evenly."""

import itertools

import keras

from wmx.errors import UsageError
from wmx.training.recipe import Recipe


def require_batch_fits_devices(batch_size: int, recipe: Recipe) -> None:
    """Check that a batch with its triggers can be divided over the devices.

    Args:
        batch_size: without triggers.
        recipe: decides how many triggers are added.

    Raises:
        UsageError: the number of rows is not a multiple of the number of devices.
    """
    devices = _devices()
    if _with_triggers(batch_size, recipe) % devices:
        larger = next(
            size
            for size in itertools.count(batch_size)
            if _with_triggers(size, recipe) % devices == 0
        )
        raise UsageError(
            f"{batch_size} rows and {recipe.triggers_per_batch(batch_size)} triggers make "
            f"{_with_triggers(batch_size, recipe)}, which {devices} devices cannot share evenly",
            hint=f"choose another batch size, such as {larger}, "
            f"which makes {_with_triggers(larger, recipe)}",
        )


def require_rows_fit_devices(rows: int, triggers: int) -> None:
    """Check that the last batch of an epoch can be divided over the devices.

    Args:
        rows: of the caller's arrays.
        triggers: rows added to them.

    Raises:
        UsageError: the number of rows is not a multiple of the number of devices.
    """
    devices = _devices()
    left_over = (rows + triggers) % devices
    if left_over:
        raise UsageError(
            f"{rows} rows and {triggers} triggers make {rows + triggers}, which {devices} devices "
            "cannot share evenly",
            hint=f"drop {left_over} rows, and choose a batch_size that {devices} divides",
        )


def _with_triggers(batch_size: int, recipe: Recipe) -> int:
    return batch_size + recipe.triggers_per_batch(batch_size)


def _devices() -> int:
    """Return the number of this process's devices over which a batch is sharded."""
    distribution = keras.distribution.distribution()
    if distribution is None:
        return 1
    mesh = distribution.device_mesh
    shares = mesh.shape[mesh.axis_names.index(distribution.batch_dim_name)]
    return max(1, int(shares) // distribution.num_processes)
