# make demo   set up a virtual environment and run the main job on real digits
# make test   set up, then lint, types, import directions, all tests
# make wheel  build the distribution

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt
# several test processes share the cores; one thread each is fastest and repeatable
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto

.PHONY: demo test lint unit torch jax keras keras-parallel contract wheel clean

demo: $(VENV)/.demo
	$(BIN)/wmx demo --force

STACKS := torch jax keras-tensorflow keras-jax keras-torch

test: lint unit torch jax keras keras-parallel contract

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# one framework per process: the core is tested without any, each adapter on its own
unit: $(VENV)/.test
	$(PYTEST) tests $(addprefix --ignore tests/,torch jax keras keras_parallel contract)

torch: $(VENV)/.test
	$(PYTEST) tests/torch

jax: $(VENV)/.test
	$(PYTEST) tests/jax

# one process for each of its backends
keras: $(VENV)/.test
	set -e; for stack in $(filter keras-%,$(STACKS)); do $(PYTEST) tests/keras --stack $$stack; done

keras-parallel: $(VENV)/.test
	$(PYTEST) tests/keras_parallel

# what every adapter must keep, one process for each framework and backend
contract: $(VENV)/.test
	set -e; for stack in $(STACKS); do $(PYTEST) tests/contract --stack $$stack; done

wheel: $(VENV)/.test
	$(BIN)/python -m build --no-isolation --outdir dist

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[all]'
	touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[all,dev]'
	touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) build dist wmx-demo
