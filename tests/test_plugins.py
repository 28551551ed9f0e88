"""Finding adapters: what a registered module has to offer before wmx calls it."""

from importlib.metadata import EntryPoint
from types import ModuleType

import pytest

from wmx.errors import CannotRunError, UsageError
from wmx.training import plugins
from wmx.training.adapter import FittedAdapter, StepwiseAdapter
from wmx.training.plugins import load_adapter, load_stepwise_adapter


def register(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """Make ``module`` the only registered adapter, under the name ``other``."""
    point = EntryPoint("other", module, plugins.GROUP)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point])


def test_an_adapter_whose_estimators_are_fitted_in_one_call() -> None:
    adapter = load_adapter("scikit-learn")
    assert isinstance(adapter, FittedAdapter)
    assert not isinstance(adapter, StepwiseAdapter)


def test_an_adapter_that_trains_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "support.linear_framework.linear_framework")
    adapter = load_stepwise_adapter("other")
    assert isinstance(adapter, ModuleType)
    assert not isinstance(adapter, FittedAdapter)


def test_training_attacks_refuse_a_framework_that_fits_in_one_call() -> None:
    with pytest.raises(UsageError, match="sklearn fits an estimator in one call"):
        load_stepwise_adapter("sklearn")


def test_a_module_that_is_no_adapter_is_refused_when_it_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    register(monkeypatch, "json")
    with pytest.raises(CannotRunError, match="adapter of other, json, lacks functions"):
        load_adapter("other")


def test_an_unknown_framework_lists_those_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "json")
    with pytest.raises(UsageError, match="expected one of other"):
        load_adapter("caffe")
