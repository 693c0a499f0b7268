# Every recipe works in a folder with a space in its path, as root or as an ordinary user.
VENV_PYTHON := .venv/bin/python
READY := .venv/ready
LOCK_FLAGS := --universal --python-version 3.11 --generate-hashes --no-annotate --quiet \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'

# The first of these that is Python 3.11 or 3.12; PYTHON=/path/to/python chooses another.
PYTHON ?= $(shell for name in python3.12 python3.11 python3 python; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null && echo "$$name" && break; done)

# Files of tests that are played side by side. With more of them than cores, tests that watch the clock fail.
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup run demo test lint security faults soak fuzz bench bench-quick bench-growth bench-console proof docs sbom format lock moved

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: $(READY) ## Make .venv and install the locked packages (run and test do it too)

run: $(READY) ## Start everything: engines, receiver, API, workers, beat and sandbox, until Ctrl-C (ARGS="--port 9000")
	@exec $(VENV_PYTHON) -m cli up --sample $(ARGS)

demo: $(READY) ## Play the sample payments once on a stack of its own and report
	@exec $(VENV_PYTHON) -m cli demo $(ARGS)

test: $(READY) ## Run the whole suite on Postgres and Redis of its own (ARGS="tests/stack -x"), two files side by side (WORKERS=0: one)
	@exec $(VENV_PYTHON) -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

fuzz: $(READY) ## Try every parser of what comes from outside for a minute each, led by coverage (ARGS="--seconds 600")
	@exec $(VENV_PYTHON) -m tests.fuzz $(ARGS)

lint: $(READY) ## Check style, types and the import rules
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m mypy .
	$(VENV_PYTHON) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'

security: $(READY) ## Look for insecure code, and ask the advisories about the locked packages (says so where it cannot)
	@echo 'bandit: looking for insecure code'  # its log says of every reasoned exception that its other lines need none
	@$(VENV_PYTHON) -m bandit -q -ii -r . -c pyproject.toml 2>.venv/bandit.log || { cat .venv/bandit.log >&2; exit 1; }
	@$(VENV_PYTHON) .ci/advisories.py requirements.lock requirements-image.lock

faults: $(READY) ## Play every scenario of faults, also on builds broken on purpose (ARGS="--only 1,4 --seed 7"); takes twenty minutes
	@exec $(VENV_PYTHON) -m tests.faults $(ARGS)

soak: $(READY) ## Half an hour under load with a fault every ten seconds (ARGS="--minutes 5")
	@exec $(VENV_PYTHON) -m tests.faults.soak $(ARGS)

bench: $(READY) ## Measure Acuse and its peers in turns on this machine, about 20 minutes (ARGS="--rounds 1 --json")
	@exec $(VENV_PYTHON) -m bench $(ARGS)

bench-quick: $(READY) ## The same for two or three minutes, compared with docs/benchmarks.json: fails where a ratio fell below 0.7 of it
	@exec $(VENV_PYTHON) -m bench --quick --compare docs/benchmarks.json $(ARGS)

bench-console: $(READY) ## Measure the operators' pages over a million events beside 500 deliveries a second; takes ten minutes
	@exec $(VENV_PYTHON) -m bench.console $(ARGS)

bench-growth: $(READY) ## Measure with ten thousand and with ten million stored events; takes an hour and 50 GB (ARGS="--events 300000")
	@exec $(VENV_PYTHON) -m bench.growth $(ARGS)

proof: $(READY) ## Plant differences at simulated PSPs and find them all (ARGS="--payments 20000"); takes minutes
	@exec $(VENV_PYTHON) -m bench.reconciliation $(ARGS)

docs: $(READY) ## Print docs/states.md from the table of legal moves
	@$(VENV_PYTHON) -m workers.state_diagram > docs/states.md

SBOM_FLAGS ?= --validate # against CycloneDX's schema, which takes seconds
sbom: $(READY) ## Write what the image's packages are to build/acuse.cdx.json (CycloneDX), from the lock
	@mkdir -p build
	@$(VENV_PYTHON) -W ignore -m cyclonedx_py requirements requirements-image.lock --pyproject deploy/sbom.toml \
		--output-reproducible --of JSON $(SBOM_FLAGS) -o build/acuse.cdx.json
	@echo 'build/acuse.cdx.json'

format: $(READY) ## Rewrite the code as lint wants it
	$(VENV_PYTHON) -m ruff check --fix .
	$(VENV_PYTHON) -m ruff format .

lock: ## Bring the lock files up to date (needs uv)
	uv pip compile setup.cfg --extra dev $(LOCK_FLAGS) -o requirements.lock
	uv pip compile setup.cfg --extra otel --constraint requirements.lock $(LOCK_FLAGS) -o requirements-image.lock
	uv pip compile bench/peers/requirements.txt $(LOCK_FLAGS) -o bench/peers/requirements.lock

# The editable install names this folder, so a folder that was moved is installed again.
ifneq ($(shell test "$$(cat $(READY) 2>/dev/null)" = "$$(pwd -P)" || echo moved),)
$(READY): moved
endif

$(READY): requirements.lock setup.cfg pyproject.toml
	@test -n '$(PYTHON)' || { echo 'Acuse needs Python 3.11 or 3.12 and found neither: make setup PYTHON=/path/to/python' >&2; exit 1; }
	@$(VENV_PYTHON) -m pip --version >/dev/null 2>&1 || '$(PYTHON)' -m venv --clear .venv || \
		{ echo 'Python could not make a virtual environment; on Debian and Ubuntu install python3-venv' >&2; exit 1; }
	@echo 'Installing the locked packages into .venv (the first time takes a minute) ...'
	@$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@pwd -P > $(READY)
