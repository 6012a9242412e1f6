"""Everything that is configured is read in one place, and what can't be read is said by name."""

import re
from pathlib import Path

import pytest

import headgate
from headgate.domain.errors import GatewayFault
from headgate.settings import Settings, from_environ

NUMBERS = {
    "HEADGATE_LIST_TTL_S": "list_ttl_s",
    "HEADGATE_DETAIL_TTL_S": "detail_ttl_s",
    "HEADGATE_HEALTH_TTL_S": "health_ttl_s",
    "HEADGATE_STALE_TTL_S": "stale_ttl_s",
    "HEADGATE_HEAD_CHECK_S": "head_check_s",
    "HEADGATE_KEY_CACHE_S": "key_cache_s",
    "HEADGATE_FIRST_BYTE_TIMEOUT_S": "first_byte_timeout_s",
    "HEADGATE_IDLE_TIMEOUT_S": "idle_timeout_s",
    "HEADGATE_REQUEST_TIMEOUT_S": "request_timeout_s",
    "HEADGATE_PING_S": "ping_s",
    "HEADGATE_MAX_BODY_BYTES": "max_body_bytes",
    "HEADGATE_READ_REQUESTS_PER_MINUTE": "read_requests_per_minute",
    "HEADGATE_DEFAULT_HOLD_TOKENS": "default_hold_tokens",
    "HEADGATE_GATEWAY_FEE_PERCENT": "gateway_fee_percent",
}


def test_an_empty_environment_gives_the_defaults() -> None:
    assert from_environ("models", {}) == Settings(function="models")


def test_the_contracts_times_are_the_defaults() -> None:
    read = from_environ("models", {})
    assert (read.list_ttl_s, read.detail_ttl_s, read.health_ttl_s) == (600, 3600, 30)
    assert read.stale_ttl_s == 24 * 3600
    assert read.ping_s == 15
    assert read.max_body_bytes == 10_000_000
    assert read.cors_origins == ("*",)
    assert not read.allow_unlisted_models


@pytest.mark.parametrize(("name", "field"), NUMBERS.items())
def test_a_number_is_read_from_its_variable(name: str, field: str) -> None:
    assert getattr(from_environ("models", {name: "7"}), field) == 7
    assert getattr(from_environ("models", {name: ""}), field) == getattr(from_environ("models", {}), field)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("text", ["soon", "1,5", "-1", "nan", "inf", "1e999"])
def test_what_is_no_proper_number_is_refused_by_its_variables_name(name: str, text: str) -> None:
    with pytest.raises(GatewayFault, match=name):
        from_environ("models", {name: text})


@pytest.mark.parametrize(("name", "most"), [("HEADGATE_KEY_CACHE_S", 55.0), ("HEADGATE_PING_S", 15.0)])
def test_a_promise_of_the_contract_can_not_be_configured_away(name: str, most: float) -> None:
    assert getattr(from_environ("models", {name: "900"}), NUMBERS[name]) == most


@pytest.mark.parametrize(
    ("text", "on"),
    [("1", True), ("true", True), ("ON", True), ("yes", True), ("0", False), ("false", False), ("", False)],
)
def test_a_flag_is_on_only_when_it_says_so(text: str, on: bool) -> None:
    assert from_environ("x", {"HEADGATE_ALLOW_UNLISTED_MODELS": text}).allow_unlisted_models is on


@pytest.mark.parametrize(
    ("text", "mock"), [("auto", "auto"), ("1", "on"), ("true", "on"), ("0", "off"), ("", "off")]
)
def test_the_mock_is_on_off_or_there_when_nothing_else_is(text: str, mock: str) -> None:
    assert from_environ("x", {"HEADGATE_MOCK": text}).mock == mock


def test_a_fee_is_the_very_number_that_was_written() -> None:
    read = from_environ("x", {"HEADGATE_GATEWAY_FEE_PERCENT": "2.1"})
    assert str(read.gateway_fee_percent) == "2.1"


@pytest.mark.parametrize(("text", "credits"), [("", "off"), ("off", "off"), ("Enforced", "enforced")])
def test_credits_are_off_or_enforced(text: str, credits: str) -> None:
    assert from_environ("x", {"HEADGATE_CREDITS": text}).credits == credits


@pytest.mark.parametrize("text", ["on", "true", "1", "enforce"])
def test_who_may_mean_to_charge_is_asked_to_say_it_properly(text: str) -> None:
    with pytest.raises(GatewayFault, match="HEADGATE_CREDITS"):
        from_environ("x", {"HEADGATE_CREDITS": text})


