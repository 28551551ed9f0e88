"""Whether the devices of a ``keras.distribution`` can share a batch with its triggers."""

import itertools

import keras

from wmx.errors import UsageError
from wmx.training.recipe import Recipe


def require_batch_fits_devices(batch_size: int, recipe: Recipe) -> None:
    """Raise :class:`UsageError` if a batch with its triggers cannot be shared evenly."""
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
    """Raise :class:`UsageError` if the last batch of an epoch could not be shared evenly."""
    devices = _devices()
    left_over = (rows + triggers) % devices
    if left_over:
        raise UsageError(
            f"{rows} rows and {triggers} triggers make {rows + triggers}, which {devices} devices "
            "cannot share evenly",
            hint=f"leave out {left_over} rows, and choose a batch_size that {devices} divides",
        )


def _with_triggers(batch_size: int, recipe: Recipe) -> int:
    return batch_size + recipe.triggers_per_batch(batch_size)


def _devices() -> int:
    """Return over how many devices of this process a batch is laid out."""
    distribution = keras.distribution.distribution()
    if distribution is None:
        return 1
    mesh = distribution.device_mesh
    shares = mesh.shape[mesh.axis_names.index(distribution.batch_dim_name)]
    return max(1, int(shares) // distribution.num_processes)
