"""Ollama and LM Studio tell more of their models than OpenAI's list holds; other servers are left alone."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from headgate.domain.catalog import Modality, ModelInfo
from headgate.domain.secret import Secret
from headgate.ports import WireRequest
from headgate.providers.base import ProviderConfig
from headgate.providers.bound import BoundProvider
from headgate.providers.custom import Custom
from headgate.testing.clock import ManualClock
from headgate.testing.transport import Answer, ScriptedTransport

OLLAMA = "http://127.0.0.1:11434"
LM_STUDIO = "http://127.0.0.1:1234"


def ollama_entry(name: str, owner: str = "library") -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1770000000, "owned_by": owner}


def lm_studio_entry(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "owned_by": "organization_owner"}


def shown(architecture: str = "llama", context: object = 131072, **more: Any) -> Answer:
    info = {"general.architecture": architecture, f"{architecture}.context_length": context}
    return Answer.of_json({"model_info": info, **more})


class Server:
    """A custom server on a scripted network: its list, and what it answers on paths of its own."""

    def __init__(self, *entries: Mapping[str, Any], root: str = OLLAMA, **config: Any) -> None:
        self._listed = Answer.of_json({"data": list(entries)})
        self.transport = ScriptedTransport()
        self.bound = BoundProvider(
            Custom(),
            ProviderConfig(base_url=f"{root}/v1", **config),
            transport=self.transport,
            clock=ManualClock(),
        )

    def shows(self, **by_name: Answer) -> "Server":
        """What `/api/show` says of each model; 404 of any other."""

        def answer(request: WireRequest) -> Answer:
            name = orjson.loads(request.body or b"")["model"].partition(":")[0].rpartition("/")[2]
            return by_name.get(name, Answer.of_json({"error": "model not found"}, status=404))

        self.transport.on("/api/show", answer)
        return self

    def lists(self, *models: Mapping[str, Any]) -> "Server":
        """What `/api/v1/models` says."""
        self.transport.on("/api/v1/models", Answer.of_json({"models": list(models)}))
        return self

    async def models(self) -> dict[str, ModelInfo]:
        self.transport.on("/v1/models", self._listed)  # last, as the native path ends in it too
        return {model.native_id: model for model in (await self.bound.list_models()).models}

    @property
    def asked(self) -> list[tuple[str, str]]:
        return [(request.method, request.url) for request in self.transport.requests]


# -- Ollama ------------------------------------------------------------------------------------------------


async def test_ollama_tells_context_and_abilities_of_each_model() -> None:
    server = Server(ollama_entry("llama3.2:3b"), ollama_entry("qwen3-vl:8b"))
    server.shows(
        **{
            "llama3.2": shown(capabilities=["completion", "tools"]),
            "qwen3-vl": shown("qwen3vl", 262144, capabilities=["completion", "vision", "thinking", "tools"]),
        }
    )
    models = await server.models()
    llama, qwen = models["llama3.2:3b"], models["qwen3-vl:8b"]
    assert llama.context_window == 131072
    assert llama.capabilities == {"streaming", "tools"}
    assert (qwen.context_window, qwen.vision) == (262144, True)
    assert qwen.capabilities == {"streaming", "tools", "vision", "reasoning"}
    assert server.asked == [("GET", f"{OLLAMA}/v1/models"), *[("POST", f"{OLLAMA}/api/show")] * 2]


async def test_a_context_set_in_the_models_own_file_is_what_a_call_gets() -> None:
    server = Server(ollama_entry("llama3.2:3b"))
    server.shows(
        **{"llama3.2": shown(parameters='stop "</s>"\nnum_ctx                        8192\ntemperature 1')}
    )
    assert (await server.models())["llama3.2:3b"].context_window == 8192


async def test_ollamas_embedding_models_are_told_apart_whatever_their_name() -> None:
    server = Server(ollama_entry("snowflake-arctic:22m"), ollama_entry("embed-or-chat:1b"))
    server.shows(
        **{
            "snowflake-arctic": shown("bert", 512, capabilities=["embedding"]),
            "embed-or-chat": shown(capabilities=["completion"]),
        }
    )
    models = await server.models()
    arctic, chat = models["snowflake-arctic:22m"], models["embed-or-chat:1b"]
    assert (arctic.modality, arctic.output_modalities, arctic.capabilities) == (
        Modality.EMBEDDING,
        ("embeddings",),
        frozenset(),
    )
    assert chat.modality is Modality.TEXT
    assert chat.capabilities == {"streaming"}


async def test_models_from_elsewhere_are_ollamas_too() -> None:
    server = Server(ollama_entry("llama3.2:3b"), ollama_entry("hf.co/someone/Some-GGUF:Q4", "someone"))
    server.shows(**{"llama3.2": shown(), "Some-GGUF": shown(context=4096)})
    assert (await server.models())["hf.co/someone/Some-GGUF:Q4"].context_window == 4096


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404, b'{"error":"model not found"}'),
        Answer(200, b"<html>"),
        Answer(200, b"[]"),
        Answer.of_json({}),
        Answer.of_json(
            {"model_info": None, "capabilities": "all", "details": 7, "parameters": ["num_ctx 1"]}
        ),
        shown(context="long"),
        shown(context=0),
        shown(context=-1),
    ],
)
async def test_a_model_that_can_not_be_shown_is_listed_all_the_same(answer: Answer) -> None:
    server = Server(ollama_entry("llama3.2:3b")).shows(**{"llama3.2": answer})
    model = (await server.models())["llama3.2:3b"]
    assert model.context_window is None
    assert model.capabilities == {"streaming"}


async def test_the_size_and_cut_of_a_model_are_its_description() -> None:
    details = {"family": "llama", "parameter_size": "3.2B", "quantization_level": "Q4_K_M", "format": "gguf"}
    server = Server(ollama_entry("llama3.2:3b")).shows(**{"llama3.2": shown(details=details)})
    assert (await server.models())["llama3.2:3b"].description == "llama, 3.2B, Q4_K_M"


async def test_native_requests_carry_the_key_and_the_guard() -> None:
    server = Server(ollama_entry("llama3.2:3b"), api_key=Secret("token-abc"), guarded=True)
    await server.shows(**{"llama3.2": shown()}).models()
    native = server.transport.requests[1]
    assert native.headers["authorization"] == Secret("Bearer token-abc")
    assert native.guarded
    assert native.idempotent


@pytest.mark.parametrize(
    ("base", "root"), [("/v1", ""), ("/v1/", ""), ("/ollama/v1", "/ollama"), ("/proxied", "/proxied")]
)
async def test_native_paths_lie_beside_the_openai_ones(base: str, root: str) -> None:
    listed = Answer.of_json({"data": [ollama_entry("llama3.2:3b")]})
    transport = ScriptedTransport().on("/api/show", shown()).on("/models", listed)
    config = ProviderConfig(base_url=f"{OLLAMA}{base}")
    await BoundProvider(Custom(), config, transport=transport, clock=ManualClock()).list_models()
    assert transport.requests[1].url == f"{OLLAMA}{root}/api/show"


# -- LM Studio ---------------------------------------------------------------------------------------------


def lm_studio_model(key: str, kind: str = "llm", **fields: Any) -> dict[str, Any]:
    return {"type": kind, "key": key, "max_context_length": 32768, "loaded_instances": [], **fields}


async def test_lm_studio_tells_of_all_its_models_at_once() -> None:
    server = Server(lm_studio_entry("qwen/qwen3.5-9b"), lm_studio_entry("nomic-v1.5"), root=LM_STUDIO).lists(
        lm_studio_model(
            "qwen/qwen3.5-9b",
            display_name="Qwen3.5 9B",
            description="Small and able.",
            capabilities={"vision": True, "trained_for_tool_use": True},
        ),
        lm_studio_model("nomic-v1.5", "embedding", max_context_length=2048),
        lm_studio_model("not/listed"),
    )
    models = await server.models()
    qwen, nomic = models["qwen/qwen3.5-9b"], models["nomic-v1.5"]
    assert (qwen.name, qwen.description, qwen.context_window) == ("Qwen3.5 9B", "Small and able.", 32768)
    assert qwen.capabilities == {"streaming", "vision", "tools"}
    assert qwen.vision
    assert (nomic.modality, nomic.context_window, nomic.capabilities) == (
        Modality.EMBEDDING,
        2048,
        frozenset(),
    )
    assert server.asked == [("GET", f"{LM_STUDIO}/v1/models"), ("GET", f"{LM_STUDIO}/api/v1/models")]
    assert set(models) == {"qwen/qwen3.5-9b", "nomic-v1.5"}


async def test_what_is_loaded_has_the_context_it_was_loaded_with() -> None:
    server = Server(lm_studio_entry("some/model"), lm_studio_entry("some/model:2"), root=LM_STUDIO).lists(
        lm_studio_model(
            "some/model",
            loaded_instances=[
                {"id": "some/model", "config": {"context_length": 4096}},
                {"id": "some/model:2", "config": {"context_length": 8192}},
            ],
        )
    )
    models = await server.models()
    assert {name: model.context_window for name, model in models.items()} == {
        "some/model": 4096,
        "some/model:2": 8192,
    }


@pytest.mark.parametrize(
    "told",
    [
        {"type": 7, "key": "some/model", "loaded_instances": "none", "capabilities": []},
        {"key": "some/model", "max_context_length": "much", "loaded_instances": [None, {"id": 3}]},
        {"key": None},
    ],
)
async def test_what_is_absurd_stays_unknown(told: dict[str, Any]) -> None:
    model = (await Server(lm_studio_entry("some/model"), root=LM_STUDIO).lists(told).models())["some/model"]
    assert (model.context_window, model.modality) == (None, Modality.TEXT)


# -- other servers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "entries",
    [
        [{"id": "Qwen/Qwen3-32B", "owned_by": "vllm", "max_model_len": 40960}],
        [{"id": "/models/some.gguf", "owned_by": "llamacpp", "meta": {"n_ctx_train": 32768}}],
        [{"id": "gpt-4o", "object": "model", "created": 1, "owned_by": "openai"}],
        [{"id": "bare"}],
        [ollama_entry("a"), {"id": "b"}],
        [ollama_entry("a"), {"id": "b", "owned_by": "vllm", "max_model_len": 7}],
        [lm_studio_entry("a"), ollama_entry("b", "someone")],
        [{"id": "new", "owned_by": "organization_owner", "type": "llm", "max_context_length": 7}],
        [],
    ],
)
async def test_a_server_that_tells_all_or_is_of_another_kind_is_asked_nothing_more(
    entries: list[dict[str, Any]],
) -> None:
    server = Server(*entries)
    assert len(await server.models()) == len(entries)
    assert len(server.asked) == 1
