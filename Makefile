# Two commands are enough: `make up` runs the platform, `make test` tests it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
PYTEST := $(BIN)/python -m pytest

.PHONY: help setup up test check format bench lock screenshots clean images cluster cluster-build cluster-down \
	provider test-kubernetes

help:  ## list what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(VENV)/.bootstrap: locks/bootstrap.lock
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/bootstrap.lock
	@touch $@

$(RUNTIME): $(VENV)/.bootstrap locks/runtime.lock pyproject.toml
	@echo "Installing hub-ext into $(VENV) …"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r locks/runtime.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): $(RUNTIME) locks/dev.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r locks/dev.lock
	@touch $@

setup: $(RUNTIME)  ## make .venv with the hub-ext command

up: setup  ## run the platform until Ctrl-C
	@exec $(BIN)/hub-ext up

test: $(DEV)  ## every test: unit, functional, browser, fuzzing
	$(BIN)/python scripts/system_packages.py
	$(BIN)/python -m tests.functional.oidc.installing
	$(PYTEST) -n 3 --ignore tests/kubernetes tests

images: $(DEV)  ## the container images of hub, proxy, PostgreSQL and notebook (Linux, root)
	@$(BIN)/python -m tests.cluster check
	@$(BIN)/python scripts/system_packages.py kubernetes
	@$(BIN)/python -m tests.cluster images

cluster: $(DEV)  ## a real one-node Kubernetes on this machine (Linux, root)
	@$(BIN)/python -m tests.cluster check
	@$(BIN)/python scripts/system_packages.py kubernetes
	@$(BIN)/python -m tests.cluster up

cluster-build: $(DEV)  ## build what a cluster needs, and start nothing
	@$(BIN)/python -m tests.cluster check
	@$(BIN)/python scripts/system_packages.py kubernetes
	@$(BIN)/python -m tests.cluster prepare

provider: $(DEV)  ## an OpenID Connect provider to try the sign-in of HUB=http://… with, until Ctrl-C; PEOPLE="name=group,group …"
	@exec $(BIN)/python -m tests.functional.oidc "$(HUB)" $(foreach one,$(PEOPLE),--person "$(one)")

cluster-down: $(DEV)  ## take it down; nothing of it stays
	@$(BIN)/python -m tests.cluster down

test-kubernetes: $(DEV)  ## tests on a cluster: that of KUBECONFIG, or of `make cluster`
	@test -n "$$KUBECONFIG" || $(MAKE) --no-print-directory cluster
	$(PYTEST) -n 3 -m "not alone" tests/kubernetes
	$(PYTEST) -m alone tests/kubernetes

check: $(DEV)  ## lint, types, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy -p tests.cluster
	$(BIN)/mypy -p benchmarks
	$(BIN)/python scripts/generate.py --check

format: $(DEV)  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DEV)  ## figures, each a ratio to a named peer
	$(BIN)/python -m benchmarks

screenshots: $(DEV)  ## take the pictures in docs/images again
	$(BIN)/python scripts/screenshots.py

lock:  ## resolve the locks again
	uv pip compile -q -U --generate-hashes --no-header --no-emit-index-url --no-annotate locks/bootstrap.in -o locks/bootstrap.lock
	uv pip compile -q -U --generate-hashes --no-header --no-emit-index-url --no-annotate --python-version 3.11 pyproject.toml locks/bootstrap.in locks/build.in --extra embedded -o locks/runtime.lock
	uv pip compile -q -U --generate-hashes --no-header --no-emit-index-url --no-annotate --python-version 3.11 pyproject.toml locks/bootstrap.in locks/build.in --all-extras -c locks/runtime.lock -o locks/dev.lock
	uv pip compile -q -U --generate-hashes --no-header --no-emit-index-url --no-annotate --python-version 3.11 pyproject.toml locks/bootstrap.in locks/build.in --extra kubernetes --extra postgresql --extra s3 -c locks/dev.lock -o locks/kubernetes.lock
	uv pip compile -q -U --generate-hashes --no-header --no-emit-index-url --no-annotate --python-version 3.11 locks/notebook.in executor/pyproject.toml -c locks/runtime.lock -o locks/notebook.lock
	uv pip compile -q -U --generate-hashes --no-header --no-emit-index-url --no-annotate --python-version 3.11 locks/image.in -c locks/dev.lock -o locks/image.lock
	uv pip compile -q -U --generate-hashes --no-header --no-emit-index-url --no-annotate --python-version 3.11 locks/zero-to-jupyterhub.in -o locks/zero-to-jupyterhub.lock

clean:  ## remove what was made here
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache
