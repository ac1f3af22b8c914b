# Sluice. `make` alone lists the targets; CI runs the same ones. Everything installs into .venv: no root, nothing global.
PYTHON ?= python3.13
VENV   := .venv
BIN    := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

# Node packages with a lock file, installed where they are used.
CLIENTS := tests/clients/node
AGENTS  := tests/agents

.DEFAULT_GOAL := help
.PHONY: help setup setup-test setup-watch skipped run demo check test test-faults test-agents bench quality fuzz generate lint-deploy man lock clean

help: ## list the targets
	@awk 'BEGIN{FS=":.*## "} /^[a-z-]+:.*## /{printf "  \033[1m%-12s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## install the appliance into .venv (pinned, hash-checked)

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "Sluice needs Python 3.13, and $(PYTHON) was not found: install it, or name one, as in: make PYTHON=/path/to/python3.13 run"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python deploy/requirements.txt pyproject.toml
	@echo "installing the appliance (about 300 MB to download, most of it the embedded ClickHouse engine) ..."
	$(BIN)/python -m pip install --require-hashes --no-deps -r deploy/requirements.txt
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .
	@touch $@

setup-test: $(VENV)/.installed-test $(CLIENTS)/node_modules/.package-lock.json ## install what the tests need as well

$(VENV)/.installed-test: $(VENV)/.installed tests/requirements.txt
	@echo "installing the test tools ..."
	$(BIN)/python -m pip install --require-hashes --no-deps -r tests/requirements.txt
	@touch $@

%/node_modules/.package-lock.json: %/package.json %/package-lock.json
	@command -v npm >/dev/null || { echo "the tests with real Node clients need Node 20 and npm, and npm was not found"; exit 2; }
	@echo "installing the Node packages of $* ..."
	npm ci --no-audit --no-fund --prefix $*
	@touch $@

setup-watch: ## Debian's Prometheus, promtool, Alertmanager and amtool, for the tests of what watches (needs root)
	@command -v promtool >/dev/null && command -v amtool >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus prometheus-alertmanager; \
	else echo "setup-watch: neither root nor apt-get: nothing was installed"; fi; \
	$(MAKE) -s skipped; command -v promtool >/dev/null && command -v amtool >/dev/null

skipped: ## say which tests are skipped here, for want of which program
	@for each in "promtool:tests/monitoring (alert rules, with unit tests)" "amtool:tests/monitoring (Alertmanager's routing)" \
	  "prometheus:tests/monitoring/test_watched.py (an alert that really fires, every panel)" \
	  "haproxy:tests/deploy/test_haproxy.py, one of tests/addons/test_proxyline.py" "nft:tests/onboarding/test_firewall.py" \
	  "systemd-analyze:tests/deploy/test_service.py (two)" "strace:tests/faults, tests/ledger/test_crash.py (some)" \
	  "setpriv:tests/supervisor/test_accounts.py" "certutil:the onboarding step for Chromium" "firefox-esr:that for Firefox" "javac:that for Java" \
	  "git:that for Git" "go:that for Go" "cargo:that for Rust" "bun:that for Bun"; do \
	  command -v "$${each%%:*}" >/dev/null || [ -x "/usr/sbin/$${each%%:*}" ] || echo "SKIPPED without $${each%%:*}: $${each#*:}"; \
	done
	@[ "$$(id -u)" = 0 ] || echo "SKIPPED without root: tests/supervisor/test_accounts.py, the router of tests/onboarding/test_firewall.py"

run: setup ## run the appliance: proxy on 127.0.0.1:8080, admin on 127.0.0.1:8081
	$(BIN)/sluice-proxy

demo: setup-test ## see it work without a provider account: real SDKs, then a day at a company, every number checked
	$(BIN)/python -m tests.demo

check: setup-test ## lint, format, types, walls, detector packs
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/sluice packs check

test: setup-test ## run the tests, two processes at a time (ARGS="tests/ledger -x" for some, one at a time)
	$(BIN)/python -m pytest $(or $(ARGS),-n 2 --dist loadfile --no-loadscope-reorder tests --ignore=tests/agents --ignore=tests/bench)

test-faults: setup-test ## the fault tests in full: every kill, error and delay, up to an hour
	SLUICE_FAULTS=full $(BIN)/python -m pytest tests/faults tests/seal/test_sealer_crashes.py

test-agents: setup-test $(AGENTS)/node_modules/.package-lock.json ## coding agents through the gate (downloads hundreds of MB)
	$(BIN)/python -m pytest tests/agents

bench: setup-test ## measure against mitmdump, side by side, and print the ratios
	@for each in tests/bench/bench_*.py; do $(BIN)/python -m tests.bench.$$(basename $$each .py) || exit 1; done

quality: setup-test ## measure detection on generated text, beside two other scanners; writes signatures/README.md
	$(BIN)/python -m tests.quality --peers

fuzz: setup-test ## mutated text against detection (SECONDS=600)
	$(BIN)/python -m tests.quality.fuzz --seconds $(or $(SECONDS),60)

lint-deploy: setup-test ## check what is deployed: compose, Kubernetes, Containerfile, units, HAProxy, rules, events
	$(PYTHON) -m venv .venv-lint
	.venv-lint/bin/python -m pip install -q --require-hashes --no-deps -r deploy/lint-requirements.txt
	PYTHON=$(BIN)/python deploy/lint.sh

man: setup ## write the manual pages below build/man (man -M build/man sluice)
	$(BIN)/sluice manual --out build/man

generate: setup-test ## write what is made from code: the page of metrics, the dashboards
	$(BIN)/python deploy/prometheus/metrics_page.py
	$(BIN)/python deploy/grafana/generate.py

lock: ## compile the hash-checked requirement files from pyproject.toml (needs the test tools)
	$(BIN)/uv pip compile -q --python-version 3.13 --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  pyproject.toml deploy/build-requirements.in -o deploy/requirements.txt
	$(BIN)/uv pip compile -q --python-version 3.13 --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  --extra test -c deploy/requirements.txt pyproject.toml deploy/build-requirements.in -o tests/requirements.txt
	$(BIN)/uv pip compile -q --python-version 3.13 --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  tests/quality/requirements.in -o tests/quality/requirements.txt
	$(BIN)/uv pip compile -q --python-version 3.13 --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  deploy/lint-requirements.in -o deploy/lint-requirements.txt

clean: ## remove the environment, node packages and caches; never var/
	rm -rf $(VENV) .venv-lint $(CLIENTS)/node_modules $(AGENTS)/node_modules .mypy_cache .ruff_cache .hypothesis
