"""A key is looked up once a minute per process; only a key that is proved bad is refused as bad."""

from datetime import timedelta

import pytest

from headgate.domain.callers import Scope
from headgate.domain.errors import AccessDenied, GatewayFault, HeadgateError
from headgate.domain.secret import Secret
from headgate.services.acts import act_by
from headgate.services.authenticate import Authenticator
from headgate.services.manage_keys import KeyManager
from headgate.testing.memory import MemoryLog
from tests.support.bench import Bench, ann

ADMIN = ann(user_id="root", scopes=frozenset({Scope.ADMIN}))


class Door(Bench):
    """An authenticator with its store, and a way to make keys."""

    def __init__(self, cache_s: float = 60.0) -> None:
        super().__init__()
        self.manager = KeyManager(self.accounts, self.clock, MemoryLog())
        self.authenticate = Authenticator(self.adapters.accounts, self.clock, cache_s=cache_s)

    async def key(self, **fields: object) -> tuple[str, str]:
        """Id and text of a new key."""
        key, text = await self.manager.mint(user_id="ann", name="x", scopes=[Scope.GENERATE], **fields)  # type: ignore[arg-type]
        return key.id, text.reveal()

    @property
    def look_ups(self) -> int:
        return self.account_calls.calls.count("get_key")

    async def refusal(self, text: str | None) -> HeadgateError:
        with pytest.raises(HeadgateError) as refused:
            await self.authenticate.caller(text)
        return refused.value


async def test_a_key_gives_the_caller_it_was_made_for() -> None:
    door = Door()
    key_id, text = await door.key(project_id="prj_1")
    caller = await door.authenticate.caller(text)
    assert (caller.user_id, caller.key_id, caller.project_id) == ("ann", key_id, "prj_1")
    assert caller.scopes == {Scope.GENERATE}


async def test_a_key_is_looked_up_once_a_minute() -> None:
    door = Door()
    _, text = await door.key()
    for _ in range(60):
        await door.authenticate.caller(text)
        door.clock.advance(0.99)
    assert door.look_ups == 1
    door.clock.advance(1)
    await door.authenticate.caller(text)
    assert door.look_ups == 2


async def test_a_revoked_key_is_dead_within_a_minute() -> None:
    door = Door()
    key_id, text = await door.key()
    await door.authenticate.caller(text)
    await door.manager.revoke(ADMIN, key_id, act_by(ADMIN, at=door.clock.now()))
    door.clock.advance(60)
    assert (await door.refusal(text)).code == "unauthenticated"


async def test_a_key_that_expires_is_dead_at_once_though_it_is_in_memory() -> None:
    door = Door()
    _, text = await door.key(expires_at=door.clock.now() + timedelta(seconds=10))
    await door.authenticate.caller(text)
    door.clock.advance(10)
    assert (await door.refusal(text)).code == "unauthenticated"
    assert door.look_ups == 1


@pytest.mark.parametrize("text", ["hg_unknown", "sk-somebody-elses", "x" * 300, "hg_schlüssel", "\x00"])
async def test_an_unknown_key_is_refused(text: str) -> None:
    error = await Door().refusal(text)
    assert (error.code, error.http_status) == ("unauthenticated", 401)
    assert text not in error.detail


@pytest.mark.parametrize("text", [None, ""])
async def test_without_a_key_the_answer_says_how_to_give_one(text: str | None) -> None:
    error = await Door().refusal(text)
    assert error.code == "unauthenticated"
    assert "Authorization" in error.detail
    assert "x-api-key" in error.detail


async def test_a_fault_of_the_store_never_says_that_the_key_is_bad() -> None:
    door = Door()
    _, text = await door.key()
    door.accounts.fault = GatewayFault.unavailable("The table")
    error = await door.refusal(text)
    assert not isinstance(error, AccessDenied)
    assert (error.code, error.http_status) == ("gateway_unavailable", 503)
    assert error.retry_after_s is not None


async def test_a_fault_is_not_remembered() -> None:
    door = Door()
    _, text = await door.key()
    door.accounts.fault = GatewayFault.unavailable("The table")
    await door.refusal(text)
    door.accounts.fault = None
    assert (await door.authenticate.caller(text)).user_id == "ann"


async def test_a_known_key_outlives_a_short_fault_of_the_store() -> None:
    door = Door()
    _, text = await door.key()
    await door.authenticate.caller(text)
    door.accounts.fault = GatewayFault.unavailable("The table")
    door.clock.advance(59)
    assert (await door.authenticate.caller(text)).user_id == "ann"


async def test_an_unknown_key_is_asked_for_again_after_some_seconds() -> None:
    door = Door()
    text = "hg_made-a-moment-later"
    for _ in range(4):
        await door.refusal(text)
        door.clock.advance(1)
    assert door.look_ups == 1
    await door.manager.mint(user_id="ann", name="x", scopes=[Scope.GENERATE], text=Secret(text))
    door.clock.advance(1)
    assert (await door.authenticate.caller(text)).user_id == "ann"


async def test_a_shorter_time_in_memory_holds_for_unknown_keys_too() -> None:
    door = Door(cache_s=0.0)
    _, text = await door.key()
    for _ in range(3):
        await door.authenticate.caller(text)
        await door.refusal("hg_unknown")
    assert door.look_ups == 6


async def test_guessing_keys_does_not_fill_the_memory() -> None:
    door = Door()
    for guess in range(10_050):
        await door.refusal(f"hg_{guess}")
    before = door.look_ups
    await door.refusal("hg_0")
    await door.refusal("hg_10049")
    assert door.look_ups == before + 1  # the oldest guess was forgotten, the newest was not
