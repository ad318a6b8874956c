# Commands of Waybill. They need Python 3.11, make and pip and install the rest into .venv.

PY := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help install install-dev run demo test test-full bench lint clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  Variables: PORT (8000)  SANDBOX_PORT (8010)  RECEIVER_PORT (8020)  BIND_HOST (127.0.0.1)"
	@echo "             TEST_ARGS (for pytest)  TEST_WORKERS (processors + 1)  PYTHON (the Python that creates .venv)"

install: ## create or update .venv from requirements.txt
	@sh deploy/install.sh requirements.txt

install-dev: ## the same with the requirements of tests and linters
	@sh deploy/install.sh requirements-dev.txt

run: install ## run Waybill, its worker and the carrier sandbox with demo data; Ctrl-C stops all
	@exec $(PY) -m deploy.run

demo: install ## run the main use case over HTTP against a running "make run"; CARRIER=ups or bring
	@PORT=$${PORT:-8000} SANDBOX_PORT=$${SANDBOX_PORT:-8010} RECEIVER_PORT=$${RECEIVER_PORT:-8020} exec $(PY) -m deploy.demo $(CARRIER)

test: install-dev ## run linters and all tests on SQLite and on a private PostgreSQL and Redis
	@exec $(PY) -m deploy.checks

test-full: install-dev ## the same with full counts
	@WAYBILL_TEST_FULL=1 exec $(PY) -m deploy.checks

bench: install-dev ## measure the hot paths as ratios to the limits of database and framework
	@exec $(PY) bench/run.py

lint: install-dev ## run ruff (rules and format) and the import contracts
	@exec $(PY) -m deploy.checks lint

clean: ## remove .venv, caches and collected static files; data in var/ stays
	rm -rf .venv staticfiles .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
