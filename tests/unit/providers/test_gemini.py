"""Gemini as a provider: its address, its list and its errors, and clients of other dialects served by it."""

import json
from decimal import Decimal
from typing import Any

import pytest

from headgate.domain.catalog import Modality, ModelInfo
from headgate.domain.errors import CannotCarry, HeadgateError
from headgate.domain.generation import Usage
from headgate.domain.secret import Secret
from headgate.providers.base import ChatCall, ProviderConfig
from headgate.providers.bound import BoundProvider
from headgate.providers.dialects.gemini_turns import FOREIGN_SIGNATURE
from headgate.providers.gemini import Gemini
from headgate.testing.clock import ManualClock
from headgate.testing.transport import Answer, ScriptedTransport
from tests.unit.providers.dialects.gemini_saying import chunk, counted, function, text

KEY = "AIzaSyD-0123456789-fixture"
CONFIG = ProviderConfig(api_key=Secret(KEY))
GEMINI = Gemini()
BASE = "https://generativelanguage.googleapis.com/v1beta"
ALL = ("text", "image", "file", "audio", "video")


def a_cent(_usage: Usage) -> Decimal | None:
    return Decimal("0.01")


def bound(*answers: Answer) -> tuple[BoundProvider, ScriptedTransport]:
    transport = ScriptedTransport(*answers)
    return BoundProvider(GEMINI, CONFIG, transport=transport, clock=ManualClock()), transport


def openai(body: dict[str, Any], *, model: str = "gemini-3.5-flash", stream: bool = False) -> ChatCall:
    return ChatCall(body=body, model=model, stream=stream)


def sent(body: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """What Gemini gets of an OpenAI client's request."""
    written: dict[str, Any] = json.loads(GEMINI.build_chat(openai(body, **fields), CONFIG).body or b"")
    return written


# -- where it is ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        (None, BASE),
        ("https://generativelanguage.googleapis.com", BASE),
        ("https://generativelanguage.googleapis.com/", BASE),
        ("https://generativelanguage.googleapis.com/v1beta/", BASE),
        ("https://generativelanguage.googleapis.com/v1beta/openai/", BASE),
        ("https://proxy.example/google/v1alpha", "https://proxy.example/google/v1alpha"),
        ("https://proxy.example/v1", "https://proxy.example/v1"),
        ("https://proxy.example/v1beta3", "https://proxy.example/v1beta3"),
        ("http://127.0.0.1:9/gemini", "http://127.0.0.1:9/gemini/v1beta"),
        ("https://proxy.example/very1", "https://proxy.example/very1/v1beta"),
    ],
)
def test_a_base_url_may_have_the_version_or_not(base_url: str | None, url: str) -> None:
    config = ProviderConfig(api_key=Secret(KEY), base_url=base_url)
    assert GEMINI.build_chat(openai({"messages": [{"role": "user", "content": "Hi?"}]}), config).url == (
        f"{url}/models/gemini-3.5-flash:generateContent"
    )
    check = GEMINI.build_key_check(config)
    assert check is not None
    assert check.url == f"{url}/models?pageSize=1"


def test_the_key_goes_in_googles_header_and_nowhere_else() -> None:
    request = GEMINI.build_chat(
        openai({"messages": [{"role": "user", "content": "Hi?"}]}, stream=True), CONFIG
    )
    assert request.headers["x-goog-api-key"] == Secret(KEY)
    assert "authorization" not in request.headers
    assert request.headers["accept"] == "text/event-stream"
    assert KEY not in request.url


# -- the list ---------------------------------------------------------------------------------------------


