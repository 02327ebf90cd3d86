# What a contributor types. Everything happens in .venv, made on first use.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
AUTO ?=
CHAT ?=
SEED ?= 1
CASES ?=
YAML ?= $(wildcard ../shared/data/kernelci/seed-era)

.PHONY: install demo test lint chaos verdicts lock image clean
.DEFAULT_GOAL := test

install: $(VENV)/installed

$(VENV)/installed: requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

# KernelCI in miniature and a chat room in the terminal; AUTO=1 plays a whole release and checks it; CHAT=irc has the
# room on a local InspIRCd too; with AUTO=1 also CHAT=slack, on a stand-in, or CHAT="irc slack".
demo: install
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/kcibot demo $(if $(AUTO),--auto --folder demo/auto) $(addprefix --chat ,$(CHAT)) $(if $(YAML),--yaml $(YAML))

# In the order of the folders: the longest tests, those in tests/chaos, are begun first and not waited for at the end.
test: install lint
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	mkdir -p build/typecheck
	ln -sfn ../../kcibot build/typecheck/kcibot
	ln -sfn ../../commands build/typecheck/kcibot_commands
	cd build/typecheck && ../../$(BIN)/mypy --strict --config-file ../../pyproject.toml -p kcibot -p kcibot_commands

# Kills releases everywhere, for several minutes; `make test` runs a part of it.
chaos: install
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.chaos --scenario release --points 60 --chain 20 --seed $(SEED)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.chaos --scenario small --points 0 --chain 25 --seed $(SEED)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.chaos --scenario rootfs --points 60 --chain 20 --seed $(SEED)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.chaos --scenario rollback --points 40 --chain 20 --seed $(SEED)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.chaos --scenario pipecleaner --points 40 --chain 20 --seed $(SEED)

# Plays every case of the pipe cleaner's verdict with 220 kernels in ten labs; `make test` does with fewer kernels.
verdicts: install
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.verdicts $(CASES)

# Writes both lock files anew from pyproject.toml; they name no package index.
COMPILE := $(BIN)/pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-emit-trusted-host --strip-extras --allow-unsafe --no-header --no-annotate
lock: install
	$(BIN)/pip install --quiet pip-tools
	$(COMPILE) --extra pictures --output-file requirements.lock pyproject.toml
	$(COMPILE) --constraint requirements.lock --extra pictures --extra sandbox --extra test \
		--output-file requirements-dev.lock pyproject.toml

image:
	docker build --tag kcibot .

clean:
	rm -rf $(VENV) build demo
