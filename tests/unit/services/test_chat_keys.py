"""Chats by keys of the caller's own: what is sent where, who is blamed, what is kept of it."""

from dataclasses import replace
from typing import Any

import pytest

from headgate.domain.credentials import PLATFORM, Credential
from headgate.domain.errors import (
    GatewayFault,
    InvalidRequest,
    NoRoute,
    NotFound,
    ProviderRefused,
)
from headgate.domain.secret import Secret
from headgate.ports import ConnectionModels
from headgate.services.chat_records import ChatAsk
from headgate.services.route import Wish
from headgate.testing.memory import Answer
from tests.support.bench import KEY, ann
from tests.support.keys import change, connect, delete, found, key_of, key_sent, keys_sent, say
from tests.support.models import model
from tests.support.provider import fake_provider, lines, said
from tests.support.stage import A, B, Stage, outcomes

REFUSED, POOR, BUSY = Answer(status=401, body=b"no"), Answer(status=402, body=b"empty"), Answer(status=503)
LENT = "sk-lent-9876543210"
DOWN = GatewayFault.unavailable("The table")


async def shop(*slugs: str, **environ: str) -> Stage:
    """Alpha and beta offer `maker/m`; each answers `<slug> says`."""
    stage = await Stage(**environ).open_shop(A, B)
    for slug in ("alpha", "beta", *slugs):
        stage.answers(slug, said(f"{slug} says"))
    return stage


def lend(**keys: str) -> dict[str, Secret]:
    return {slug: Secret(key) for slug, key in keys.items()}


def refuses(stage: Stage, key: str, answer: Answer = REFUSED, slug: str = "alpha") -> None:
    """This key gets that answer at its provider; others are served."""
    stage.answers(slug, lambda request: answer if key_sent(request) == key else said("fine"))


async def explained(stage: Stage, **ask: Any) -> list[tuple[str, str | None, bool, tuple[str, ...]]]:
    rows = await stage.one.explain.explain(ann(), ChatAsk(**({"body": {}, "model": "maker/m"} | ask)))
    return [(r.candidate.id, r.candidate.credential.connection_id, r.kept, r.reasons) for r in rows]


# -- which key is sent -------------------------------------------------------------------------------------


async def test_ones_own_key_serves_and_the_record_says_so() -> None:
    stage = await shop()
    await connect(stage, "alpha")
    run = await stage.whole(model="alpha/m")
    assert keys_sent(stage) == [key_of("work")]
    record = await stage.stored(run)
    assert (record.connection_id, record.paid_by) == ("con_work", "connection")


async def test_without_one_the_platforms_key_serves() -> None:
    stage = await shop()
    await connect(stage, "beta")
    record = await stage.stored(await stage.whole(model="alpha/m"))
    assert keys_sent(stage) == [KEY]
    assert (record.connection_id, record.paid_by) == (None, "platform")


async def test_where_a_provider_is_not_named_the_one_that_ones_own_key_pays_comes_first() -> None:
    stage = await shop()
    await connect(stage, "beta")
    run = await stage.whole(model="maker/m")
    assert keys_sent(stage) == [key_of("work")]
    assert run.served is not None
    assert run.served.id == "beta/m"


async def test_a_provider_that_the_platform_has_no_key_for_is_reached_with_ones_own() -> None:
    stage = await shop("gamma")
    stage.one.registry.register(fake_provider("gamma"))
    with pytest.raises((NotFound, NoRoute)):
        await stage.whole(model="gamma/new")
    await connect(stage, "gamma")
    stage.clock.advance(60)
    await stage.whole(model="gamma/new")
    assert keys_sent(stage) == [key_of("work")]
    assert stage.transport.requests[-1].url == "https://gamma.example/chat/new"


async def test_what_no_list_has_is_asked_with_ones_own_key_and_never_with_the_platforms() -> None:
    stage = await shop()
    await connect(stage, "alpha")
    refuses(stage, key_of("work"))
    _, error = await stage.failure(model="alpha/brand-new")
    assert error.code == "provider_auth"
    assert keys_sent(stage) == [key_of("work")]
    with pytest.raises(NotFound):
        await stage.whole(model="beta/brand-new")


