"""What would be uploaded: the right files, for the right processor, within Lambda's limits."""

import importlib.util
import re
import struct
from pathlib import Path

import pytest

from dev.template import Stack
from tests.e2e.built.shipped import HOST, OTHER, ROOT, Artefacts

pytestmark = [pytest.mark.built, pytest.mark.xdist_group("built")]

FUNCTIONS = (
    *("models", "generations", "connections", "deliver", "accounts", "health"),
    *("refresh", "usage", "sweep"),
)
MACHINES = {"x86_64": 0x3E, "arm64": 0xB7}
"""ELF's e_machine (the ELF specification, EM_X86_64 and EM_AARCH64)."""

GLIBC = (2, 34)
"""Amazon Linux 2023's, which the python3.12 runtime and later ones stand on."""

UNZIPPED_LIMIT_BYTES = 250 * 1024 * 1024
"""Function and layers together (Lambda quotas, docs.aws.amazon.com/lambda, 2026-11-20)."""


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _native(folder: Path) -> dict[str, Path]:
    """Compiled modules by name, without the tag that tells the processor."""
    return {
        f"{path.parent.relative_to(folder)}/{path.name.split('.')[0]}": path
        for path in folder.rglob("*.so*")
        if path.is_file()
    }


def _machine(path: Path) -> int:
    header = path.read_bytes()[:20]
    assert header[:4] == b"\x7fELF", path
    machine: int = struct.unpack("<H", header[18:20])[0]
    return machine


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_its_own_files_and_nothing_else(
    artefacts: Artefacts, stack: Stack, function: str
) -> None:
    folder = artefacts.folder(function)
    streamed = stack.function(function).handler == "run.sh"
    assert {path.name for path in _files(folder)} == ({"app.py", "run.sh"} if streamed else {"app.py"})
    if streamed:
        assert (folder / "run.sh").stat().st_mode & 0o111 == 0o111


def test_the_functions_that_stream_are_started_alike(artefacts: Artefacts) -> None:
    scripts = {(artefacts.folder(name) / "run.sh").read_text() for name in ("models", "generations")}
    assert len(scripts) == 1


def test_the_core_layer_is_our_package_and_no_other(artefacts: Artefacts) -> None:
    layer = artefacts.layer("CoreLayer")
    assert [path.name for path in layer.iterdir()] == ["headgate"]
    source = ROOT / "layers/core"
    shipped = {str(path.relative_to(layer)) for path in layer.rglob("*.py")}
    assert shipped == {str(path.relative_to(source)) for path in source.rglob("*.py")}


def test_the_vendor_layer_holds_each_pinned_distribution_and_no_other(artefacts: Artefacts) -> None:
    lock = (ROOT / "layers/vendor/requirements.txt").read_text()
    pins = {
        (name.replace("-", "_"), version) for name, version in re.findall(r"^([\w-]+)==(\S+)", lock, re.M)
    }
    for layer in (artefacts.layer("VendorLayer"), artefacts.other / "VendorLayer/python"):
        names = [path.name.removesuffix(".dist-info").lower() for path in layer.glob("*.dist-info")]
        assert {tuple(name.rsplit("-", 1)) for name in names} == pins


@pytest.mark.parametrize("architecture", [HOST, OTHER])
def test_every_compiled_module_is_for_the_processor_it_is_built_for(
    artefacts: Artefacts, architecture: str
) -> None:
    layer = (artefacts.host if architecture == HOST else artefacts.other) / "VendorLayer/python"
    native = _native(layer)
    assert len(native) >= 10
    assert {_machine(path) for path in native.values()} == {MACHINES[architecture]}


def test_both_processors_get_the_same_compiled_modules(artefacts: Artefacts) -> None:
    """A wheel without the fast path would import, and be slow, on one of them only."""
    host = _native(artefacts.layer("VendorLayer"))
    assert host.keys() == _native(artefacts.other / "VendorLayer/python").keys()


@pytest.mark.parametrize("architecture", [HOST, OTHER])
def test_no_compiled_module_wants_a_newer_libc_than_lambda_has(
    artefacts: Artefacts, architecture: str
) -> None:
    layer = (artefacts.host if architecture == HOST else artefacts.other) / "VendorLayer/python"
    for path in _native(layer).values():
        wanted = {
            tuple(map(int, version.split(b".")))
            for version in re.findall(rb"GLIBC_(\d+\.\d+)\b", path.read_bytes())
        }
        assert max(wanted, default=(0, 0)) <= GLIBC, path


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_and_its_layers_stay_well_below_the_limit(artefacts: Artefacts, function: str) -> None:
    folders = (artefacts.folder(function), artefacts.layer("CoreLayer"), artefacts.layer("VendorLayer"))
    size = sum(path.stat().st_size for folder in folders for path in _files(folder))
    assert size < 0.6 * UNZIPPED_LIMIT_BYTES


@pytest.mark.parametrize("layer", ["CoreLayer", "VendorLayer"])
def test_a_cold_start_compiles_nothing(artefacts: Artefacts, layer: str) -> None:
    """/opt is read-only, so what has no bytecode is compiled again by every new process."""
    folder = artefacts.layer(layer)
    sources = list(folder.rglob("*.py"))
    assert sources
    for source in sources:
        compiled = source.parent / "__pycache__" / f"{source.stem}.{_TAG}.pyc"
        header = compiled.read_bytes()[:8]
        assert header[:4] == importlib.util.MAGIC_NUMBER
        # Flags 1: hash-based and unchecked. Packaging changes the times that the usual kind is checked by.
        assert struct.unpack("<I", header[4:])[0] == 1


_TAG = importlib.util.cache_from_source("x.py").split(".")[-2]
