"""OpenAI's list tells ids and dates; the families tell the rest."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from headgate.domain.catalog import Modality, ModelInfo, ModelStatus
from headgate.domain.secret import Secret
from headgate.providers.base import ChatCall, ProviderConfig
from headgate.providers.openai import OpenAI


def models(*entries: Any) -> list[ModelInfo]:
    page = OpenAI().parse_list_models(orjson.dumps({"object": "list", "data": entries}))
    assert page.dropped == ()
    return list(page.models)


def model(native_id: str, **fields: Any) -> ModelInfo:
    return models({"id": native_id, "object": "model", "owned_by": "system", **fields})[0]


@pytest.mark.parametrize(
    ("native_id", "modality"),
    [
        ("gpt-4o-mini", Modality.TEXT),
        ("gpt-5.4-pro-2026-03-05", Modality.TEXT),
        ("o3-deep-research", Modality.TEXT),
        ("gpt-4o-search-preview", Modality.TEXT),
        ("gpt-5-search-api", Modality.TEXT),
        ("gpt-audio-1.5", Modality.TEXT),
        ("chatgpt-4o-latest", Modality.TEXT),
        ("codex-mini-latest", Modality.TEXT),
        ("text-davinci-003", Modality.TEXT),
        ("text-embedding-3-large", Modality.EMBEDDING),
        ("text-embedding-ada-002", Modality.EMBEDDING),
        ("text-similarity-ada-001", Modality.EMBEDDING),
        ("curie-search-query", Modality.EMBEDDING),
        ("babbage-code-search-text", Modality.EMBEDDING),
        ("code-search-ada-code-001", Modality.EMBEDDING),
        ("text-search-davinci-doc-001", Modality.EMBEDDING),
        ("whisper-1", Modality.STT),
        ("gpt-4o-transcribe-diarize", Modality.STT),
        ("tts-1-hd-1106", Modality.TTS),
        ("gpt-4o-mini-tts-2025-12-15", Modality.TTS),
        ("canary-tts", Modality.TTS),
        ("dall-e-3", Modality.IMAGE),
        ("gpt-image-1.5", Modality.IMAGE),
        ("chatgpt-image-latest", Modality.IMAGE),
        ("sora-2-pro", Modality.VIDEO),
        ("ft:gpt-4o-mini-2024-07-18:acme::AbC", Modality.TEXT),
        ("ft:gpt-4o-mini-2024-07-18:whisper-fans:tts:AbC", Modality.TEXT),
        ("ada:ft-acme-2021-12-11-20-11-52", Modality.TEXT),
    ],
)
def test_a_family_tells_the_main_output(native_id: str, modality: Modality) -> None:
    assert model(native_id).modality is modality


@pytest.mark.parametrize(
    "native_id",
    [
        "omni-moderation-latest",
        "text-moderation-stable",
        "gpt-realtime-2.1-mini",
        "gpt-4o-realtime-preview",
        "gpt-realtime-whisper",
        "gpt-realtime-translate",
    ],
)
def test_what_no_modality_holds_is_left_out_on_purpose(native_id: str) -> None:
    assert models({"id": native_id}, {"id": "gpt-4o"}) == models({"id": "gpt-4o"})


@pytest.mark.parametrize(
    "native_id", ["davinci-002", "text-davinci-003", "gpt-3.5-turbo-instruct-0914", "ada:ft-acme-2021-12-11"]
)
def test_what_chat_refuses_is_limited_and_does_not_stream(native_id: str) -> None:
    found = model(native_id)
    assert found.status is ModelStatus.LIMITED
    assert found.capabilities == frozenset()


@pytest.mark.parametrize("native_id", ["gpt-4o", "gpt-3.5-turbo", "o4-mini", "ft:davinci-like:x"])
def test_what_chats_is_available_and_streams(native_id: str) -> None:
    found = model(native_id)
    assert found.status is ModelStatus.AVAILABLE
    assert "streaming" in found.capabilities


@pytest.mark.parametrize(
    ("native_id", "able", "unable"),
    [
        ("gpt-4o", {"vision", "tools", "structured_output"}, {"reasoning"}),
        ("o3-mini", {"reasoning", "tools", "structured_output"}, {"vision"}),
        ("o1-mini", {"reasoning"}, {"vision", "tools"}),
        ("gpt-5.5", {"reasoning", "vision", "tools", "structured_output"}, set()),
        ("gpt-5-chat-latest", {"vision"}, {"reasoning"}),
        ("gpt-4o-audio-preview", {"audio_input", "audio_output", "tools"}, {"vision", "structured_output"}),
        ("gpt-4", {"tools"}, {"vision", "structured_output"}),
        ("whisper-1", set(), {"streaming", "tools", "vision"}),
    ],
)
def test_a_family_tells_what_it_can_do(native_id: str, able: set[str], unable: set[str]) -> None:
    found = model(native_id).capabilities
    assert able <= found
    assert not unable & found


def test_a_shutdown_date_is_an_end_date() -> None:
    ending = model("gpt-4", shutdown_date="2026-10-23")
    assert ending.expires_at == datetime(2026, 10, 23, tzinfo=UTC)
    assert ending.status_at(datetime(2026, 10, 22, tzinfo=UTC)) is ModelStatus.DEPRECATED
    assert model("gpt-4", shutdown_date=None).expires_at is None


def test_no_price_is_made_up() -> None:
    found = model("gpt-4o")
    assert found.pricing is None
    assert not found.premium


@pytest.mark.parametrize("field", ["code", "type"])
def test_no_quota_is_no_rate_limit(field: str) -> None:
    body = orjson.dumps(
        {"error": {"message": "You exceeded your current quota", field: "insufficient_quota"}}
    )
    error = OpenAI().classify_error(429, {"retry-after": "1"}, body)
    assert error.code == "provider_insufficient_funds"
    assert not error.retryable
    assert error.failover
    assert OpenAI().classify_error(429, {}, b'{"error":{"code":"rate_limit_exceeded"}}').retryable


@pytest.mark.parametrize(
    "name", ["o3-pro", "gpt-5-pro", "gpt-5.2-codex", "o4-mini-deep-research", "codex-mini-latest"]
)
def test_a_chat_client_reaches_models_that_answer_at_responses_alone(name: str) -> None:
    call = ChatCall(body={"messages": [{"role": "user", "content": "Hi"}]}, model=name, stream=False)
    request = OpenAI().build_chat(call, ProviderConfig(api_key=Secret("sk-0123456789abcdef")))
    assert request.url == "https://api.openai.com/v1/responses"
    assert orjson.loads(request.body or b"")["model"] == name


@pytest.mark.parametrize("name", ["gpt-4o", "o3", "gpt-5", "gpt-5-mini", "chatgpt-4o-latest"])
def test_other_models_are_handed_through_as_chats(name: str) -> None:
    call = ChatCall(body={"messages": [{"role": "user", "content": "Hi"}]}, model=name, stream=False)
    request = OpenAI().build_chat(call, ProviderConfig(api_key=Secret("sk-0123456789abcdef")))
    assert request.url == "https://api.openai.com/v1/chat/completions"