def test_tokens_of_an_issuer_are_taken_where_one_is_named() -> None:
    names = {"HEADGATE_OIDC_ISSUER": "https://id.example", "HEADGATE_OIDC_AUDIENCE": "gate"}
    read = from_environ("x", {**names, "HEADGATE_OIDC_SCOPES_CLAIM": "roles"})
    assert (read.oidc_issuer, read.oidc_audience) == ("https://id.example", "gate")
    assert read.oidc_scopes_claim == "roles"
    unset = from_environ("x", {**dict.fromkeys(names, ""), "HEADGATE_OIDC_SCOPES_CLAIM": ""})
    assert (unset.oidc_issuer, unset.oidc_audience, unset.oidc_scopes_claim) == (None, None, "scope")


def test_lists_are_words_between_commas() -> None:
    read = from_environ(
        "x",
        {
            "HEADGATE_CORS_ORIGINS": "https://a.example, https://b.example,",
            "HEADGATE_PRIVATE_HOSTS": "vllm.internal",
            "HEADGATE_DEFAULT_PROVIDERS": "mock",
        },
    )
    assert read.cors_origins == ("https://a.example", "https://b.example")
    assert read.private_hosts == ("vllm.internal",)
    assert read.default_providers == ("mock",)


def test_a_stage_prefix_has_no_slash_at_its_end() -> None:
    assert from_environ("x", {"HEADGATE_STAGE_PREFIX": "/prod/"}).stage_prefix == "/prod"


def test_tables_and_endpoints_come_from_their_variables() -> None:
    read = from_environ(
        "x",
        {
            "HEADGATE_STORE": "memory",
            "HEADGATE_CATALOG_TABLE": "c",
            "HEADGATE_ACCOUNTS_TABLE": "a",
            "HEADGATE_GENERATIONS_TABLE": "g",
            "HEADGATE_CONNECTIONS_TABLE": "n",
            "HEADGATE_LEDGER_TABLE": "l",
            "HEADGATE_KMS_KEY": "alias/k",
            "HEADGATE_REFRESH_FUNCTION": "r",
            "HEADGATE_DEFAULT_TEXT_MODEL": "openai/gpt-5",
            "AWS_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        },
    )
    assert (read.store, read.catalog_table, read.accounts_table) == ("memory", "c", "a")
    assert (read.generations_table, read.refresh_function) == ("g", "r")
    assert (read.connections_table, read.ledger_table, read.kms_key_id) == ("n", "l", "alias/k")
    assert read.default_text_model == "openai/gpt-5"
    assert read.aws_region == "eu-central-1"
    assert read.aws_endpoint_url == read.aws_lambda_endpoint_url == "http://127.0.0.1:1"


def test_public_price_tables_are_read_from_elsewhere_or_not_at_all() -> None:
    usual = from_environ("x", {})
    assert usual.models_dev_url == "https://models.dev/api.json"
    assert usual.genai_prices_url.startswith("https://raw.githubusercontent.com/pydantic/genai-prices/")
    names = {"HEADGATE_MODELS_DEV_URL": "http://127.0.0.1:1/m.json", "HEADGATE_GENAI_PRICES_URL": ""}
    changed = from_environ("x", names)
    assert (changed.models_dev_url, changed.genai_prices_url) == ("http://127.0.0.1:1/m.json", "")


def test_lambda_may_have_an_endpoint_of_its_own() -> None:
    read = from_environ(
        "x", {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_LAMBDA": "http://127.0.0.1:2"}
    )
    assert read.aws_lambda_endpoint_url == "http://127.0.0.1:2"


def test_provider_keys_are_kept_aside_and_shown_in_no_repr() -> None:
    read = from_environ("x", {"OPENAI_API_KEY": "sk-secret", "GOOGLE_BASE_URL": "http://g", "PATH": "/bin"})
    assert read.provider_environ == {"OPENAI_API_KEY": "sk-secret", "GOOGLE_BASE_URL": "http://g"}
    assert "sk-secret" not in repr(read)


def test_without_an_environment_given_it_is_the_processs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGATE_CATALOG_TABLE", "mine")
    assert from_environ("x").catalog_table == "mine"


def test_nothing_else_reads_the_environment() -> None:
    root = Path(headgate.__file__).parent
    readers = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if re.search(r"\bos\.(environ|getenv)|from os import .*(environ|getenv)", path.read_text())
    }
    assert readers == {"settings.py"}