def entry(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": f"models/{name}", "supportedGenerationMethods": ["generateContent"], **fields}


def model(name: str, **fields: Any) -> ModelInfo:
    (found,) = GEMINI.parse_list_models(json.dumps({"models": [entry(name, **fields)]}).encode()).models
    return found


async def test_the_list_is_read_to_its_last_page() -> None:
    pages = [
        {"models": [entry("gemini-b")], "nextPageToken": "a+b/c="},
        {"models": [entry("gemini-a")], "nextPageToken": ""},
    ]
    provider, transport = bound(*(Answer.of_json(page) for page in pages))
    listing = await provider.list_models()
    assert [each.native_id for each in listing.models] == ["gemini-a", "gemini-b"]
    assert (listing.pages, listing.partial) == (2, False)
    assert [request.url for request in transport.requests] == [
        f"{BASE}/models?pageSize=1000",
        f"{BASE}/models?pageSize=1000&pageToken=a%2Bb%2Fc%3D",
    ]


@pytest.mark.parametrize("token", [None, "", 7, ["x"]])
def test_a_token_that_is_none_ends_the_list(token: Any) -> None:
    page = GEMINI.parse_list_models(json.dumps({"models": [], "nextPageToken": token}).encode())
    assert page.next_page is None


def test_an_entry_tells_limits_and_names_but_no_prices() -> None:
    found = model(
        "gemini-2.5-flash",
        displayName="Gemini 2.5 Flash",
        description="Fast.",
        inputTokenLimit=1_048_576,
        outputTokenLimit=65_536,
        supportedGenerationMethods=["generateContent", "countTokens", "createCachedContent"],
        thinking=True,
    )
    assert found == ModelInfo(
        id="gemini/gemini-2.5-flash",
        canonical_id="google/gemini-2.5-flash",
        provider="gemini",
        name="Gemini 2.5 Flash",
        description="Fast.",
        input_modalities=ALL,
        capabilities=frozenset(
            {"streaming", "tools", "structured_output", "json_mode", "reasoning", "vision", "prompt_caching"}
            | {"audio_input", "file_input", "video_input"}
        ),
        supported_parameters=tuple(
            sorted(
                {"frequency_penalty", "include_reasoning", "max_tokens", "presence_penalty", "reasoning"}
                | {"response_format", "seed", "stop", "structured_outputs", "temperature", "tool_choice"}
                | {"tools", "top_k", "top_p"}
            )
        ),
        context_window=1_048_576,
        max_output_tokens=65_536,
    )


@pytest.mark.parametrize(
    ("name", "methods", "modality", "outputs"),
    [
        ("gemini-3-pro-preview", ["generateContent"], Modality.TEXT, ("text",)),
        ("gemini-2.5-flash-image", ["generateContent"], Modality.IMAGE, ("text", "image")),
        ("nano-banana-pro-preview", ["generateContent"], Modality.IMAGE, ("text", "image")),
        ("imagen-4.0-generate-001", ["predict"], Modality.IMAGE, ("image",)),
        ("veo-3.1-generate-preview", ["predictLongRunning"], Modality.VIDEO, ("video",)),
        ("gemini-2.5-flash-preview-tts", ["generateContent"], Modality.TTS, ("audio",)),
        ("lyria-3-pro-preview", ["generateContent"], Modality.MUSIC, ("audio",)),
        ("gemini-embedding-001", ["embedContent", "countTokens"], Modality.EMBEDDING, ("embeddings",)),
        ("text-embedding-004", [], Modality.EMBEDDING, ("embeddings",)),
        ("gemma-3-27b-it", ["generateContent"], Modality.TEXT, ("text",)),
    ],
)
def test_what_a_model_makes_is_told_by_its_methods_and_its_name(
    name: str, methods: list[str], modality: Modality, outputs: tuple[str, ...]
) -> None:
    found = model(name, supportedGenerationMethods=methods)
    assert (found.modality, found.output_modalities) == (modality, outputs)


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("gemini-3.5-flash", ALL),
        ("gemini-2.5-flash-image", ("text", "image")),
        ("gemini-2.5-pro-preview-tts", ("text",)),
        ("gemma-4-31b-it", ("text", "image")),
        ("gemma-3-1b-it", ("text",)),
        ("gemma-2-27b-it", ("text",)),
        ("lyria-3-pro-preview", ("text",)),
    ],
)
def test_what_a_model_reads_is_told_by_its_family(name: str, inputs: tuple[str, ...]) -> None:
    found = model(name)
    assert found.input_modalities == inputs
    assert found.vision == ("image" in inputs)


@pytest.mark.parametrize(
    ("name", "tools"), [("gemma-4-31b-it", True), ("gemma-3-27b-it", False), ("aqa-like", False)]
)
def test_only_chat_models_call_functions(name: str, tools: bool) -> None:
    found = model(name)
    assert ("tools" in found.capabilities) == ("tools" in found.supported_parameters) == tools


