# The developer's menu. Every target does its own set-up; `make demo` and `make test` need Python 3.11+ and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-all lint fix catalogue bench install install-dev clean

demo: $(VENV)/.installed
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python scripts/demo.py

test: $(VENV)/.installed-dev services
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow"
ifeq ($(CI),true)
	$(BIN)/pytest -m slow
endif

test-all: $(VENV)/.installed-dev services
	$(BIN)/pytest -n 2 --dist loadfile

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check --output-format concise .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The list of built-in tools, made from the tools themselves; a test compares.
catalogue: $(VENV)/.installed-dev
	$(BIN)/python -m tools.catalogue

fix: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix --output-format concise .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/run.py

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

# Programs that tests start for real: PostgreSQL, Redis, ripgrep, buildah. Installed where apt is there and may be used.
.PHONY: services
services:
	@sh scripts/test-programs.sh

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --editable '.[validators]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
