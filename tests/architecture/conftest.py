"""The template as written, as the local runner reads it, and as CloudFormation gets it from SAM."""

import fcntl
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dev.intrinsics import read_yaml
from dev.template import Stack, read_stack

ROOT = Path(__file__).parents[2]


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """One test process at a time: make would otherwise build the same thing twice at once."""
    folder = ROOT / ".aws-sam"
    folder.mkdir(exist_ok=True)
    with (folder / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def template_text() -> str:
    return (ROOT / "template.yaml").read_text()


@pytest.fixture(scope="session")
def template(template_text: str) -> dict[str, Any]:
    """As written: short tags spelled out, nothing resolved."""
    return read_yaml(template_text)


@pytest.fixture(scope="session")
def stack(template_text: str) -> Stack:
    """With every parameter at its default."""
    return read_stack(template_text)


@pytest.fixture(scope="session")
def transformed() -> dict[str, Any]:
    """After SAM's transform, by the version that builds and validates. Intrinsic functions are left in."""
    with _alone("sam"):
        subprocess.run(["make", "-s", ".venv-sam/.stamp"], cwd=ROOT, check=True)
    done = subprocess.run(
        [ROOT / ".venv-sam/bin/python", ROOT / "tests/architecture/transform.py", ROOT / "template.yaml"],
        env={**os.environ, "AWS_DEFAULT_REGION": "us-east-1"},
        check=True,
        capture_output=True,
        text=True,
    )
    resources: dict[str, Any] = json.loads(done.stdout)["Resources"]
    return resources
