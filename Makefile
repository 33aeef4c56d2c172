# make setup: install everything into .venv.
# make demo: set up, run the default config, print the path of the report (demo-multilabel, demo-regression,
#  demo-segmentation, demo-detection: several labels per image, a number, masks, boxes).
# make test: set up, run all tests (make unit: only those that need no whole run).
PYTHON ?= $(shell command -v python3.11 || command -v python3)
TEST_PROCESSES ?= 2
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup unit demo demo-multilabel demo-regression demo-segmentation demo-detection test test-slow test-examples test-slurm ci-repro lint format schema lock clean
.DELETE_ON_ERROR:

demo: $(READY)
	$(BIN)/snakemake --cores all --resources gpu=2

demo-multilabel: $(READY)
	$(BIN)/snakemake --cores all --resources gpu=2 --configfile examples/digits_labels/config.yaml

demo-regression: $(READY)
	$(BIN)/snakemake --cores all --resources gpu=2 --configfile examples/digits_ink/config.yaml

demo-segmentation: $(READY)
	$(BIN)/snakemake --cores all --resources gpu=2 --configfile examples/digits_segmentation/config.yaml

demo-detection: $(READY)
	$(BIN)/snakemake --cores all --resources gpu=2 --configfile examples/digits_detection/config.yaml

setup: $(READY)

test: $(READY)
	$(BIN)/python -m pytest -m "not slow" -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

# Tests that need no whole run, for quick feedback.
unit: $(READY)
	$(BIN)/python -m pytest -m unit -n $(TEST_PROCESSES)

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow

# Runs the examples for competitions, shortened, on generated data of their shape.
test-examples: $(READY)
	$(BIN)/python -m pytest -m slow -n $(TEST_PROCESSES) tests/test_examples.py

# Starts a Slurm of two nodes on this machine: needs root and Debian's slurmctld slurmd slurm-client munge.
# The plugin is not in the lock: with Slurm's commands installed but no controller answering, it delays every start of
# Snakemake by ten seconds.
test-slurm: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "snakemake-executor-plugin-slurm>=2.8,<3"
	$(BIN)/python -m pytest -rs -m slow tests/test_slurm.py

# For CI, also in a fresh clone: pulls results, runs what is missing or stale, shows the scores. Fails if a job fails, if
# the remote cannot be reached, or if DVC still sees a change after the run.
ci-repro: export PATH := $(abspath $(BIN)):$(PATH)
ci-repro: $(READY)
	@if [ -n "$$(dvc remote list)" ]; then dvc pull --allow-missing; else echo "No DVC remote: everything is run here."; fi
	dvc repro
	dvc metrics show
	dvc metrics diff
	@dvc status --quiet member ensemble result || { dvc status; echo "dvc repro left something to do."; exit 1; }

lint: $(READY)
	$(BIN)/ruff format --check src tests workflow/scripts
	$(BIN)/ruff check src tests workflow/scripts
	$(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports --no-cache
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
	rm -rf $(VENV) results/digits results/digits_* data/digits data/digits_* data/scenes .snakemake .goldfold .pytest_cache .mypy_cache .ruff_cache .hypothesis build
