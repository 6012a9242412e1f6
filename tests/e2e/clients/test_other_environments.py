"""Clients that live in environments of their own, given nothing but the gateway's address and key."""

import subprocess
from typing import Any

import pytest

from tests.e2e.clients import wires
from tests.e2e.clients.conftest import run_program
from tests.e2e.clients.polyglot import PROVIDERS, SAYS, WEATHERS
from tests.integration.local_gateway import ROOT, Gateway

pytestmark = pytest.mark.xdist_group("clients-python")
PROGRAMS = ROOT / "tests" / "e2e" / "clients" / "programs"
WANTED = [[name, arguments] for _, name, arguments in WEATHERS]
USED = [wires.INPUT_TOKENS, wires.OUTPUT_TOKENS]
EVERYWHERE = pytest.mark.parametrize("slug", PROVIDERS)


@pytest.fixture(scope="module")
def python() -> str:
    """The Python that has them; `make test` made it before."""
    subprocess.run(["make", "-s", ".venv-clients/.stamp"], cwd=ROOT, check=True)
    return str(ROOT / ".venv-clients" / "bin" / "python")


@pytest.fixture(scope="module")
def langchain(gateway: Gateway, python: str) -> dict[str, Any]:
    return run_program([python, str(PROGRAMS / "langchain_chats.py")], gateway)


@pytest.fixture(scope="module")
def litellm(gateway: Gateway, python: str) -> dict[str, Any]:
    """Prices from its own package: it fetches them otherwise."""
    command = [python, str(PROGRAMS / "litellm_calls.py")]
    return run_program(command, gateway, LITELLM_LOCAL_MODEL_COST_MAP="True")


def check(result: dict[str, Any]) -> None:
    """Whole and streamed alike, with usage, parallel tool calls and their results given back."""
    assert result["whole"] == result["streamed"] == result["after_tools"] == SAYS
    assert result["calls"] == result["streamed_calls"] == WANTED
    assert result["usage"] == USED
    assert result.get("streamed_usage", USED) == USED
    assert result.get("asynchronous", SAYS) == SAYS


@EVERYWHERE
@pytest.mark.parametrize("chat", ["openai", "responses", "anthropic"])
def test_langchains_chats_work_by_base_url_alone(langchain: dict[str, Any], chat: str, slug: str) -> None:
    check(langchain[f"{chat} to {slug}"])


@pytest.mark.parametrize("slug", ["anthropic", "openai", "gemini"])
def test_langchain_gets_objects_by_schema(langchain: dict[str, Any], slug: str) -> None:
    assert langchain[f"schema to {slug}"] == {"open": True, "since": 1850}


@pytest.mark.parametrize("chat", ["openai", "responses", "anthropic"])
def test_langchain_raises_its_own_error_for_the_status(langchain: dict[str, Any], chat: str) -> None:
    vendor = "Anthropic" if chat == "anthropic" else "OpenAI"
    assert langchain[f"{chat} fails"] == f"{vendor}InvalidRequestError"


@EVERYWHERE
@pytest.mark.parametrize("prefix", ["openai", "anthropic"])
def test_litellm_works_by_base_url_alone(litellm: dict[str, Any], prefix: str, slug: str) -> None:
    check(litellm[f"{prefix} to {slug}"])


@pytest.mark.parametrize("prefix", ["openai", "anthropic"])
def test_litellm_raises_its_own_error_for_the_status(litellm: dict[str, Any], prefix: str) -> None:
    assert litellm[f"{prefix} fails"] == "BadRequestError"


def test_litellm_embeds(litellm: dict[str, Any]) -> None:
    assert litellm["embedding"] == [0.25, -0.5, 0.0]
