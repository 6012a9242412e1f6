"""From what a caller wrote as `model` to the offers that can serve it, in order."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.domain.accounts import ModelOverride
from headgate.domain.catalog import ModelInfo, ModelStatus, Pricing, ProviderStatus
from headgate.domain.connections import Connection
from headgate.domain.credentials import PLATFORM, Credential
from headgate.domain.errors import NoRoute, NotFound
from headgate.domain.health import ProviderHealth
from headgate.domain.secret import Secret
from headgate.providers.registry import canonical_slug
from headgate.services.apply_overrides import overridden
from headgate.services.catalog import CatalogView, view_of
from headgate.services.route import Pick, Routing, Wish, consider, find_candidates
from headgate.services.suggest import suggest
from headgate.testing.clock import START
from tests.support.models import model, priced

KNOWN = {"openai", "openrouter", "requesty", "gemini", "anthropic"}
DAY = timedelta(days=1)

GPT = model("openai/gpt-5", pricing=priced("1", "10"))
GPT_OR = model("openrouter/openai/gpt-5", pricing=priced("1.1", "11"))
GPT_RQ = model("requesty/openai/gpt-5", pricing=priced("0.9", "9"))
MINI = model("openrouter/openai/gpt-5-mini", pricing=priced("0.1", "1"))
FLASH = model("gemini/flash", canonical_id="google/flash", pricing=priced("0.2", "1"))
LARGE_A = model("openrouter/mistralai/large")
LARGE_B = model("openrouter/other/large")
ALL = [GPT, GPT_OR, GPT_RQ, MINI, FLASH, LARGE_A, LARGE_B]


def view(
    models: Iterable[ModelInfo] = ALL, health: Mapping[str, ProviderHealth] | None = None
) -> CatalogView:
    return view_of(models, versions="", heads={}, health=health or well(), stale=frozenset(), hour=0)


def does(provider: str, status: str, p50_ms: int | None = None) -> ProviderHealth:
    return ProviderHealth(
        provider=provider, status=ProviderStatus(status), last_checked=START, latency_p50_ms=p50_ms
    )


def well(**p50_ms: int | None) -> dict[str, ProviderHealth]:
    return {slug: does(slug, "healthy", p50_ms.get(slug)) for slug in KNOWN}


def routing(
    seen: CatalogView | None = None, *, usable: Iterable[str] = KNOWN, allow_unlisted: bool = False
) -> Routing:
    slugs = set(usable)
    return Routing(
        view=seen or view(),
        now=START,
        is_usable=slugs.__contains__,
        canonical_slug=lambda name: canonical_slug(name) if canonical_slug(name) in KNOWN else None,
        allow_unlisted=allow_unlisted,
    )


def route(name: str, to: Routing | None = None) -> list[str]:
    return [
        each.candidate.id
        for each in consider(to or routing(), name, Wish())
        if each.reasons[0].startswith("named")
    ]


# -- names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("openrouter/openai/gpt-5", [GPT_OR.id]),
        ("openai/gpt-5", [GPT.id]),
        ("OpenAI/gpt-5", [GPT.id]),
        ("gemini/flash", [FLASH.id]),
        ("google/flash", [FLASH.id]),
        ("flash", [FLASH.id]),
        ("gpt-5-mini", [MINI.id]),
        ("openai/gpt-5-mini", [MINI.id]),
        ("mistralai/large", [LARGE_A.id]),
        (" openai/gpt-5 ", [GPT.id]),
    ],
)
def test_a_model_is_known_by_its_id_an_alias_its_canonical_id_or_a_bare_name(
    name: str, ids: list[str]
) -> None:
    assert route(name) == ids


def test_a_bare_name_means_every_offer_of_that_model() -> None:
    assert set(route("gpt-5")) == {GPT.id, GPT_OR.id, GPT_RQ.id}


def test_a_slash_means_the_provider_if_the_caller_can_use_it_else_the_author() -> None:
    assert route("openai/gpt-5") == [GPT.id]
    without = routing(usable=KNOWN - {"openai"})
    assert set(route("openai/gpt-5", without)) == {GPT_OR.id, GPT_RQ.id}


def test_offers_of_providers_that_the_caller_can_not_use_are_no_candidates() -> None:
    assert route("gpt-5", routing(usable={"requesty"})) == [GPT_RQ.id]
    with pytest.raises(NotFound):
        route("gpt-5", routing(usable={"gemini"}))


def test_an_ambiguous_bare_name_is_refused_with_what_it_could_mean() -> None:
    with pytest.raises(NotFound) as refused:
        route("large")
    assert refused.value.code == "model_not_found"
    assert refused.value.members["suggestions"] == ["mistralai/large", "other/large"]
    assert "several" in refused.value.detail


@pytest.mark.parametrize("name", ["", ",", " , ,", "/", "nonsense", "openai/", "/gpt-5", "x" * 5_000])
def test_what_names_nothing_is_not_found(name: str) -> None:
    with pytest.raises(NotFound) as refused:
        route(name)
    assert refused.value.http_status == 404
    assert len(refused.value.detail) < 600


# -- lists and suffixes ------------------------------------------------------------------------------------


def test_a_list_is_tried_in_the_order_given_each_once() -> None:
    assert route("gemini/flash, openai/gpt-5,flash") == [FLASH.id, GPT.id]


def test_a_list_goes_on_without_what_it_does_not_find() -> None:
    assert route("nonsense,openai/gpt-5") == [GPT.id]


def test_floor_is_cheapest_first() -> None:
    assert route("gpt-5:floor") == [GPT_RQ.id, GPT.id, GPT_OR.id]


def test_nitro_is_quickest_first_and_the_unmeasured_last() -> None:
    to = routing(view(health=well(openrouter=300, openai=900)))
    assert route("gpt-5:nitro", to) == [GPT_OR.id, GPT.id, GPT_RQ.id]


def test_a_model_whose_own_name_ends_so_is_meant_before_the_suffix() -> None:
    odd = model("openrouter/x/y:floor")
    assert route("x/y:floor", routing(view([odd, model("requesty/x/y")]))) == [odd.id]


def test_the_suffix_of_a_listed_model_is_ours_though_unlisted_ones_may_be_passed_through() -> None:
    to = routing(allow_unlisted=True)
    assert route("openai/gpt-5:floor", to) == [GPT_RQ.id, GPT.id, GPT_OR.id]
    assert route("openai/brand-new:floor", to) == ["openai/brand-new:floor"]


@pytest.mark.parametrize("suffix", ["", ":floor", ":nitro"])
def test_a_provider_that_is_down_comes_last_whatever_the_order(suffix: str) -> None:
    health = well(requesty=1) | {"requesty": does("requesty", "down", 1)}
    assert route(f"gpt-5{suffix}", routing(view(health=health)))[-1] == GPT_RQ.id


def test_without_a_suffix_healthy_comes_before_degraded_then_cheap_before_dear_before_unknown() -> None:
    unknown = model("gemini/gpt-5", canonical_id="openai/gpt-5")
    health = well() | {"requesty": does("requesty", "degraded")}
    to = routing(view([*ALL, unknown], health))
    assert route("gpt-5", to) == [GPT.id, GPT_OR.id, unknown.id, GPT_RQ.id]


# -- what can't be called ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ended", [replace(GPT, expires_at=START - DAY), replace(GPT, status=ModelStatus.UNAVAILABLE)]
)
def test_a_model_past_its_end_has_no_route_and_the_answer_says_why(ended: ModelInfo) -> None:
    with pytest.raises(NoRoute) as refused:
        find_candidates(routing(view([ended])), "openai/gpt-5")
    assert refused.value.http_status == 422
    (candidate,) = refused.value.members["candidates"]
    assert (candidate["model"], candidate["provider"], candidate["kept"]) == (GPT.id, "openai", False)
    assert candidate["reasons"]


def test_a_model_that_is_announced_to_end_is_still_served() -> None:
    assert route("openai/gpt-5", routing(view([replace(GPT, expires_at=START + DAY)])))


def test_other_offers_serve_in_place_of_one_that_ended() -> None:
    ended = replace(GPT_RQ, expires_at=START - DAY)
    assert GPT_RQ.id not in route("gpt-5", routing(view([GPT, GPT_OR, ended])))


def test_a_provider_that_is_down_is_still_a_candidate_when_it_is_the_only_one() -> None:
    assert route("gemini/flash", routing(view(health=well() | {"gemini": does("gemini", "down")})))


# -- unlisted models ---------------------------------------------------------------------------------------


def test_an_unlisted_model_goes_to_the_provider_named_only_where_that_is_allowed() -> None:
    with pytest.raises(NotFound):
        route("openai/brand-new")
    (candidate,) = find_candidates(routing(allow_unlisted=True), "openai/brand-new")
    assert (candidate.provider, candidate.native_id, candidate.info) == ("openai", "brand-new", None)


def test_an_unlisted_model_keeps_the_providers_own_id_whole() -> None:
    (candidate,) = find_candidates(routing(allow_unlisted=True), "google/a/b:c@d")
    assert (candidate.provider, candidate.native_id) == ("gemini", "a/b:c@d")


@pytest.mark.parametrize("name", ["brand-new", "nobody/brand-new"])
def test_without_a_provider_the_caller_can_use_there_is_nowhere_to_pass_it_to(name: str) -> None:
    with pytest.raises(NotFound):
        route(name, routing(allow_unlisted=True))
    with pytest.raises(NotFound):
        route("openai/brand-new", routing(usable={"gemini"}, allow_unlisted=True))


def test_a_provider_that_is_named_is_asked_first_though_others_list_the_model() -> None:
    assert route("openai/gpt-5-mini", routing(allow_unlisted=True)) == ["openai/gpt-5-mini", MINI.id]
    assert route("openai/gpt-5-mini") == [MINI.id]


def test_who_names_a_provider_that_nobody_has_a_key_for_is_told_so() -> None:
    seen = view([GPT_OR, FLASH])
    for name, keyless in (("anthropic/claude-x", True), ("openrouter/none", False), ("claude-x", False)):
        with pytest.raises(NotFound) as refused:
            find_candidates(routing(seen, usable={"openrouter", "gemini"}), name)
        assert ("anthropic is not set up" in refused.value.detail) is keyless


def test_why_nothing_can_serve_is_said_in_the_message_too() -> None:
    with pytest.raises(NoRoute) as refused:
        find_candidates(routing(), "openai/gpt-5", Wish(max_input_price=Decimal("0.01")))
    candidates: Any = refused.value.members["candidates"]
    assert candidates[0]["reasons"][0] in refused.value.detail


# -- suggestions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("openai/gpt5", GPT.id),
        ("opnai/gpt-5", GPT.id),
        ("openrouter/openai/gpt-5-mni", MINI.id),
        ("gpt-5-mimi", MINI.id),
        ("gemini/flesh", FLASH.id),
        ("GEMINI/FLASH-2", FLASH.id),
    ],
)
def test_a_slip_of_the_pen_gets_the_id_that_was_meant(wrong: str, meant: str) -> None:
    with pytest.raises(NotFound) as refused:
        route(wrong)
    assert meant in refused.value.members["suggestions"]
    assert meant in refused.value.detail


def test_ids_with_capitals_are_suggested_as_they_are() -> None:
    seen = view([model("openrouter/Meta-Llama/Llama-3.3-70B")])
    assert suggest(seen, "openrouter/meta-llama/llama-3.3-70") == ["openrouter/Meta-Llama/Llama-3.3-70B"]


def test_nothing_alike_suggests_nothing() -> None:
    assert suggest(view(), "zzzzzz") == []
    assert suggest(view([]), "gpt") == []


def test_suggestions_out_of_ten_thousand_are_close_and_quick() -> None:
    seen = view([model(f"openrouter/author{n % 97}/model-{n}-instruct") for n in range(10_000)])
    started_s = time.perf_counter()
    close = suggest(seen, "openrouter/author7/modle-7-instruct")
    took_s = time.perf_counter() - started_s
    assert "openrouter/author7/model-7-instruct" in close
    assert took_s < 0.5


@settings(deadline=None)
@given(st.text(max_size=300))
def test_whatever_is_written_there_is_an_answer(name: str) -> None:
    try:
        found = [candidate.id for candidate in find_candidates(routing(allow_unlisted=True), name)]
    except (NotFound, NoRoute) as refused:
        found = [*refused.members.get("suggestions", []), refused.detail]
    assert found


# -- wishes ------------------------------------------------------------------------------------------------


def wished(name: str, **wish: Any) -> list[str]:
    return [each.id for each in find_candidates(routing(), name, Wish(**wish))]


def rejections(name: str, **wish: Any) -> dict[str, str]:
    considered = consider(routing(), name, Wish(**wish))
    return {each.candidate.id: each.reasons[0] for each in considered if not each.kept}


def test_what_else_offers_the_named_model_may_take_over_after_it() -> None:
    assert wished("openrouter/openai/gpt-5") == [GPT_OR.id, GPT_RQ.id, GPT.id]


def test_without_fallbacks_only_the_first_is_tried_and_the_rest_say_why() -> None:
    assert wished("openai/gpt-5", allow_fallbacks=False) == [GPT.id]
    assert set(rejections("openai/gpt-5", allow_fallbacks=False)) == {GPT_OR.id, GPT_RQ.id}


def test_without_fallbacks_all_providers_that_were_ordered_are_tried_and_no_other() -> None:
    only = {"order": ("requesty", "openrouter"), "allow_fallbacks": False}
    assert wished("openai/gpt-5", **only) == [GPT_RQ.id, GPT_OR.id]
    assert set(rejections("openai/gpt-5", **only)) == {GPT.id}
    with pytest.raises(NoRoute):
        wished("openai/gpt-5", order=("gemini",), allow_fallbacks=False)


def test_providers_are_tried_in_the_order_asked_for() -> None:
    assert wished("openai/gpt-5", order=("requesty", "openrouter")) == [GPT_RQ.id, GPT_OR.id, GPT.id]


def test_providers_can_be_kept_to_and_left_out() -> None:
    assert wished("openai/gpt-5", only=frozenset({"openrouter"})) == [GPT_OR.id]
    assert wished("openai/gpt-5", ignore=frozenset({"openai"})) == [GPT_RQ.id, GPT_OR.id]
    with pytest.raises(NoRoute) as refused:
        wished("openai/gpt-5", only=frozenset({"gemini"}))
    assert {each["model"] for each in refused.value.members["candidates"]} == {GPT.id, GPT_OR.id, GPT_RQ.id}


def test_the_cheapest_comes_first_when_price_decides() -> None:
    assert wished("openai/gpt-5", strategy="cheapest") == [GPT_RQ.id, GPT.id, GPT_OR.id]


def test_what_costs_more_than_the_caller_will_pay_is_left_out() -> None:
    assert wished("openai/gpt-5", max_input_price=Decimal(1)) == [GPT.id, GPT_RQ.id]
    assert "above max_price" in rejections("openai/gpt-5", max_output_price=Decimal(10))[GPT_OR.id]
    with pytest.raises(NoRoute):
        wished("openrouter/other/large", max_input_price=Decimal(100))


def test_what_must_be_supported_is_held_against_what_a_provider_tells() -> None:
    tells = replace(GPT, supported_parameters=("temperature",))
    seen = routing(view([tells, GPT_OR]))
    found = find_candidates(seen, "openai/gpt-5", Wish(parameters=frozenset({"tools"})))
    assert [each.id for each in found] == [GPT_OR.id]


# -- suffixes that name who is to serve --------------------------------------------------------------------

HOSTED = model(
    "requesty/lab/open",
    pricing=priced("3", "4"),
    context_window=8_192,
    suffixes={"novita": priced("1", "2"), "fastest": Pricing()},
)
FREE = model("openrouter/lab/open:free", canonical_id="lab/open:free", pricing=priced("0", "0"))


@pytest.mark.parametrize(
    ("suffix", "price_in"), [("novita", "1"), ("fastest", "3"), ("together", "3"), ("NOVITA", "3")]
)
def test_behind_a_suffix_stands_the_same_model_at_the_price_of_whom_it_names(
    suffix: str, price_in: str
) -> None:
    first, *others = find_candidates(routing(view([HOSTED, FREE])), f"requesty/lab/open:{suffix}")
    assert (first.provider, first.native_id) == ("requesty", f"lab/open:{suffix}")
    assert first.info is not None
    assert (first.info.id, first.info.context_window) == (HOSTED.id, 8_192)
    assert first.info.pricing is not None
    assert first.info.pricing.input == Decimal(price_in)
    assert [each.id for each in others] == [HOSTED.id]


def test_a_colon_is_no_suffix_where_ids_have_one_or_nothing_is_known_to_follow() -> None:
    seen = routing(view([HOSTED, FREE]), allow_unlisted=True)
    (free,) = find_candidates(seen, "openrouter/lab/open:free")
    assert free.info == FREE
    (unlisted,) = find_candidates(seen, "openrouter/lab/open:novita")
    assert unlisted.info is None
    (empty,) = find_candidates(seen, "requesty/lab/open:")
    assert empty.info is None


@pytest.mark.parametrize("suffix", [":floor", ":nitro"])
def test_our_own_suffixes_stay_ours(suffix: str) -> None:
    found = find_candidates(routing(view([HOSTED])), f"requesty/lab/open{suffix}")
    assert [each.id for each in found] == [HOSTED.id]


# -- keys --------------------------------------------------------------------------------------------------

MINE, LENT = (
    Credential(
        paid_by="connection",
        connection=Connection(
            id="con_1", user_id="ann", name="Work", type="openai", created_at=START, updated_at=START
        ),
    ),
    Credential(paid_by="lent", lent=Secret("sk-lent")),
)


def keyed(keys: Mapping[str, tuple[Credential, ...]], **more: Any) -> Routing:
    """These keys by provider; the platform's for the others."""
    return replace(routing(), credentials=lambda slug, _id: keys.get(slug, (PLATFORM,)), **more)


