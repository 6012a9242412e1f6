"""What a compatible request asks for, and how its caller wants to be routed."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from headgate.domain.errors import InvalidRequest
from headgate.http.asks import chat_ask, embeddings_ask, messages_ask, responses_ask
from headgate.services.chat_records import ChatAsk
from headgate.services.route import Wish

TURN = [{"role": "user", "content": "hi"}]
CHAT: dict[str, Any] = {"model": "m", "messages": TURN}
MESSAGES: dict[str, Any] = CHAT | {"max_tokens": 100}
RESPONSE: dict[str, Any] = {"model": "m", "input": "hi"}
EMBED: dict[str, Any] = {"model": "m", "input": ["a", "b"]}


def message(body: dict[str, Any]) -> ChatAsk:
    return messages_ask(body, {})


def counting(body: dict[str, Any]) -> ChatAsk:
    return messages_ask(body, {}, counting=True)


FRONTS: list[tuple[Callable[[dict[str, Any]], ChatAsk], dict[str, Any]]] = [
    (chat_ask, CHAT),
    (message, MESSAGES),
    (counting, CHAT),
    (responses_ask, RESPONSE),
    (embeddings_ask, EMBED),
]
ALL_FRONTS = pytest.mark.parametrize(("ask", "body"), FRONTS, ids=lambda v: getattr(v, "__name__", ""))


def fields(ask: Callable[[dict[str, Any]], ChatAsk], body: dict[str, Any]) -> list[str]:
    """The names of the fields that are refused."""
    with pytest.raises(InvalidRequest) as refused:
        ask(body)
    return [error.field for error in refused.value.errors]


# -- what every front shares -------------------------------------------------------------------------------


@ALL_FRONTS
def test_a_fitting_body_is_handed_on_whole(
    ask: Callable[[dict[str, Any]], ChatAsk], body: dict[str, Any]
) -> None:
    asked = ask(body | {"unknown": {"a": 1}})
    assert asked.body == body | {"unknown": {"a": 1}}
    assert asked.model == "m"
    assert asked.wish == Wish()
    assert not asked.stream


@ALL_FRONTS
@pytest.mark.parametrize(
    ("model", "refused"),
    [
        *((None, True), ("", True), ("  ", True), (",", True), (" , ", True), (7, True), ("a\nb", True)),
        *(("x" * 1001, True), (" m ", False)),
    ],
)
def test_a_model_is_a_printable_name(
    ask: Callable[[dict[str, Any]], ChatAsk], body: dict[str, Any], model: Any, refused: bool
) -> None:
    if refused:
        assert fields(ask, body | {"model": model}) == ["model"]
    else:
        assert ask(body | {"model": model}).model == "m"


@ALL_FRONTS
def test_further_models_follow_the_first_each_once(
    ask: Callable[[dict[str, Any]], ChatAsk], body: dict[str, Any]
) -> None:
    assert ask(body | {"models": ["n", "m", "n"]}).model == "m,n"
    assert ask(body | {"model": None, "models": ["n"]}).model == "n"
    assert fields(ask, body | {"models": "n"}) == ["models"]
    assert fields(ask, body | {"models": ["n", "", 7]}) == ["models[1]", "models[2]"]
    assert fields(ask, body | {"models": ["n"] * 21}) == ["models"]


@pytest.mark.parametrize(("ask", "body"), [(chat_ask, CHAT), (message, MESSAGES), (responses_ask, RESPONSE)])
@pytest.mark.parametrize(("stream", "streamed"), [(True, True), (False, False), (None, False)])
def test_a_stream_is_asked_for_in_so_many_words(
    ask: Callable[[dict[str, Any]], ChatAsk], body: dict[str, Any], stream: Any, streamed: bool
) -> None:
    assert ask(body | {"stream": stream}).stream is streamed
    assert fields(ask, body | {"stream": "yes"}) == ["stream"]


# -- each front --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("messages", "refused"),
    [
        (None, ["messages"]),
        ([], ["messages"]),
        ("hi", ["messages"]),
        ([{}], ["messages[0].role"]),
        ([*TURN, "hi", {"role": 1}], ["messages[1]", "messages[2].role"]),
    ],
)
@pytest.mark.parametrize(("ask", "body"), [(chat_ask, CHAT), (message, MESSAGES)])
def test_messages_are_objects_with_roles(
    ask: Callable[[dict[str, Any]], ChatAsk], body: dict[str, Any], messages: Any, refused: list[str]
) -> None:
    assert fields(ask, body | {"messages": messages}) == refused


@pytest.mark.parametrize(
    ("options", "included"), [(None, False), ({}, False), ({"include_usage": True}, True)]
)
def test_a_chat_may_ask_for_its_usage(options: Any, included: bool) -> None:
    assert chat_ask(CHAT | {"stream_options": options}).include_usage is included


def test_options_of_a_stream_are_checked() -> None:
    assert fields(chat_ask, CHAT | {"stream_options": "usage"}) == ["stream_options"]
    assert fields(chat_ask, CHAT | {"stream_options": {"include_usage": 1}}) == [
        "stream_options.include_usage"
    ]


@pytest.mark.parametrize("most", [None, 0, -1, 1.5, True, "100"])
def test_anthropics_messages_need_a_bound_and_counting_them_does_not(most: Any) -> None:
    assert fields(message, MESSAGES | {"max_tokens": most}) == ["max_tokens"]
    assert counting(CHAT | {"stream": True}).operation == "count_tokens"
    assert not counting(CHAT | {"stream": True}).stream


def test_of_the_callers_headers_only_those_that_a_dialect_knows_go_along() -> None:
    asked = messages_ask(MESSAGES, {"anthropic-beta": "x", "authorization": "Bearer hg_…", "cookie": "y"})
    assert asked.headers == {"anthropic-beta": "x"}


@pytest.mark.parametrize("given", [7, {}, True])
def test_a_responses_input_is_a_text_or_a_list(given: Any) -> None:
    assert fields(responses_ask, RESPONSE | {"input": given}) == ["input"]
    assert responses_ask({"model": "m"}).model == "m"  # it may be a stored prompt's


@pytest.mark.parametrize("given", [None, "", [], 7, {}])
def test_embeddings_need_an_input(given: Any) -> None:
    assert fields(embeddings_ask, EMBED | {"input": given}) == ["input"]


def test_embeddings_come_as_floats_or_base64() -> None:
    assert embeddings_ask(EMBED | {"encoding_format": "base64"}).operation == "embeddings"
    assert fields(embeddings_ask, EMBED | {"encoding_format": "hex"}) == ["encoding_format"]


# -- routing -----------------------------------------------------------------------------------------------


def wish(**body: Any) -> Wish:
    return chat_ask(CHAT | body).wish


def test_our_own_routing_is_understood() -> None:
    asked = wish(
        routing={
            "strategy": "cheapest",
            "order": ["openai", "google"],
            "only": ["openai"],
            "ignore": ["ollama"],
            "max_price": {"input": "1", "output": 3},
            "allow_fallbacks": False,
        }
    )
    assert asked == Wish(
        strategy="cheapest",
        order=("openai", "gemini"),
        only=frozenset({"openai"}),
        ignore=frozenset({"custom"}),
        max_input_price=Decimal(1),
        max_output_price=Decimal(3),
        allow_fallbacks=False,
    )


def test_openrouters_provider_object_is_understood() -> None:
    asked = wish(
        provider={
            "order": ["openai"],
            "sort": "throughput",
            "max_price": {"prompt": 1, "completion": "2.5"},
            "allow_fallbacks": True,
        }
    )
    assert asked == Wish(
        strategy="fastest", order=("openai",), max_input_price=Decimal(1), max_output_price=Decimal("2.5")
    )


@pytest.mark.parametrize(
    ("sort", "strategy"),
    [
        ("price", "cheapest"),
        ("latency", "fastest"),
        ("throughput", "fastest"),
        ({"by": "price"}, "cheapest"),
        (None, "order"),
    ],
)
def test_openrouters_sorts_are_strategies(sort: Any, strategy: str) -> None:
    assert wish(provider={"sort": sort}).strategy == strategy


def test_ours_is_heeded_where_both_are_given() -> None:
    assert wish(routing={"strategy": "cheapest"}, provider={"sort": "latency"}).strategy == "cheapest"


@pytest.mark.parametrize("given", [{"routing": None}, {"provider": None}, {"routing": {}}])
def test_no_wish_is_the_usual_order(given: dict[str, Any]) -> None:
    assert wish(**given) == Wish()


def test_parameters_that_must_be_supported_are_those_that_were_set() -> None:
    asked = wish(
        temperature=0.5, top_k=None, stream=True, tools=[], routing={"require_parameters": True}, user="u"
    )
    assert asked.parameters == {"temperature", "tools"}
    assert wish(temperature=0.5, routing={"require_parameters": False}).parameters == frozenset()


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"routing": []}, ["routing"]),
        ({"provider": 7}, ["provider"]),
        ({"routing": {"strategy": "luck"}}, ["routing.strategy"]),
        ({"routing": {"strategy": 7}}, ["routing.strategy"]),
        ({"provider": {"sort": "luck"}}, ["provider.sort"]),
        ({"provider": {"sort": {"by": "luck"}}}, ["provider.sort"]),
        ({"routing": {"order": "openai"}}, ["routing.order"]),
        ({"routing": {"only": [7]}}, ["routing.only"]),
        ({"routing": {"allow_fallbacks": "no"}}, ["routing.allow_fallbacks"]),
        ({"routing": {"require_parameters": 1}}, ["routing.require_parameters"]),
        ({"routing": {"max_price": 3}}, ["routing.max_price"]),
        ({"routing": {"max_price": {"input": "cheap"}}}, ["routing.max_price.input"]),
        (
            {"routing": {"max_price": {"input": -1, "output": True}}},
            [
                "routing.max_price.input",
                "routing.max_price.output",
            ],
        ),
        ({"provider": {"max_price": {"prompt": "NaN"}}}, ["provider.max_price.prompt"]),
    ],
)
def test_a_wish_that_makes_no_sense_is_named(given: dict[str, Any], refused: list[str]) -> None:
    assert fields(chat_ask, CHAT | given) == refused


def test_a_providers_name_is_no_wish() -> None:
    with pytest.raises(InvalidRequest) as refused:
        wish(provider="openai")
    assert [each.field for each in refused.value.errors] == ["provider"]


def test_an_answer_that_nobody_could_fetch_is_not_begun() -> None:
    assert fields(responses_ask, {"model": "m", "input": "hi", "background": True}) == ["background"]
    assert responses_ask({"model": "m", "input": "hi", "background": False}).model == "m"
