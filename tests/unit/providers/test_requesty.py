"""Requesty's list of 2025 and of late 2026, its key check on another host, its statuses."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest

from headgate.domain.catalog import Modality, ModelInfo
from headgate.domain.secret import Secret
from headgate.providers.base import ProviderConfig
from headgate.providers.requesty import Requesty

KEY = Secret("rqy_0123456789")


def models(*entries: Any) -> list[ModelInfo]:
    page = Requesty().parse_list_models(orjson.dumps({"data": entries}))
    assert page.dropped == ()
    return list(page.models)


def model(**fields: Any) -> ModelInfo:
    return models({"id": "openai/gpt-4o-mini", **fields})[0]


def raw_model(text: str) -> ModelInfo:
    (found,) = Requesty().parse_list_models(b'{"data":[' + text.encode() + b"]}").models
    return found


def test_the_key_is_checked_on_requestys_own_host() -> None:
    request = Requesty().build_key_check(ProviderConfig(api_key=KEY))
    assert request is not None
    assert request.url == "https://api-v2.requesty.ai/v1/auth/check"


def test_a_replaced_base_url_replaces_the_host_of_the_key_check_too() -> None:
    config = ProviderConfig(api_key=KEY, base_url="https://router.eu.requesty.ai/v1/")
    request = Requesty().build_key_check(config)
    assert request is not None
    assert request.url == "https://router.eu.requesty.ai/v1/auth/check"


def test_numbers_with_exponents_are_read_to_the_last_digit() -> None:
    price = raw_model(
        '{"id":"a/b","input_price":1.38e-07,"output_price":0.00015,"cached_price":2.5E-8}'
    ).pricing
    assert price is not None
    assert (price.input, price.output, price.cache_read) == (
        Decimal("0.138"),
        Decimal("150"),
        Decimal("0.025"),
    )
    exact = raw_model('{"id":"a/b","input_price":0.00000012345678901234567890123}').pricing
    assert exact is not None
    assert exact.input == Decimal("0.12345678901234567890123")


def test_per_million_prices_by_mistake_are_no_prices() -> None:
    price = model(input_price=2.5, output_price=10).pricing
    assert price is not None
    assert not price.known


def test_free_is_free_and_not_told_is_unknown() -> None:
    free, untold = model(input_price=0, output_price=0).pricing, model().pricing
    assert free is not None
    assert untold is not None
    assert (free.input, free.output, free.known) == (Decimal(0), Decimal(0), True)
    assert (untold.input, untold.output, untold.known) == (None, None, False)


def test_cached_tokens_at_zero_are_not_given_away() -> None:
    price = model(input_price=1e-06, output_price=2e-06, cached_price=0, caching_price=0).pricing
    assert price is not None
    assert (price.cache_read, price.cache_write) == (None, None)


def test_where_only_tiers_are_told_the_first_one_counts() -> None:
    tiers = [
        {"prompt_tokens_threshold": 200000, "input_price": 6e-06, "output_price": 2.25e-05},
        {"prompt_tokens_threshold": 0, "input_price": 3e-06, "output_price": 1.5e-05, "cached_price": 3e-07},
    ]
    price = model(input_price=None, output_price=None, pricing=tiers).pricing
    assert price is not None
    assert (price.input, price.output, price.cache_read) == (Decimal(3), Decimal(15), Decimal("0.3"))


@pytest.mark.parametrize("tiers", [None, [], [None, 7], "x", [{}], [{"input_price": "-1"}]])
def test_tiers_that_tell_nothing_leave_the_price_unknown(tiers: Any) -> None:
    price = model(pricing=tiers).pricing
    assert price is not None
    assert not price.known


def test_policies_are_no_models() -> None:
    found = models({"id": "policy/my-fallbacks"}, {"id": "openai/gpt-4o"})
    assert [each.native_id for each in found] == ["openai/gpt-4o"]


def test_zero_output_tokens_means_not_told() -> None:
    assert model(max_output_tokens=0, context_window=128000).max_output_tokens is None
    assert model(max_output_tokens=4096).max_output_tokens == 4096


def test_hosts_and_regions_go_from_the_canonical_id_and_stay_in_the_id() -> None:
    found = model(id="bedrock/anthropic/claude-4-sonnet@eu-west-1")
    assert found.id == "requesty/bedrock/anthropic/claude-4-sonnet@eu-west-1"
    assert found.canonical_id == "anthropic/claude-sonnet-4"


def test_the_lab_and_name_of_newer_lists_decide_the_canonical_id() -> None:
    found = model(id="deepinfra/glm-5.2:flex@eu", model_lab="zai", model_canonical_name="glm-5.2")
    assert found.canonical_id == "z-ai/glm-5.2:flex"


@pytest.mark.parametrize(
    ("api", "native_id", "modality"),
    [
        ("chat", "openai/gpt-4o", Modality.TEXT),
        ("embedding", "openai/anything", Modality.EMBEDDING),
        ("image", "openai/anything", Modality.IMAGE),
        (None, "openai/text-embedding-3-small", Modality.EMBEDDING),
        ("unheard-of", "openai/gpt-4o", Modality.TEXT),
        (7, "openai/gpt-4o", Modality.TEXT),
    ],
)
def test_the_api_tells_the_modality_else_the_name(api: Any, native_id: str, modality: Modality) -> None:
    assert model(id=native_id, api=api).modality is modality


def test_flags_become_capabilities() -> None:
    able = model(
        supports_tool_calling=True,
        supports_vision=True,
        supports_reasoning=True,
        supports_caching=True,
        supports_output_json_schema=True,
        supports_output_json_object=False,
        supports_web_search="yes",
    )
    assert able.capabilities == {
        "tools", "vision", "reasoning", "prompt_caching", "structured_output", "streaming",
    }  # fmt: skip
    assert able.vision


@pytest.mark.parametrize("told", [{"retires": 1797811200}, {"retires_at": "2026-12-20T12:00:00Z"}])
def test_a_date_of_retirement_is_an_end_date(told: dict[str, Any]) -> None:
    ends = model(**told).expires_at
    assert ends is not None
    assert ends.date().isoformat() in ("2026-12-21", "2026-12-20")
    assert ends.tzinfo is UTC


def test_fields_that_newer_lists_leave_out_are_not_needed() -> None:
    assert model(created=1747934845).created_at == datetime(2025, 5, 22, 17, 27, 25, tzinfo=UTC)
    assert model().created_at is None


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        (401, "missing authorization header", "provider_auth"),
        (403, "invalid token", "provider_auth"),
        (403, "", "provider_auth"),
        (403, "blocked by policy", "provider_rejected"),
        (402, "insufficient balance", "provider_insufficient_funds"),
        (412, "monthly spend limit reached", "provider_insufficient_funds"),
    ],
)
def test_statuses_mean_what_they_mean_at_requesty(status: int, message: str, code: str) -> None:
    body = orjson.dumps({"error": {"origin": "router", "message": message}})
    error = Requesty().classify_error(status, {}, body)
    assert error.code == code
    assert not error.retryable