def rows(name: str | list[Pick], to: Routing, **wish: Any) -> list[tuple[str, str, bool]]:
    found = consider(to, name, Wish(**wish))
    return [(each.candidate.id, each.candidate.credential.paid_by, each.kept) for each in found]


def test_an_offer_is_one_candidate_per_key_in_their_order() -> None:
    assert rows("openai/gpt-5", keyed({"openai": (MINE, PLATFORM)}))[:2] == [
        (GPT.id, "connection", True),
        (GPT.id, "platform", True),
    ]


def test_what_the_callers_own_key_pays_comes_before_what_is_cheaper_unless_price_was_asked_for() -> None:
    to = keyed({"openrouter": (LENT,)})
    assert rows("gpt-5", to)[0] == (GPT_OR.id, "lent", True)
    assert rows("gpt-5:floor", to)[0] == (GPT_RQ.id, "platform", True)
    assert rows("gpt-5", to, strategy="cheapest")[0] == (GPT_RQ.id, "platform", True)


def test_the_preferred_provider_comes_first_unless_it_is_down_or_another_was_named() -> None:
    to = keyed({"openrouter": (MINE,)}, prefers="openai")
    assert rows("gpt-5", to)[0] == (GPT.id, "platform", True)
    assert rows("requesty/openai/gpt-5", to)[0] == (GPT_RQ.id, "platform", True)
    ill = replace(to, view=view(health=well() | {"openai": does("openai", "down")}))
    assert rows("gpt-5", ill)[0] == (GPT_OR.id, "connection", True)


