"""Vercel's AI SDK, given nothing but the gateway's address and key. Without node and npm there is no test."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.clients import wires
from tests.e2e.clients.conftest import run_program
from tests.e2e.clients.polyglot import PROVIDERS, SAYS, WEATHERS
from tests.integration.local_gateway import ROOT, Gateway

PACKAGES = ("ai@6.0.326", "@ai-sdk/openai-compatible@2.0.87", "@ai-sdk/anthropic@3.0.138")
PROGRAM = ROOT / "tests" / "e2e" / "clients" / "programs" / "ai_sdk.mjs"
NODE, NPM = shutil.which("node"), shutil.which("npm")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert NPM is not None
    folder = tmp_path_factory.mktemp("node")
    (folder / "package.json").write_text('{"private": true}')
    command = [NPM, "install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    done = subprocess.run(
        [*command, *PACKAGES], cwd=folder, env=dict(os.environ), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def results(gateway: Gateway, packages: Path) -> dict[str, Any]:
    assert NODE is not None
    return run_program([NODE, str(PROGRAM)], gateway, NODE_FOLDER=str(packages))


if NODE is not None and NPM is not None:
    pytestmark = pytest.mark.xdist_group("clients-node")

    @pytest.mark.parametrize("slug", PROVIDERS)
    @pytest.mark.parametrize("client", ["openai-compatible", "anthropic"])
    def test_the_ai_sdk_works_by_base_url_alone(results: dict[str, Any], client: str, slug: str) -> None:
        found = results[f"{client} to {slug}"]
        assert found["whole"] == found["streamed"] == found["after_tools"] == SAYS
        assert found["calls"] == found["streamed_calls"] == [[name, given] for _, name, given in WEATHERS]
        assert found["usage"] == found["streamed_usage"] == [wires.INPUT_TOKENS, wires.OUTPUT_TOKENS]

    @pytest.mark.parametrize("client", ["openai-compatible", "anthropic"])
    def test_the_ai_sdk_is_told_what_failed(results: dict[str, Any], client: str) -> None:
        assert results[f"{client} fails"] == "AI_APICallError 400"
