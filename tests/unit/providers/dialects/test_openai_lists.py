"""A model list is read entry by entry: a bad one is left out and named, the others stay."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

import pytest

from headgate.domain.catalog import Modality, ModelInfo
from headgate.domain.errors import ProviderFailed, ProviderRefused
from tests.unit.providers.dialects.speaking import PLAIN, Plain


class Fussy(Plain):
    """Leaves policies out on purpose, and raises what an entry's `raises` names."""

    raised: ClassVar[Mapping[str, Exception]] = {
        "key": KeyError("price"),
        "value": ValueError("bad price"),
        "type": TypeError("no text"),
        "decimal": InvalidOperation("conversion"),
        "time": OverflowError("year"),
        "attribute": AttributeError("get"),
    }

    def parse_model(self, entry: Mapping[str, Any]) -> ModelInfo | None:
        if "raises" in entry:
            raise self.raised[entry["raises"]]
        return None if entry["id"].startswith("policy/") else super().parse_model(entry)


def listed(*entries: Any) -> bytes:
    return json.dumps({"object": "list", "data": entries}).encode()


@pytest.mark.parametrize(
    "body",
    [
        b'{"object":"list","data":[{"id":"a"},{"id":"b"}]}',
        b'[{"id":"a"},{"id":"b"}]',
        b'\xef\xbb\xbf\n\n{"data":[{"id":"a"},{"id":"b"}]}\n',
        b'{"data":[{"id":"a","created":null,"x":NaN},{"id":"b","object":7,"created":"soon"}],"links":{}}',
    ],
)
def test_lists_of_every_shape_are_read(body: bytes) -> None:
    assert [model.id for model in PLAIN.parse_list_models(body).models] == ["plain/a", "plain/b"]


def test_an_id_and_a_date_are_all_that_an_entry_needs() -> None:
    body = listed({"id": "meta/llama-3:8b", "created": 1_700_000_000}, {"id": "text-embedding-3-small"})
    chat, embedding = PLAIN.parse_list_models(body).models
    assert (chat.id, chat.provider, chat.native_id) == ("plain/meta/llama-3:8b", "plain", "meta/llama-3:8b")
    assert chat.created_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert (chat.modality, embedding.modality) == (Modality.TEXT, Modality.EMBEDDING)
    assert chat.pricing is None
    assert embedding.created_at is None


def test_entries_that_are_none_are_dropped_with_a_reason() -> None:
    page = PLAIN.parse_list_models(
        listed({"id": "good"}, {"id": ""}, {"name": "no id"}, "text", None, {"id": 5}, {"id": "last"})
    )
    assert [model.id for model in page.models] == ["plain/good", "plain/last"]
    assert len(page.dropped) == 5
    assert page.dropped[2] == "entry 3: is not an object"


@pytest.mark.parametrize("raised", Fussy.raised)
def test_what_an_entry_raises_costs_only_that_entry(raised: str) -> None:
    page = Fussy().parse_list_models(listed({"id": "bad", "raises": raised}, {"id": "good"}))
    assert [model.id for model in page.models] == ["plain/good"]
    (reason,) = page.dropped
    assert reason.startswith("bad: ")
    assert len(reason) > len("bad: ")


def test_what_is_left_out_on_purpose_is_not_called_dropped() -> None:
    page = Fussy().parse_list_models(listed({"id": "policy/x"}, {"id": "good"}))
    assert ([model.id for model in page.models], page.dropped) == (["plain/good"], ())


def test_reasons_are_short_and_hold_no_key() -> None:
    page = PLAIN.parse_list_models(listed({"id": "sk-proj-" + "a1b2" * 8 + " x" * 2000}))
    (reason,) = page.dropped
    assert "a1b2" not in reason
    assert len(reason) < 400


def test_fractions_are_exactly_as_sent() -> None:
    seen: list[Any] = []

    class Watching(Plain):
        def parse_model(self, entry: Mapping[str, Any]) -> ModelInfo | None:
            seen.append(entry["price"])
            return None

    Watching().parse_list_models(b'[{"id":"a","price":0.00000008333333333333334},{"id":"b","price":2.5e-7}]')
    assert seen == [Decimal("0.00000008333333333333334"), Decimal("0.00000025")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"null",
        b"7",
        b'"data"',
        b"{}",
        b'{"data":{}}',
        b'{"data":null}',
        b"\xff\xfe",
        b"[" * 9999,
    ],
)
def test_what_is_no_list_is_a_malformed_answer(body: bytes) -> None:
    with pytest.raises(ProviderFailed) as caught:
        PLAIN.parse_list_models(body)
    assert caught.value.code == "provider_protocol"


def test_an_error_inside_a_200_is_what_it_says() -> None:
    body = b'{"error":{"code":401,"message":"No such key"}}'
    for parse in (PLAIN.parse_list_models, PLAIN.parse_key_check):
        with pytest.raises(ProviderRefused) as caught:
            parse(body)
        assert caught.value.code == "provider_auth"


@pytest.mark.parametrize("body", [b"", b"OK", b"{}", b'{"data":{"label":"x"}}', b"[]", b'{"error":null}'])
def test_any_other_2xx_passes_the_key_check(body: bytes) -> None:
    PLAIN.parse_key_check(body)