def test_without_fallbacks_another_key_takes_over_no_more_than_another_provider() -> None:
    to = keyed({"openai": (MINE, PLATFORM)})
    found = rows("openai/gpt-5", to, allow_fallbacks=False)
    assert [row for row in found if row[2]] == [(GPT.id, "connection", True)]
    found = rows("openai/gpt-5", to, allow_fallbacks=False, order=("openai", "requesty"))
    assert [row for row in found if row[2]] == [(GPT.id, "connection", True), (GPT_RQ.id, "platform", True)]


def test_whoever_pays_may_ask_for_what_no_list_has_and_the_platform_does_not() -> None:
    assert rows("openai/brand-new", keyed({"openai": (MINE, PLATFORM)})) == [
        ("openai/brand-new", "connection", True)
    ]
    with pytest.raises(NotFound):
        rows("gemini/brand-new", keyed({"openai": (MINE, PLATFORM)}))


def test_an_offer_that_the_caller_has_no_key_for_is_none() -> None:
    assert GPT.id not in {row[0] for row in rows("gpt-5", keyed({"openai": ()}))}


def test_the_providers_own_offer_of_what_was_named_comes_before_one_that_no_list_has() -> None:
    dated = model("anthropic/claude-5-20261101", canonical_id="anthropic/claude-5")
    to = replace(keyed({"anthropic": (MINE,)}), view=view([dated, model("openrouter/anthropic/claude-5")]))
    assert [row[0] for row in rows("anthropic/claude-5", to)] == [
        "anthropic/claude-5-20261101",
        "openrouter/anthropic/claude-5",
    ]


