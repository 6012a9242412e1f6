"""What a server tells of its models beside its list is welcome, and never at the list's cost."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace

import orjson
import pytest

from headgate.domain.catalog import ModelInfo
from headgate.domain.errors import NotFound, ProviderFailed
from headgate.ports import WireRequest
from headgate.providers._details import DETAILS_AT_ONCE, MAX_DETAILS, MAX_FAILED_DETAILS
from headgate.providers.base import ModelPage, ProviderConfig
from headgate.providers.bound import LIST_DEADLINE_S, WAKING_LIST_DEADLINE_S, BoundProvider, ModelListing
from headgate.testing.clock import ManualClock
from headgate.testing.transport import Answer, ScriptedTransport, Step
from tests.support.models import model
from tests.support.provider import FakeProvider, fake_provider, listing

HERE = "https://alpha.example"


class Telling(FakeProvider):
    """Asks, for each model, for its context; `{"context": 7}` is told of the model that was asked about."""

    spec = fake_provider("alpha").spec

    def parse_list_models(self, body: bytes) -> ModelPage:
        page = super().parse_list_models(body)
        return replace(page, details=tuple(each.native_id for each in page.models))

    def build_detail(self, config: ProviderConfig, detail: str) -> WireRequest | None:
        return None if detail == "silent" else self._request("GET", f"/about/{detail}", config)

    def parse_detail(self, detail: str, body: bytes, models: Mapping[str, ModelInfo]) -> Iterable[ModelInfo]:
        try:
            told = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise ProviderFailed("no JSON", code="provider_protocol") from None
        yield replace(models[f"alpha/{detail}"], context_window=told["context"])
        yield model("alpha/never-listed")


def tells(context: int) -> Answer:
    return Answer.of_json({"context": context})


class Waking(FakeProvider):
    spec = fake_provider("alpha", list_ttl_s=3600.0, list_optional=True).spec


def bound(
    transport: ScriptedTransport, provider: FakeProvider | None = None, clock: ManualClock | None = None
) -> BoundProvider:
    return BoundProvider(
        provider or Telling(), ProviderConfig(), transport=transport, clock=clock or ManualClock()
    )


def scripted(*names: str, **about: Step) -> ScriptedTransport:
    transport = ScriptedTransport().on(f"{HERE}/models", listing(*(model(f"alpha/{name}") for name in names)))
    for name, step in about.items():
        transport.on(f"{HERE}/about/{name}", step)
    return transport


def contexts(listed: ModelListing) -> dict[str, int | None]:
    return {each.native_id: each.context_window for each in listed.models}


async def test_details_are_added_to_the_models_they_are_about_and_to_no_others() -> None:
    listed = await bound(scripted("b", "a", a=tells(1000), b=tells(2000))).list_models()
    assert contexts(listed) == {"a": 1000, "b": 2000}
    assert (listed.partial, listed.dropped, listed.pages) == (False, (), 1)


@pytest.mark.parametrize(
    "failure",
    [
        Answer(404),
        Answer(500),
        Answer(401, b"no"),
        Answer(200, b"<html>"),
        ProviderFailed("gone", code="provider_timeout"),
        Answer(303, headers={"location": "https://evil.example"}),
    ],
)
async def test_a_detail_that_fails_costs_only_what_it_would_have_told(failure: Step) -> None:
    transport = scripted("a", "b", a=failure, b=tells(2000))
    listed = await bound(transport).list_models()
    assert contexts(listed) == {"a": None, "b": 2000}
    assert sum("/about/a" in request.url for request in transport.requests) == 1, "it is not tried again"


async def test_a_server_that_knows_no_details_is_not_asked_on_and_on() -> None:
    transport = ScriptedTransport().on("/about/", Answer(404))
    transport.on(f"{HERE}/models", listing(*(model(f"alpha/{n:03}") for n in range(150))))
    assert len((await bound(transport).list_models()).models) == 150
    assert len(transport.requests) <= 1 + MAX_FAILED_DETAILS + DETAILS_AT_ONCE


async def test_a_list_without_end_is_not_asked_about_without_end() -> None:
    transport = ScriptedTransport().on("/about/", tells(1000))
    transport.on(f"{HERE}/models", listing(*(model(f"alpha/{n:04}") for n in range(1000))))
    told = [each for each in (await bound(transport).list_models()).models if each.context_window]
    assert len(told) == MAX_DETAILS


async def test_no_more_are_asked_for_at_once_than_a_small_server_bears() -> None:
    released, waiting, most = asyncio.Event(), 0, 0

    def wait(_request: WireRequest) -> Answer:
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        if waiting == DETAILS_AT_ONCE:
            released.set()
        return Answer(pieces=[released, b'{"context": 5}'])

    transport = scripted(*(f"m{n}" for n in range(DETAILS_AT_ONCE)))
    transport.on("/about/", wait)
    listed = await bound(transport).list_models()
    assert set(contexts(listed).values()) == {5}
    assert most == DETAILS_AT_ONCE


async def test_nothing_is_asked_where_there_is_nothing_to_ask() -> None:
    transport = scripted("silent")
    await bound(transport).list_models()
    assert len(transport.requests) == 1


async def test_a_server_without_a_list_is_no_failure_where_lists_are_optional() -> None:
    listed = await bound(ScriptedTransport(Answer(404, b"no")), _NotFound(optional=True)).list_models()
    assert (listed.listed, listed.models) == (False, ())


async def test_elsewhere_a_missing_list_is_a_failure() -> None:
    with pytest.raises(NotFound):
        await bound(ScriptedTransport(Answer(404, b"no")), _NotFound(optional=False)).list_models()


async def test_health_checks_leave_lists_alone_that_are_not_free() -> None:
    transport = ScriptedTransport()
    assert not await bound(transport, Waking()).check_list()
    assert transport.requests == []


@pytest.mark.parametrize(
    ("provider", "deadline_s"), [(Telling(), LIST_DEADLINE_S), (Waking(), WAKING_LIST_DEADLINE_S)]
)
async def test_a_server_that_sleeps_gets_time_to_wake(provider: FakeProvider, deadline_s: float) -> None:
    transport = ScriptedTransport(listing())
    await bound(transport, provider).list_models()
    assert transport.requests[0].total_timeout_s == deadline_s


def _NotFound(*, optional: bool) -> FakeProvider:  # noqa: N802 - a class by its look
    class Missing(FakeProvider):
        spec = fake_provider("alpha", list_optional=optional).spec

        def classify_error(self, status: int, headers: Mapping[str, str], body: bytes) -> NotFound:
            return NotFound("no such thing", code="model_not_found")

    return Missing()
