# Every target sets up what it needs; a fresh machine with Python 3.11+ is enough (`make prism` and `make docs` also want node 20).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
GENERATED := generated/llamadapro_api
export PATH := $(CURDIR)/$(BIN):$(PATH)
export REDOCLY_TELEMETRY := off
export REDOCLY_SUPPRESS_UPDATE_NOTICE := true

.PHONY: help setup demo test test-slow test-all lint types verifytypes document check-document generate check-generated prism redocly contract diff lowest faults tools soak rates pages downloads imports jobs writers schemathesis bench docs build package release-check audit coverage hooks clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

setup: $(READY) ## create .venv with everything that development needs

$(READY): pyproject.toml custom/llamadapro/_version.py
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 …")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev --editable ".[sandbox,aiohttp,contract]"
	touch $@

demo: $(READY) ## start the sandbox and run the quickstart against it (ARGS=--stay: leave it open)
	@$(BIN)/python examples/quickstart.py --sandbox $(ARGS)

test: $(READY) ## run the tests: first in two processes, then those that measure time
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not serial and not slow" $(ARGS)
	$(BIN)/python -m pytest -m "serial and not slow" $(or $(ARGS),tests/integration) || test $$? = 5  # none of those that ARGS chose

test-slow: $(READY) ## the tests that `make test` leaves out: further engines, long proofs
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "slow and not serial" $(ARGS)
	$(BIN)/python -m pytest -m "slow and serial" $(or $(ARGS),tests/integration) || test $$? = 5

test-all: $(READY) ## the unit, wire and sandbox tests on every Python from 3.11 that is found, in environments below build/
	$(BIN)/python -m tests.tools.every_python $(ARGS)

lint: $(READY) ## ruff, the import walls, dead code, dependencies, pyproject.toml and what GitHub reads
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/vulture
	$(BIN)/deptry custom generated
	$(BIN)/validate-pyproject pyproject.toml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))

hooks: $(READY) ## let git run the fast checks before each commit and push
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group hooks
	$(BIN)/pre-commit install

