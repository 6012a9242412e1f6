"""Whatever is offered and wished for: what an explanation promises is what is called, each call counted."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.bootstrap import Container
from headgate.domain.catalog import ModelInfo, ProviderStatus
from headgate.domain.errors import CODES, HeadgateError, NotFound
from headgate.domain.health import ProviderHealth
from headgate.services.chat_records import ChatAsk
from headgate.services.chat_run import ChatRun
from headgate.services.route import Wish
from headgate.testing.clock import START
from headgate.testing.transport import Answer
from tests.support.bench import ANN, Bench
from tests.support.models import model, priced

SLUGS = ("alpha", "beta", "gamma")
BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}
BUSY, REFUSED = Answer(status=503, body=b"later"), Answer(status=401, body=b"no")
LIMITED, SLOW, POOR = Answer(status=429), Answer(status=504), Answer(status=402)
FAILING = st.sampled_from([BUSY, REFUSED, LIMITED, SLOW, POOR])
QUICK = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])

PRICES = st.none() | st.builds(
    lambda given, made: priced(str(given), str(made)), st.integers(0, 3), st.integers(0, 3)
)
MOST = st.none() | st.integers(0, 3).map(Decimal)
PICKED = st.lists(st.sampled_from(SLUGS), unique=True, max_size=3)
WISHES = st.builds(
    Wish,
    strategy=st.sampled_from(["order", "cheapest", "fastest"]),
    order=PICKED.map(tuple),
    only=PICKED.map(frozenset),
    ignore=st.lists(st.sampled_from(SLUGS), max_size=1).map(frozenset),
    max_input_price=MOST,
    max_output_price=MOST,
    allow_fallbacks=st.booleans(),
)
NAMES = [
    f"{start}{name}{end}"
    for name in ("m", "n")
    for start in ("", "maker/", "alpha/", "beta/")
    for end in ("", ":floor", ":nitro")
]
ASKED = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map(",".join)


@st.composite
def shops(draw: st.DrawFn) -> tuple[list[ModelInfo], list[ProviderHealth]]:
    offers = [
        model(f"{slug}/{name}", canonical_id=f"maker/{name}", pricing=draw(PRICES))
        for slug in SLUGS
        for name in draw(st.lists(st.sampled_from(["m", "n"]), unique=True))
    ]
    health = [
        ProviderHealth(
            provider=slug,
            status=draw(st.sampled_from(ProviderStatus)),
            last_checked=START,
            latency_p50_ms=draw(st.none() | st.integers(1, 3)),
        )
        for slug in SLUGS
    ]
    return offers, health


async def opened(shop: tuple[list[ModelInfo], list[ProviderHealth]]) -> tuple[Bench, Container]:
    offers, health = shop
    bench = Bench(*SLUGS)
    for slug in SLUGS:
        await bench.publish(slug, *(offer for offer in offers if offer.provider == slug))
    for each in health:
        await bench.catalog_store.write_health(each)
    return bench, bench.process()


def answers(bench: Bench, slug: str, *steps: Answer) -> None:
    bench.transport.on(f"https://{slug}.example/chat", *steps)


def asked(bench: Bench) -> list[str]:
    return [
        request.url.replace("https://", "").replace(".example/chat", "")
        for request in bench.transport.requests
    ]


async def promised(one: Container, ask: ChatAsk) -> list[str]:
    """Nothing where there is no such model, or no route."""
    try:
        return [row.candidate.id for row in await one.explain.explain(ANN, ask) if row.kept]
    except NotFound:
        return []


async def played(one: Container, ask: ChatAsk) -> tuple[ChatRun, HeadgateError | None]:
    run = one.chat.run(ANN, ask)
    try:
        await run.prepare()
        if not ask.stream:
            await run.answer()
        else:
            await run.open()
            async for _ in run.chunks():
                pass
    except HeadgateError as error:
        return run, error
    return run, None


@QUICK
@given(shops(), ASKED, WISHES, st.booleans(), st.lists(FAILING, min_size=3, max_size=3))
async def test_what_is_called_is_what_was_explained_in_that_order(
    shop: Any, name: str, wish: Wish, streamed: bool, failures: list[Answer]
) -> None:
    bench, one = await opened(shop)
    for slug, failure in zip(SLUGS, failures, strict=True):
        answers(bench, slug, failure)
    ask = ChatAsk(body=BODY, model=name, wish=wish, stream=streamed)
    expected = await promised(one, ask)
    run, error = await played(one, ask)
    assert error is not None
    assert asked(bench) == expected
    assert [attempt.model for attempt in run.attempts] == expected
    assert run.attempt_count == len(expected)
    stored = await bench.generations.get(run.id)
    if expected:
        assert stored is not None
        assert [attempt.model for attempt in stored.attempts] == expected
        assert all(CODES[attempt.code or ""].failover for attempt in stored.attempts)


@QUICK
@given(shops(), ASKED, WISHES)
async def test_what_was_ruled_out_is_never_called(shop: Any, name: str, wish: Wish) -> None:
    bench, one = await opened(shop)
    for slug in SLUGS:
        answers(bench, slug, BUSY)
    prices = {offer.id: offer.pricing for offer in shop[0]}
    await played(one, ChatAsk(body=BODY, model=name, wish=wish))
    for called in asked(bench):
        slug = called.partition("/")[0]
        assert not wish.only or slug in wish.only
        assert slug not in wish.ignore
        assert wish.allow_fallbacks or not wish.order or slug in wish.order
        price = prices.get(called)
        for most, told in (
            (wish.max_input_price, price.input if price else None),
            (wish.max_output_price, price.output if price else None),
        ):
            assert most is None or (told is not None and told <= most)
    if not (wish.allow_fallbacks or wish.order):
        assert len(asked(bench)) <= 1


@QUICK
@given(
    st.lists(st.tuples(st.sampled_from(SLUGS), st.integers(0, 9)), max_size=20),
    st.lists(st.sampled_from(SLUGS), min_size=1, unique=True),
)
async def test_an_explanation_knows_who_is_left_alone_for_now(
    troubles: list[tuple[str, int]], named: list[str]
) -> None:
    """Failures of several providers and pauses between them, so that circuits are open, or half so."""
    bench, one = await opened(([model(f"{slug}/m", canonical_id="maker/m") for slug in SLUGS], []))
    for slug in SLUGS:
        answers(bench, slug, BUSY)
    for slug, pause_s in troubles:
        await played(one, ChatAsk(body=BODY, model=f"{slug}/m", provider=slug))
        bench.clock.advance(pause_s)
    before = len(bench.transport.requests)
    ask = ChatAsk(body=BODY, model=",".join(f"{slug}/m" for slug in named))
    expected = await promised(one, ask)
    assert expected == await promised(one, ask), "looking changes nothing"
    await played(one, ask)
    assert asked(bench)[before:] == expected


async def test_who_is_left_alone_is_explained() -> None:
    bench, one = await opened(([model(f"{slug}/m", canonical_id="maker/m") for slug in SLUGS[:2]], []))
    answers(bench, "alpha", BUSY)
    for _ in range(5):
        await played(one, ChatAsk(body=BODY, model="alpha/m", provider="alpha"))
    rows = await one.explain.explain(ANN, ChatAsk(body=BODY, model="alpha/m"))
    assert [row.candidate.id for row in rows] == ["beta/m", "alpha/m"]
    assert any("circuit" in reason for reason in rows[1].reasons)
    assert all(row.kept for row in rows)


@pytest.mark.parametrize("streamed", [False, True])
async def test_models_named_in_a_list_all_count_as_attempts(streamed: bool) -> None:
    offers = [model(f"{slug}/{name}", canonical_id=f"maker/{name}") for slug in SLUGS for name in "mn"]
    bench, one = await opened((offers, []))
    for slug in SLUGS:
        answers(bench, slug, BUSY)
    ask = ChatAsk(body=BODY, model="maker/m,maker/n", stream=streamed)
    run, _ = await played(one, ask)
    assert run.attempt_count == len(asked(bench)) == 6
    assert all(first != second for first, second in pairwise(asked(bench)))