async def test_a_lent_key_goes_to_its_provider_and_is_kept_nowhere() -> None:
    stage = await shop()
    await connect(stage, "alpha")
    run = await stage.whole(model="alpha/m", lent=lend(alpha=LENT))
    record = await stage.stored(run)
    assert keys_sent(stage) == [LENT]
    assert (record.connection_id, record.paid_by) == (None, "lent")
    assert LENT not in repr((record, run.served, run.call, stage.log.entries, run.attempts))


async def test_a_lent_key_that_is_refused_leaves_its_provider_and_is_not_told() -> None:
    stage = await shop()
    await connect(stage, "alpha")
    refuses(stage, LENT)
    run = await stage.whole(model="alpha/m", lent=lend(alpha=LENT))
    assert keys_sent(stage) == [LENT, KEY]
    assert outcomes(await stage.stored(run)) == [
        ("alpha", "failed", "provider_auth"),
        ("beta", "succeeded", None),
    ]
    for slug in ("alpha", "beta"):
        stage.answers(slug, Answer(status=401, body=f"{LENT} is no key of {LENT}".encode()))
    run, error = await stage.failure(model="alpha/m", lent=lend(alpha=LENT), wish=Wish(allow_fallbacks=False))
    assert "lent with the request was refused: look at its key" in error.detail
    record = await stage.stored(run)
    for text in (error.detail, repr(error.members), repr(record), repr(stage.log.entries), str(error)):
        assert LENT not in text


async def test_a_lent_key_that_fails_again_and_again_names_no_circuit_by_itself() -> None:
    stage = await shop()
    stage.answers("alpha", BUSY)
    for _ in range(6):
        await stage.whole(model="alpha/m", lent=lend(alpha=LENT))
    assert stage.log.named("circuit.opened")
    assert LENT not in repr(stage.log.entries)
    assert LENT[-6:] not in repr(stage.log.entries)


async def test_a_connection_that_is_named_serves_or_nothing_does() -> None:
    stage = await shop()
    await connect(stage, "alpha", "first")
    await connect(stage, "alpha", "second")
    await stage.whole(model="maker/m", connection_id="con_second")
    assert keys_sent(stage) == [key_of("second")]
    refuses(stage, key_of("second"), BUSY)
    _, error = await stage.failure(model="maker/m", connection_id="con_second")
    assert error.code == "provider_overloaded"
    assert keys_sent(stage) == [key_of("second")] * 2


@pytest.mark.parametrize("stored", ["bobs", None])
async def test_a_connection_of_another_user_is_not_there(stored: str | None) -> None:
    stage = await shop()
    if stored is not None:
        await connect(stage, "alpha", stored, user="bob")
    with pytest.raises(NotFound) as refused:
        await stage.whole(connection_id="con_bobs")
    assert refused.value.detail == "There is no connection con_bobs."
    assert stage.transport.requests == []


async def test_a_connection_that_was_deleted_is_a_conflict_and_calls_nothing() -> None:
    stage = await shop()
    await delete(stage, await connect(stage, "alpha"))
    _, error = await stage.failure(connection_id="con_work")
    assert (error.code, error.http_status) == ("conflict", 409)
    assert stage.transport.requests == []


async def test_a_provider_and_a_connection_to_another_can_not_both_be_meant() -> None:
    stage = await shop()
    await connect(stage, "alpha")
    with pytest.raises(InvalidRequest) as refused:
        await stage.whole(provider="beta", connection_id="con_work")
    assert refused.value.errors[0].field == "connection_id"


# -- one key after another ---------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
async def test_keys_are_tried_in_their_order_and_each_call_is_an_attempt(streamed: bool) -> None:
    stage = await shop()
    await connect(stage, "alpha", "first")
    await connect(stage, "alpha", "second")

    def answer(request: Any) -> Answer:
        if key_sent(request) != KEY:
            return REFUSED
        return lines("say x", "END") if streamed else said("x")

    stage.answers("alpha", answer)
    if streamed:
        run, received = await stage.stream(model="alpha/m")
        await received.rest()
    else:
        run = await stage.whole(model="alpha/m")
    assert keys_sent(stage) == [key_of("first"), key_of("second"), KEY]
    record = await stage.stored(run)
    assert [code for _, _, code in outcomes(record)] == ["provider_auth", "provider_auth", None]
    assert (record.connection_id, record.paid_by) == (None, "platform")


