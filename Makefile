# Sluice. `make` alone lists the targets. Everything installs into .venv; no root, nothing global.
PYTHON ?= python3.13
VENV   := .venv
BIN    := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help setup setup-test run test check demo bench test-agents lock clean

help: ## list the targets
	@awk 'BEGIN{FS=":.*## "} /^[a-z-]+:.*## /{printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## install the appliance into .venv (pinned, hash-checked)

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "Sluice needs Python 3.13: $(PYTHON) not found. Install it, or name one: make PYTHON=/path/to/python3.13 ..."; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python deploy/requirements.txt pyproject.toml
	@echo "installing the appliance (about 300 MB to download, most of it the embedded ClickHouse engine) ..."
	$(BIN)/python -m pip install --require-hashes --no-deps -r deploy/requirements.txt
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .
	@touch $@

setup-test: $(VENV)/.installed-test ## install what the tests need as well

$(VENV)/.installed-test: $(VENV)/.installed tests/requirements.txt
	@echo "installing the test tools ..."
	$(BIN)/python -m pip install --require-hashes --no-deps -r tests/requirements.txt
	@touch $@

run: setup ## run the appliance: proxy on 127.0.0.1:8080, admin on 127.0.0.1:8081
	$(BIN)/sluice-proxy

lock: ## compile the hash-checked requirement files from pyproject.toml (needs the test tools)
	$(BIN)/uv pip compile -q --python-version 3.13 --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  pyproject.toml deploy/build-requirements.in -o deploy/requirements.txt
	$(BIN)/uv pip compile -q --python-version 3.13 --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  --extra test -c deploy/requirements.txt pyproject.toml deploy/build-requirements.in -o tests/requirements.txt

clean: ## remove the environment and the caches, never var/
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis
