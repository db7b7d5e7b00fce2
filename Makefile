# On a fresh Debian or Ubuntu machine, `make demo` and `make test` install all that they need.

VENV := .venv
PYTHON := $(VENV)/bin/python
IMPLICORE := $(VENV)/bin/implicore
INSTALLED := $(VENV)/.installed
DEMO := build/demo
BENCH := build/performance
# The target of the benchmarks: IHP's cells if they are installed.
TARGET := $(if $(PDK_ROOT),ihp-sg13g2,osu018)
# With the process kit installed, every test can run, so a skipped test is a failure.
NO_SKIPS := $(if $(PDK_ROOT),--no-skips)
SOURCES := src model tests tools $(wildcard hw sim synth bench)

# One thread per process: pytest already runs two workers.
export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup system-setup system-flow system-test lint format types docs test test-all demo bench bench-all coverage formal signoff clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: system-setup $(INSTALLED) ## create the virtual environment in .venv

system-setup:
	@sh tools/system-packages.sh setup

system-flow:
	@sh tools/system-packages.sh setup flow

system-test:
	@sh tools/system-packages.sh setup flow test

# The system packages are an order-only prerequisite: they are checked every time, but the check
# must not trigger an installation. An environment without a working pip, left by an interrupted
# attempt, is created again. setuptools is installed first, in the version of the constraints.
$(INSTALLED): pyproject.toml constraints.txt | system-setup
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || python3 -m venv --clear $(VENV)
	$(PYTHON) -m pip install -qq -c constraints.txt setuptools
	$(PYTHON) -m pip install -qq -c constraints.txt --no-build-isolation -e '.[train,test,docs,bench]'
	@touch $@

lint: setup ## check rules and formatting with ruff
	$(PYTHON) -m ruff check $(SOURCES)
	$(PYTHON) -m ruff format --check $(SOURCES)

format: setup ## fix rules and formatting with ruff
	$(PYTHON) -m ruff check --fix $(SOURCES)
	$(PYTHON) -m ruff format $(SOURCES)

types: setup ## check the types of the public API with mypy
	sh tools/import-tree.sh build/types
	MYPYPATH=build/types $(PYTHON) -m mypy

docs: setup ## build build/docs/index.html and run its examples
	$(PYTHON) -m sphinx -q -W --keep-going -b html docs build/docs
	$(PYTHON) -m sphinx -q -W --keep-going -b doctest docs build/doctest

test: system-test lint types docs ## run what CI runs: all checks and the tests that are not slow
	$(PYTHON) -m pytest -q -n 2 $(NO_SKIPS) -m 'not slow'

test-all: system-test lint types docs ## run all checks and tests, the slow ones too
	$(PYTHON) -m pytest -q -n 2 $(NO_SKIPS)

demo: system-flow setup ## run the whole flow on the bundled MRI, up to build/demo/report.html
	$(IMPLICORE) demo -o $(DEMO)

bench: system-test setup ## measure time, memory, throughput, utilization, sine units (half an hour)
	$(PYTHON) bench/performance.py -o $(BENCH) --write docs/performance.md
	$(PYTHON) bench/golden.py
	$(PYTHON) bench/utilization.py
	$(PYTHON) bench/simulators.py
	$(PYTHON) bench/sincos.py --target $(TARGET)
	$(PYTHON) bench/energy.py $(BENCH)/demo/point.inr --target $(TARGET)
	$(PYTHON) bench/entropy.py $(BENCH)/demo/point.inr

bench-all: bench ## also measure quality, codecs, predictions (hours)
	$(PYTHON) bench/fit.py
	$(PYTHON) bench/patches.py --synth $(TARGET)
	$(PYTHON) bench/irem.py
	$(PYTHON) bench/rate_distortion.py
	$(PYTHON) bench/losses.py $(BENCH)/demo/point.model
	$(PYTHON) bench/predict.py $(BENCH)/demo/point.model --target $(TARGET)
	$(PYTHON) bench/campaign.py
	$(PYTHON) bench/faults.py --write docs/reliability.md
	$(PYTHON) bench/soak.py --config point
	$(PYTHON) bench/soak.py --config patch
	$(PYTHON) bench/mutants.py

coverage: system-test setup ## measure coverage of the Verilog by the test sessions (minutes)
	$(PYTHON) bench/verilog_coverage.py --write docs/coverage.md

formal: system-test setup ## prove hardware properties, and check that each proof can fail (minutes)
	PYTHONPATH=tests $(PYTHON) -m formal -o build/formal

signoff: system-test setup ## check all signed-off configurations in every way (an hour)
	$(PYTHON) bench/signoff.py --target $(TARGET) --write docs/signoff.md

clean: ## remove everything built except .venv
	rm -rf build dist .pytest_cache .ruff_cache *.egg-info
	find $(SOURCES) -name __pycache__ -prune -exec rm -rf {} +