async def test_without_fallbacks_the_platform_does_not_take_over_from_ones_own_key() -> None:
    stage = await shop()
    await connect(stage, "alpha")
    refuses(stage, key_of("work"))
    _, error = await stage.failure(model="alpha/m", wish=Wish(allow_fallbacks=False))
    assert error.code == "provider_auth"
    assert keys_sent(stage) == [key_of("work")]


async def test_keys_have_circuits_of_their_own() -> None:
    stage = await shop()
    await connect(stage, "alpha")
    refuses(stage, key_of("work"), BUSY)
    for _ in range(6):
        await stage.whole(model="alpha/m")
    before = len(stage.transport.requests)
    await stage.whole(model="alpha/m")
    assert keys_sent(stage)[before:] == [KEY]
    (opened,) = stage.log.named("circuit.opened")
    assert opened.fields["circuit"] == "alpha/text/con_work.1"


# -- who is blamed -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "code", "look"),
    [(REFUSED, "provider_auth", "look at its key"), (POOR, "provider_insufficient_funds", "its account")],
)
async def test_a_refused_connection_is_named_and_marked_and_is_clear_once_it_works(
    answer: Answer, code: str, look: str
) -> None:
    stage = await shop()
    row = await connect(stage, "alpha")
    stage.answers("alpha", answer, said("x"))
    _, error = await stage.failure(connection_id=row.id)
    assert (error.code, error.members["connection_id"]) == (code, row.id)
    assert error.detail.startswith("The connection 'work' (con_work) was refused")
    assert look in error.detail
    stored = (await stage.connections.load("ann")).find(row.id)
    assert stored is not None
    assert stored.needs_attention
    assert stored.is_active
    await stage.whole(connection_id=row.id)
    stored = (await stage.connections.load("ann")).find(row.id)
    assert stored is not None
    assert stored.needs_attention is None


@pytest.mark.parametrize(
    ("answer", "code", "look"),
    [(REFUSED, "provider_auth", "its key"), (POOR, "provider_insufficient_funds", "its account")],
)
async def test_where_the_platforms_key_was_refused_it_is_named(answer: Answer, code: str, look: str) -> None:
    stage = await shop()
    stage.answers("alpha", answer)
    _, error = await stage.failure(model="alpha/m", wish=Wish(allow_fallbacks=False))
    assert (error.code, "connection_id" in error.members) == (code, False)
    assert error.detail.startswith("The platform's access to alpha was refused: an administrator should look")
    assert look in error.detail


async def test_a_connection_is_marked_though_another_key_served_in_its_place() -> None:
    stage = await shop()
    row = await connect(stage, "alpha")
    refuses(stage, key_of("work"))
    await stage.whole(model="alpha/m")
    stored = (await stage.connections.load("ann")).find(row.id)
    assert stored is not None
    assert stored.needs_attention


async def test_a_refusal_inside_a_stream_is_the_connections_too() -> None:
    stage = await shop()
    await connect(stage, "alpha")
    stage.answers("alpha", lines("note x", "BAD 401"))
    with pytest.raises(ProviderRefused, match="The connection 'work'") as refused:
        await (await stage.stream(connection_id="con_work"))[1].rest()
    assert refused.value.members["connection_id"] == "con_work"


@pytest.mark.parametrize("answer", [BUSY, Answer(status=400), Answer(status=429)], ids=["503", "400", "429"])
async def test_other_failures_mark_nothing(answer: Answer) -> None:
    stage = await shop()
    await connect(stage, "alpha")
    stage.answers("alpha", answer)
    await stage.failure(connection_id="con_work")
    assert (await stage.connections.load("ann")).active[0].needs_attention is None


async def test_a_platforms_key_that_is_refused_is_nobody_elses() -> None:
    stage = await shop()
    stage.answers("alpha", REFUSED)
    _, error = await stage.failure(model="alpha/m", wish=Wish(allow_fallbacks=False))
    assert "connection" not in error.detail
    assert "connection_id" not in error.members