types: $(READY) verifytypes ## mypy --strict and pyright: the packages, the examples, and what users' checkers must say
	$(BIN)/mypy
	$(BIN)/mypy --strict examples/*.py examples/fastapi_app tests/typing
	$(BIN)/pyright --project pyproject.toml

verifytypes: $(READY) ## pyright --verifytypes: every public name is fully typed
	@mkdir -p build
	@for package in llamadapro llamadapro_api llamadapro_jobs llamadapro_sandbox llamadapro_contract; do \
		$(BIN)/pyright --pythonpath $(BIN)/python --verifytypes $$package --ignoreexternal > build/verifytypes.txt \
			|| { cat build/verifytypes.txt; exit 1; }; \
		echo "$$package: $$(grep '^Type completeness' build/verifytypes.txt)"; \
	done

generate: $(READY) ## write generated/ from openapi.yaml
	cd custom && ../$(BIN)/python -m generator ../openapi.yaml ../generator-config.yaml ../$(GENERATED)

document: $(READY) ## write openapi.yaml from the vendor's document and overlay.yaml, if the vendor has published one
	cd custom && ../$(BIN)/python -m generator.vendor

check-document: $(READY) ## fail when openapi.yaml is not what the vendor's document and overlay.yaml give
	cd custom && ../$(BIN)/python -m generator.vendor --check

check-generated: $(READY) ## fail when generated/ is not what openapi.yaml gives
	$(BIN)/python -m tests.contract.check_generated

redocly: ## lint the document (needs node)
	npx --yes @redocly/cli@2.77.0 lint --extends=recommended-strict openapi.yaml

prism: $(READY) ## call all operations against Prism, a mock server nobody here wrote (needs node)
	$(BIN)/python -m tests.contract.prism

contract: redocly check-document check-generated schemathesis prism ## document, generated code, sandbox and client against each other
	$(BIN)/python -m pytest tests/contract tests/integration/test_contract_probe.py --ignore tests/contract/test_schemathesis.py

diff: $(READY) ## patch, minor or major since BASE=<git ref>, and whether the version says so
	$(BIN)/python -m tests.contract.diff $(BASE) $(ARGS)

lowest: $(READY) ## unit, wire and fault tests on the lowest allowed runtime dependencies
	$(PYTHON) -m venv build/lowest
	$(BIN)/python tests/contract/lowest.py > build/lowest/requirements.txt
	build/lowest/bin/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	build/lowest/bin/python -m pip install --quiet --disable-pip-version-check -r build/lowest/requirements.txt -e ".[sandbox,aiohttp]"
	build/lowest/bin/python -m pytest -p no:cacheprovider -n 2 --dist worksteal -m "not serial and not slow" \
		tests/unit tests/integration/test_faults.py tests/integration/test_secrecy.py

faults: $(READY) ## print the fault matrix: what each broken answer costs, counted at the server
	$(BIN)/python -m tests.faults

tools: $(READY) ## tracers and mocks, each in an environment of its own: do they see every attempt, on every engine
	$(BIN)/python -m tests.tools.tools $(ARGS)

soak: $(READY) ## 2,000 sends among faults: nothing sent twice, nothing leaked
	$(BIN)/python -m tests.tools.soak

rates: $(READY) ## the rate limit as a server sees it: served in full, never exceeded, whoever gives up waiting
	$(BIN)/python -m tests.tools.rates

pages: $(READY) ## 100,000 contacts walked with flat memory; what prefetching gains
	$(BIN)/python -m tests.tools.pagination

downloads: $(READY) ## a 200 MB recording, interrupted and resumed
	$(BIN)/python -m tests.tools.download

imports: $(READY) ## 50,000 conversations imported among faults, killed midway and resumed
	$(BIN)/python -m tests.tools.import_many

jobs: $(READY) ## 8,000 messages by workers that are killed, on a PostgreSQL that crashes; the same on SQLite
	$(BIN)/python -m tests.tools.jobs_chaos

writers: $(READY) ## 100 concurrent writers on the sandbox, killed and restarted; and its throughput
	$(BIN)/python -m tests.tools.sandbox_writers
	$(BIN)/python -m tests.tools.sandbox_throughput

schemathesis: $(READY) ## thousands of generated requests to the sandbox: every answer as the document says
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "schemathesis==4.32.*"
	$(BIN)/python -m pytest -s tests/contract/test_schemathesis.py

bench: .venv-bench/.ready ## what calls, models, a start and a download cost, compared with other clients (ARGS=--quick: 2 minutes)
	.venv-bench/bin/python -m benchmarks.run $(ARGS)

.venv-bench/.ready: pyproject.toml benchmarks/requirements.txt
	test -x .venv-bench/bin/python || $(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --requirement benchmarks/requirements.txt --editable ".[aiohttp,sandbox]"
	touch $@

docs: $(READY) .venv-docs/.ready ## build the documentation site into build/docs, and check its links (needs node)
	@command -v npx >/dev/null || { echo "make docs needs npx, which comes with Node.js 20 or newer: https://nodejs.org" >&2; exit 1; }
	$(BIN)/python docs/site/http_reference.py build/http.yaml
	npx --yes @redocly/cli@2.77.0 build-docs build/http.yaml --output build/http.html --title "LlamadaPro HTTP API" --inlineBundle --openapi.disableTelemetry
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --config-file docs/site/mkdocs.yml
	@echo "to read it: $(PYTHON) -m http.server --directory build/docs"

.venv-docs/.ready: pyproject.toml
	test -x .venv-docs/bin/python || $(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check --group docs
	touch $@

build: $(READY) ## build the wheel and the sdist into dist/
	$(BIN)/python -m build

package: $(READY) ## check the wheel and the sdist, install them in empty environments and run the quickstart there
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group release
	$(BIN)/python tests/tools/package.py

release-check: package ## is this commit fit to be released: distributions, version, changelog, tag
	$(BIN)/python tests/tools/release.py

audit: $(READY) ## known vulnerabilities in what is installed here (needs pypi.org)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group audit
	mkdir -p build
	$(BIN)/python -m pip freeze --exclude-editable > build/installed.txt
	$(BIN)/pip-audit --strict --progress-spinner off --no-deps --disable-pip --requirement build/installed.txt $(ARGS)

coverage: $(READY) ## which lines and branches of custom/ the tests do not reach (some 10 minutes)
	mkdir -p build/coverage
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered

clean: ## remove what the targets made
	rm -rf $(VENV) .venv-bench .venv-docs dist build .pytest_cache .mypy_cache .ruff_cache
