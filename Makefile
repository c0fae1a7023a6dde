# `make help` lists the commands. None needs root, Docker or an installed database.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python -m
READY_VENV := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test test-quick test-faults test-browser test-lowest test-django6 screenshots chromium lint bench lock lock-check messages release-check clean
MAKEFLAGS += --no-print-directory

# What a shell may have set for another project.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONOPTIMIZE DJANGO_SETTINGS_MODULE VIRTUAL_ENV

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' Makefile | expand -t 15

demo: $(READY_VENV) ## a whole site with a stand-in Scalepoint: PORT=8000 EVENTS=40 WORKERS=2, ONCE=1 ends after the first cases, READY=file.json
	@$(RUN) devtools.demo

# By folder and not by mark: pytest would read all of the tests for each of the suites.
OTHER_SUITES := tests/faults tests/browser
test: $(READY_VENV) ## the tests, with coverage; ARGS="-k name -n 0"
	@$(RUN) pytest -n 2 $(OTHER_SUITES:%=--ignore=%) --cov --cov-report=term:skip-covered $(ARGS)

# What a change breaks most often: the tables and documents, the payloads, what an event does, the queue, the endpoint.
QUICK := tests/test_docs.py tests/test_translations.py $(addprefix tests/scalepoint_integration/, \
	test_architecture.py test_errors.py test_tables.py test_queues.py payloads handling/test_followup.py \
	handling/test_run.py receiving/test_store.py workqueue receiving/test_inside.py) tests/crm/test_services.py tests/tasks
test-quick: $(READY_VENV) ## the tests that a change breaks most often, in less than a minute; ARGS=...
	@$(RUN) pytest -q -n 2 $(QUICK) $(ARGS)

test-faults: $(READY_VENV) ## the tests that kill and freeze real processes; ARGS=...
	@$(RUN) pytest -n 0 tests/faults $(ARGS)

test-browser: $(READY_VENV) chromium ## the office's pages in a real browser, judged by axe; ARGS=...
	@$(RUN) pytest -n 0 tests/browser $(ARGS)

# The test tools stay those of the lock; of what hosts install, the oldest versions that pyproject.toml allows.
LOWEST := .venv-lowest
test-lowest: $(READY_VENV) ## the tests with the oldest versions that hosts may have; ARGS=...
	@$(VENV)/bin/uv venv -q --clear --python $(VENV)/bin/python $(LOWEST)
	@$(VENV)/bin/uv pip compile -q pyproject.toml --extra site --resolution lowest-direct \
		--no-annotate --no-header -o $(LOWEST)/lowest.txt
	@$(VENV)/bin/uv pip install -q --python $(LOWEST) -r pyproject.toml --extra site --extra dev -c $(LOWEST)/lowest.txt
	@$(LOWEST)/bin/python -m pytest $(ELSEWHERE) $(ARGS)

DJANGO6 := .venv-django6
test-django6: $(READY_VENV) ## the tests with the newest Django 6, which needs Python 3.12: PYTHON=python3.13; ARGS=...
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 12))' || { \
		echo "Django 6 needs Python 3.12 or newer: make test-django6 PYTHON=python3.13" >&2; exit 1; }
	@$(VENV)/bin/uv venv -q --clear --python $(PYTHON) $(DJANGO6)
	@echo 'django>=6' > $(DJANGO6)/django6.txt
	@$(VENV)/bin/uv pip install -q --python $(DJANGO6) -r pyproject.toml --extra site --extra dev -c $(DJANGO6)/django6.txt
	@$(DJANGO6)/bin/python -m pytest $(ELSEWHERE) $(ARGS)

# The lock is not what is installed there, and who builds the wheel does not matter.
ELSEWHERE := -q -n 2 $(OTHER_SUITES:%=--ignore=%) --ignore=tests/test_lock.py --ignore=tests/test_packaging.py

screenshots: $(READY_VENV) chromium ## the pictures in docs/office/ anew
	@SCREENSHOTS=docs/office/screens $(RUN) pytest -q -n 0 -m browser tests/browser/test_screens.py

# The one thing that no Python package brings. Only root can install it.
chromium:
	@command -v chromium >/dev/null || [ -n "$$CHROMIUM" ] || { \
		[ "$$(id -u)" = 0 ] && echo "Installing Chromium (once) ..." && apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; } || { \
		echo "Chromium is needed: install Debian's package chromium, or name one: CHROMIUM=/path/to/it" >&2; exit 1; }

lint: $(READY_VENV) ## ruff and mypy
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy

bench: $(READY_VENV) ## how much slower the pages get with a million events; a few minutes
	@$(RUN) devtools.benchmarks.lists

# For every Python and every kind of Linux at once, with one version of each package (so Django 5.2 everywhere: 6.0
# needs Python 3.12), and with the extras written out, so that a resolver finds no package that the lock has not pinned.
UV_COMPILE := $(VENV)/bin/uv pip compile -q pyproject.toml --generate-hashes --no-annotate --no-header \
	--universal --fork-strategy fewest --no-strip-extras --extra site
lock: $(READY_VENV) ## requirements*.txt from pyproject.toml; ARGS=--upgrade takes the newest versions
	$(UV_COMPILE) -o requirements.txt $(ARGS)
	$(UV_COMPILE) --extra dev -c requirements.txt -o requirements-dev.txt $(ARGS)

lock-check: $(READY_VENV) ## what is newer than the lock, and which pins have known advisories; asks PyPI
	@$(RUN) devtools.lock_check

# Needs GNU gettext (Debian: gettext).
messages: $(READY_VENV) ## the translations anew: collect, then compile
	@for app in crm tasks scalepoint_integration; do (cd $$app && \
		../$(VENV)/bin/django-admin makemessages -l da --no-obsolete --no-location && \
		sed -i '/POT-Creation-Date/d' locale/da/LC_MESSAGES/django.po && \
		../$(VENV)/bin/django-admin compilemessages -l da) || exit 1; done

release-check: $(READY_VENV) ## is this commit fit for a release? a line for each question
	@$(RUN) devtools.release_check

clean: ## remove what the commands made here
	rm -rf $(VENV) .venv-* .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* static-collected
	find . -name __pycache__ -prune -exec rm -rf {} +

# The stamp is newer than the requirements it was made from.
$(READY_VENV): requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 or newer is needed, and '$(PYTHON)' is not one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Installing into $(VENV) (once, about half a minute) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(RUN) pip install -q --disable-pip-version-check --no-input --no-deps --require-hashes -r requirements-dev.txt
	@$(RUN) pip check --disable-pip-version-check >/dev/null || { $(RUN) pip check; exit 1; }
	@touch $@
