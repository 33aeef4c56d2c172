# make demo: set up, run the default config, say where the report is.  make test: set up, run all tests.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RESULTS := results/digits

.PHONY: demo test test-slow lint format schema lock clean
.DELETE_ON_ERROR:

demo: $(READY)
	$(BIN)/snakemake --cores all --resources gpu=2
	@echo "Report: $(CURDIR)/$(RESULTS)/report/report.html"
	@echo "Submission: $(RESULTS)/submission.csv   Score: $(RESULTS)/metrics.json"

test: $(READY)
	$(BIN)/python -m pytest -m "not slow"

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow

lint: $(READY)
	$(BIN)/ruff format --check src tests workflow/scripts
	$(BIN)/ruff check src tests workflow/scripts
	$(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports
	$(BIN)/snakefmt --check Snakefile workflow/rules
	$(BIN)/snakemake --lint

format: $(READY)
	$(BIN)/ruff check --fix --silent src tests workflow/scripts || true
	$(BIN)/ruff format src tests workflow/scripts
	$(BIN)/snakefmt Snakefile workflow/rules

schema: $(READY)
	$(BIN)/python -m goldfold.config.schema

# Renews every pin; needs uv (pip install uv).
lock:
	uv pip compile pyproject.toml --extra dvc --extra dev --python-version 3.11 --upgrade \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links -q -o requirements.lock
	sed -i '/^      - /d' envs/goldfold.yaml
	sed 's/^/      - /' requirements.lock >> envs/goldfold.yaml

$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "goldfold needs Python 3.11: install it, or name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

clean:
	rm -rf $(VENV) $(RESULTS) data/digits .snakemake .goldfold .pytest_cache .mypy_cache .ruff_cache .hypothesis build
