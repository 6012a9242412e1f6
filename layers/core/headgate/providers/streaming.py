"""A provider's streamed answer while it comes: read, cleaned, reported once, closed."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import replace

from headgate.domain.errors import HeadgateError
from headgate.ports import WireResponse
from headgate.providers._stream_types import as_what_came
from headgate.providers.base import ChatOutcome, ChatStreamReader, StreamEvent
from headgate.providers.sending import Run

DRAIN_TIMEOUT_S = 0.1


class ChatStream:
    """The events of one streamed answer. Iterate over it or call `read`; `close` it in any case.

    A failure on the way is the last event, with `error` set; nothing is raised. The attempt is reported once,
    by the read or close after the last event: succeeded, failed, or cancelled when that was not waited for.
    Its latency is that of the first event.
    """

    def __init__(self, run: Run, response: WireResponse, reader: ChatStreamReader, started_s: float) -> None:
        self._run = run
        self._response = response
        self._reader = reader
        self._chunks = response.chunks()
        self._started_s = started_s
        self._first_s: float | None = None
        self._complete = False
        self._drained = False
        self._over = False
        self._waiting: deque[StreamEvent] = deque()

    @property
    def outcome(self) -> ChatOutcome:
        """What has been read so far."""
        return self._reader.outcome

    @property
    def ended(self) -> bool:
        """Whether the last events were read; one more `read` or `close` then counts the attempt."""
        return self._complete

    async def read(self) -> list[StreamEvent]:
        """The next events, as many as came together; an empty list at the end, and from then on."""
        if self._complete:
            await self.close()
        events: list[StreamEvent] = []
        begun = self._first_s is not None
        while not events and not self._over:
            try:
                data = await anext(self._chunks, None)
                self._drained = data is None
                events = self._reader.feed(data) if data is not None else []
                if data is None or self._reader.finished:
                    events += self._reader.end()
                    self._complete = True
            except HeadgateError as error:
                error.may_have_run = True
                events = [StreamEvent(error=error)]
            except Exception:  # its own code crashed, which is for our caller to judge; it was asked, though
                await self._finish("failed", "internal")
                raise
            if self._over:
                return []  # closed meanwhile
            if events and self._first_s is None:
                self._first_s = self._run.sender.clock.monotonic()
            if events and (failure := events[-1].error) is not None:
                if not begun and len(events) == 1:
                    told = as_what_came(failure, self._response.headers.get("content-type", ""))
                    events = [replace(events[-1], error=told)]
                events[-1] = self._run.sender.clean_event(events[-1])
                await self._finish("failed", failure.code)
            elif self._complete and not events:
                await self.close()
        return events

    async def close(self) -> None:
        """Gives the connection up. Safe to call twice, and while another task waits in `read`."""
        if self._complete and not self._over:
            await self._drain()
        await self._finish("succeeded" if self._complete else "cancelled", None)

    async def _drain(self) -> None:
        """Reads what little follows the last event, so that the connection can serve the next request."""
        try:
            async with asyncio.timeout(DRAIN_TIMEOUT_S):
                while not self._drained:
                    self._drained = await anext(self._chunks, None) is None
        except (TimeoutError, HeadgateError):
            pass  # then the connection is closed, not kept

    async def _finish(self, outcome: str, code: str | None) -> None:
        if not self._over:
            self._over = True
            self._run.report(outcome, code, self._started_s, self._first_s)
            await self._response.close()

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        while not self._waiting:
            if not (events := await self.read()):
                raise StopAsyncIteration
            self._waiting.extend(events)
        return self._waiting.popleft()
