# `make demo` and `make test` are each enough on a fresh Debian or Ubuntu machine.

VENV := .venv
PYTHON := $(VENV)/bin/python
IMPLICORE := $(VENV)/bin/implicore
INSTALLED := $(VENV)/.installed
DEMO := build/demo
SOURCES := src model tests tools $(wildcard hw sim synth bench)

# One thread a process: more threads only fight, pytest's two workers being at work already.
export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup system-setup system-flow system-test lint format test test-all demo bench formal clean

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
	$(PYTHON) -m pip install -qq -c constraints.txt --no-build-isolation -e '.[train,test,bench]'
	@touch $@

lint: setup ## ruff: rules and formatting
	$(PYTHON) -m ruff check $(SOURCES)
	$(PYTHON) -m ruff format --check $(SOURCES)

format: setup ## let ruff mend what it can
	$(PYTHON) -m ruff check --fix $(SOURCES)
	$(PYTHON) -m ruff format $(SOURCES)

test: system-test lint ## ruff, and every test that is not slow
	$(PYTHON) -m pytest -q -n 2 -m 'not slow'

test-all: system-test lint ## ruff, and every test
	$(PYTHON) -m pytest -q -n 2

demo: system-flow setup ## the whole path on the bundled MRI, to a page of pictures and figures
	$(IMPLICORE) demo -o $(DEMO)

bench: system-test setup ## the measurements (minutes)
	$(PYTHON) bench/fit.py
	$(PYTHON) bench/golden.py
	$(PYTHON) bench/irem.py
	$(PYTHON) bench/rate_distortion.py
	$(PYTHON) bench/utilization.py

formal: system-test setup ## proofs about the hardware, and that each can fail (minutes)
	$(PYTHON) -m implicore.hw.formal -o build/formal

clean: ## remove what was built, but for .venv
	rm -rf build dist .pytest_cache .ruff_cache *.egg-info
	find $(SOURCES) -name __pycache__ -prune -exec rm -rf {} +
