# Every target sets itself up: a virtual environment in .venv, the dependencies, the generated code.
# Needs Python 3.11 or newer and nothing else; choose another interpreter with `make PYTHON=python3.12 ...`.
# The tests also want a Python 3.13, for a server of theirs that stands in for BigQuery. Without one the tests against it
# are skipped, or fail when REQUIRE_BIGQUERY_SERVER is set.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
GENERATED := convergence/v1/__init__.py
PROTOS := $(wildcard protos/convergence/v1/*.proto)
BIGQUERY := .venv-bigquery
# Each core has something to do while some tests wait. Most start services, which are not to be compiled each time anew.
TESTERS = $$(( $$(nproc 2>/dev/null || echo 1) + 1 ))
TESTED := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest

.PHONY: help setup proto run demo test chaos bench screenshots lint format clean

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(INSTALLED) $(GENERATED) ## make the virtual environment, install everything, generate code

$(INSTALLED): pyproject.toml hatch_build.py
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; none was found on the PATH"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing dependencies into $(VENV) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[server,console,tracing,dev]'
	@touch $@

proto: $(GENERATED) ## generate convergence/v1 from protos/

$(GENERATED): $(PROTOS) hatch_build.py | $(INSTALLED)
	@$(BIN)/python hatch_build.py
	@touch $@

run: setup ## run the server with its worker, and the console; stores in var/
	@CONVERGENCE_LOG_FORMAT=$${CONVERGENCE_LOG_FORMAT:-text} exec $(BIN)/python -m admin_ui.beside_service

demo: setup ## onboard a tenant, load a day of costs, show the rows; in a temporary folder
	@$(BIN)/python examples/demo.py

bench: setup $(BIGQUERY)/.installed ## measure everything beside what this machine can do; forty minutes
	@$(BIN)/python -m benchmarks --json benchmarks/results.json

$(BIGQUERY)/.installed: tests/bigquery/install.py tests/bigquery/requirements.txt | $(INSTALLED)
	@$(BIN)/python tests/bigquery/install.py || test -z "$$REQUIRE_BIGQUERY_SERVER"

# The tests of the console want a browser. A machine of root's gets one; elsewhere they are skipped without, or fail when
# REQUIRE_BROWSER is set.
BROWSER = { command -v chromium || command -v chromium-browser || command -v google-chrome; }

$(VENV)/.browser: | $(INSTALLED)
	@$(BROWSER) >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
		&& echo "Installing the tests' browser ..." && apt-get update -qq \
		&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; } \
		|| test -z "$$REQUIRE_BROWSER"
	@touch $@

test: setup $(BIGQUERY)/.installed $(VENV)/.browser ## run the tests, several files at a time
	@$(TESTED) -n $(TESTERS) --dist loadfile --no-loadscope-reorder

# No case takes longer than two minutes, and all of them no longer than three quarters of an hour; then the warehouses'
# writers are killed for a quarter of an hour.
chaos: setup $(BIGQUERY)/.installed $(VENV)/.browser ## crash, stall and starve the service at every point of a run; an hour at most
	@$(TESTED) -m "" --timeout 120 --session-timeout 2700 tests/chaos
	@$(TESTED) -m long tests/e2e tests/unit tests/files tests/console
	@CRASH_ROUNDS=200 $(TESTED) tests/warehouse/test_crashes.py

screenshots: setup $(VENV)/.browser ## take the pictures of the console for docs/pictures
	@$(BIN)/python -m tests.console.screenshots

lint: setup ## format check, lint, strict types, lint of the protos
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python hatch_build.py --lint

format: setup ## format the code and mend what can be mended
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean: ## remove everything that was made, but not var/
	@rm -rf $(VENV) $(BIGQUERY) convergence/v1 build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
