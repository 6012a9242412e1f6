"""What importing a function brings in and does: the structure behind its cold start, without a clock.

Each function is imported in a process of its own, as Lambda imports it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from headgate.providers.registry import INFRASTRUCTURE

ROOT = Path(__file__).parents[2]
CORE = ROOT / "layers" / "core"
FUNCTIONS = sorted(path.parent.name for path in ROOT.glob("functions/*/app.py"))

# Each costs 50 to 300 ms, and is imported by whoever first needs it.
HEAVY = {
    "aiohttp",
    "aws_lambda_powertools",
    "boto3",
    "botocore",
    "cryptography",
    "httpx",
    "jwt",
    "mangum",
    "moto",
    "uvicorn",
    "yaml",
}

# What it does at import would be in a snapshot, shared by all processes that start from it.
_DEEDS = {
    "socket.__new__",
    "socket.connect",
    "subprocess.Popen",
    "os.fork",
    "_thread.start_new_thread",
    "_thread.start_joinable_thread",
}


_PROGRAM = """
import json, os, sys
done = []
sys.addaudithook(lambda event, arguments: done.append(event))
import {module}
modules = [
    name for name, module in sys.modules.items() if "-packages" in (getattr(module, "__file__", None) or "")
]
own = [name for name in sys.modules if name.partition(".")[0] in ("headgate", "dev", "bench", "tests")]
app = sys.modules.get("app")
sys.stdout.write(json.dumps({{
    "packages": sorted({{name.partition(".")[0] for name in modules}}),
    "own": own,
    "deeds": sorted(set(done)),
    "serves": hasattr(app, "app"),
}}))
"""


@dataclass(frozen=True)
class Imported:
    """packages: third-party ones, by their top level. own: modules of this repository. deeds: audit events.
    serves: whether it is an HTTP function."""

    packages: frozenset[str]
    own: frozenset[str]
    deeds: frozenset[str]
    serves: bool


def import_alone(module: str, folder: Path) -> Imported:
    environ = {**os.environ, "PYTHONPATH": str(CORE), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(module=module)],
        cwd=folder,
        env=environ,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    return Imported(
        packages=frozenset(told["packages"]),
        own=frozenset(told["own"]),
        deeds=frozenset(told["deeds"]),
        serves=told["serves"],
    )


@pytest.fixture(scope="module")
def imported() -> Mapping[str, Imported]:
    return {name: import_alone("app", ROOT / "functions" / name) for name in FUNCTIONS}


@pytest.fixture(scope="module")
def framework() -> frozenset[str]:
    """What FastAPI cannot do without, in the versions that are installed."""
    return import_alone("fastapi.exceptions", ROOT).packages | {"fastapi"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_importing_a_function_brings_in_nothing_slow(imported: Mapping[str, Imported], name: str) -> None:
    assert not imported[name].packages & HEAVY


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_http_function_imports_fastapi_and_json_and_no_other_package(
    imported: Mapping[str, Imported], framework: frozenset[str], name: str
) -> None:
    if imported[name].serves:
        assert imported[name].packages <= framework | {"orjson"}
    else:
        assert imported[name].packages <= {"orjson"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_importing_a_function_opens_nothing(imported: Mapping[str, Imported], name: str) -> None:
    assert not imported[name].deeds & _DEEDS


@pytest.mark.parametrize("name", FUNCTIONS)
def test_providers_wait_until_they_are_asked_for(imported: Mapping[str, Imported], name: str) -> None:
    providers = {path.stem for path in CORE.glob("headgate/providers/*.py")}
    slugs = {name for name in providers if not name.startswith("_")} - INFRASTRUCTURE
    assert slugs
    assert not imported[name].own & {f"headgate.providers.{slug}" for slug in slugs}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_carries_nothing_that_is_not_deployed(imported: Mapping[str, Imported], name: str) -> None:
    assert {module.partition(".")[0] for module in imported[name].own} == {"headgate"}
    assert not [module for module in imported[name].own if module.startswith("headgate.testing")]


def test_the_measure_notices_what_it_looks_for(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import socket, aiohttp\nopened = socket.socket()\napp = 1\n")
    found = import_alone("app", tmp_path)
    assert "aiohttp" in found.packages & HEAVY
    assert "socket.__new__" in found.deeds & _DEEDS
    assert found.serves
