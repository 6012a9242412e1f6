"""Servers of the caller's own, with lists of many shapes and often no key."""

from typing import Any

import orjson
import pytest

from headgate.domain.catalog import Modality, ModelInfo
from headgate.domain.errors import InvalidRequest
from headgate.domain.secret import Secret
from headgate.providers.base import ProviderConfig
from headgate.providers.custom import Custom

CONFIG = ProviderConfig(base_url="http://127.0.0.1:11434/v1")


def model(**fields: Any) -> ModelInfo:
    (found,) = Custom().parse_list_models(orjson.dumps({"data": [{"id": "some-model", **fields}]})).models
    return found


def test_a_base_url_is_needed_and_a_key_is_not() -> None:
    with pytest.raises(InvalidRequest, match="base_url"):
        Custom().validate_config(ProviderConfig())
    Custom().validate_config(CONFIG)


def test_without_a_key_none_is_sent_and_none_is_checked() -> None:
    request = Custom().build_list_models(CONFIG, None)
    assert request is not None
    assert "authorization" not in request.headers
    assert Custom().build_key_check(CONFIG) is None


def test_with_a_key_the_list_proves_it() -> None:
    config = ProviderConfig(base_url="http://127.0.0.1:8000/v1", api_key=Secret("token-abc"))
    request = Custom().build_key_check(config)
    assert request is not None
    assert request.url == "http://127.0.0.1:8000/v1/models"
    assert "authorization" in request.headers


@pytest.mark.parametrize(
    "fields",
    [
        {"max_model_len": 40960},
        {"context_length": 40960},
        {"context_window": "40960"},
        {"max_context_length": 40960},
        {"meta": {"n_ctx_train": 40960}},
        {"max_model_len": None, "context_length": 0, "n_ctx": 40960},
    ],
)
def test_the_context_is_found_wherever_the_server_tells_it(fields: dict[str, Any]) -> None:
    assert model(**fields).context_window == 40960


def test_an_id_is_all_that_is_needed() -> None:
    bare = model()
    assert (bare.id, bare.name, bare.context_window, bare.pricing) == (
        "custom/some-model",
        "some-model",
        None,
        None,
    )


def test_a_bare_list_is_a_list_too() -> None:
    (found,) = Custom().parse_list_models(b'[{"id":"some-model"}]').models
    assert found.id == "custom/some-model"


@pytest.mark.parametrize("body", [b'{"object":"list","data":null}', b' {"data": null, "object": "list"}\n'])
def test_a_server_without_models_has_an_empty_list(body: bytes) -> None:
    page = Custom().parse_list_models(body)
    assert (page.models, page.dropped) == ((), ())


@pytest.mark.parametrize(
    ("native_id", "canonical"),
    [
        ("Qwen/Qwen3-32B", "qwen/qwen3-32b"),
        ("openai/gpt-oss-20b", "openai/gpt-oss-20b"),
        ("llama3.2:3b", "custom/llama3.2:3b"),
        ("Some-Model", "custom/Some-Model"),
        ("/models/some.gguf", "custom//models/some.gguf"),
        ("a/b/c", "custom/a/b/c"),
    ],
)
def test_only_an_author_and_name_make_it_the_same_model_as_elsewhere(native_id: str, canonical: str) -> None:
    assert model(id=native_id).canonical_id == canonical


@pytest.mark.parametrize(
    ("fields", "modality"),
    [
        ({"type": "embeddings", "id": "x"}, Modality.EMBEDDING),
        ({"type": "vlm", "id": "flux-of-words"}, Modality.TEXT),
        ({"id": "nomic-embed-text"}, Modality.EMBEDDING),
        ({"id": "Systran/faster-whisper-large-v3"}, Modality.STT),
        ({"id": "llama3"}, Modality.TEXT),
    ],
)
def test_the_type_tells_the_modality_else_the_name(fields: dict[str, Any], modality: Modality) -> None:
    assert model(**fields).modality is modality


def test_lm_studios_capabilities_are_understood() -> None:
    able = model(type="vlm", capabilities={"vision": True, "trained_for_tool_use": True})
    assert able.capabilities == {"streaming", "vision", "tools"}
    assert able.vision
    assert model(capabilities=["completion", "vision"]).capabilities == {"streaming"}


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (404, b'{"error":"model \'x\' not found"}', "model_not_found"),
        (400, b'{"error":"prompt too long; exceeded max context length by 3 tokens"}', "context_too_long"),
        (401, b"Unauthorized", "provider_auth"),
        (500, b'{"error":"llama runner process has terminated"}', "provider_unavailable"),
        (502, b"<html><title>502 Bad Gateway</title></html>", "provider_unavailable"),
    ],
)
def test_errors_as_bare_texts_are_judged(status: int, body: bytes, code: str) -> None:
    assert Custom().classify_error(status, {}, body).code == code
