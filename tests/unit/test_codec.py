"""Values come back from JSON as they were, equal lists have equal bytes, and versions read each other."""

import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.codec import codec_of, dump_models, load_models, snapshot_version
from headgate.domain.callers import ApiKey
from headgate.domain.catalog import ChangeEvent, ModelInfo, Pricing, SnapshotHead
from headgate.domain.generation import GenerationRecord
from headgate.domain.health import ProviderHealth
from headgate.testing.clock import START
from tests.unit.strategies import values_of

KEPT = (ModelInfo, SnapshotHead, ChangeEvent, ProviderHealth, ApiKey, GenerationRecord)


def model(name: str = "m", **fields: Any) -> ModelInfo:
    return ModelInfo(
        **{"id": f"openai/{name}", "canonical_id": name, "provider": "openai", "name": name, **fields}
    )


@pytest.mark.parametrize("cls", KEPT, ids=lambda cls: cls.__name__)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_every_kept_value_comes_back_as_it_was(cls: type[Any], data: st.DataObject) -> None:
    value = data.draw(values_of(cls))
    codec = codec_of(cls)
    assert codec.load(codec.dump(value)) == value


@given(st.lists(values_of(ModelInfo), max_size=4))
@settings(max_examples=50, deadline=None)
def test_a_list_of_models_comes_back_as_it_was(models: list[ModelInfo]) -> None:
    assert load_models(dump_models(models)) == tuple(models)


def test_what_stands_at_its_default_takes_no_room() -> None:
    assert codec_of(ModelInfo).encode(model()) == {
        "id": "openai/m",
        "canonical_id": "m",
        "provider": "openai",
        "name": "m",
    }


def test_free_is_not_taken_for_unknown() -> None:
    free = model(pricing=Pricing(input=Decimal(0)))
    unknown = model(pricing=Pricing())
    assert load_models(dump_models([free, unknown, model()])) == (free, unknown, model())


def test_a_price_keeps_its_digits() -> None:
    (read,) = load_models(dump_models([model(pricing=Pricing(input=Decimal("0.1500")))]))
    assert read.pricing is not None
    assert str(read.pricing.input) == "0.1500"


def test_equal_lists_have_equal_bytes_in_every_process() -> None:
    """Sets and mappings iterate as they like; the bytes must not."""
    names = [f"capability-{number}" for number in range(50)]
    one = model(capabilities=frozenset(names), pricing=Pricing(units={"b": Decimal(1), "a": Decimal(2)}))
    two = model(
        capabilities=frozenset(reversed(names)), pricing=Pricing(units={"a": Decimal(2), "b": Decimal(1)})
    )
    assert dump_models([one]) == dump_models([two])
    listed = orjson.loads(dump_models([one]))[0]["capabilities"]
    assert listed == sorted(listed)


def test_a_version_is_of_the_content_and_not_of_when_prices_were_read() -> None:
    price = Pricing(input=Decimal(1), as_of=START)
    later = replace(price, as_of=START + timedelta(hours=1))
    assert snapshot_version([model(pricing=price)]) == snapshot_version([model(pricing=later)])
    for other in (
        model(pricing=replace(price, input=Decimal(2))),
        model(pricing=replace(price, source="x")),
        model(pricing=price, name="other"),
        model(pricing=price, created_at=START),
    ):
        assert snapshot_version([other]) != snapshot_version([model(pricing=price)])
    assert snapshot_version([]) != snapshot_version([model()])
    assert snapshot_version([model("a"), model("b")]) != snapshot_version([model("a")])


def test_a_field_that_a_newer_version_wrote_is_passed_over() -> None:
    written = {**codec_of(ModelInfo).encode(model()), "field_of_tomorrow": [1]}
    assert codec_of(ModelInfo).decode(written) == model()


@pytest.mark.parametrize(
    "content",
    [
        b"not json",
        b"{}",
        b"7",
        b"[7]",
        b"[{}]",
        b'[{"id":"a"}]',
        b'[{"id":"a","canonical_id":"a","provider":"a","name":"a","modality":"smell"}]',
        b'[{"id":"a","canonical_id":"a","provider":"a","name":"a","created_at":"soon"}]',
        b'[{"id":"a","canonical_id":"a","provider":"a","name":"a","created_at":7}]',
        b'[{"id":"a","canonical_id":"a","provider":"a","name":"a","pricing":{"input":"cheap"}}]',
        b'[{"id":"a","canonical_id":"a","provider":"a","name":"a","pricing":7}]',
    ],
)
def test_what_is_no_list_of_models_is_refused_with_one_error(content: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        load_models(content)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        dump_models([model(created_at=datetime(2026, 1, 1))])  # noqa: DTZ001 - what is refused


@dataclass(frozen=True)
class Odd:
    field: complex


def test_a_type_without_a_coding_is_refused_before_anything_is_written() -> None:
    with pytest.raises(TypeError, match="complex"):
        codec_of(Odd)
    with pytest.raises(TypeError, match="dataclass"):
        codec_of(int)


def test_ten_thousand_models_are_read_in_time_that_grows_with_their_number() -> None:
    """Measured at 0.13 s on a quiet core; the bound catches a change of kind, no more."""

    def took_s(content: bytes, number: int) -> float:
        """Of processor time, the least of three."""
        tries = []
        for _ in range(3):
            started_s = time.process_time()
            read = load_models(content)
            tries.append(time.process_time() - started_s)
            assert len(read) == number
        return min(tries)

    models = [
        model(
            f"m{number}",
            description="d" * 300,
            capabilities=frozenset({"tools", "vision"}),
            supported_parameters=("temperature", "top_p", "max_tokens"),
            pricing=Pricing(input=Decimal("0.15"), output=Decimal("0.6"), as_of=START),
            created_at=START,
        )
        for number in range(10_000)
    ]
    few_s = took_s(dump_models(models[:1_000]), 1_000)
    assert took_s(dump_models(models), 10_000) < 40 * few_s
