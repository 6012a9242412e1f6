"""An explanation says what would be tried, in which order and why, and does none of it."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from headgate.domain.callers import Caller
from headgate.domain.catalog import ProviderStatus
from headgate.domain.errors import NotFound
from headgate.domain.health import ProviderHealth
from headgate.domain.money import nanousd
from headgate.services.chat_records import ChatAsk, estimated_tokens
from headgate.services.explain import Explained
from headgate.services.route import Wish
from headgate.testing.clock import START
from tests.support.bench import Bench, ann
from tests.support.models import model, priced

BODY = {"messages": [{"role": "user", "content": "x" * 400}], "max_tokens": 50}
A = model("alpha/m", canonical_id="maker/m", pricing=priced("1", "10"))
B = model("beta/m", canonical_id="maker/m")


class Oracle(Bench):
    async def explain(self, *, caller: Caller | None = None, **ask: Any) -> list[Explained]:
        made = ChatAsk(**({"body": BODY, "model": "maker/m"} | ask))
        return await self.process().explain.explain(caller or ann(), made)


async def oracle() -> Oracle:
    made = Oracle("alpha", "beta")
    await made.publish("alpha", A)
    await made.publish("beta", B)
    await made.catalog_store.write_health(
        ProviderHealth(
            provider="beta", status=ProviderStatus.DEGRADED, last_checked=START, latency_p50_ms=300
        )
    )
    return made


async def test_candidates_stand_in_the_order_in_which_they_would_be_tried() -> None:
    told = await oracle()
    rows = await told.explain()
    assert [(row.candidate.id, row.kept, row.health.value, row.latency_ms) for row in rows] == [
        ("alpha/m", True, "healthy", None),
        ("beta/m", True, "degraded", 300),
    ]
    assert all(row.reasons for row in rows)


async def test_what_would_not_be_tried_comes_last_with_the_reason() -> None:
    told = await oracle()
    rows = await told.explain(wish=Wish(ignore=frozenset({"alpha"}), max_input_price=Decimal(5)))
    assert [(row.candidate.id, row.kept) for row in rows] == [("alpha/m", False), ("beta/m", False)]
    assert "ignore" in rows[0].reasons[0]
    assert "unknown" in rows[1].reasons[0]


async def test_nothing_is_called_recorded_or_counted() -> None:
    told = await oracle()
    await told.explain()
    assert told.transport.requests == []
    assert told.generation_calls.calls == []


async def test_a_name_that_nothing_has_is_not_found() -> None:
    told = await oracle()
    with pytest.raises(NotFound):
        await told.explain(model="nonsense")


async def test_the_estimate_is_the_longest_answer_allowed_at_the_catalogues_price() -> None:
    rows = await (await oracle()).explain()
    tokens = estimated_tokens(BODY)
    assert rows[0].estimated_nanousd == nanousd((Decimal(1) * tokens + Decimal(10) * 50) / 1_000_000)
    assert rows[1].estimated_nanousd is None


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({}, 1),
        ({"messages": [{"content": "x" * 400}]}, 100),
        ({"messages": [{"content": ["x" * 40, {"text": "x" * 40}]}]}, 20),
        ({"image_url": "data:image/png;base64,AAAA"}, 1_500),
        ({"source": {"type": "base64", "data": "A" * 99_999}}, 1_502),
        ({"image_url": {"url": "data:image/png;base64," + "A" * 99_999}}, 1_500),
        ({"input_audio": {"data": "A" * 99_999, "format": "wa"}}, 1_500),
        ({"n": 1, "f": 2.5, "none": None}, 2),
    ],
)
def test_tokens_are_estimated_by_rule_of_thumb(body: dict[str, Any], tokens: int) -> None:
    assert estimated_tokens(body) == tokens


@pytest.mark.parametrize(
    "part",
    [
        {"text": "data:" + "x" * 399_995},
        {"content": "data:image/png;base64," + "A" * 399_978},
        {"text": "x" * 4_000_000},
        {"type": "base64", "text": "x" * 400_000},
        {"type": "text", "media_type": "text/plain", "data": "x" * 400_000},
        {"file_data": "data:text/plain;base64," + "A" * 400_000},
    ],
)
def test_a_text_is_no_file_whatever_it_says_of_itself(part: dict[str, Any]) -> None:
    assert estimated_tokens({"messages": [{"content": [part]}]}) >= 100_000


def test_a_request_is_weighed_however_deep_it_is() -> None:
    deep: Any = "x" * 400
    for _ in range(50_000):
        deep = {"a": [deep]}
    assert estimated_tokens(deep) == 100


async def test_what_the_key_is_not_bound_to_is_no_candidate_for_it() -> None:
    bound = replace(ann(), allowed_models=("beta/m",))
    rows = await (await oracle()).explain(caller=bound)
    assert [(row.candidate.id, row.kept) for row in rows] == [("beta/m", True), ("alpha/m", False)]
    assert rows[1].reasons == ("this key is for other models",)


async def test_a_model_that_was_named_and_the_key_may_not_use_leaves_no_candidate() -> None:
    bound = replace(ann(), allowed_models=("alpha/m",))
    rows = await (await oracle()).explain(caller=bound, model="beta/m")
    assert [row.kept for row in rows] == [False, False]
    assert {row.reasons for row in rows} == {("this key may not use beta/m",)}
