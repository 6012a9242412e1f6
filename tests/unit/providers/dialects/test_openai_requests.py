"""A request reaches the provider as the caller wrote it, with the provider's own model id."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from headgate.domain.errors import InvalidRequest
from headgate.domain.secret import Secret
from headgate.ports import WireRequest
from headgate.providers.base import ChatCall, ProviderConfig
from headgate.providers.dialects.openai import OpenAICompatible
from tests.unit.providers.dialects.speaking import PLAIN, Plain

CONFIG = ProviderConfig(api_key=Secret("sk-plain-0123456789"))
MESSAGES = [{"role": "user", "content": "né 🌍"}]


class Reticent(Plain):
    spec = replace(Plain.spec, sends_stream_options=False)


class Router(Plain):
    gateway_fields = Plain.gateway_fields - {"provider"}


class Renamer(Plain):
    def adjust_chat_body(self, body: dict[str, Any]) -> dict[str, Any]:
        body["max_completion_tokens"] = body.pop("max_tokens")
        return body


def build(body: dict[str, Any], *, stream: bool = False, provider: OpenAICompatible = PLAIN) -> WireRequest:
    return provider.build_chat(ChatCall(body=body, model="native/m:1", stream=stream), CONFIG)


def sent(body: dict[str, Any], *, stream: bool = False, provider: OpenAICompatible = PLAIN) -> dict[str, Any]:
    request = build(body, stream=stream, provider=provider)
    assert request.body is not None
    value = json.loads(request.body)
    assert isinstance(value, dict)
    return value


def test_everything_but_the_model_is_handed_through() -> None:
    body = {
        "model": "plain/native/m:1",
        "messages": MESSAGES,
        "metadata": {"a": "b"},
        "temperature": 1e-7,
        "seed": 123456789012345678901234567890,
        "x_unknown": {"deep": [None, True, 1.0]},
    }
    assert sent(body) == {**body, "model": "native/m:1"}


def test_the_callers_own_object_stays_as_it_was() -> None:
    body = {"model": "a", "messages": MESSAGES, "provider": {"only": ["x"]}, "stream_options": {"x": 1}}
    before = json.dumps(body)
    build(body, stream=True)
    assert json.dumps(body) == before


def test_the_gateways_routing_fields_stay_here() -> None:
    fields = {"models": ["b"], "provider": {"order": ["x"]}, "routing": {}, "cache": {"ttl_s": 1}}
    assert sent({"messages": MESSAGES, **fields}) == {"messages": MESSAGES, "model": "native/m:1"}


def test_a_provider_may_take_a_routing_field_itself() -> None:
    body = {"messages": MESSAGES, "provider": {"order": ["x"]}, "models": ["b"]}
    assert sent(body, provider=Router()).keys() == {"messages", "model", "provider"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (None, {"include_usage": True}),
        ({"include_usage": False}, {"include_usage": True}),
        ({"include_obfuscation": False}, {"include_obfuscation": False, "include_usage": True}),
    ],
)
def test_usage_is_always_asked_of_a_stream(options: Any, expected: dict[str, Any]) -> None:
    body = {"messages": MESSAGES, "stream": True, "stream_options": options}
    assert sent(body, stream=True)["stream_options"] == expected


def test_usage_is_not_asked_where_that_is_not_understood() -> None:
    body = {"messages": MESSAGES, "stream": True, "stream_options": {"include_usage": True}}
    assert "stream_options" not in sent(body, stream=True, provider=Reticent())


def test_whole_answers_are_not_asked_for_stream_options() -> None:
    assert sent({"messages": MESSAGES}).keys() == {"messages", "model"}


@pytest.mark.parametrize("stream", [True, False])
def test_what_is_called_decides_over_the_streamed_flag(stream: bool) -> None:
    assert sent({"messages": MESSAGES, "stream": not stream}, stream=stream)["stream"] is stream


def test_a_vendor_has_the_last_word_on_the_body() -> None:
    body = {"messages": MESSAGES, "max_tokens": 5}
    assert sent(body, provider=Renamer())["max_completion_tokens"] == 5


def test_headers_say_what_is_sent_and_wanted() -> None:
    whole, stream = build({"messages": MESSAGES}), build({"messages": MESSAGES}, stream=True)
    assert (whole.method, whole.url) == ("POST", "https://plain.example/v1/chat/completions")
    assert whole.headers["content-type"] == stream.headers["content-type"] == "application/json"
    assert (whole.headers["accept"], stream.headers["accept"]) == ("application/json", "text/event-stream")
    assert whole.headers["authorization"] == Secret("Bearer sk-plain-0123456789")
    assert "0123456789" not in repr(whole)


def test_a_generation_is_never_sent_twice_by_itself() -> None:
    assert build({"messages": MESSAGES}).idempotent is False


@pytest.mark.parametrize("guarded", [True, False])
def test_an_address_given_by_a_caller_is_guarded(guarded: bool) -> None:
    config = ProviderConfig(base_url="https://own.example/v1/", guarded=guarded, api_key=CONFIG.api_key)
    call = ChatCall(body={"messages": MESSAGES}, model="m", stream=False)
    requests = [
        PLAIN.build_chat(call, config),
        PLAIN.build_list_models(config, None),
        PLAIN.build_key_check(config),
    ]
    assert [r.url for r in requests if r] == [
        "https://own.example/v1/chat/completions",
        "https://own.example/v1/models",
        "https://own.example/v1/models",
    ]
    assert [r.guarded for r in requests if r] == [guarded] * 3


def test_the_list_and_the_key_check_cost_nothing_to_repeat() -> None:
    class Asking(Plain):
        models_query: ClassVar[Mapping[str, str]] = {"output_modalities": "a b", "limit": "5"}

    listed, checked = Asking().build_list_models(CONFIG, None), Asking().build_key_check(CONFIG)
    assert listed is not None
    assert checked is not None
    assert listed.url == "https://plain.example/v1/models?output_modalities=a+b&limit=5"
    assert checked.url == "https://plain.example/v1/models"
    assert listed.idempotent
    assert checked.idempotent
    assert (listed.method, checked.method) == ("GET", "GET")


def test_a_provider_without_a_list_or_a_key_check_has_no_request_for_them() -> None:
    class Bare(Plain):
        spec = replace(Plain.spec, models_path=None, key_check_path=None)

    assert Bare().build_list_models(CONFIG, None) is None
    assert Bare().build_key_check(CONFIG) is None


def test_without_an_address_the_field_is_named() -> None:
    class Nowhere(Plain):
        spec = replace(Plain.spec, base_url=None)

    with pytest.raises(InvalidRequest) as caught:
        build({"messages": MESSAGES}, provider=Nowhere())
    assert [error.field for error in caught.value.errors] == ["base_url"]
