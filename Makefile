# Everything runs in a virtual environment that is made here. Needed: Python 3.11 or newer, make, a package index.

PYTHON ?= python3
PYTEST_ARGS ?=
BENCH_ARGS ?=
SOAK_ARGS ?= --seconds 60

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test lint types bench bench-page soak wheel-test clean

help:
	@echo "make demo        run the main job on the example shop"
	@echo "make test        run all tests           (PYTEST_ARGS=... for pytest)"
	@echo "make lint        check style and format"
	@echo "make types       check types"
	@echo "make wheel-test  build the wheel and use it in an empty environment"
	@echo "make bench       measure, in an hour     (BENCH_ARGS=... for the benchmarks: --quick, --large, --help ...)"
	@echo "make bench-page  write docs/benchmarks.md from the results that are kept"
	@echo "make soak        let processes work on one store, and be killed    (SOAK_ARGS='--seconds 600' for longer)"
	@echo "make clean       remove what all of this left behind"
	@echo "PYTHON=... takes another interpreter than python3"

# A stamp says what the environment holds: .has-release, .has-test and so on, one for each set of extras.
$(VENV)/.made: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed (this is %d.%d): set PYTHON" % sys.version_info[:2])'
	@echo "== making $(VENV) with $$($(PYTHON) --version)"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.has-%: $(VENV)/.made
	@echo "== installing consentprofile[$*] into $(VENV)"
	@$(PIP) install --editable ".[$*]"
	@touch $@

demo: $(VENV)/.has-release
	@$(BIN)/consentprofile demo

# One worker for each processor: most tests wait for the disk or for another process. `-n 0` in PYTEST_ARGS undoes it.
test: $(VENV)/.has-test
	@echo "== pytest, one worker for each processor; Hypothesis profile: $${HYPOTHESIS_PROFILE:-quick}; given data: $${CONSENTPROFILE_DATA:-none}"
	@$(BIN)/python -m pytest --numprocesses auto --dist worksteal $(PYTEST_ARGS)

lint: $(VENV)/.has-dev
	@echo "== ruff check"
	@$(BIN)/ruff check
	@echo "== ruff format --check"
	@$(BIN)/ruff format --check

types: $(VENV)/.has-test $(VENV)/.has-dev
	@echo "== mypy"
	@$(BIN)/mypy
	@echo "== mypy, as those who use the package see its types"
	@$(BIN)/python -m pytest --quiet tests/typing

bench: $(VENV)/.has-bench
	@$(BIN)/python -m benchmarks $(BENCH_ARGS)

bench-page: $(VENV)/.has-bench
	@$(BIN)/python -m benchmarks --render

soak: $(VENV)/.has-test
	@$(BIN)/python -m tests.faults.soak $(SOAK_ARGS)

wheel-test: $(VENV)/.has-dev
	@$(BIN)/python tests/wheel/check_wheel.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find consentprofile tests examples -name __pycache__ -type d -prune -exec rm -rf {} +