async def test_a_mark_that_can_not_be_written_changes_no_answer() -> None:
    stage = await shop()
    await connect(stage, "alpha")
    refuses(stage, key_of("work"))
    await stage.whole(model="beta/m")
    stage.connections.fault = DOWN
    run = await stage.whole(model="alpha/m")
    assert (await stage.stored(run)).status.value == "succeeded"
    assert stage.log.named("connection.not_marked")


async def test_a_key_sealed_for_something_else_is_the_connections_fault() -> None:
    stage = await shop()
    row = await connect(stage, "alpha")
    await change(stage, row, base_url="https://elsewhere.example")
    _, error = await stage.failure(connection_id=row.id)
    assert error.code == "provider_auth"
    assert error.members["connection_id"] == row.id
    assert stage.transport.requests == []


async def test_a_vault_that_is_away_does_not_make_the_platform_pay() -> None:
    stage = await shop()
    await connect(stage, "alpha")
    stage.vault.fault = GatewayFault.unavailable("The vault")
    _, error = await stage.failure(model="alpha/m")
    assert (error.code, error.http_status) == ("gateway_unavailable", 503)
    assert stage.transport.requests == []


# -- where keys go -----------------------------------------------------------------------------------------


async def test_the_platforms_key_goes_to_no_address_of_a_callers() -> None:
    stage = await shop()
    stage.one.registry.register(fake_provider("alpha", key_required=False), replace=True)
    await connect(stage, "alpha", key=None, base_url="https://mine.example")
    stage.transport.on("https://mine.example", REFUSED)
    await stage.whole(model="alpha/m")
    mine, platforms = stage.transport.requests
    assert mine.url.startswith("https://mine.example/")
    assert mine.guarded
    assert "authorization" not in mine.headers
    assert platforms.url.startswith("https://alpha.example/")
    assert key_sent(platforms) == KEY


@pytest.mark.parametrize("how", ["connection", "lent"])
async def test_other_keys_go_where_the_operator_put_the_provider(how: str) -> None:
    """`<SLUG>_BASE_URL` replaces all of a provider's hosts, for every key."""
    stage = await shop()
    stage.secrets = type(stage.secrets)({"alpha": {"api_key": KEY, "base_url": "https://proxy.example"}})
    stage.one = stage.process()
    stage.transport.on("https://proxy.example", said("x"))
    if how == "connection":
        await connect(stage, "alpha")
    await stage.whole(model="alpha/m", lent=lend(alpha=LENT) if how == "lent" else {})
    (request,) = stage.transport.requests
    assert request.url == "https://proxy.example/chat/m"
    assert key_sent(request) == (LENT if how == "lent" else key_of("work"))
    assert not request.guarded


async def test_nothing_is_signed_as_the_functions_role_for_a_connection_without_a_key() -> None:
    stage = await shop()
    stage.one.registry.register(fake_provider("roly", auth="aws", key_required=False))
    row = await connect(stage, "roly", key=None)
    opened: list[object] = []
    with pytest.raises(ProviderRefused, match="needs a key of your own"):
        await stage.one.binder.bind("roly", Credential(paid_by="connection", connection=row), opened.append)
    bound = await stage.one.binder.bind("alpha", PLATFORM, opened.append)
    assert opened == []
    assert bound.config.api_key == Secret(KEY)


async def test_a_lent_key_for_a_provider_without_an_address_says_what_is_missing() -> None:
    stage = await shop()
    stage.one.registry.register(fake_provider("nowhere", base_url=None))
    _, error = await stage.failure(model="nowhere/m", lent=lend(nowhere=LENT))
    assert error.errors[0].field == "X-Provider-Key"
    assert LENT not in error.detail


# -- no model, no provider ---------------------------------------------------------------------------------


