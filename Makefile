# What a contributor types. Everything happens in .venv, made on first use.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install demo test lint chaos lock clean
.DEFAULT_GOAL := test

install: $(VENV)/installed

$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	mkdir -p build/typecheck
	ln -sfn ../../kcibot build/typecheck/kcibot
	ln -sfn ../../commands build/typecheck/kcibot_commands
	cd build/typecheck && ../../$(BIN)/mypy --strict --config-file ../../pyproject.toml -p kcibot -p kcibot_commands

test: install lint
	$(BIN)/pytest

clean:
	rm -rf $(VENV) build demo
