# Sekisho: `make` lists the words. Each does its own set-up; they need git, make and python3 with venv.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help env demo test test-3.13 faults soak test-quick check pictures year mutants bench lock clean

BIN := .venv/bin

help: ## print this list
	@grep -hE '^[a-z0-9.-]+:.*## ' Makefile | sed -E 's/^([a-z0-9.-]+):.*## /\1\t/' | expand -t 14

env: ## make .venv with everything for building and checking (no system package)
	@requirements/make-env .venv dev

demo: ## a simulated building, both processes and one page to open; Ctrl-C leaves nothing behind
	@requirements/make-env .venv demo
	@exec $(BIN)/sekisho demo

test: ## install what tests need (Mosquitto, rsyslog, libnfc, Chromium, gcc) and run everything
	@tests/needs
	@requirements/make-env .venv dev
	@requirements/make-env .venv peers
	@requirements/make-env .venv-3.13 dev 3.13
	@tests/run

test-quick: ## the part of the tests without real processes and long waits; installs no system package
	@requirements/make-env .venv dev
	@$(BIN)/python -m pytest -q -m 'not slow and not system'

test-3.13: ## the quick part of the tests on Python 3.13, where that is found
	@requirements/make-env .venv-3.13 dev 3.13
	@requirements/make-env .venv-3.13 peers 3.13
	@.venv-3.13/bin/python -m pytest -q -m 'not slow and not system' -p no:cacheprovider

faults: ## kills, power cuts, rotten bits, cut-off logs, stepping clocks, full disks: thousands, each with its seed
	@tests/needs
	@requirements/make-env .venv dev
	@requirements/make-env .venv peers
	@$(BIN)/python -m tests.faults
	@SEKISHO_TEST_ALL=1 SEKISHO_SOAK=1 $(BIN)/python -m pytest -m system tests/system/test_killed.py tests/system/test_disk.py

soak: ## more crashes, longer stalls, every flipped byte, more examples than `make test` has time for (half an hour)
	@tests/needs
	@requirements/make-env .venv dev
	@requirements/make-env .venv peers
	@SEKISHO_TEST_ALL=1 SEKISHO_SOAK=1 $(BIN)/python -m pytest -m system tests/system/test_{killed,disk,broken_lines}.py
	@SEKISHO_TEST_ALL=1 SEKISHO_SOAK=1 $(BIN)/python -m pytest --timeout 1800 $$(grep -rl 'tests.share' tests --include='test_*.py')

check: ## format, lint, types, imports and the rules of the house
	@requirements/make-env .venv dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -q tests/house

pictures: ## take the pictures of docs/pictures anew, from the officers' stories in a browser
	@tests/needs
	@requirements/make-env .venv dev
	@SEKISHO_TEST_ALL=1 SEKISHO_PICTURES=docs/pictures $(BIN)/python -m pytest -q tests/system/test_stories.py

year: ## a virtual year of a small company, every decision replayed and every promise checked after each event
	@requirements/make-env .venv dev
	@$(BIN)/python -m tests.year

mutants: ## put a thousand small mistakes into the decision and see that the tests find them (ten minutes)
	@requirements/make-env .venv dev
	@$(BIN)/mutmut run --max-children 1
	@$(BIN)/mutmut results

bench: ## figures against floors taken in the same run; also in build/bench.json
	@requirements/make-env .venv dev
	@requirements/make-env .venv peers || echo 'libosdp and other peers could not be installed: what is measured beside them is NOT RUN'
	@$(BIN)/python -m bench

lock: ## renew requirements/*.lock from pyproject.toml
	@requirements/make-env .venv dev
	@requirements/renew $(BIN)/uv

clean: ## remove what these commands made (not the locks)
	rm -rf .venv .venv-3.13 mutants build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
