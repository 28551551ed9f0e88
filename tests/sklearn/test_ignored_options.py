"""Options of a training by epochs mean nothing to an estimator."""

from pathlib import Path

import numpy as np
import pytest

from wmx import OwnerKey
from wmx.errors import UsageError
from wmx.training.config import Training
from wmx.training.data.dataset import LabeledData
from wmx.training.embed import embed
from wmx_sklearn import _training


@pytest.mark.parametrize("option", [{"epochs": 3}, {"lr": 0.1}, {"recipe": "adi"}])
def test_options_that_have_no_use_are_refused(
    option: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wmx.training.embed.load_adapter", lambda _: _training)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 6)).astype(np.float32), np.arange(40) % 2
    data = LabeledData.of(x, y, x, y, "table")
    training = Training(model="forest", **option)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=f"does not use {next(iter(option))}"):
        embed(OwnerKey.generate(), data, tmp_path / "run", training=training, framework="sklearn")
    assert not (tmp_path / "run").exists()