async def test_nothing_named_goes_to_the_default_connection_then_the_newest_then_the_platforms() -> None:
    stage = await shop()
    await connect(stage, "alpha", "first", default_model="one")
    await connect(stage, "beta", "second", default_model="two")
    await connect(stage, "beta", "third", default_model="beta/three")
    for slug in ("alpha", "beta"):
        stage.answers(slug, BUSY)
    await stage.failure(model=None)
    asked = [
        (request.url.split("//")[1].replace(".example/chat", ""), key_sent(request))
        for request in stage.transport.requests
    ]
    assert asked[:3] == [
        ("alpha/one", key_of("first")),
        ("beta/three", key_of("third")),
        ("beta/two", key_of("second")),
    ]
    assert ("alpha/m", KEY) in asked[3:]


async def test_a_connection_without_a_default_model_gets_what_the_platform_picks_there() -> None:
    stage = await shop()
    await connect(stage, "beta")
    await stage.whole(model=None)
    (request,) = stage.transport.requests
    assert (request.url, key_sent(request)) == ("https://beta.example/chat/m", key_of("work"))


async def test_nothing_named_and_nothing_of_ones_own_is_the_platforms_default() -> None:
    stage = await shop()
    run = await stage.whole(model=None)
    assert run.served is not None
    assert run.served.id == "alpha/m"
    assert keys_sent(stage) == [KEY]


async def test_a_provider_alone_is_served_by_its_connections_default_then_by_the_platforms_pick() -> None:
    stage = await shop()
    await connect(stage, "alpha", "other", default_model="x")
    await connect(stage, "beta", default_model="mine")
    await stage.whole(model=None, provider="beta")
    assert stage.transport.requests[-1].url == "https://beta.example/chat/mine"
    stage.answers("beta", BUSY)
    await stage.failure(model=None, provider="beta")
    assert [r.url.rpartition("/")[2] for r in stage.transport.requests[1:]] == ["mine", "m", "m"]
    assert keys_sent(stage)[1:] == [key_of("work"), key_of("work"), KEY]


async def test_a_connection_alone_is_asked_for_its_default_model() -> None:
    stage = await shop()
    await connect(stage, "beta", default_model="mine")
    await stage.whole(model=None, connection_id="con_work")
    assert stage.transport.requests[-1].url == "https://beta.example/chat/mine"


@pytest.mark.parametrize(
    ("said_there", "id_", "key"),
    [
        ({"default_models": {"text": "beta/m"}}, "beta/m", KEY),
        ({"providers": {"text": "beta"}}, "beta/m", KEY),
        ({"connections": {"text": "con_work"}}, "alpha/usual", key_of("work")),
        ({"providers": {"text": "beta"}, "default_models": {"text": "maker/m"}}, "beta/m", KEY),
    ],
)
async def test_what_settings_say_comes_before_connections(
    said_there: dict[str, Any], id_: str, key: str
) -> None:
    stage = await shop()
    await connect(stage, "alpha", "other", default_model="other")
    await connect(stage, "alpha", "work", default_model="usual")
    await say(stage, "user:ann", **said_there)
    run = await stage.whole(model=None)
    assert run.served is not None
    assert (run.served.id, keys_sent(stage)) == (id_, [key])


async def test_a_default_that_is_gone_does_not_stop_who_named_nothing() -> None:
    stage = await shop()
    await say(stage, "user:ann", default_models={"text": "maker/gone"})
    run = await stage.whole(model=None)
    assert run.served is not None
    assert run.served.id == "alpha/m"


async def test_a_project_decides_before_its_people_and_they_before_the_caller() -> None:
    stage = await shop()
    await found(stage, "p", owner="olga", settings_user_id="stan", members=("ann",))
    await say(stage, "user:ann", default_models={"text": "alpha/m"})
    await connect(stage, "beta", "olgas", user="olga", default_model="olgas")
    await stage.whole(model=None, project_id="p")
    assert (stage.transport.requests[-1].url, keys_sent(stage)[-1]) == (
        "https://beta.example/chat/olgas",
        key_of("olgas"),
    )
    await say(stage, "user:stan", default_models={"text": "beta/m"})
    stage.clock.advance(60)
    run = await stage.whole(model=None, project_id="p")
    assert run.served is not None
    assert run.served.id == "beta/m"
    await say(stage, "project:p", default_models={"text": "alpha/m"})
    stage.clock.advance(60)
    run = await stage.whole(model=None, project_id="p")
    assert run.served is not None
    assert run.served.id == "alpha/m"


