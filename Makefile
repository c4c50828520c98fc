# make demo    see a whole line at work
# make test    everything that must hold: style, types, layers, tests
# Both do all of their own set-up in .venv; they need Python 3.11 or newer and a package index.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test bench constraints clean

demo: $(VENV)/.base
	$(BIN)/stripwatch demo

test: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest

bench: $(VENV)/.base
	$(BIN)/engine-build models/edge/model.onnx
	$(BIN)/stripwatch bench --engine models/edge/openvino

# The daemon and OpenVINO; no torch.
$(VENV)/.base: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("stripwatch needs Python 3.11 or newer, this is " \
	    + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --constraint constraints.txt pip
	$(PIP) install --constraint constraints.txt --build-constraint constraints.txt --editable .
	touch $@

# Training, and what the checks need.
$(VENV)/.test: $(VENV)/.base
	$(PIP) install --constraint constraints.txt --build-constraint constraints.txt --editable '.[int8,tensorrt-rtx,train]' --group test
	touch $@

# Pin what is installed now.
constraints: $(VENV)/.test
	{ sed -n '/^#/p' constraints.txt; \
	  $(PIP) freeze --all --exclude-editable --exclude stripwatch; } > constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) stripwatch-demo models/edge/openvino models/edge/tensorrt models/edge/tensorrt-rtx
