"""The pinned lists: what is deployed is what was resolved, byte for byte, from wherever it is fetched."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = (
    "layers/vendor/requirements.txt",
    "requirements/dev.txt",
    "requirements/sam.txt",
    "requirements/clients.txt",
    "requirements/bootstrap.txt",
)
PIN = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>[^ ;\\]+)(?P<marker> ; [^\\]+)?", re.M)


def _entries(lock: str) -> list[str]:
    """Each requirement with its continuation lines; comments left out."""
    lines = [line for line in (ROOT / lock).read_text().splitlines() if not line.lstrip().startswith("#")]
    return re.split(r"\n(?=\S)", "\n".join(lines).strip())


def _pins(lock: str) -> dict[str, str]:
    return {match["name"]: match["version"] for match in PIN.finditer((ROOT / lock).read_text())}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_is_pinned_and_hashed(lock: str) -> None:
    for entry in _entries(lock):
        assert PIN.match(entry), entry
        assert "--hash=sha256:" in entry, entry


@pytest.mark.parametrize("lock", LOCKS)
def test_a_list_names_no_registry(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert not re.search(r"://|^\s*(-i|-f|--[a-z-]*(url|links|host))\b", text, re.M)


def test_every_declared_dependency_is_in_the_layer() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[\[><=~! ]", item, maxsplit=1)[0].lower() for item in project["dependencies"]}
    assert declared <= _pins("layers/vendor/requirements.txt").keys()


def test_tests_run_the_versions_that_are_deployed() -> None:
    deployed, tested = _pins("layers/vendor/requirements.txt"), _pins("requirements/dev.txt")
    assert {name: tested.get(name) for name in deployed} == deployed


def test_the_layer_needs_the_same_wheels_list_on_every_machine() -> None:
    """pip judges a marker by the machine that builds, so one here could leave a wheel out on Lambda."""
    text = (ROOT / "layers/vendor/requirements.txt").read_text()
    assert not [match[0] for match in PIN.finditer(text) if match["marker"]]
