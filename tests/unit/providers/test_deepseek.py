"""DeepSeek's bare list, and a key check that looks at the balance."""

import orjson
import pytest

from headgate.domain.errors import ProviderRefused
from headgate.domain.secret import Secret
from headgate.providers.base import ProviderConfig
from headgate.providers.deepseek import DeepSeek


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        (None, "https://api.deepseek.com/user/balance"),
        ("https://proxy.example", "https://proxy.example/user/balance"),
        ("https://proxy.example/v1/", "https://proxy.example/user/balance"),
    ],
)
def test_the_balance_is_asked_for_at_the_root(base_url: str | None, url: str) -> None:
    request = DeepSeek().build_key_check(ProviderConfig(api_key=Secret("sk-0123456789"), base_url=base_url))
    assert request is not None
    assert request.url == url


def test_an_empty_account_fails_the_key_check_for_want_of_funds() -> None:
    with pytest.raises(ProviderRefused) as caught:
        DeepSeek().parse_key_check(orjson.dumps({"is_available": False, "balance_infos": []}))
    assert caught.value.code == "provider_insufficient_funds"


@pytest.mark.parametrize(
    "body", [b'{"is_available":true}', b"{}", b"", b"<html>", b"[]", b'{"is_available":null}']
)
def test_only_a_clear_no_is_a_no(body: bytes) -> None:
    DeepSeek().parse_key_check(body)


def test_a_list_without_dates_is_a_list() -> None:
    body = {"object": "list", "data": [{"id": "deepseek-chat", "object": "model", "owned_by": "deepseek"}]}
    (found,) = DeepSeek().parse_list_models(orjson.dumps(body)).models
    assert (found.id, found.canonical_id) == ("deepseek/deepseek-chat", "deepseek/deepseek-chat")
    assert found.created_at is None
    assert found.pricing is None


def test_an_empty_balance_at_a_call_is_not_retried() -> None:
    error = DeepSeek().classify_error(402, {}, b'{"error":{"message":"Insufficient Balance"}}')
    assert (error.code, error.retryable) == ("provider_insufficient_funds", False)
