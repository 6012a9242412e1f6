"""Calling a function as Lambda would: an event and a context in, an answer or an error out."""

import asyncio
import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dev.template import FunctionSpec

type Handler = Callable[[Any, Any], Any]


class FunctionFailed(Exception):
    """The handler raised. error_type: the exception's class name, which state machines match."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(f"{error_type}: {message}")
        self.error_type = error_type
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class LambdaContext:
    """What Lambda gives a handler beside the event, under Lambda's own names."""

    function_name: str
    invoked_function_arn: str
    memory_limit_in_mb: int
    timeout_s: float
    function_version: str = "$LATEST"
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    log_group_name: str = "local"
    log_stream_name: str = "local"
    started_s: float = field(default_factory=time.monotonic)

    def get_remaining_time_in_millis(self) -> int:
        return max(0, round((self.timeout_s - (time.monotonic() - self.started_s)) * 1000))


def context_of(spec: FunctionSpec) -> LambdaContext:
    return LambdaContext(
        function_name=spec.physical_name,
        invoked_function_arn=spec.arn,
        memory_limit_in_mb=spec.memory_mb,
        timeout_s=spec.timeout_s,
    )


async def invoke(handler: Handler, payload: bytes, context: LambdaContext) -> bytes:
    """The handler's answer as JSON, from a thread of its own. Raises FunctionFailed.

    A thread, since a handler blocks; a daemon, since one that hangs must not keep the runner from ending.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bytes] = loop.create_future()

    def settle(result: bytes | None, error: FunctionFailed | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result or b"null")

    def run() -> None:
        result, error = _call(handler, payload, context)
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name=context.function_name, daemon=True).start()
    return await done


def _call(
    handler: Handler, payload: bytes, context: LambdaContext
) -> tuple[bytes | None, FunctionFailed | None]:
    try:
        event = json.loads(payload or b"null")
        return json.dumps(handler(event, context)).encode(), None
    except Exception as error:  # noqa: BLE001 - the outermost edge: where Lambda itself would report it
        return None, FunctionFailed(type(error).__name__, str(error))
