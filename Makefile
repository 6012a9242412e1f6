# Needs git, make and a Python (3.13; 3.12 will do). Everything else is fetched, pinned by hash, into .venv,
# .venv-sam and .venv-clients. CI runs these same targets: see .ci/run.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
export PYTHON

BIN := $(CURDIR)/.venv/bin
HOST_ARCH := $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x86_64)
OTHER_ARCH := $(if $(filter arm64,$(HOST_ARCH)),x86_64,arm64)

# SAM starts a make of its own, which should not take this one's flags. It finds .venv's Python first on PATH.
SAM = env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL PATH="$(BIN):$$PATH" SAM_CLI_TELEMETRY=0 \
  AWS_DEFAULT_REGION="$${AWS_DEFAULT_REGION:-us-east-1}" .venv-sam/bin/sam
SHIPPED := template.yaml $(shell find layers functions tools/layers -type f -not -path '*/__pycache__/*' 2>/dev/null)

.PHONY: help dev sam-local test check build artefacts lock bench fmt clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

dev: .venv/.stamp ## run the whole gateway on this machine (PORT, HEADGATE_ADMIN_KEY, .env): no AWS, no key
	@exec $(BIN)/python -m dev

sam-local: .venv/.stamp ## what `sam local` needs of AWS: moto, the tables, a key; prints the commands
	@PYTHONPATH=layers/core:. $(BIN)/python tools/sam_local.py

test: .venv/.stamp .venv-clients/.stamp artefacts ## every test, in parallel; ARGS="-k name" for some
	$(BIN)/python -m pytest -n auto --dist loadgroup $(ARGS)

check: .venv/.stamp .venv-sam/.stamp ## lint, types, direction of imports, template, build
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=layers/core:. $(BIN)/lint-imports
	$(SAM) validate --lint
	$(MAKE) build

build: .venv/.stamp .venv-sam/.stamp ## what `sam deploy` uploads, into .aws-sam/build; ENV=prod for that of samconfig.toml
	$(SAM) build $(if $(ENV),--config-env $(ENV))

artefacts: .aws-sam/$(HOST_ARCH).stamp .aws-sam/$(OTHER_ARCH).stamp ## what the tests of built artefacts import

lock: .venv/.stamp ## resolve pyproject.toml into the hashed lists again; UPGRADE=1 for the newest versions
	$(call COMPILE,pyproject.toml,layers/vendor/requirements.txt,--python-platform linux)
	$(call COMPILE,pyproject.toml --group dev -c layers/vendor/requirements.txt,requirements/dev.txt)
	$(call COMPILE,--group bootstrap -c requirements/dev.txt,requirements/bootstrap.txt)
	$(call COMPILE,--group sam,requirements/sam.txt)
	$(call COMPILE,--group clients,requirements/clients.txt)

# The layer's list is for Lambda alone, so no marker in it is left to the machine that builds; the others are for any.
COMPILE = UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet $(or $(3),--universal) --python-version 3.12 \
  --generate-hashes --no-emit-index-url $(if $(UPGRADE),--upgrade) $(1) -o $(2)

bench: .venv/.stamp ## measure our own overhead; ARGS for its options
	$(BIN)/python -m bench $(ARGS)

fmt: .venv/.stamp ## format and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove everything that was made here
	rm -rf .venv .venv-sam .venv-clients .aws-sam .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.stamp: requirements/dev.txt requirements/bootstrap.txt
	@tools/make-venv .venv requirements/dev.txt
	@touch $@

# A place of its own, because SAM pins old versions of much.
.venv-sam/.stamp: requirements/sam.txt requirements/bootstrap.txt
	@tools/make-venv .venv-sam requirements/sam.txt
	@touch $@

# And one for other people's clients, which pin what we use ourselves.
.venv-clients/.stamp: requirements/clients.txt requirements/bootstrap.txt
	@tools/make-venv .venv-clients requirements/clients.txt
	@touch $@

# For this machine, and for the Python at hand, so that the tests can import them. Deployed is `make build`.
LOCAL_RUNTIME = LAYER_RUNTIME=$$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')

.aws-sam/$(HOST_ARCH).stamp: $(SHIPPED) | .venv/.stamp .venv-sam/.stamp
	@mkdir -p .aws-sam
	$(LOCAL_RUNTIME) $(SAM) build --build-dir .aws-sam/$(HOST_ARCH) \
	  --parameter-overrides Architecture=$(HOST_ARCH) > .aws-sam/$(HOST_ARCH).log 2>&1 || { cat .aws-sam/$(HOST_ARCH).log; exit 1; }
	@touch $@

.aws-sam/$(OTHER_ARCH).stamp: $(SHIPPED) | .venv/.stamp .venv-sam/.stamp
	@mkdir -p .aws-sam
	$(LOCAL_RUNTIME) $(SAM) build VendorLayer --build-dir .aws-sam/$(OTHER_ARCH) \
	  --parameter-overrides Architecture=$(OTHER_ARCH) > .aws-sam/$(OTHER_ARCH).log 2>&1 || { cat .aws-sam/$(OTHER_ARCH).log; exit 1; }
	@touch $@
