"""One candidate's streamed answer, as a run reads it."""

from headgate.providers.base import ChatOutcome, StreamEvent
from headgate.providers.streaming import ChatStream
from headgate.services.route import Candidate


class Source:
    """One candidate's stream, whose first events were read before it is handed over.

    pieces: events with content that were read off it.
    """

    def __init__(self, stream: ChatStream, candidate: Candidate) -> None:
        self._stream = stream
        self._first: list[StreamEvent] = []
        self.candidate = candidate
        self.pieces = 0
        self.ended = False

    @property
    def outcome(self) -> ChatOutcome:
        return self._stream.outcome

    async def first(self) -> None:
        """Reads until the provider's first events. Raises the error they hold, the stream closed."""
        try:
            self._first = await self._stream.read()
        except BaseException:
            await self._stream.close()
            raise
        for event in self._first:
            if event.error is not None and not any(e.content for e in self._first):
                await self._stream.close()
                raise event.error

    async def read(self) -> list[StreamEvent]:
        """The next events; `ended` is set with the last ones, empty though they may be."""
        events, self._first = self._first or await self._stream.read(), []
        self.ended = self._stream.ended
        self.pieces += sum(event.content for event in events)
        return events

    async def finish(self) -> None:
        """Confirms that there is no more, which counts the attempt as succeeded."""
        await self._stream.read()

    async def close(self) -> None:
        await self._stream.close()
