# What `sam build` runs for the two layers, through arm64/Makefile or x86_64/Makefile: the template picks one
# of them, because SAM tells a makefile everything but the architecture. MACHINE comes from there.
#
# Any Python 3 with pip will do: wheels are chosen for the functions' runtime, not for the interpreter at hand,
# and pip checks each against its hash. Where the interpreter's minor version is the runtime's, the layers also
# carry bytecode, since /opt is read-only and Lambda would compile every module at every cold start.

LAYER_RUNTIME ?= 3.13
LAYER_PYTHON ?= python3
TARGET = $(ARTIFACTS_DIR)/python

# Amazon Linux 2023 has glibc 2.34, so every manylinux tag up to that one fits.
PLATFORMS = $(foreach tag,manylinux_2_34 manylinux_2_28 manylinux_2_24 manylinux_2_17 manylinux2014,--platform $(tag)_$(MACHINE))

# Checked-by-nobody hashes instead of times, since packaging changes the files' times.
COMPILE = @for python in $(LAYER_PYTHON) python$(LAYER_RUNTIME); do \
	  if "$$python" -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != "$(LAYER_RUNTIME)")' 2>/dev/null; then \
	    exec "$$python" -m compileall -q -j 0 --invalidation-mode unchecked-hash "$(TARGET)"; \
	  fi; \
	done; echo "no python$(LAYER_RUNTIME) here: the layer goes without bytecode, so cold starts take longer" >&2

.PHONY: build-CoreLayer build-VendorLayer

build-CoreLayer:
	mkdir -p "$(TARGET)"
	cp -R headgate "$(TARGET)/"
	find "$(TARGET)" -name __pycache__ -type d -prune -exec rm -rf {} +
	$(COMPILE)

build-VendorLayer:
	$(LAYER_PYTHON) -m pip install --quiet --disable-pip-version-check --root-user-action ignore \
	  --require-hashes --no-deps --only-binary :all: --no-compile \
	  --implementation cp --python-version $(LAYER_RUNTIME) $(PLATFORMS) \
	  --target "$(TARGET)" --requirement requirements.txt
	rm -rf "$(TARGET)/bin"
	$(COMPILE)
