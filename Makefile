# The commands of the project; `make help` lists them. A Python 3.11 or newer and make are all they need:
# each makes its own environment once, in a folder that git ignores.

# A Python of your choice: make demo PYTHON=/path/to/python3.12
PYTHON ?=
# Port of Airflow's page in the demo; a free one by default.
PORT ?=
# make demo KEEP=1 keeps Airflow's page up until Ctrl-C.
KEEP ?=
# How many waits make chaos has on Airflow, and the seed of a run to be repeated; any by default.
WAITS ?= 1000
SEED ?=
# More arguments for pytest: make test PYTEST_ARGS="-m 'not airflow'"
PYTEST_ARGS ?=

# make bench QUICK=1 takes minutes instead of hours; ONLY=waits,fleet,limits,restart,results,soak takes some parts.
QUICK ?=

# Some rows of the matrix: make matrix ONLY=lowest, ONLY=airflow-3.2, ONLY=python-3.13, ONLY=extras
ONLY ?=

export PYTHON
BOOTSTRAP = sh dev/bootstrap.sh "make $@"
DEV = .venv/bin/python
COMPILE = $(DEV) -m uv pip compile --quiet --universal --python-version 3.11 --upgrade --no-header --no-annotate \
    pyproject.toml
# By name: without git's own files ruff would not know what to leave out.
CODE = $(wildcard airflow_provider_jobstatus benchmarks dev example_dags tests)
# Where every decision of a wait is made; a branch that no test takes would be a guess.
PACKAGE = airflow_provider_jobstatus
WAITING = $(PACKAGE)/core/*,$(PACKAGE)/waiting/*,$(PACKAGE)/fleet/*,$(PACKAGE)/tasks/*,$(PACKAGE)/transports/*,$(PACKAGE)/hooks/*,$(PACKAGE)/triggers/*,$(PACKAGE)/sensors/*

# Over all cores. A file stays in one process; tests/conftest.py says which begin.
SPREAD = -n auto --dist loadfile --no-loadscope-reorder
# What make check runs side by side: a real Airflow mostly waits, and leaves a core to the tests.
CHECKS = tests airflow matrix processes
check_tests = $(DEV) -m pytest $(SPREAD) -m "not airflow" --cov --cov-report= $(PYTEST_ARGS)
check_airflow = $(DEV) -m pytest -m airflow && $(DEV) -m dev.chaos.on_airflow --waits 60
check_matrix = $(DEV) -m dev.matrix --short
check_processes = $(DEV) -m mypy -p airflow_provider_jobstatus -p dev && $(DEV) -m dev.chaos.processes --waits 300 && \
    $(DEV) -m dev.chaos.files --breaks 60 && $(DEV) -m dev.chaos.submissions --kills 24

.DEFAULT_GOAL = help
.PHONY: help demo test check $(addprefix check-,$(CHECKS)) matrix chaos bench format constraints clean

help: ## list the commands
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do \
	    printf '  make %-12s %s\n' "$$name" "$$text"; done

demo: ## wait for a job on a real Airflow, against a sandbox (KEEP=1: keep Airflow's page up, PORT=8080)
	@exec $(BOOTSTRAP) --extra parquet .demo/venv -m dev.demo --port "$(PORT)" $(if $(filter-out 0,$(KEEP)),--keep)

test: ## run all tests, also one on a real Airflow (PYTEST_ARGS="...")
	@exec $(BOOTSTRAP) --extra dev .venv -m pytest $(SPREAD) $(PYTEST_ARGS)

check: ## what must pass before a merge: format, lint, types, tests with coverage, each Airflow, a short chaos
	@$(BOOTSTRAP) --extra dev .venv
	$(DEV) -m ruff format --check $(CODE)
	$(DEV) -m ruff check $(CODE)
	@mkdir -p build
	@$(MAKE) --no-print-directory --jobs $(addprefix check-,$(CHECKS))
	$(DEV) -m coverage report
	$(DEV) -m coverage report --include='$(WAITING)' --fail-under=95 --format=total

# What a part writes is shown in one piece, when it has ended.
$(addprefix check-,$(CHECKS)): check-%:
	@{ $(check_$*); } >build/check-$*.log 2>&1; ended=$$?; cat build/check-$*.log; exit $$ended

matrix: ## all tests against the wheel, with each Airflow (3.1.8, 3.2.2, 3.3.2) and Python (3.11 to 3.13); the extras by pip
	@$(BOOTSTRAP) --extra dev .venv
	$(DEV) -m dev.matrix --only "$(ONLY)"

chaos: ## replies read in two ways, 2,000 broken downloads, 1,200 killed submissions, 10,000 waits in processes; on a real Airflow 1,000 waits, 200 disturbed submissions (WAITS=, SEED=; needs PostgreSQL)
	@$(BOOTSTRAP) --extra dev .venv
	$(DEV) -m dev.chaos.documents $(if $(SEED),--seed $(SEED))
	$(DEV) -m dev.chaos.files --breaks 2000 $(if $(SEED),--seed $(SEED))
	$(DEV) -m dev.chaos.processes --waits 10000 $(if $(SEED),--seed $(SEED))
	$(DEV) -m dev.chaos.submissions --kills 1200 $(if $(SEED),--seed $(SEED))
	$(DEV) -m dev.chaos.on_airflow --waits $(WAITS) $(if $(SEED),--seed $(SEED))
	$(DEV) -m dev.chaos.submissions_on_airflow --disturbances 200 $(if $(SEED),--seed $(SEED))

bench: ## measure what waits cost, beside HttpSensor and a floor (QUICK=1, ONLY=waits,fleet,limits,restart,results,soak)
	@$(BOOTSTRAP) --extra dev .venv
	$(DEV) -m benchmarks $(if $(filter-out 0,$(QUICK)),--quick) $(if $(ONLY),--only "$(ONLY)")

format: ## put the code in shape
	@$(BOOTSTRAP) --extra dev .venv
	$(DEV) -m ruff check --fix-only $(CODE)
	$(DEV) -m ruff format $(CODE)

constraints: ## pin anew the newest versions that go with each Airflow, and the lowest that are declared
	@$(BOOTSTRAP) --extra dev .venv
	$(COMPILE) --extra test tests/constraints/airflow-3.1.in --output-file tests/constraints/airflow-3.1.txt
	$(COMPILE) --extra test tests/constraints/airflow-3.2.in --output-file tests/constraints/airflow-3.2.txt
	$(COMPILE) --extra dev tests/constraints/airflow-3.3.in --output-file tests/constraints/airflow-3.3.txt
	$(COMPILE) --extra test tests/constraints/lowest.in --output-file tests/constraints/lowest.txt \
	    --resolution lowest-direct

clean: ## remove everything that these commands made
	rm -rf .demo .venv .venv.lock .venv-install.log build dist .coverage .hypothesis .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
