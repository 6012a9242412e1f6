"""What every provider keeps to, whoever wrote it: one file, one fixture folder, one contract.

A folder `tests/fixtures/providers/<slug>` holds: `SOURCE.md`; `models.json`, a list as the provider sends it;
`chat.json`, `chat.sse`, `chat-tools.json`, `chat-tools.sse`, whose text is GREETING or whose tool call is
`get_weather({"city": "Ghent"})`; `errors.json` and `key-check.json`, lists of `{status, headers?, body, code,
retry_after_s?, says?, absent?}`.
"""

import copy
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.domain.catalog import Modality, ModelInfo
from headgate.domain.errors import CODES, HeadgateError, InvalidRequest, ProviderFailed
from headgate.domain.generation import Usage
from headgate.domain.secret import Secret
from headgate.ports import WireRequest
from headgate.providers.base import ChatCall, Provider, ProviderConfig, StreamEvent
from headgate.providers.dialects.base import ANTHROPIC_MESSAGES, OPENAI_CHAT, OPENAI_RESPONSES
from headgate.providers.dialects.speaking import DialectProvider
from headgate.providers.registry import INFRASTRUCTURE, ProviderRegistry
from headgate.testing.clock import ManualClock
from headgate.testing.transport import Answer, ScriptedTransport

FIXTURES = Path(__file__).parent.parent / "fixtures" / "providers"
SOURCES = Path(__file__).parents[2] / "layers" / "core" / "headgate" / "providers"
GREETING = "Hello from a fixture."
KEY = "sk-fixture-0123456789abcdef"
ELSEWHERE = "https://elsewhere.example/base"
PROVIDER_CODES = {code for code, spec in CODES.items() if spec.origin == "provider"} | {"model_not_found"}


def new_registry() -> ProviderRegistry:
    async def unconfigured(_slug: str) -> None:
        return None

    return ProviderRegistry(transport=ScriptedTransport(), clock=ManualClock(), configure=unconfigured)


REGISTRY = new_registry()
FILES = {path.stem for path in SOURCES.glob("*.py") if not path.stem.startswith("_")}
SLUGS = sorted(FILES - INFRASTRUCTURE)
every_slug = pytest.mark.parametrize("slug", SLUGS)


def config_of(slug: str) -> ProviderConfig:
    """A configuration that replaces all of the provider's hosts."""
    del slug
    return ProviderConfig(api_key=Secret(KEY), base_url=ELSEWHERE)


def read(slug: str, name: str) -> bytes:
    return (FIXTURES / slug / name).read_bytes()


def cases(name: str) -> list[Any]:
    """Each entry of each provider's file, as pytest parameters."""
    return [
        pytest.param(folder.name, case, id=f"{folder.name}-{case['status']}-{number}")
        for folder in sorted(FIXTURES.iterdir())
        if (folder / name).exists()
        for number, case in enumerate(json.loads((folder / name).read_bytes()))
    ]


def wire_body(case: Mapping[str, Any]) -> bytes:
    body = case["body"]
    return body.encode() if isinstance(body, str) else orjson.dumps(body)


def call(*, stream: bool) -> ChatCall:
    body = {
        "model": "whatever/the-caller-wrote",
        "messages": [{"role": "user", "content": "Greet me."}],
        "stream": stream,
        "routing": {"strategy": "cheapest"},
        "some_unknown_field": {"kept": True},
    }
    return ChatCall(body=body, model="author/model:variant@region", stream=stream)


def a_microdollar(_usage: Usage) -> Decimal:
    return Decimal("0.000001")


# -- one file, one folder ---------------------------------------------------------------------------------


def test_fixture_folders_and_provider_files_are_the_same_set() -> None:
    assert {path.name for path in FIXTURES.iterdir()} == set(SLUGS)


def test_the_registry_finds_each_file_and_nothing_else() -> None:
    assert set(REGISTRY.known_slugs()) >= set(SLUGS)
    assert REGISTRY.known_slugs() == tuple(sorted(REGISTRY.known_slugs()))


@every_slug
def test_a_file_holds_the_provider_of_its_name(slug: str) -> None:
    provider = REGISTRY.load(slug)
    assert provider.spec.slug == slug
    assert provider.spec.key_name == f"{slug.upper()}_API_KEY"
    assert provider.spec.name
    assert provider.spec.description
    assert provider.spec.docs_url.startswith("https://")
    assert provider.spec.modalities <= set(Modality)


