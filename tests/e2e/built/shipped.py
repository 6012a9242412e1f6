"""What was built, and ways to run it apart from everything that was installed for development."""

import json
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.resources import aws_environment
from dev.template import Stack

ROOT = Path(__file__).parents[3]
HOST = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
OTHER = "x86_64" if HOST == "arm64" else "arm64"

EXAMPLE_KEY = "hg_example-key-for-the-files-in-events-00000000"
"""The key in events/: nobody's, except in these tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefacts:
    """The output of `make artefacts`."""

    host: Path
    other: Path

    def layer(self, name: str) -> Path:
        return self.host / name / "python"

    def folder(self, function: str) -> Path:
        return self.host / f"{function.capitalize()}Function"

    def paths(self, function: str) -> list[str]:
        """What Lambda puts before the standard library, in its order."""
        return [str(self.folder(function)), str(self.layer("CoreLayer")), str(self.layer("VendorLayer"))]


@dataclass(frozen=True, slots=True)
class Account:
    """An AWS account with the stack's tables in it."""

    endpoint_url: str
    stack: Stack

    def environment(self, function: str) -> dict[str, str]:
        """All that a function finds in its environment: what the template says, and what Lambda adds."""
        spec = self.stack.function(function)
        return {
            **spec.environment,
            **aws_environment(),
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_LAMBDA_FUNCTION_NAME": spec.physical_name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_mb),
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "LANG": "en_US.UTF-8",
        }


@dataclass(frozen=True, slots=True)
class Built:
    """The built handlers, run by the interpreter alone: nothing of this virtual environment is in reach."""

    artefacts: Artefacts
    account: Account
    scratch: Path

    def environment(self, function: str) -> dict[str, str]:
        return self.account.environment(function)

    def invoke(self, function: str, events: list[Any]) -> tuple[list[Any], list[str]]:
        """The answers to these events from one process, and the modules Lambda would not have had."""
        to = self.scratch / f"{function}.json"
        script = ROOT / "tests/e2e/built/invoke.py"
        python = getattr(sys, "_base_executable", sys.executable)
        done = subprocess.run(
            [python, "-I", "-S", "-B", script, to, *self.artefacts.paths(function)],
            input=json.dumps(events),
            env=self.environment(function),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        outcome = json.loads(to.read_text())
        return outcome["answers"], outcome["strangers"]
