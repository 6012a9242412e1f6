"""Handlers are called as Lambda calls them."""

import asyncio
import threading
from typing import Any

import pytest

from dev.invocation import FunctionFailed, LambdaContext, context_of, invoke
from dev.template import FunctionSpec

SPEC = FunctionSpec(
    logical_id="KeepFunction",
    name="keep",
    physical_name="headgate-local-KeepFunction",
    folder="functions/keep",
    handler="app.handler",
    timeout_s=60,
    memory_mb=512,
    environment={},
)


async def test_a_handler_gets_the_event_and_its_answer_comes_back_as_json() -> None:
    answer = await invoke(lambda event, _: {"got": event}, b'{"a":[1]}', context_of(SPEC))
    assert answer == b'{"got": {"a": [1]}}'


async def test_a_context_says_which_function_runs_and_how_long_it_may() -> None:
    seen: list[LambdaContext] = []
    await invoke(lambda _, context: seen.append(context), b"{}", context_of(SPEC))
    (context,) = seen
    assert context.function_name == "headgate-local-KeepFunction"
    assert context.invoked_function_arn.endswith(":function:headgate-local-KeepFunction")
    assert 50_000 < context.get_remaining_time_in_millis() <= 60_000


async def test_what_a_handler_raises_is_named() -> None:
    def fail(_event: Any, _context: Any) -> None:
        raise LookupError("nothing there")

    with pytest.raises(FunctionFailed) as caught:
        await invoke(fail, b"{}", context_of(SPEC))
    assert (caught.value.error_type, caught.value.message) == ("LookupError", "nothing there")


async def test_an_answer_that_is_no_json_is_a_failure() -> None:
    with pytest.raises(FunctionFailed, match="TypeError"):
        await invoke(lambda *_: object(), b"{}", context_of(SPEC))


async def test_a_handler_that_blocks_holds_up_nothing_else() -> None:
    release = threading.Event()
    blocked = asyncio.create_task(invoke(lambda *_: release.wait(10), b"{}", context_of(SPEC)))
    assert await invoke(lambda *_: "quick", b"{}", context_of(SPEC)) == b'"quick"'
    assert not blocked.done()
    release.set()
    assert await blocked == b"true"