def test_a_pick_for_one_key_alone_is_called_with_that_one_first_and_others_after_all_picks() -> None:
    to = keyed({"openai": (LENT, MINE, PLATFORM)})
    picks = [Pick(name="openai/gpt-5", only=MINE, why="a default"), Pick(name="gemini/flash")]
    assert rows(picks, to)[:3] == [
        (GPT.id, "connection", True),
        (FLASH.id, "platform", True),
        (GPT.id, "lent", True),
    ]


def test_what_an_administrator_disabled_is_called_with_nobodys_key() -> None:
    off = ModelOverride(model_id="openai/brand-new", updated_at=START, updated_by="root", enabled=False)
    to = keyed({"openai": (MINE,)})
    to = replace(to, view=replace(to.view, overrides={off.model_id: off}))
    (found,) = consider(to, "openai/brand-new", Wish())
    assert (found.kept, found.reasons) == (False, ("disabled by an administrator",))


@pytest.mark.parametrize(
    "name",
    ["openrouter/lab/m:online", "openrouter/lab/m:free:online", "openrouter/Lab/M", "openrouter/LAB/m:x:y"],
)
def test_no_other_spelling_lets_through_what_an_administrator_disabled(name: str) -> None:
    off = ModelOverride(model_id="openrouter/lab/m", updated_at=START, updated_by="root", enabled=False)
    to = keyed({"openrouter": (MINE,)})
    to = replace(to, view=replace(to.view, overrides={off.model_id: off}))
    (found,) = consider(to, name, Wish())
    assert (found.kept, found.reasons) == (False, ("disabled by an administrator",))
    (other,) = consider(to, "openrouter/lab/m2:online", Wish())
    assert other.kept


def test_what_an_administrator_says_of_a_suffixed_id_goes_before_what_is_said_of_the_plain_one() -> None:
    said = [
        ModelOverride(model_id=name, updated_at=START, updated_by="root", enabled=enabled)
        for name, enabled in (("openrouter/lab/m", False), ("openrouter/lab/m:free", True))
    ]
    to = keyed({"openrouter": (MINE,)})
    to = replace(to, view=replace(to.view, overrides={each.model_id: each for each in said}))
    assert [
        consider(to, f"openrouter/lab/m{suffix}", Wish())[0].kept for suffix in ("", ":free", ":free:x")
    ] == [
        False,
        True,
        True,
    ]


@pytest.mark.parametrize("suffix", ["", ":novita", ":fastest"])
def test_an_administrators_price_is_the_price_behind_every_suffix(suffix: str) -> None:
    dear = ModelOverride(model_id=HOSTED.id, updated_at=START, updated_by="root", price=priced("7", "8"))
    seen = view(overridden([HOSTED], {HOSTED.id: dear}))
    first = find_candidates(routing(seen), f"requesty/lab/open{suffix}")[0]
    assert first.info is not None
    assert first.info.pricing == dear.price
