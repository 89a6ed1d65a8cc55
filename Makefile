# Every target sets up what it needs. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# The newest supported Python that really runs: a version manager's shim may exist and answer "not found".
PYTHON ?= $(shell for v in 3.13 3.12 3.11; do \
	for p in python$$v $$(ls -d $$HOME/.pyenv/versions/$$v.*/bin/python$$v 2>/dev/null | sort -rV); do \
		if $$p -c 'import venv, ensurepip' >/dev/null 2>&1; then echo $$p; exit; fi; done; done; echo python3)
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
AZURITE := infra/local/node_modules/.package-lock.json
KUSTO := infra/check/node_modules/.package-lock.json
# checkov has many dependencies, and is none of ours: it lives apart.
TOOLS := .venv-infra
TOOLS_READY := $(TOOLS)/.ready

.PHONY: help install start demo test lint infra-check check contract reference simulate bench package publish smoke lock python clean
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

install: $(READY) $(AZURITE) ## set up .venv and Azurite

$(READY): requirements.txt requirements-dev.txt
	@echo "setting up $(VENV) with $$($(PYTHON) --version)"
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-dev.txt
	@touch $@

$(AZURITE): infra/local/package-lock.json
	@echo "setting up Azurite"
	@npm ci --prefix infra/local --silent --no-audit --no-fund
	@touch $@

$(KUSTO): infra/check/package-lock.json
	@echo "setting up the checker of queries"
	@npm ci --prefix infra/check --silent --no-audit --no-fund
	@touch $@

$(TOOLS_READY): requirements-infra.txt
	@echo "setting up $(TOOLS)"
	@test -x $(TOOLS)/bin/pip || $(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-infra.txt
	@touch $@

start: install ## run the whole cloud on this machine: Azurite, the sandboxes, the app (HOST=func: Core Tools; HOSTS=2: two processes)
	@$(BIN)/python -m infra.local $(if $(HOST),--host $(HOST)) $(if $(HOSTS),--hosts $(HOSTS))

demo: install ## export 100,000 people to SendGrid and Brevo sandboxes and compare person by person
	@$(BIN)/python -m infra.local.demo

test: install $(KUSTO) $(TOOLS_READY) ## every test
	@$(BIN)/python -m pytest -q -n auto tests/unit
	@$(BIN)/python -m pytest tests/simulation tests/conformance tests/integration

lint: $(READY) ## format, lint and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

infra-check: $(READY) $(KUSTO) $(TOOLS_READY) ## infra/ against the code, policy and Azure's own words, without a subscription
	@$(BIN)/python -m infra.check --tools $(TOOLS)/bin

check: lint infra-check ## lint, types, infrastructure and unit tests, in a few minutes
	@$(BIN)/python -m pytest -q -n auto tests/unit

contract: install ## the OpenAPI document against the app, with every case that schemathesis can think of: half an hour
	@CONTRACT_PHASES=examples,coverage,fuzzing $(BIN)/python -m pytest tests/integration/test_contract.py -k administrator

reference: $(READY) ## write the tables of docs/api.md and docs/errors/ anew, from the code
	@$(BIN)/python -m infra.reference

simulate: $(READY) ## whole runs with every fault that may happen, one world a seed: SEEDS=1000; SEED=7 shows one
	@$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),1000)) $(if $(FIRST),--first $(FIRST))

bench: install ## speed and memory as ratios; writes .local/bench.json
	@$(BIN)/python -m tests.bench

package: $(READY) ## the app with its wheels as one zip that Azure need not build: .local/segment-exporter.zip
	@$(BIN)/python -m infra.package

publish: package ## put that zip into a function app as it is: APP=… GROUP=…
	@$(BIN)/python -m infra.publish --app $(APP) --group $(GROUP)

smoke: $(READY) ## can the app that was deployed work? URL=https://… APP=… GROUP=… KEY_OF=automation CONNECTION=…
	@$(BIN)/python -m infra.smoke --url $(URL) $(if $(APP),--app $(APP) --group $(GROUP)) \
		$(if $(KEY_OF),--key-of $(KEY_OF)) $(if $(KEY_ENV),--key-from-env $(KEY_ENV)) $(if $(TOKEN_ENV),--token-from-env $(TOKEN_ENV)) \
		$(foreach id,$(CONNECTION),--connection $(id))

lock: $(READY) ## pin every dependency anew
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-header pyproject.toml -o requirements.txt $(if $(UPGRADE),--upgrade)
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-header --constraint requirements.txt --group dev -o requirements-dev.txt $(if $(UPGRADE),--upgrade)
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-header --group infra -o requirements-infra.txt $(if $(UPGRADE),--upgrade)

python: ## print the Python that the other targets use
	@echo $(PYTHON)

clean: ## remove what the other targets made
	rm -rf .venv* .local infra/local/node_modules infra/check/node_modules
