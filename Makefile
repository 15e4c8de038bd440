# Sextant: `make demo` shows everything, `make test` runs every test; `make help` lists the rest.
SHELL := /bin/bash
PYTHON ?= python3
SOURCE ?= auto
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help setup demo up status down test unit statistics integration e2e fuzz lint format lock bench chaos reports clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv from requirements.lock

$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Sextant needs Python 3.11 or later")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > .venv/uv.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.lock
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	@touch $@

demo: $(READY) ## prepare, start, replay traffic, detect the drift (SOURCE=auto|tlc|synthetic|DIR, DEMO_ONCE=1)
	@$(BIN)/python -m sextant.local demo --source "$(SOURCE)" $(if $(DEMO_ONCE),--once)

up: $(READY) ## start all services in the background
	@$(BIN)/python -m sextant.local up --source "$(SOURCE)"

status: $(READY) ## show what runs and what responds
	@$(BIN)/python -m sextant.local status

down: $(READY) ## stop it
	@$(BIN)/python -m sextant.local down

# A file of tests stays in one process, which shares what is costly to start; the long ones come first. The tests of
# services wait for them most of the time, hence more processes than cores. Bytecode is kept: they start many times.
TESTS := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --dist loadfile --no-loadscope-reorder
test: $(READY) ## all tests, in parallel
	@$(TESTS) --numprocesses $$(( 2 * $$(getconf _NPROCESSORS_ONLN) ))

integration e2e: $(READY)
	@$(TESTS) --numprocesses $$(( 2 * $$(getconf _NPROCESSORS_ONLN) )) tests/$@

unit statistics: $(READY) ## the tests of one folder; also integration, e2e
	@$(TESTS) --numprocesses auto tests/$@

FUZZ_REQUESTS ?= 20000
fuzz: $(READY) ## ask the services all that a client could send (FUZZ_REQUESTS, SEED)
	@FUZZ_REQUESTS=$(FUZZ_REQUESTS) SEED=$(SEED) $(BIN)/python -m tests.fuzz

lint: $(READY) ## ruff, mypy, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(READY) ## let ruff format the code
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

# No --upgrade: pinned versions stay until someone removes their lines from requirements.lock.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header pyproject.toml
lock: $(READY) ## compile requirements.lock and the set of each service
	@$(LOCK) --all-extras -o requirements.lock
	@$(LOCK) --extra prediction -c requirements.lock -o prediction_service/requirements.lock
	@$(LOCK) --extra monitoring -c requirements.lock -o monitoring_service/requirements.lock
	@$(LOCK) --extra batch -c requirements.lock -o batch_flows/requirements.lock
	@$(LOCK) --extra training -c requirements.lock -o sextant/training/requirements.lock

bench: $(READY) ## the serving benchmark (needs wrk and a trained model)
	@$(BIN)/python -m benchmarks.serving

CHAOS_SECONDS ?= 120
chaos: $(READY) ## faults at random under load, then the proof that nothing was lost (CHAOS_SECONDS, SEED)
	@$(BIN)/python -m chaos --seconds "$(CHAOS_SECONDS)" $(if $(SEED),--seed "$(SEED)")

DATA_DIR ?= data
REPORTS_PORT ?= 8080
reports: $(READY) ## serve the reports of DATA_DIR and their index on this machine (REPORTS_PORT; make up does too)
	@! (: < /dev/tcp/127.0.0.1/$(REPORTS_PORT)) 2> /dev/null || { \
		echo "something answers at http://127.0.0.1:$(REPORTS_PORT) already: make up, or set REPORTS_PORT" >&2; exit 1; }
	@DATA_DIR="$(DATA_DIR)" $(BIN)/python -m batch_flows.reports
	@DATA_DIR="$(DATA_DIR)" REPORTS_PORT=$(REPORTS_PORT) BIND_HOST=127.0.0.1 $(BIN)/python -m batch_flows.reports.server

clean: ## remove what the tools leave behind (not data/)
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
