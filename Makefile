# `make` shows what there is. Needs Python 3.11 or newer and nothing else.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
PEERS := .venv/peers/ready
PIP := -m pip --quiet --disable-pip-version-check install
INSTALL := $(BIN)/python $(PIP)
PACKAGES := schemas policies tables channels agents streams sandbox proof scripts tests benchmarks
ARGS ?=

.PHONY: help setup demo test simulate prove bench bench-peers check format lock clean

help: ## Show this
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' Makefile | expand -t 20

setup: $(READY) ## Virtual environment with the pinned packages

$(READY): requirements/development.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "make: Python 3.11 or newer is needed; name one: make PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing the pinned packages into .venv (a minute, once)"
	@$(INSTALL) --no-compile --require-hashes --requirement requirements/development.txt
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $(READY)

$(PEERS): requirements/peers.txt $(READY)
	@test -x .venv/peers/bin/python || $(BIN)/python -m venv .venv/peers
	@.venv/peers/bin/python $(PIP) --require-hashes --requirement requirements/peers.txt
	@touch $(PEERS)

demo: setup ## Watch notifications go from Kafka to messages; ARGS=--once ends by itself
	@$(BIN)/postrider demo $(ARGS)

test: setup ## All tests, on a real Kafka; ARGS=tests/unit for some
	@$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS)

simulate: setup ## Play SEEDS=1000 stories with faults on all cores; SEED=17 tells one
	@$(BIN)/python -m tests.simulation $(if $(SEED),$(SEED),--seeds $(or $(SEEDS),1000)) $(ARGS)

prove: setup ## Strike real workers for hours, check every promise, plant mutants; write docs/proof.md
	@$(BIN)/postrider prove --report docs/proof.md $(or $(ARGS),--everything)

bench: setup ## Measure on two quiet cores, just under 90 minutes: benchmarks/README.md; ARGS=--quick to try
	@$(BIN)/python -m benchmarks.whole $(ARGS)

bench-peers: setup $(PEERS) ## The same broadcast through what others would use, half an hour: benchmarks/peers/README.md
	@$(BIN)/python -m benchmarks.peers $(ARGS)

check: setup ## Style, types, layers
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy $(PACKAGES)
	@$(BIN)/lint-imports --no-cache --no-logo

format: setup ## Let ruff arrange the code
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

lock: setup ## Pin every package anew, after pyproject.toml changed
	@lock() { $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header "$$@"; }; \
	lock pyproject.toml --output-file requirements/runtime.txt; \
	lock pyproject.toml --extra development --output-file requirements/development.txt; \
	lock requirements/peers.in --output-file requirements/peers.txt

clean: ## Forget the virtual environment and what runs left behind
	@rm -rf .venv .postrider .postrider-proof .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
