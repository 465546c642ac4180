# make run    install what is missing, then train, score and report on MNIST
# make test   install what is missing, then lint and test
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help run test lint coverage results install tensorboard viz bench torture clean

help:  ## show the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

$(STAMP): requirements.txt pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $(STAMP)

install: $(STAMP)  ## make .venv with the pinned requirements and the package

run: $(STAMP)  ## train, score and report on MNIST (kedro run)
	$(BIN)/kedro run

lint: $(STAMP)  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint  ## lint, then the whole test suite, in two processes of one thread each
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

coverage: $(STAMP)  ## the test suite, and how much of src it runs
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered

results: $(STAMP)  ## docs/results.md from the benchmark's newest tables, digits and clothing
	$(BIN)/python -m benchmarks.table

tensorboard: $(STAMP)  ## curves and graphs of every run in the browser
	$(BIN)/tensorboard --logdir data/08_reporting/tensorboard

viz: $(STAMP)  ## the pipeline in the browser (kedro viz)
	$(BIN)/kedro viz run

bench: $(STAMP)  ## measure speed, memory, start-up; writes docs/performance.md (BENCH=--quick to try, BENCH=--million for more, BENCH='--device cuda' on a GPU)
	$(BIN)/python -m benchmarks $(BENCH)

torture: $(STAMP)  ## the crash tests at full length
	$(BIN)/python -m tests.torture.kills --kills 200
	$(BIN)/python -m tests.torture.resumes --kills 10
	! $(BIN)/python -m tests.torture.kills --kills 40 --stock  # fails on Kedro's own, so it can fail

clean:  ## remove .venv and what the tools left; data stay
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis .coverage .coverage.* htmlcov
