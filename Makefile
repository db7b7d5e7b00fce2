# `make demo` and `make test` are each enough on a fresh Debian or Ubuntu machine.

VENV := .venv
PYTHON := $(VENV)/bin/python
IMPLICORE := $(VENV)/bin/implicore
INSTALLED := $(VENV)/.installed
DEMO := build/demo
BENCH := build/performance
# The cells that are measured: IHP's where they are at hand.
TARGET := $(if $(PDK_ROOT),ihp-sg13g2,osu018)
# With the process kit at hand, every test can run: then a skipped one fails.
NO_SKIPS := $(if $(PDK_ROOT),--no-skips)
SOURCES := src model tests tools $(wildcard hw sim synth bench)

# One thread a process: more threads only fight, pytest's two workers being at work already.
export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup system-setup system-flow system-test lint format types docs test test-all demo bench bench-all formal clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: system-setup $(INSTALLED) ## the virtual environment in .venv, complete

system-setup:
	@sh tools/system-packages.sh setup

system-flow:
	@sh tools/system-packages.sh setup flow

system-test:
	@sh tools/system-packages.sh setup flow test

# Order-only on the system packages: they are looked at each time, which must not reinstall.
# An environment without a working pip (an earlier attempt that broke off) is made anew.
# setuptools comes first and from the constraints, not from an isolated build's own choice.
$(INSTALLED): pyproject.toml constraints.txt | system-setup
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || python3 -m venv --clear $(VENV)
	$(PYTHON) -m pip install -qq -c constraints.txt setuptools
	$(PYTHON) -m pip install -qq -c constraints.txt --no-build-isolation -e '.[train,test,docs,bench]'
	@touch $@

lint: setup ## ruff: rules and formatting
	$(PYTHON) -m ruff check $(SOURCES)
	$(PYTHON) -m ruff format --check $(SOURCES)

format: setup ## let ruff mend what it can
	$(PYTHON) -m ruff check --fix $(SOURCES)
	$(PYTHON) -m ruff format $(SOURCES)

types: setup ## mypy on the public API
	sh tools/import-tree.sh build/types
	MYPYPATH=build/types $(PYTHON) -m mypy

docs: setup ## the documentation, build/docs/index.html; its examples are run
	$(PYTHON) -m sphinx -q -W --keep-going -b html docs build/docs
	$(PYTHON) -m sphinx -q -W --keep-going -b doctest docs build/doctest

test: system-test lint types docs ## what CI runs: every check and test that is not slow
	$(PYTHON) -m pytest -q -n 2 $(NO_SKIPS) -m 'not slow'

test-all: system-test lint types docs ## the same with the slow tests
	$(PYTHON) -m pytest -q -n 2 $(NO_SKIPS)

demo: system-flow setup ## the whole path on the bundled MRI, to a page of pictures and figures
	$(IMPLICORE) demo -o $(DEMO)

bench: system-test setup ## time and memory of each subcommand, rates, utilization, sine units (half an hour)
	$(PYTHON) bench/performance.py -o $(BENCH) --write docs/performance.md
	$(PYTHON) bench/golden.py
	$(PYTHON) bench/utilization.py
	$(PYTHON) bench/simulators.py
	$(PYTHON) bench/sincos.py --target $(TARGET)
	$(PYTHON) bench/energy.py $(BENCH)/demo/mri.inr --target $(TARGET)
	$(PYTHON) bench/entropy.py $(BENCH)/demo/mri.inr

bench-all: bench ## and what trains or synthesizes a great deal: quality, codecs, predictions (hours)
	$(PYTHON) bench/fit.py
	$(PYTHON) bench/irem.py
	$(PYTHON) bench/rate_distortion.py
	$(PYTHON) bench/losses.py $(BENCH)/demo/mri.model
	$(PYTHON) bench/predict.py $(BENCH)/demo/mri.model --target $(TARGET)
	$(PYTHON) bench/campaign.py
	$(PYTHON) bench/mutants.py

formal: system-test setup ## proofs about the hardware, and that each can fail (minutes)
	$(PYTHON) -m implicore.hw.formal -o build/formal

clean: ## remove what was built, but for .venv
	rm -rf build dist .pytest_cache .ruff_cache *.egg-info
	find $(SOURCES) -name __pycache__ -prune -exec rm -rf {} +
