"""However requests fall, on however many processes: a key that was ended is dead everywhere a minute later,
and a key is called bad only by a process that was told so."""

from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.container import Container
from headgate.domain.callers import Scope
from headgate.domain.errors import AccessDenied, GatewayFault
from headgate.services.acts import Act
from tests.support.bench import Bench, ann

ROOT = ann(user_id="root", key_id="key_root", scopes=frozenset({Scope.ADMIN}))
FUNCTIONS = ("models", "generations", "accounts", "health", "connections", "deliver")
MINUTE_S = 60.0


class City(Bench):
    """A process of each function, over one store."""

    def __init__(self) -> None:
        super().__init__()
        self.processes = [self.process(function) for function in FUNCTIONS]
        self.office = self.process("accounts").keys

    async def mint(self) -> tuple[str, str]:
        """Id and text of a key of ann's."""
        key, text = await self.office.mint(user_id="ann", name="x", scopes=[Scope.GENERATE])
        return key.id, text.reveal()

    async def answer(self, process: Container, text: str) -> int:
        """The status that a request with this key begins with."""
        try:
            await process.authenticate.caller(text)
        except AccessDenied as refused:
            return refused.http_status
        except GatewayFault as fault:
            return fault.http_status
        return 200


STEPS = st.lists(st.tuples(st.integers(0, len(FUNCTIONS) - 1), st.floats(0, 50)), max_size=25)


@settings(max_examples=60, deadline=None)
@given(before=STEPS, after=STEPS, ends=st.sampled_from(["revoked", "rotated away", "grace over"]))
async def test_a_key_that_was_ended_is_dead_everywhere_a_minute_later(
    before: list[tuple[int, float]], after: list[tuple[int, float]], ends: str
) -> None:
    city = City()
    key_id, text = await city.mint()
    if ends == "grace over":
        act = Act(actor="x", at=city.clock.now())
        await city.office.rotate(ROOT, key_id, act, grace_s=3600)
    for which, wait_s in before:
        assert await city.answer(city.processes[which], text) == 200
        city.clock.advance(wait_s)
    if ends == "revoked":
        await city.office.revoke(ROOT, key_id, Act(actor="x", at=city.clock.now()))
    elif ends == "rotated away":
        await city.office.rotate(ROOT, key_id, Act(actor="x", at=city.clock.now()), grace_s=0)
    else:
        city.clock.advance(3600)
    left_s = MINUTE_S
    for which, wait_s in after:
        if wait_s >= left_s:
            break
        assert await city.answer(city.processes[which], text) in (200, 401)
        city.clock.advance(wait_s)
        left_s -= wait_s
    city.clock.advance(left_s + 0.001)  # a sum of floats may fall short of a minute by some bits
    assert [await city.answer(process, text) for process in city.processes] == [401] * len(FUNCTIONS)


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, len(FUNCTIONS) - 1), st.floats(0, 100), st.booleans()), max_size=40
    )
)
async def test_a_good_key_is_never_called_bad_whatever_the_store_does(
    steps: list[tuple[int, float, bool]],
) -> None:
    city = City()
    _, text = await city.mint()
    for which, wait_s, is_away in steps:
        city.accounts.fault = GatewayFault.unavailable("The table") if is_away else None
        assert await city.answer(city.processes[which], text) in ((200, 503) if is_away else (200,))
        city.clock.advance(wait_s)


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, len(FUNCTIONS) - 1), st.floats(0, 100), st.booleans()), max_size=40
    )
)
async def test_while_the_store_is_away_a_bad_key_is_not_let_in(steps: list[tuple[int, float, bool]]) -> None:
    city = City()
    for which, wait_s, is_away in steps:
        city.accounts.fault = GatewayFault.unavailable("The table") if is_away else None
        assert await city.answer(city.processes[which], "hg_nobodys") in (401, 503)
        city.clock.advance(wait_s)
