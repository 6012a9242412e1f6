"""Whatever keys and settings there are: what an explanation promises is what is called, with which key."""

from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.bootstrap import Container
from headgate.domain.callers import Caller
from headgate.domain.errors import CODES, HeadgateError
from headgate.domain.secret import Secret
from headgate.services.chat_records import ChatAsk
from headgate.services.route import Wish
from headgate.testing.memory import Answer
from tests.support.bench import KEY, Bench, ann
from tests.support.keys import connect, found, key_of, key_sent, say
from tests.support.models import model, priced
from tests.support.provider import fake_provider

SLUGS = ("alpha", "beta", "gamma")
PLATFORMS = ("alpha", "beta")
USERS = ("ann", "olga", "stan", "eve")
BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
NAMES = [None, "m", "maker/m", "alpha/m", "beta/n", "gamma/new", "alpha/new,m", "m:floor", "maker/n:nitro"]


@dataclass(frozen=True)
class Wire:
    """A connection to be stored. here: at an address of its own."""

    slug: str
    user: str
    default_model: str | None
    here: bool


WIRES = st.lists(
    st.builds(
        Wire,
        slug=st.sampled_from(SLUGS),
        user=st.sampled_from(USERS),
        default_model=st.sampled_from([None, "m", "own"]),
        here=st.booleans(),
    ),
    max_size=5,
)
SAID = st.fixed_dictionaries(
    {},
    optional={
        "default_models": st.sampled_from(["alpha/m", "maker/n", "nobody/x"]).map(lambda m: {"text": m}),
        "providers": st.sampled_from(SLUGS).map(lambda slug: {"text": slug}),
        "connections": st.integers(0, 4).map(lambda at: {"text": f"con_c{at}"}),
    },
)
SETTINGS = st.dictionaries(st.sampled_from(["project:p", *(f"user:{user}" for user in USERS)]), SAID)
ASKS = st.fixed_dictionaries(
    {
        "model": st.sampled_from(NAMES),
        "provider": st.none() | st.sampled_from(SLUGS),
        "connection_id": st.none() | st.none() | st.integers(0, 5).map(lambda at: f"con_c{at}"),
        "project_id": st.sampled_from([None, "p", "label"]),
        "lent": st.lists(st.sampled_from(SLUGS), max_size=1).map(
            lambda slugs: {slug: Secret(f"sk-lent-{slug}-0123") for slug in slugs}
        ),
        "wish": st.builds(
            Wish,
            order=st.lists(st.sampled_from(SLUGS), unique=True, max_size=2).map(tuple),
            ignore=st.lists(st.sampled_from(SLUGS), max_size=1).map(frozenset),
            allow_fallbacks=st.booleans(),
        ),
    }
)
CODES_SENT = st.sampled_from([401, 402, 429, 503, 504])


class Town(Bench):
    """Three providers, of which the platform has two; four users, of whom eve is in no project."""

    async def build(self, wires: list[Wire], said: dict[str, Any]) -> Container:
        self.providers = {slug: fake_provider(slug, key_required=False) for slug in SLUGS}
        for slug in PLATFORMS:
            offers = [model(f"{slug}/{n}", canonical_id=f"maker/{n}", pricing=priced("1")) for n in "mn"]
            await self.publish(slug, *offers)
        for at, wire in enumerate(wires):
            await connect(
                self,
                wire.slug,
                f"c{at}",
                user=wire.user,
                default_model=wire.default_model,
                base_url=f"https://here{at}.example" if wire.here else None,
            )
        await found(self, "p", owner="olga", settings_user_id="stan", members=("ann",))
        owners = {f"con_c{at}": wire.user for at, wire in enumerate(wires)}
        for owner, what in said.items():
            await say(self, owner, **what, connection_owners=owners)
        return self.process()

    def fail(self, status: int) -> None:
        for place in (*SLUGS, *(f"here{at}" for at in range(5))):
            self.transport.on(f"https://{place}.example", Answer(status=status, body=b"no"))

    @property
    def called(self) -> list[tuple[str, str]]:
        """Which model, at which host, with which key."""
        return [
            (request.url.removeprefix("https://").replace(".example/chat", ""), key_sent(request))
            for request in self.transport.requests
        ]


async def promised(one: Container, caller: Caller, ask: ChatAsk) -> list[tuple[str, str]]:
    """As `Town.called`, from an explanation; nothing where there is no such model, connection or route."""
    try:
        rows = await one.explain.explain(caller, ask)
    except HeadgateError:
        return []
    found = []
    for row in rows:
        candidate, credential = row.candidate, row.candidate.credential
        place, key = candidate.provider, KEY
        if credential.lent is not None:
            key = credential.lent.reveal()
        if credential.connection is not None:
            key = key_of(credential.connection.name)
            if credential.connection.base_url is not None:
                place = f"here{credential.connection.name[1:]}"
        if row.kept:
            found.append((f"{place}/{candidate.native_id}", key))
    return found


async def play(one: Container, caller: Caller, ask: ChatAsk) -> HeadgateError | None:
    run = one.chat.run(caller, ask)
    try:
        await run.prepare()
        await run.answer()
    except HeadgateError as error:
        return error
    return None


@QUICK
@given(WIRES, SETTINGS, ASKS, st.sampled_from(USERS), CODES_SENT)
async def test_what_is_called_with_which_key_is_what_was_explained(
    wires: list[Wire], said: dict[str, Any], asked: dict[str, Any], user: str, status: int
) -> None:
    town = Town(*PLATFORMS)
    one = await town.build(wires, said)
    town.fail(status)
    caller, ask = ann(user_id=user), ChatAsk(body=BODY, **asked)
    expected = await promised(one, caller, ask)
    error = await play(one, caller, ask)
    assert error is not None
    assert town.called == expected
    assert len(set(expected)) == len(expected), "nothing is tried twice"
    assert not expected or CODES[error.code].origin == "provider"


@QUICK
@given(WIRES, SETTINGS, ASKS, st.sampled_from(USERS), CODES_SENT)
async def test_no_key_goes_where_it_does_not_belong(
    wires: list[Wire], said: dict[str, Any], asked: dict[str, Any], user: str, status: int
) -> None:
    town = Town(*PLATFORMS)
    one = await town.build(wires, said)
    town.fail(status)
    ask = ChatAsk(body=BODY, **asked)
    await play(one, ann(user_id=user), ask)
    in_project = user != "eve" and asked["project_id"] == "p"
    circle = {user, "olga", "stan"} if in_project else {user}
    named_by_project = said.get("project:p", {}).get("connections", {}).get("text")
    for place, key in town.called:
        host = place.partition("/")[0]
        owners = [at for at, wire in enumerate(wires) if key == key_of(f"c{at}")]
        if key == KEY:
            assert host in PLATFORMS, "the platform's key stays with its providers"
        elif not owners:
            assert key == f"sk-lent-{host}-0123", "a lent key goes to its provider alone"
        else:
            (at,) = owners
            wire = wires[at]
            assert host == (f"here{at}" if wire.here else wire.slug)
            written_there = in_project and named_by_project == f"con_c{at}" and wire.user != "eve"
            assert wire.user in circle or written_there
        if asked["connection_id"] is not None:
            assert owners
            assert f"con_c{owners[0]}" == asked["connection_id"]
