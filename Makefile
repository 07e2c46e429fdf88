# Two commands do everything: `make bench` and `make test`. Each installs what it needs first.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PURELIB := 'import sysconfig; print(sysconfig.get_path("purelib"))'

# make bench DATASET=dagm runs that data set's suite; SUITE=tailedcore-mvtec runs one by name; ARGS goes to ltbench.
DATASET ?=
SUITE   ?=
ARGS    ?=

.DEFAULT_GOAL := help
.PHONY: help install bench test test-all check format report perf parity clean

help:  ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PRECIOUS: $(VENV)-%/.ready
install: $(READY)  ## Create .venv with pinned versions.

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV): torch and its libraries are about 5 GB, a few minutes at most"
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[methods,dev]'
	@touch $@

bench: $(READY)  ## Run the demo (or DATASET=..., SUITE=...) and build its site.
	$(BIN)/ltbench bench $(SUITE) $(if $(DATASET),--dataset $(DATASET)) $(ARGS)

test: $(READY)  ## Run the test suite.
	$(BIN)/python -m pytest -m "not slow" --numprocesses 2 $(ARGS)

test-all: $(READY)  ## Run the test suite with its slow tests.
	$(BIN)/python -m pytest --numprocesses 2 $(ARGS)

check: $(READY)  ## Lint, format check, types, splits' digests; changes nothing.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/ltbench splits verify

format: $(READY)  ## Sort imports and format.
	$(BIN)/ruff check --fix --select I .
	$(BIN)/ruff format .

report: $(READY)  ## Build the site from the results folder.
	$(BIN)/ltbench report $(ARGS)

perf: $(VENV)-perf/.ready  ## Measure our kernels and metrics beside named peers (ARGS=--brief: a smoke test).
	$(VENV)-perf/bin/python -m perf $(ARGS)

parity: $(VENV)-parity/.ready  ## Compare the methods with their authors' code (LTBENCH_OFFICIAL=folder of clones).
	$(VENV)-parity/bin/python -W ignore -m parity --report $(ARGS)

$(VENV)-%/.ready: $(READY) %/requirements.txt
	$(PYTHON) -m venv $(VENV)-$*
	@echo "installing $*/requirements.txt into $(VENV)-$*; what it shares with $(VENV) is taken from there"
	(echo "$(CURDIR)/src"; $(BIN)/python -c $(PURELIB)) > "$$($(VENV)-$*/bin/python -c $(PURELIB))/ltbench.pth"
	$(VENV)-$*/bin/pip install --quiet --disable-pip-version-check --requirement $*/requirements.txt
	@touch $@

clean:  ## Remove the environment, the site and tool caches; results stay.
	rm -rf $(VENV) $(VENV)-perf $(VENV)-parity site build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