@every_slug
def test_a_folder_says_where_its_files_are_from(slug: str) -> None:
    text = read(slug, "SOURCE.md").decode()
    assert text.startswith("# ")
    assert "ecorded" in text
    assert len(text) > 100


IMPORT_GUARD = """
import os, sys
import headgate.providers.registry, headgate.providers.dialects.openai

def watch(event, args):
    if event == "open":
        path, mode = str(args[0]), args[1] or "r"
        if not path.endswith((".py", ".pyc", ".so")) and "__pycache__" not in path or mode.strip("rb"):
            raise SystemExit(f"opens {path}")
    if event.startswith(("socket.", "subprocess.", "os.system", "os.exec", "urllib.", "http.", "ftplib.")):
        raise SystemExit(f"does {event}")

class Untouchable(dict):
    def get(self, *args): raise SystemExit("reads the environment")
    __getitem__ = __contains__ = get

sys.dont_write_bytecode = True
sys.addaudithook(watch)
environ, os.environ = os.environ, Untouchable()
__import__("headgate.providers." + sys.argv[1])
os.environ = environ
"""


@every_slug
def test_importing_a_provider_touches_nothing(slug: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", IMPORT_GUARD, slug],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCES.parents[1])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-500:]


# -- configuration ----------------------------------------------------------------------------------------


def wrong_fields(provider: Provider, config: ProviderConfig) -> list[str]:
    with pytest.raises(InvalidRequest) as caught:
        provider.validate_config(config)
    assert KEY not in caught.value.detail
    return [error.field for error in caught.value.errors]


@every_slug
def test_a_missing_key_is_named(slug: str) -> None:
    provider = REGISTRY.load(slug)
    config = ProviderConfig(base_url=ELSEWHERE)
    if provider.spec.key_required:
        assert wrong_fields(provider, config) == ["api_key"]
    else:
        provider.validate_config(config)


@every_slug
def test_a_key_that_would_split_a_header_is_named(slug: str) -> None:
    config = ProviderConfig(api_key=Secret(f"{KEY}\r\nx-evil: 1"), base_url=ELSEWHERE)
    assert wrong_fields(REGISTRY.load(slug), config) == ["api_key"]


@every_slug
@pytest.mark.parametrize("url", ["ftp://x.example", "x.example/v1", "https://", "https://u:p@x.example"])
def test_a_wrong_base_url_is_named(slug: str, url: str) -> None:
    config = ProviderConfig(api_key=Secret(KEY), base_url=url)
    assert wrong_fields(REGISTRY.load(slug), config) == ["base_url"]


@every_slug
def test_a_provider_without_a_host_of_its_own_asks_for_one(slug: str) -> None:
    provider = REGISTRY.load(slug)
    config = ProviderConfig(api_key=Secret(KEY))
    if provider.spec.base_url is None:
        assert wrong_fields(provider, config) == ["base_url"]
    else:
        provider.validate_config(config)


# -- requests ---------------------------------------------------------------------------------------------


def requests_of(provider: Provider, config: ProviderConfig) -> Iterator[WireRequest]:
    for request in (
        provider.build_list_models(config, None),
        provider.build_key_check(config),
        provider.build_chat(call(stream=False), config),
        provider.build_chat(call(stream=True), config),
    ):
        if request is not None:
            yield request


@every_slug
def test_a_base_url_replaces_every_host(slug: str) -> None:
    for request in requests_of(REGISTRY.load(slug), config_of(slug)):
        assert request.url.startswith(f"{ELSEWHERE}/")


@every_slug
def test_the_key_is_sent_in_a_header_that_does_not_show_it(slug: str) -> None:
    provider = REGISTRY.load(slug)
    for request in requests_of(provider, config_of(slug)):
        assert KEY not in request.url
        assert KEY.encode() not in (request.body or b"")
        assert KEY not in repr(request)
        revealed = [value.reveal() for value in request.headers.values() if isinstance(value, Secret)]
        assert [KEY in value for value in revealed] == ([] if provider.spec.auth == "none" else [True])


@every_slug
def test_an_address_from_a_caller_is_guarded_in_every_request(slug: str) -> None:
    config = ProviderConfig(api_key=Secret(KEY), base_url=ELSEWHERE, guarded=True)
    assert all(request.guarded for request in requests_of(REGISTRY.load(slug), config))


@every_slug
def test_only_questions_may_be_asked_twice(slug: str) -> None:
    for request in requests_of(REGISTRY.load(slug), config_of(slug)):
        assert request.idempotent == (request.method == "GET")


@every_slug
def test_a_chat_goes_out_with_the_providers_own_id_and_all_unknown_fields(slug: str) -> None:
    for stream in (False, True):
        request = REGISTRY.load(slug).build_chat(call(stream=stream), config_of(slug))
        text = (request.body or b"").decode() + unquote(request.url)
        assert "whatever/the-caller-wrote" not in text
        assert "author/model:variant@region" in text
        assert "some_unknown_field" in text
        assert "cheapest" not in text, "what only the gateway understands is not sent on"


# -- lists ------------------------------------------------------------------------------------------------


def listed(slug: str) -> list[ModelInfo]:
    page = REGISTRY.load(slug).parse_list_models(read(slug, "models.json"))
    assert page.dropped == ()
    return list(page.models)


def amounts(model: ModelInfo) -> list[Decimal]:
    price = model.pricing
    if price is None:
        return []
    told = (price.input, price.output, price.cache_read, price.cache_write, price.reasoning)
    return [amount for amount in (*told, *price.units.values()) if amount is not None]


def assert_sound(slug: str, models: list[ModelInfo]) -> None:
    """What holds for any list, however mad."""
    for model in models:
        assert model.id == f"{slug}/{model.native_id}"
        assert model.native_id
        assert model.provider == slug
        assert model.name
        author, _, name = model.canonical_id.partition("/")
        assert author
        assert name
        assert all(amount.is_finite() and 0 <= amount <= 10_000 for amount in amounts(model))
        assert model.pricing is None or model.pricing.source == slug
        assert model.premium == (model.pricing is not None and model.pricing.above_zero)
        for count in (model.context_window, model.max_output_tokens):
            assert count is None or 0 < count <= 1_000_000_000
        for moment in (model.created_at, model.expires_at):
            assert moment is None or (moment.tzinfo is not None and 2000 <= moment.year <= 2100)


@every_slug
def test_a_list_is_read_without_loss(slug: str) -> None:
    models = listed(slug)
    assert models
    assert len({model.id for model in models}) == len(models)
    assert_sound(slug, models)


@every_slug
async def test_a_bound_provider_reads_the_same_list(slug: str) -> None:
    transport = ScriptedTransport(Answer(200, read(slug, "models.json")))
    provider = REGISTRY.load(slug)
    registry = ProviderRegistry(transport=transport, clock=ManualClock(), configure=_never)
    if provider.transport() is not None:
        return  # it brings its own answers, which its own tests read
    listing = await registry.bind(slug, config_of(slug)).list_models()
    assert listing.models == tuple(sorted(listed(slug), key=lambda model: model.id))
    assert (listing.partial, listing.pages) == (False, 1)


async def _never(_slug: str) -> None:
    return None


@every_slug
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"\xff\xfe", b"null", b"7", b'"text"', b"{}", b"[" * 50_000]
)
def test_what_is_no_list_is_a_protocol_error(slug: str, body: bytes) -> None:
    with pytest.raises(ProviderFailed) as caught:
        REGISTRY.load(slug).parse_list_models(body)
    assert caught.value.code == "provider_protocol"


