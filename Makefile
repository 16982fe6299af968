# make demo   train CIFT on a small synthetic dataset and look at a ranked gallery
# make demo-unsupervised   train BMIL on another one without identities, beside naive clustering
# make ablation-unsupervised   all six variants of BMIL's ablation, three seeds each
# make compare-unsupervised   all methods that need no identities, three seeds each
# make test   run all tests
# make lint   check style and the direction of imports
# make docs   build the documentation, docs/_build/html
#
# Everything happens in .venv; PYTHON=python3.12 make ... picks the interpreter.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo demo-unsupervised ablation-unsupervised compare-unsupervised test lint docs install clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	    { echo "mmvireid needs Python 3.10 or newer: run PYTHON=/path/to/python make ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	@echo "Installing PyTorch and OpenMMLab packages into $(VENV): a few minutes"
	$(BIN)/python -m pip install -e ".[onedl]"
# mmcv asks for OpenCV with windows, which a machine without a screen may not be able to load.
	@$(BIN)/python -c 'import cv2' 2>/dev/null || \
	    $(BIN)/python -m pip install --quiet --force-reinstall --no-deps opencv-python-headless
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet -e ".[onedl,dev]"
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet -e ".[onedl,docs]"
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/python tools/misc/demo.py

demo-unsupervised: $(VENV)/.installed
	$(BIN)/python tools/misc/demo_unsupervised.py

ablation-unsupervised: $(VENV)/.installed
	$(BIN)/python tools/misc/demo_unsupervised.py --ablation --markdown

compare-unsupervised: $(VENV)/.installed
	$(BIN)/python tools/misc/demo_unsupervised.py --methods --markdown

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/lint-imports

docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs/en docs/_build/html
	@echo "docs/_build/html/index.html"

clean:
	rm -rf $(VENV) docs/_build docs/en/repository work_dirs/demo work_dirs/demo_unsupervised work_dirs/pretrain_r18_visible \
	    data/synthetic_* data/cache
