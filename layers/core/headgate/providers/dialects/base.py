"""Wire formats apart from providers: how clients speak (fronts) and how providers speak (backs).

What goes in and comes out in one dialect is handed through: the bytes stay the provider's. Across dialects a
front reads the request into a `Conversation`, a back writes it for the provider and reads the answer into
events, and the front writes those for the client. Pure: bytes and values, no I/O.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar

from headgate.domain.answers import Answer, AnswerEvent
from headgate.domain.conversation import Conversation
from headgate.domain.errors import CannotCarry, GatewayFault, HeadgateError
from headgate.domain.generation import Usage
from headgate.providers.base import ChatAnswer, ChatCall, ChatStreamReader, PriceUsage

__all__ = [
    "ANTHROPIC_MESSAGES",
    "BEDROCK_CONVERSE",
    "GEMINI",
    "OPENAI_CHAT",
    "OPENAI_RESPONSES",
    "AnswerContext",
    "BackDialect",
    "CannotCarry",
    "EventReader",
    "EventWriter",
    "FrontDialect",
]

OPENAI_CHAT = "openai-chat"
OPENAI_RESPONSES = "openai-responses"
ANTHROPIC_MESSAGES = "anthropic-messages"
GEMINI = "gemini"
BEDROCK_CONVERSE = "bedrock-converse"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerContext:
    """What reading or writing one answer needs. judge: what an error inside a 200 means.

    read_usage: the provider's usage object in our convention, where it counts in a way of its own. created:
    seconds since 1970, for dialects that tell when an answer began.
    """

    call: ChatCall
    price: PriceUsage
    judge: Callable[[Any], HeadgateError]
    read_usage: Callable[[Mapping[str, Any]], Usage | None] | None = None
    created: int = field(default_factory=lambda: int(time.time()))

    def cost_of(self, usage: Usage) -> Decimal | None:
        """Dollars for `usage.cost`: what the provider says it cost, else what it costs the caller."""
        return usage.cost_usd if usage.cost_usd is not None else self.price(usage)

    def usage_of(self, usage: Mapping[str, Any], usual: Callable[[Mapping[str, Any]], Usage]) -> Usage:
        """The usage as this provider counts, else as the dialect usually does."""
        own = self.read_usage(usage) if self.read_usage is not None else None
        return own if own is not None else usual(usage)


class EventReader(ABC):
    """Turns the bytes of a provider's stream into events. One per stream; feed it in order."""

    @abstractmethod
    def feed(self, data: bytes) -> list[AnswerEvent]:
        """Events completed by these bytes, however they are cut. After `Failed` there are no more."""

    @abstractmethod
    def end(self) -> list[AnswerEvent]:
        """The stream closed. `Failed` (`provider_protocol`) if its terminal event had not been read."""

    @property
    @abstractmethod
    def finished(self) -> bool:
        """Whether the terminal event, or a failure, was read."""


class EventWriter(ABC):
    """Turns events into the bytes of a client's stream. Never given `Failed`: that is the HTTP layer's."""

    @abstractmethod
    def feed(self, event: AnswerEvent) -> bytes:
        """Framed bytes for this event; empty where the dialect says nothing here."""

    @abstractmethod
    def end(self) -> bytes:
        """What closes a stream that came to its proper end: last events with usage, terminator."""


class FrontDialect(ABC):
    """A wire format as a client speaks it."""

    name: ClassVar[str]

    @abstractmethod
    def read_request(self, body: Mapping[str, Any]) -> Conversation:
        """Raises InvalidRequest naming each field that is wrong. Unknown fields go into `extras`."""

    @abstractmethod
    def write_answer(self, answer: Answer, context: AnswerContext) -> bytes:
        """The whole answer as this dialect's JSON; `usage` has `cost` where it is known."""

    @abstractmethod
    def stream_writer(self, context: AnswerContext) -> EventWriter: ...


class BackDialect(ABC):
    """A wire format as a provider speaks it. stream_type: what a streamed answer is, for `accept`."""

    name: ClassVar[str]
    stream_type: ClassVar[str] = "text/event-stream"

    @abstractmethod
    def path(self, call: ChatCall) -> str:
        """Relative to the provider's base URL."""

    def hand_request(self, call: ChatCall) -> dict[str, Any]:
        """The caller's body in this same dialect, with the native model id, and usage asked for.

        This and the other two are left out by a dialect that no client speaks.
        """
        raise self._unspoken(call)

    @abstractmethod
    def write_request(self, conversation: Conversation, call: ChatCall) -> dict[str, Any]:
        """The body for the provider.

        A field that can't be said: raises CannotCarry if leaving it out would change the answer, else its
        name is added to `call.dropped`.
        """

    def hand_answer(self, body: bytes, context: AnswerContext) -> ChatAnswer:
        """JSON-equal to the provider's, but for `usage.cost`. Raises what an error inside the 200 means."""
        del body
        raise self._unspoken(context.call)

    def hand_stream(self, context: AnswerContext) -> ChatStreamReader:
        """Events byte-equal to the provider's, but for usage."""
        raise self._unspoken(context.call)

    @abstractmethod
    def read_answer(self, body: bytes, context: AnswerContext) -> list[AnswerEvent]:
        """A whole answer as events, in order. Raises like `hand_answer`."""

    @abstractmethod
    def read_stream(self, context: AnswerContext) -> EventReader: ...

    def _unspoken(self, call: ChatCall) -> GatewayFault:
        return GatewayFault(f"The gateway can't hand a {call.dialect} request through to {self.name}.")
