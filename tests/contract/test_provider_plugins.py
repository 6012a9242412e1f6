"""A provider of someone else's: the example of the documentation, installed as a package beside ours."""

import importlib
import re
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from headgate.domain.secret import Secret
from headgate.providers.base import ChatCall, ProviderConfig
from headgate.providers.registry import ProviderRegistry
from headgate.testing.clock import ManualClock
from headgate.testing.transport import Answer, ScriptedTransport

GUIDE = Path(__file__).parents[2] / "docs" / "adding-a-provider.md"
MODULE = "acme_for_headgate"


def guide_block(language: str, containing: str) -> str:
    """The guide's first code block in a language that holds a text."""
    blocks = re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    return next(str(block) for block in blocks if containing in block)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The guide's example module and entry point, as pip would lay them out."""
    info = tmp_path / "acme_for_headgate-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-for-headgate\nVersion: 1.0\n")
    group, point = re.findall(r'\[project.entry-points."(.+)"\]\n(.+)', guide_block("toml", "entry-points"))[
        0
    ]
    name, target = re.findall(r'(\w+) = "(.+)"', point)[0]
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {target}\n")
    (tmp_path / f"{MODULE}.py").write_text(guide_block("python", "class Acme"))
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield tmp_path
    sys.modules.pop(MODULE, None)
    importlib.invalidate_caches()


def make_registry(transport: ScriptedTransport) -> ProviderRegistry:
    async def configure(slug: str) -> ProviderConfig | None:
        return ProviderConfig(api_key=Secret("sk-acme-0123456789")) if slug == "acme" else None

    return ProviderRegistry(transport=transport, clock=ManualClock(), configure=configure)


@pytest.mark.usefixtures("installed")
async def test_the_guides_example_lists_models_and_chats() -> None:
    listing = {
        "data": [{"id": "acme-large", "usd_per_mtok_in": "2", "usd_per_mtok_out": 6, "max_context": 32768}]
    }
    answer = {
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
    transport = ScriptedTransport(Answer.of_json(listing), Answer.of_json(answer))
    registry = make_registry(transport)
    assert {"acme", "openrouter"} <= set(registry.known_slugs())
    bound = await registry.get("acme")
    (model,) = (await bound.list_models()).models
    assert (model.id, model.canonical_id, model.context_window) == (
        "acme/acme-large",
        "acme/acme-large",
        32768,
    )
    assert model.pricing is not None
    assert (model.pricing.input, model.pricing.output) == (Decimal(2), Decimal(6))
    assert model.premium
    call = ChatCall(body={"messages": []}, model="acme-large", stream=False)
    chat = await bound.chat(call, lambda _usage: None)
    assert chat.outcome.text == "Hi."
    sent = transport.requests[-1]
    assert sent.url == "https://api.acme.example/v1/chat/completions"
    assert orjson.loads(sent.body or b"")["model"] == "acme-large"


@pytest.mark.usefixtures("installed")
async def test_the_guides_error_table_is_the_examples() -> None:
    provider = make_registry(ScriptedTransport()).load("acme")
    error = provider.classify_error(418, {}, b'{"error":{"message":"credits gone","code":"E_NO_CREDITS"}}')
    assert error.code == "provider_insufficient_funds"
    assert provider.classify_error(503, {}, b"").code == "provider_overloaded"


def test_without_the_package_there_is_no_such_provider() -> None:
    assert not make_registry(ScriptedTransport()).has("acme")
