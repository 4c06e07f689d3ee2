# Every target sets up what it needs first. Plain `make` lists the targets.
SHELL := /bin/sh
PYTHON ?= python3
SWEEP ?= quickstart
RUN ?=
ARGS ?=
# On a machine with an NVIDIA driver, TensorFlow comes with its CUDA libraries.
EXTRAS ?= dev $(if $(wildcard /proc/driver/nvidia/version),gpu)

UV_VERSION := 0.13.9
BIN := .venv/bin
RUNBACK := $(BIN)/python -m runback
SYNCED := .venv/.synced

.DEFAULT_GOAL := help
.PHONY: help setup sweep train best promote reproduce compare evaluate review serve ui doctor test test-slow check lint bench clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1|/p' Makefile | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'
	@echo
	@echo "  SWEEP=NAME RUN=ID ARGS='...' are handed on, as in: make train ARGS='training.epochs=5'"

setup: $(SYNCED)  ## make .venv and install the locked dependencies

# Without .pyc files TensorFlow takes seconds longer to import, at every start.
$(SYNCED): uv.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) or sys.version_info >= (3, 14))' 2>/dev/null || \
		{ echo "runback needs Python 3.11 to 3.13; $(PYTHON) is $$($(PYTHON) -V 2>/dev/null || echo missing): make PYTHON=python3.12 ..." >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { rm -rf .venv; $(PYTHON) -m venv .venv; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	env -u PYTHONDONTWRITEBYTECODE -u VIRTUAL_ENV UV_PROJECT_ENVIRONMENT=.venv \
		$(BIN)/python -m uv sync --frozen --inexact --compile-bytecode --python $(BIN)/python $(addprefix --extra ,$(EXTRAS))
	@touch $(SYNCED)

sweep: $(SYNCED)  ## run the sweep SWEEP (quickstart), or continue it
	@$(RUNBACK) sweep $(SWEEP) $(ARGS)

train: $(SYNCED)  ## train one model: ARGS='model=deep_cnn training.epochs=5'
	@$(RUNBACK) train $(ARGS)

best: $(SYNCED)  ## print the run ID of the best trial of SWEEP
	@$(RUNBACK) best $(SWEEP) $(ARGS)

promote: $(SYNCED)  ## make the model of RUN its sweep's champion
	@$(RUNBACK) promote $(RUN) $(ARGS)

reproduce: $(SYNCED)  ## train RUN again and say whether it came out the same
	@$(RUNBACK) reproduce $(RUN) $(ARGS)

compare: $(SYNCED)  ## show the runs of SWEEP in a table, or say why two differ: RUN='FIRST SECOND'
	@$(RUNBACK) compare $(if $(RUN),$(RUN),--sweep $(SWEEP)) $(ARGS)

evaluate: $(SYNCED)  ## measure the model of RUN on the test split
	@$(RUNBACK) evaluate $(RUN) $(ARGS)

review: $(SYNCED)  ## record who looked at the evaluation of RUN: ARGS='--by Ada'
	@$(RUNBACK) review $(RUN) $(ARGS)

serve: $(SYNCED)  ## answer images with the network of RUN, or the best of SWEEP
	@$(RUNBACK) serve $(or $(RUN),best:$(SWEEP)) $(ARGS)

ui: $(SYNCED)  ## open the MLflow UI on this machine
	@$(RUNBACK) ui $(ARGS)

doctor: $(SYNCED)  ## check this machine and the stores: ARGS=--fix mends what can be mended
	@$(RUNBACK) doctor $(ARGS)

test: $(SYNCED)  ## run the tests (minutes)
	@$(BIN)/python -m pytest -n logical --maxprocesses 8 --dist loadfile $(ARGS)

test-slow: $(SYNCED)  ## run the tests that take many minutes
	@RUNBACK_TESTS_START_ANEW=1 $(BIN)/python -m pytest -m slow $(ARGS)

lint: $(SYNCED)  ## ruff, mypy and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/lint-imports

check: lint test  ## lint and tests, all that a change must pass

bench: $(SYNCED)  ## run the benchmarks; they print ratios
	@$(BIN)/python benchmarks/overhead.py $(ARGS)
	@$(BIN)/python benchmarks/record.py
	@$(BIN)/python benchmarks/coordinator.py
	@$(BIN)/python benchmarks/compare.py

clean:  ## remove .venv and caches; mlruns/ stays
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