ABSURD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(10**30), max_value=10**30),
    st.floats(),
    st.text(max_size=30),
    st.sampled_from(
        [
            "-1",
            "NaN",
            "Infinity",
            "1e999999",
            "1e-999999",
            "0x10",
            "128000",
            "9" * 300,
            "２",
            "2026-13-45",
            "~",
        ]
    ),
    st.lists(st.none() | st.integers() | st.text(max_size=5), max_size=3),
    st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=5), max_size=3),
)


def entries_of(value: Any) -> list[Any]:
    """The list of entries, wherever the provider keeps it."""
    if isinstance(value, list):
        return value
    return next(each for each in value.values() if isinstance(each, list))


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a JSON value."""
    if isinstance(value, dict):
        keys: list[Any] = list(value)
    elif isinstance(value, list):
        keys = list(range(len(value)))
    else:
        return []
    return [(value, key) for key in keys] + [place for key in keys for place in places(value[key])]


@every_slug
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_absurd_fields_cost_at_most_their_own_entry(slug: str, data: st.DataObject) -> None:
    listing = json.loads(read(slug, "models.json"))
    entries = entries_of(listing)
    entry = data.draw(st.sampled_from(entries))
    for _ in range(data.draw(st.integers(1, 4))):
        spots = places(entry)
        if spots:
            container, key = data.draw(st.sampled_from(spots))
            container[key] = data.draw(ABSURD)
    sound = len(listed(slug))
    page = REGISTRY.load(slug).parse_list_models(json.dumps(listing).encode())
    assert len(page.models) >= sound - 1
    assert len(page.dropped) <= 1
    assert_sound(slug, list(page.models))


@every_slug
@pytest.mark.parametrize(
    "entry", [None, 7, "text", [], {}, {"id": None}, {"id": 7}, {"id": ""}, {"id": "a\nb"}]
)
def test_an_entry_that_names_no_model_is_dropped_with_a_reason(slug: str, entry: Any) -> None:
    listing = json.loads(read(slug, "models.json"))
    entries_of(listing).insert(0, entry)
    page = REGISTRY.load(slug).parse_list_models(orjson.dumps(listing))
    assert list(page.models) == listed(slug)
    assert len(page.dropped) == 1
    assert page.dropped[0]


@every_slug
async def test_an_id_told_twice_is_listed_once(slug: str) -> None:
    provider = REGISTRY.load(slug)
    listing = json.loads(read(slug, "models.json"))
    entries = entries_of(listing)
    entries.extend(copy.deepcopy(entries))
    transport = ScriptedTransport(Answer(200, orjson.dumps(listing)))
    registry = ProviderRegistry(transport=transport, clock=ManualClock(), configure=_never)
    if provider.transport() is None:
        models = (await registry.bind(slug, config_of(slug)).list_models()).models
        assert len({model.id for model in models}) == len(models) == len(listed(slug))


# -- chat -------------------------------------------------------------------------------------------------


@every_slug
def test_a_whole_answer_is_read(slug: str) -> None:
    answer = REGISTRY.load(slug).parse_chat(call(stream=False), read(slug, "chat.json"), a_microdollar)
    assert answer.outcome.text == GREETING
    assert answer.outcome.finish_reason == "stop"
    assert answer.outcome.usage is not None
    assert answer.outcome.usage.input_tokens
    body = orjson.loads(answer.body)
    assert body["choices"][0]["message"]["content"] == GREETING
    assert body["usage"]["cost"] > 0


@every_slug
def test_a_whole_answer_cut_short_is_a_protocol_error(slug: str) -> None:
    body = read(slug, "chat.json").rstrip()
    for length in (0, 1, len(body) // 2, len(body) - 1):
        with pytest.raises(ProviderFailed) as caught:
            REGISTRY.load(slug).parse_chat(call(stream=False), body[:length], a_microdollar)
        assert caught.value.code == "provider_protocol"


def play(slug: str, body: bytes, size: int) -> tuple[list[StreamEvent], Any]:
    reader = REGISTRY.load(slug).read_chat_stream(call(stream=True), a_microdollar)
    events = []
    for start in range(0, len(body), size):
        events += reader.feed(body[start : start + size])
    return events + reader.end(), reader.outcome


def told(events: list[StreamEvent]) -> bytes:
    """All that the client gets, but for an id that was made up because the provider gave none."""
    return re.sub(rb"chatcmpl-[0-9a-f]{32}", b"chatcmpl-", b"".join(event.data for event in events))


@every_slug
@pytest.mark.parametrize("name", ["chat.sse", "chat-tools.sse"])
def test_a_stream_reads_the_same_however_it_is_cut(
    slug: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: 1_770_000_000.0)  # a translated answer tells when it began
    body = read(slug, name)
    whole, outcome = play(slug, body, len(body))
    for size in (1, 2, 7, 61, 1000):
        events, cut_outcome = play(slug, body, size)
        assert told(events) == told(whole)
        assert [event.content for event in events if event.data] == [e.content for e in whole if e.data]
        assert cut_outcome == outcome


@every_slug
def test_a_streamed_answer_is_read_and_ends_as_openai_clients_expect(slug: str) -> None:
    events, outcome = play(slug, read(slug, "chat.sse"), 100)
    assert outcome.text == GREETING
    assert outcome.finish_reason == "stop"
    assert outcome.usage.input_tokens
    assert [event.error for event in events if event.error] == []
    data = b"".join(event.data for event in events)
    assert data.endswith(b"data: [DONE]\n\n")
    chunks = [orjson.loads(line[6:]) for line in data.split(b"\n\n") if line.startswith(b"data: {")]
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"]) == GREETING
    assert chunks[-1]["usage"]["cost"] > 0


@every_slug
def test_a_stream_cut_off_ends_in_an_error_and_never_looks_finished(slug: str) -> None:
    body = read(slug, "chat.sse")
    half = body[: body.index(b"Hello") + 60]
    events, _ = play(slug, half, 50)
    error = events[-1].error
    assert error is not None
    assert error.code == "provider_protocol"
    assert b"[DONE]" not in b"".join(event.data for event in events)


@every_slug
def test_tool_calls_are_read_whole_and_streamed(slug: str) -> None:
    whole = (
        REGISTRY.load(slug)
        .parse_chat(call(stream=False), read(slug, "chat-tools.json"), a_microdollar)
        .outcome
    )
    _, streamed = play(slug, read(slug, "chat-tools.sse"), 33)
    for outcome in (whole, streamed):
        (tool_call,) = outcome.tool_calls
        assert tool_call["function"]["name"] == "get_weather"
        assert orjson.loads(tool_call["function"]["arguments"]) == {"city": "Ghent"}
        assert outcome.finish_reason == "tool_calls"


# -- every dialect that clients speak ---------------------------------------------------------------------

ASKED: dict[str, dict[str, Any]] = {
    OPENAI_CHAT: {"messages": [{"role": "user", "content": "Greet me."}]},
    OPENAI_RESPONSES: {"input": "Greet me."},
    ANTHROPIC_MESSAGES: {"messages": [{"role": "user", "content": "Greet me."}], "max_tokens": 100},
}
ENDINGS = {
    OPENAI_CHAT: b"data: [DONE]",
    OPENAI_RESPONSES: b'"type":"response.completed"',
    ANTHROPIC_MESSAGES: b'"type":"message_stop"',
}
each_dialect = pytest.mark.parametrize("dialect", ASKED)


def call_in(dialect: str, *, stream: bool) -> ChatCall:
    return ChatCall(
        body={**ASKED[dialect], "model": "a/b"}, model="author/model", stream=stream, dialect=dialect
    )


def spoken() -> list[Any]:
    """Each provider with each client's dialect, but for a second one that it speaks itself.

    What it answers in that one is in no fixture here: it is handed through, which its dialect's tests cover.
    """
    pairs = []
    for slug in SLUGS:
        provider = REGISTRY.load(slug)
        backs = provider.backs if isinstance(provider, DialectProvider) else ()
        second = {back.name for back in backs[1:]}
        pairs += [
            pytest.param(slug, dialect, id=f"{slug}-{dialect}") for dialect in ASKED if dialect not in second
        ]
    return pairs


each_pair = pytest.mark.parametrize(("slug", "dialect"), spoken())


@every_slug
@each_dialect
def test_a_client_of_any_dialect_can_ask(slug: str, dialect: str) -> None:
    for stream in (False, True):
        request = REGISTRY.load(slug).build_chat(call_in(dialect, stream=stream), config_of(slug))
        assert request.method == "POST"
        assert b"Greet me." in (request.body or b"")


@each_pair
def test_a_client_of_any_dialect_is_answered_the_same_whole_and_streamed(slug: str, dialect: str) -> None:
    provider = REGISTRY.load(slug)
    for name in ("chat", "chat-tools"):
        whole = provider.parse_chat(call_in(dialect, stream=False), read(slug, f"{name}.json"), a_microdollar)
        reader = provider.read_chat_stream(call_in(dialect, stream=True), a_microdollar)
        events = reader.feed(read(slug, f"{name}.sse")) + reader.end()
        sent = b"".join(event.data for event in events)
        assert [event.error for event in events if event.error] == []
        assert ENDINGS[dialect] in sent.replace(b'": "', b'":"').rstrip().rpartition(b"\n\n")[2]
        assert b'"cost":' in sent.replace(b'": ', b'":')
        assert orjson.loads(whole.body)["usage"]["cost"] > 0
        assert (whole.outcome.text, len(whole.outcome.tool_calls)) == (
            reader.outcome.text,
            len(reader.outcome.tool_calls),
        )
        assert whole.outcome.finish_reason == reader.outcome.finish_reason
        said = [GREETING] if name == "chat" else ["get_weather", "Ghent"]
        assert all(text in whole.body.decode() for text in said)


@each_pair
def test_a_client_of_any_dialect_sees_a_cut_stream_fail(slug: str, dialect: str) -> None:
    provider = REGISTRY.load(slug)
    body = read(slug, "chat.sse")
    reader = provider.read_chat_stream(call_in(dialect, stream=True), a_microdollar)
    events = reader.feed(body[: body.index(b"Hello") + 60]) + reader.end()
    assert events[-1].error is not None
    assert events[-1].error.code == "provider_protocol"
    assert not any(ENDINGS[dialect] in event.data for event in events)


# -- errors -----------------------------------------------------------------------------------------------


def assert_is_case(error: HeadgateError, slug: str, case: Mapping[str, Any]) -> None:
    assert error.code == case["code"]
    assert error.provider in (slug, None)
    assert error.retry_after_s == case.get("retry_after_s")
    assert case.get("says", "") in error.detail
    assert error.detail
    for text in case.get("absent", ()):
        assert text not in error.detail + repr(error.members) + repr(error.args)


@pytest.mark.parametrize(("slug", "case"), cases("errors.json"))
def test_an_error_means_what_the_provider_says_it_means(slug: str, case: Mapping[str, Any]) -> None:
    error = REGISTRY.load(slug).classify_error(case["status"], case.get("headers", {}), wire_body(case))
    assert_is_case(error, slug, case)


@pytest.mark.parametrize(("slug", "case"), cases("key-check.json"))
def test_a_key_check_means_what_the_provider_says_it_means(slug: str, case: Mapping[str, Any]) -> None:
    provider = REGISTRY.load(slug)
    if case["code"] is None:
        provider.parse_key_check(wire_body(case))
    elif case["status"] < 300:
        with pytest.raises(HeadgateError) as caught:
            provider.parse_key_check(wire_body(case))
        assert_is_case(caught.value, slug, case)
    else:
        error = provider.classify_error(case["status"], case.get("headers", {}), wire_body(case))
        assert_is_case(error, slug, case)


BODIES = [b"", b"{}", b"[]", b"null", b"<html>oops</html>", b"\xff\xfe", b'{"error":null}', b'{"error":"no"}']
BODIES += [
    b'{"error":{"message":7,"code":[],"metadata":[1]}}',
    b'{"error":' * 5000,
    b'{"detail":[{"msg":1}]}',
]


@every_slug
@pytest.mark.parametrize("body", BODIES)
def test_every_status_with_any_body_gets_a_code_of_the_contract(slug: str, body: bytes) -> None:
    provider = REGISTRY.load(slug)
    for status in range(400, 600):
        error = provider.classify_error(status, {}, body)
        assert error.code in PROVIDER_CODES, status
        assert error.detail


@every_slug
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "provider_auth"),
        (402, "provider_insufficient_funds"),
        (429, "provider_rate_limited"),
        (500, "provider_unavailable"),
        (502, "provider_unavailable"),
        (503, "provider_overloaded"),
        (504, "provider_timeout"),
        (524, "provider_timeout"),
        (529, "provider_overloaded"),
    ],
)
def test_a_status_alone_tells_enough(slug: str, status: int, code: str) -> None:
    assert REGISTRY.load(slug).classify_error(status, {}, b"").code == code


@every_slug
@settings(max_examples=60, deadline=None)
@given(
    status=st.integers(400, 599),
    body=st.binary(max_size=60),
    value=st.recursive(ABSURD, st.lists, max_leaves=4),
)
def test_no_error_body_is_too_mad_to_be_judged(slug: str, status: int, body: bytes, value: Any) -> None:
    provider = REGISTRY.load(slug)
    for each in (
        body,
        json.dumps({"error": value}).encode(),
        json.dumps({"error": {"metadata": value}}).encode(),
    ):
        assert provider.classify_error(status, {"retry-after": str(value)[:40]}, each).code in PROVIDER_CODES
