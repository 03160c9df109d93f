# Needs only Python 3.11 or newer, git and make. Everything is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_DIR ?= runs/demo
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test test-full lint docs clean

# Trains on the embedded data, evaluates and samples: at most 10 minutes on 2 cores.
demo: $(VENV)/.installed
	$(BIN)/python train.py --config=demo --workdir=$(DEMO_DIR)
	$(BIN)/python sample.py --workdir=$(DEMO_DIR) --label=all --num=80
	$(BIN)/python evaluate.py --workdir=$(DEMO_DIR)
	@echo
	@echo "samples:      $(DEMO_DIR)/samples/sample.png"
	@echo "TensorBoard:  $(DEMO_DIR)/tensorboard  (see it with $(BIN)/tensorboard --logdir=$(DEMO_DIR)/tensorboard)"

# Every property of the package; `test-full` has what is left: more kinds of values for every family,
# longer campaigns, and code that is broken in one place at a time, which the tests must notice.
test: $(VENV)/.installed-test
	$(BIN)/python -m pytest

test-full: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m slow
	$(BIN)/python tools/mutations.py

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The documentation as a site, site/index.html; an error if a link leads nowhere.
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

clean:
	rm -rf $(VENV) build site *.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; $(PYTHON) is older (try make PYTHON=python3.12)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python setup.py constraints.txt
	@echo "Installing the pinned dependencies into $(VENV) (a few minutes the first time) ..."
	$(PIP_INSTALL) --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP_INSTALL) --editable ".[test]" ruff
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(PIP_INSTALL) --editable ".[docs]"
	@touch $@
