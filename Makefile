# The commands for a newcomer. Each works on a machine with Python 3.11 or newer, make and git.
PORT ?= 8000
PYTHON ?= python3
BIN := .venv/bin
# Tests with trials that `make soak` repeats more often.
LONG := $(addprefix tests/acceptance/test_,audit.py command_line.py durability.py estimators.py model_changes.py random_models.py revocation.py)

.PHONY: help install serve test soak lint bench load lock

help:            ## List the commands
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 12

install: .venv/runtime  ## Make .venv with the locked dependencies, hashes checked

serve: .venv/runtime  ## Start the quickstart on PORT (8000), with all its state in ./var
	@$(BIN)/adyton up --port $(PORT)

test: .venv/dev  ## Run every test that takes minutes at most
	$(BIN)/python -m pytest -m "not alone" --numprocesses logical --dist worksteal
	$(BIN)/python -m pytest -m alone

soak: .venv/dev  ## Run the long trials: hundreds of kills, ten minutes of load
	$(BIN)/python -m pytest --soak tests/soak $(LONG)

lint: .venv/dev  ## Check style, types and which room imports which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/dev  ## Measure Adyton beside a FastAPI echo and the app of a tutorial
	$(BIN)/python -m benchmarks.predictions

load: .venv/dev  ## Start a server, have everybody use and abuse it at once, and judge the run
	$(BIN)/python -m locustfiles.run

lock:            ## Resolve the dependencies again (needs uv)
	uv pip compile -q pyproject.toml --group build --universal --generate-hashes --no-header --no-annotate -p 3.11 -o requirements.lock
	uv pip compile -q pyproject.toml --group dev --universal --generate-hashes --no-header --no-annotate -p 3.11 -o requirements-dev.lock

.venv/runtime: requirements.lock pyproject.toml
	$(call make_venv,requirements.lock)
	@touch $@

.venv/dev: requirements-dev.lock pyproject.toml
	$(call make_venv,requirements-dev.lock)
	@touch $@ .venv/runtime

define make_venv
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
endef