async def test_the_provider_that_settings_name_comes_first_where_several_offer_the_model() -> None:
    stage = await shop()
    await say(stage, "user:ann", providers={"text": "beta"})
    run = await stage.whole(model="maker/m")
    assert run.served is not None
    assert run.served.id == "beta/m"
    run = await stage.whole(model="alpha/m")
    assert run.served is not None
    assert run.served.id == "alpha/m"


# -- isolation ---------------------------------------------------------------------------------------------


async def test_of_two_users_of_one_process_each_is_served_by_their_own_keys() -> None:
    stage = await shop()
    for user in ("ann", "bob"):
        await connect(stage, "alpha", user, user=user)
    for user in ("ann", "bob", "eve", "bob", "ann", "eve"):
        await stage.whole(ann(user_id=user), model="alpha/m")
    assert keys_sent(stage) == [key_of("ann"), key_of("bob"), KEY, key_of("bob"), key_of("ann"), KEY]


async def test_a_model_that_only_one_users_key_lists_is_nobody_elses() -> None:
    stage = await shop()
    row = await connect(stage, "alpha", "anns")
    tuned = model("alpha/tuned", canonical_id="ann/tuned")
    await stage.connections.write_list(
        row,
        ConnectionModels(connection_id=row.id, version="1", checked_at=stage.clock.now(), models=(tuned, A)),
    )
    run = await stage.whole(model="ann/tuned")
    assert run.served is not None
    assert (run.served.id, keys_sent(stage)) == ("alpha/tuned", [key_of("anns")])
    with pytest.raises(NotFound) as refused:
        await stage.whole(ann(user_id="bob"), model="ann/tuned")
    assert "alpha/tuned" not in repr(refused.value.members)


# -- explained ---------------------------------------------------------------------------------------------


async def test_an_explanation_names_the_key_of_each_candidate() -> None:
    stage = await shop()
    await connect(stage, "alpha")
    await found(stage, "p", owner="olga", members=("ann",))
    await connect(stage, "beta", "olgas", user="olga")
    assert await explained(stage, model="alpha/m", project_id="p") == [
        ("alpha/m", "con_work", True, ("named", "with your connection 'work'")),
        ("alpha/m", None, True, ("named", "with the platform's key")),
        ("beta/m", "con_olgas", True, ("also offers maker/m", "with the project owner's connection 'olgas'")),
        ("beta/m", None, True, ("also offers maker/m", "with the platform's key")),
    ]
    rows = await explained(stage, model="alpha/m", lent=lend(alpha=LENT))
    assert rows[0] == ("alpha/m", None, True, ("named", "with the key lent with the request"))
    await say(stage, "user:ann", connections={"text": "con_work"})
    stage.clock.advance(60)
    (first, *_) = await explained(stage, model=None)
    assert first == ("alpha/m", "con_work", True, ("your settings", "with your connection 'work'"))
    assert stage.transport.requests == []


async def test_no_route_tells_of_which_connection_each_candidate_was() -> None:
    stage = await shop()
    await connect(stage, "alpha")
    with pytest.raises(NoRoute) as refused:
        await stage.whole(model="alpha/m", wish=Wish(only=frozenset({"gamma"})))
    told = refused.value.members["candidates"]
    assert {each["connection_id"] for each in told if each["provider"] == "alpha"} == {"con_work", None}


# -- what it costs -----------------------------------------------------------------------------------------


async def test_once_a_user_is_known_their_requests_read_nothing_more() -> None:
    stage = await shop()
    await connect(stage, "alpha")
    await stage.whole(model="alpha/m")
    before = (list(stage.account_calls.calls), list(stage.catalog_calls.calls))
    stage.connections.fault = DOWN
    for _ in range(3):
        await stage.whole(model="alpha/m")
    assert (stage.account_calls.calls, stage.catalog_calls.calls) == before
    assert stage.log.named("memory.unreadable") == []


async def test_a_caller_of_a_bound_key_is_bound_with_their_own_keys_too() -> None:
    stage = await shop()
    await connect(stage, "alpha")
    bound = replace(ann(), allowed_models=("beta/m",))
    _, error = await stage.failure(bound, model="alpha/m")
    assert error.code == "forbidden"
