# The default target lists the others. Everything runs in .venv, which is made on first use.

PYTHON ?= python3
BIN := .venv/bin
# A Python that has the peers of benchmarks/README.md too: make bench BENCH=peers/bin/python DATA=FOLDER
BENCH ?= $(BIN)/python
DATA ?= cifar10

.DEFAULT_GOAL := help
.PHONY: help run test check slow bench answers site docs clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 8

.venv/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("striate needs Python 3.11 or newer; say which: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	@echo "Installing Striate and its packages into .venv: takes minutes and, with torch's CUDA libraries (Linux), about 5 GB of disk."
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

.venv/installed-test: .venv/installed
	@echo "Installing the packages for tests and checks."
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@

run: .venv/installed ## install (minutes, 5 GB), then run the built-in study quickstart (a minute)
	$(BIN)/striate run quickstart

test: .venv/installed-test ## the default tests (minutes)
	$(BIN)/python -m pytest

check: .venv/installed-test ## format, lint, types, import contract
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyrefly check
	$(BIN)/lint-imports --no-logo

slow: .venv/installed-test ## the slow tests too, with new random examples
	$(BIN)/python -m pytest -m 'not gpu' --hypothesis-profile explore

bench: .venv/installed-test ## the benchmarks (see benchmarks/README.md; hours)
	$(BENCH) benchmarks/training_speed.py $(DATA)
	$(BENCH) benchmarks/study_throughput.py $(DATA)
	$(BENCH) benchmarks/engine_speed.py

answers: .venv/installed-test ## write docs/answers.md and its figures from docs/results
	$(BIN)/python docs/answers.py

.venv/installed-docs: .venv/installed
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	@touch $@

site: .venv/installed-docs ## build the documentation as a site: build/site/index.html
	$(BIN)/python docs/make_site.py
	$(BIN)/zensical build --strict -f mkdocs.yml

docs: .venv/installed-test ## regenerate the generated parts of docs/ (command line, study file)
	$(BIN)/python docs/generate.py

clean: ## remove the environment and caches; results in runs/ stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
