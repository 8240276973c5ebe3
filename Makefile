# Needs Python 3.11 or newer and nothing else. Another interpreter: make PYTHON=python3.12 demo
PYTHON ?= python3
BIN := .venv/bin
# A plain path entry: with the finder that pip writes otherwise, a script beside the checkout sees its folder, not seqreg.
INSTALL := pip install --quiet -c constraints.txt --config-settings editable_mode=compat
# One thread per test worker: two workers fill two cores, and small matrices gain nothing from more threads.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
PYTEST := $(ONE_THREAD) $(BIN)/python -m pytest -n 2

.DELETE_ON_ERROR:
PARTS := documentation workflow cluster interoperability properties

.PHONY: demo workflow test coverage test-all test-oldest $(PARTS:%=test-all-%) check format bench docs clean

## Train on primate splice junctions, attack the network, and write a report (its path is the last line)
demo: .venv/installed
	$(BIN)/seqreg train splice -o runs/demo --overwrite --seed 0
	$(BIN)/seqreg robustness runs/demo splice --part test --max-substitutions 3 --sample 100
	@echo runs/demo/report.html

## Snakemake with its SLURM plugin in .venv, for the Snakefile
workflow: .venv/installed-workflow

## Every check and test
test: check
	$(PYTEST)

## The same tests, and the lines and branches that none of them executes: half as long again
coverage: .venv/installed-test
	$(PYTEST) --cov

## Also what takes too long for every day, part by part: each in at most 90 minutes, and each a target of its own
test-all: test $(PARTS:%=test-all-%)

## The pages as they are published, and the notebooks
test-all-documentation: docs .venv/installed-test
	$(PYTEST) tests/test_documentation.py -m slow

## The workflow's test configuration, from sequences to its report
test-all-workflow: .venv/installed-test
	$(PYTEST) tests/test_workflow.py -m slow

## SLURM, where this machine can start one
test-all-cluster: .venv/installed-test
	$(PYTEST) -m cluster

## Penalties in other people's training loops
test-all-interoperability: .venv/installed-interoperability
	$(PYTEST) tests/test_interoperability.py -m slow
	$(PYTEST) tests/test_embedding.py tests/test_vectors.py

## Laws over many networks, strengths and data, and all other long tests
test-all-properties: .venv/installed-test
	$(PYTEST) -m slow --ignore=tests/test_documentation.py --ignore=tests/test_workflow.py \
		--ignore=tests/test_interoperability.py

## The lowest versions that pyproject.toml declares, in an environment of their own; what these warn of is theirs, and
## that scikit-learn's checks come with equal names. TESTS="tests/test_cli.py" runs a part
OLDEST := build/oldest
test-oldest:
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet uv
	$(OLDEST)/bin/uv pip install --quiet --python $(OLDEST)/bin/python --resolution lowest-direct \
		-r pyproject.toml --extra test --extra workflow
	$(ONE_THREAD) $(OLDEST)/bin/python -m pytest -n 2 -o filterwarnings=default -o strict_parametrization_ids=false $(TESTS)

## Puts faults into a copy of the code and looks whether the tests notice, for MUTANTS="--sample 200 --seed 0"
test-mutants: .venv/installed-mutants
	$(BIN)/python -m tests.mutants $(MUTANTS)

check: .venv/installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/snakefmt --check Snakefile workflows
	$(BIN)/lint-imports
	$(BIN)/basedpyright --pythonpath $(BIN)/python

## Put the code in its house style
format: .venv/installed-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/snakefmt Snakefile workflows

## Measure every claim again
bench: .venv/installed-test
	set -e; for script in benchmarks/*.py; do $(ONE_THREAD) $(BIN)/python "$$script"; done

## The documentation as a folder of pages: open site/index.html
docs: .venv/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

clean:
	rm -rf .venv site build dist htmlcov .coverage .pytest_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info

.venv/installed: pyproject.toml setup.py constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "seqreg needs Python 3.11 or newer, this is " + sys.version.split()[0] + ". Say which one: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m $(INSTALL) -e .
	@touch $@

.venv/installed-workflow: .venv/installed
	$(BIN)/python -m $(INSTALL) -e '.[workflow]'
	@touch $@

.venv/installed-test: .venv/installed
	$(BIN)/python -m $(INSTALL) -e '.[test,workflow]'
	@touch $@

.venv/installed-mutants: .venv/installed-test
	$(BIN)/python -m $(INSTALL) -e '.[mutants,parquet]'
	@touch $@

.venv/installed-interoperability: .venv/installed-test
	$(BIN)/python -m $(INSTALL) -e '.[interoperability,embed,parquet]'
	@touch $@

.venv/installed-docs: .venv/installed
	$(BIN)/python -m $(INSTALL) -e '.[docs]'
	@touch $@