@pytest.mark.parametrize("methods", [["generateAnswer"], ["countTokens", "bidiGenerateContent"]])
def test_what_can_not_be_called_over_http_is_left_out(methods: list[str]) -> None:
    page = GEMINI.parse_list_models(
        json.dumps({"models": [entry("x", supportedGenerationMethods=methods)]}).encode()
    )
    assert page.models == ()
    assert page.dropped == ()


def test_the_limits_of_what_writes_no_text_are_not_taken_for_tokens_of_text() -> None:
    found = model("gemini-embedding-001", supportedGenerationMethods=["embedContent"], outputTokenLimit=1)
    assert found.max_output_tokens is None


@pytest.mark.parametrize("name", ["gemini-2.5-flash", "gemma-4-31b-it", "gemini-2.0-flash-001"])
def test_ids_are_spelt_as_everywhere(name: str) -> None:
    assert model(name).canonical_id == f"google/{name}"


# -- the key ----------------------------------------------------------------------------------------------

BAD_KEY = {
    "error": {
        "code": 400,
        "message": "API key not valid. Please pass a valid API key.",
        "status": "INVALID_ARGUMENT",
        "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}],
    }
}


async def test_a_bad_key_is_known_by_asking_for_one_model() -> None:
    provider, transport = bound(Answer.of_json(BAD_KEY, status=400))
    with pytest.raises(HeadgateError) as caught:
        await provider.check_key()
    assert caught.value.code == "provider_auth"
    assert [request.url for request in transport.requests] == [f"{BASE}/models?pageSize=1"]


async def test_a_good_key_needs_no_more_than_an_answer() -> None:
    provider, _ = bound(Answer.of_json({"models": [entry("x")], "nextPageToken": "y"}))
    await provider.check_key()


def test_an_answer_that_can_not_be_read_says_nothing_against_the_key() -> None:
    GEMINI.parse_key_check(b"<html>")


def test_a_list_that_holds_an_error_means_what_the_error_says() -> None:
    with pytest.raises(HeadgateError) as caught:
        GEMINI.parse_list_models(json.dumps(BAD_KEY).encode())
    assert caught.value.code == "provider_auth"


# -- errors -----------------------------------------------------------------------------------------------


def judged(status: int, message: str, **error: Any) -> HeadgateError:
    body = {"error": {"code": status, "message": message, **error}}
    return GEMINI.classify_error(status, {}, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [("34.4s", 34.4), ("48s", 48.0), ("0s", 0.0), ("0.123456789s", 0.123456789), ("soon", None), (7, None)],
)
def test_how_long_to_wait_stands_among_the_details(delay: Any, seconds: float | None) -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]
    error = judged(429, "Enough.", details=details)
    assert (error.code, error.retry_after_s) == ("provider_rate_limited", seconds)


@pytest.mark.parametrize("details", [None, 7, "x", [7], [{"reason": 7}], [{"retryDelay": None}]])
def test_details_of_another_kind_are_no_matter(details: Any) -> None:
    assert judged(429, "Enough.", details=details).code == "provider_rate_limited"
    assert judged(400, "No.", details=details).code == "provider_rejected"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (
            "You exceeded your current quota, please check your plan and billing details.",
            "provider_rate_limited",
        ),
        ("Quota exceeded for metric: x, limit: 0, model: y", "provider_insufficient_funds"),
        ("Quota exceeded for metric: x, limit: 05, model: y", "provider_rate_limited"),
        ("Your prepayment credits are depleted.", "provider_insufficient_funds"),
        ("Your project has exceeded its monthly spending cap.", "provider_insufficient_funds"),
    ],
)
def test_a_quota_that_waiting_helps_is_told_from_one_it_does_not(message: str, code: str) -> None:
    assert judged(429, message).code == code


def test_a_broken_server_is_believed_whatever_it_says() -> None:
    details = [{"reason": "API_KEY_INVALID"}]
    assert judged(500, "API key not valid.", details=details).code == "provider_unavailable"


def test_a_key_in_a_message_is_not_repeated() -> None:
    assert KEY not in judged(403, f"The key {KEY} was reported as leaked.").detail


# -- OpenAI's clients -------------------------------------------------------------------------------------


