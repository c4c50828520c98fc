# make demo              run a whole line on this machine: cameras, daemon, subscriber
# make check             style, types, layers and the fast tests; for every edit
# make test              everything that must hold; what CI runs
# make soak              run the daemon under faults; SEEDS=1-200 chooses the schedules
# make fuzz              damaged input for every parser; CASES=1000000 and SEED=7 choose
# make test-simulation   the simulated GPU's own tests, after it has changed
# make bench             build the shipped model's engine and measure it
# make screenshots       pictures of the operator's page, in docs/images
# make man               manual pages of the three programs, in build/man
# make deb               a Debian package for this computer's Debian, in build/deb (docs/install.md)
# make sbom              what the environment holds, as CycloneDX: build/sbom.json
# make audit             ask PyPI for known vulnerabilities of it; needs the network
# make constraints       pin the versions that are installed now
# make clean             remove what the targets above have made
#
# All of them do their own set-up in .venv; they need Python 3.11 or newer and a package index.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# Three pytest processes on two cores, as tests of whole processes mostly wait. A library that
# starts a thread for each core only gets in the way of the other processes.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest
IN_PARALLEL := -n 3 --dist loadfile

# Compiled when the package is installed.
NATIVE := daemon/build_native.py daemon/stripwatch/inspect/native/findings.c

# The pictures that the documents show; all: make screenshots PICTURES=
PICTURES ?= --views live line strip review thresholds --themes dark

MAN_FOLDER ?= build/man
MAN_PAGE := $(BIN)/argparse-manpage --function make_parser \
    --project-name stripwatch --manual-title stripwatch

DEB_FOLDER ?= build/deb
DEB_PYTHON ?= /usr/bin/python3
DEB_EXTRAS ?= build,mqtt,page

CASES ?= 100000

.PHONY: demo check fast-tests test style types soak fuzz test-simulation bench screenshots man \
    deb sbom audit constraints clean

demo: $(VENV)/.base
	$(BIN)/stripwatch demo

# The tests wait now and then, so mypy runs beside them.
check: style
	$(MAKE) --no-print-directory -j 2 types fast-tests

fast-tests: $(VENV)/.test
	$(PYTEST) $(IN_PARALLEL) -m "not slow"

# The quickest first. mypy and the compiler, one core each, run side by side.
test: style
	$(MAKE) --no-print-directory -j 2 types $(VENV)/.gpu-simulation
	$(PYTEST) $(IN_PARALLEL)
	$(PYTEST) $(IN_PARALLEL) tests/gpu tests/gpu_simulation -m gpu --simulated-gpu
	$(PYTEST) $(IN_PARALLEL) tests/gpu -m "gpu and not slow" --simulated-gpu --stand-in

style: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive daemon engine_build train

types: $(VENV)/.test
	$(BIN)/mypy

soak: $(VENV)/.base
	$(BIN)/python -m stripwatch.lab.faults.soak $(SEEDS)

fuzz: $(VENV)/.test
	$(BIN)/python -m tests.fuzz --cases $(CASES) $(if $(SEED),--seed $(SEED))

# What passes is recorded (tests/gpu_simulation/README.md).
test-simulation: $(VENV)/.gpu-simulation
	$(PYTEST) tests/gpu_simulation --test-simulation -m "not gpu"
	$(PYTEST) tests/gpu_simulation --test-simulation -m gpu --simulated-gpu
	$(BIN)/python tests/gpu_simulation/checksum.py

bench: $(VENV)/.base
	$(BIN)/engine-build models/edge/model.onnx
	$(BIN)/stripwatch bench --engine models/edge/openvino

# They need Debian's chromium and nodejs.
screenshots: $(VENV)/.test
	$(BIN)/python -m tests.page.screenshots docs/images $(PICTURES)

man: $(VENV)/.test
	mkdir -p $(MAN_FOLDER)
	$(MAN_PAGE) --module stripwatch.cli.main --prog stripwatch \
	    --description 'inspect moving steel strip' --output $(MAN_FOLDER)/stripwatch.1
	$(MAN_PAGE) --module stripwatch_engine.cli.flags --prog engine-build \
	    --description 'build inspection engines from models' --output $(MAN_FOLDER)/engine-build.1
	$(MAN_PAGE) --module stripwatch_train.cli.main --prog stripwatch-train \
	    --description 'train models for stripwatch' --output $(MAN_FOLDER)/stripwatch-train.1

deb: man
	FOLDER=$(abspath $(DEB_FOLDER)) MAN=$(abspath $(MAN_FOLDER)) BIN=$(abspath $(BIN)) \
	    PYTHON=$(DEB_PYTHON) EXTRAS=$(DEB_EXTRAS) sh systemd/debian/build.sh

# Of the environment of another Python: make sbom SBOM_PYTHON=/opt/stripwatch/bin/python3
SBOM_FILE ?= build/sbom.json
SBOM_PYTHON ?= $(BIN)/python
sbom: $(VENV)/.test
	mkdir -p $(dir $(SBOM_FILE))
	$(BIN)/cyclonedx-py environment --no-validate --output-reproducible \
	    --pyproject pyproject.toml --output-file $(SBOM_FILE) $(SBOM_PYTHON)

# What could not be asked about is an error, too. docs/install.md says how without the internet.
audit: $(VENV)/.test
	$(BIN)/pip-audit --strict --local --skip-editable $(AUDIT_OPTIONS)

# The daemon, OpenVINO and engine-build; no torch.
$(VENV)/.base: pyproject.toml constraints.txt $(NATIVE)
	$(PYTHON) -c 'import sys; sys.exit("stripwatch needs Python 3.11 or newer, this is " \
	    + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --constraint constraints.txt pip
	$(PIP) install --constraint constraints.txt --build-constraint constraints.txt --editable '.[build,page]'
	touch $@

# Training, and what the checks need; Python compiles the few of its files that they import.
$(VENV)/.test: $(VENV)/.base
	$(PIP) install --no-compile --constraint constraints.txt --build-constraint constraints.txt \
	    --editable '.[genicam,int8,page,pretrained,pylon,tensorboard,tensorrt-rtx,train]' --group test
	touch $@

# A driver library in place of a GPU's, and pycuda compiled against it.
$(VENV)/.gpu-simulation: $(VENV)/.test $(wildcard tests/gpu_simulation/*.[ch]) tests/gpu_simulation/build.sh
	$(PIP) install --constraint constraints.txt --group gpu-simulation
	PYTHON=$(BIN)/python tests/gpu_simulation/build.sh $(VENV)/gpu-simulation
	touch $@

# Pin what is installed now; pycuda is compiled to a folder of its own.
constraints: $(VENV)/.gpu-simulation
	{ sed -n '/^#/p' constraints.txt; \
	  $(PIP) freeze --all --exclude-editable --exclude stripwatch; \
	  sed -n '/^pycuda==/p' constraints.txt; } > constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) build stripwatch-demo models/edge/openvino models/edge/tensorrt models/edge/tensorrt-rtx