def test_an_openai_request_becomes_one_of_geminis() -> None:
    body = sent(
        {
            "model": "gemini/gemini-3.5-flash",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is it?"},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGVsbG8="}},
                    ],
                },
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
                    ],
                },
                {"role": "tool", "tool_call_id": "c1", "content": "A cat."},
            ],
            "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
            "tool_choice": "auto",
            "reasoning_effort": "low",
            "max_completion_tokens": 50,
            "stream_options": {"include_usage": True},
            "routing": {"strategy": "cheapest"},
        },
        stream=True,
    )
    assert body == {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"text": "What is it?"},
                    {"inlineData": {"mimeType": "image/png", "data": "aGVsbG8="}},
                ],
            },
            {
                "role": "model",
                "parts": [
                    {
                        "functionCall": {"name": "look", "args": {}, "id": "c1"},
                        "thoughtSignature": FOREIGN_SIGNATURE,
                    }
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"name": "look", "response": {"output": "A cat."}, "id": "c1"}}
                ],
            },
        ],
        "tools": [{"functionDeclarations": [{"name": "look", "parametersJsonSchema": {"type": "object"}}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
        "generationConfig": {
            "maxOutputTokens": 50,
            "thinkingConfig": {"thinkingLevel": "low", "includeThoughts": True},
        },
    }


def test_what_a_client_gives_back_is_what_gemini_signed() -> None:
    said = chunk(
        text("Hm.", thought=True), function("look", {"n": 1}, thoughtSignature="c2ln"), finish="STOP"
    )
    answer = GEMINI.parse_chat(openai({}), json.dumps(said | counted()).encode(), a_cent)
    message = json.loads(answer.body)["choices"][0]["message"]
    assert message["reasoning_content"] == "Hm."
    call_id = message["tool_calls"][0]["id"]
    question = {"role": "user", "content": "Look."}
    result = {"role": "tool", "tool_call_id": call_id, "content": "Waves."}
    parts = sent({"messages": [question, message, result]})["contents"][1]["parts"]
    signed = [part["thoughtSignature"] for part in parts if "functionCall" in part]
    assert signed == ["c2ln"]


# -- beside chat ------------------------------------------------------------------------------------------


async def test_embeddings_are_asked_for_and_priced() -> None:
    provider, transport = bound(
        Answer.of_json({"embeddings": [{"values": [0.5]}], "usageMetadata": {"promptTokenCount": 3}})
    )
    call = openai({"input": "one", "model": "gemini/e", "routing": {}}, model="gemini-embedding-2")
    answer = await provider.embed(call, a_cent)
    assert json.loads(answer.body)["usage"] == {"prompt_tokens": 3, "total_tokens": 3, "cost": 0.01}
    assert answer.outcome.usage == Usage(input_tokens=3, output_tokens=0, total_tokens=3)
    (request,) = transport.requests
    assert request.url == f"{BASE}/models/gemini-embedding-2:batchEmbedContents"
    assert "routing" not in json.loads(request.body or b"")["requests"][0]
    assert not request.idempotent


async def test_embeddings_without_a_count_have_no_price() -> None:
    provider, _ = bound(Answer.of_json({"embeddings": [{"values": [0.5]}]}))
    answer = await provider.embed(openai({"input": "one"}, model="gemini-embedding-001"), a_cent)
    assert "cost" not in json.loads(answer.body)["usage"]
    assert answer.outcome.usage is None


async def test_tokens_are_counted_of_any_conversation() -> None:
    provider, transport = bound(Answer.of_json({"totalTokens": 8}))
    call = openai({"messages": [{"role": "user", "content": "Hi?"}], "temperature": 1})
    assert await provider.count_tokens(call) == 8
    (request,) = transport.requests
    assert request.url == f"{BASE}/models/gemini-3.5-flash:countTokens"
    assert json.loads(request.body or b"") == {
        "generateContentRequest": {
            "model": "models/gemini-3.5-flash",
            "contents": [{"role": "user", "parts": [{"text": "Hi?"}]}],
        }
    }


def test_what_gemini_can_not_say_is_refused_before_anything_is_sent() -> None:
    body = {"messages": [{"role": "user", "content": "Hi?"}], "n": 2}
    with pytest.raises(CannotCarry) as caught:
        GEMINI.build_chat(openai(body), CONFIG)
    assert [error.field for error in caught.value.errors] == ["n"]
