"""One chat completion, whole or streamed: route, record, call, fail over, settle.

The record is written before a provider is called and once more before the last byte leaves, so that a crash
anywhere in between leaves a `running` record behind, never nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from headgate.domain.callers import Caller
from headgate.domain.catalog import Modality
from headgate.domain.errors import GatewayFault, HeadgateError, InvalidRequest, NoRoute, ProviderFailed
from headgate.domain.generation import Attempt, GenerationRecord, GenerationStatus, Usage, cost_of
from headgate.domain.ids import new_id
from headgate.domain.money import nanousd, usd
from headgate.ports import Clock, GenerationStore, Log, RateWindow
from headgate.providers.base import ChatAnswer, ChatCall, ChatOutcome, StreamEvent
from headgate.providers.bound import BoundProvider, ChatStream
from headgate.providers.registry import ProviderRegistry, canonical_slug
from headgate.services.catalog import Catalog, CatalogView
from headgate.services.circuits import Circuits
from headgate.services.default_models import default_model
from headgate.services.platform_keys import PlatformKeys
from headgate.services.route import Candidate, Routing, find_candidates, not_found
from headgate.settings import Settings

RECORD_DAYS = 30
StageTimer = Callable[[str, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatAsk:
    """A caller's chat completion. body: the request in the OpenAI dialect. model: as the caller wrote it,
    None for the default. provider: the slug that must serve it, where one was named.

    keep_output: whether the answer is kept with the record (`/v2/generations`), or only its figures.
    """

    body: Mapping[str, Any]
    model: str | None
    provider: str | None = None
    stream: bool = False
    include_usage: bool = False
    keep_output: bool = False
    project_id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    deadline_s: float | None = None


class ChatService:
    """Makes runs. Holds what they share: stores, providers, circuits."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        registry: ProviderRegistry,
        platform: PlatformKeys,
        generations: GenerationStore,
        circuits: Circuits,
        clock: Clock,
        log: Log,
        settings: Settings,
    ) -> None:
        self.catalog = catalog
        self.registry = registry
        self.platform = platform
        self.generations = generations
        self.circuits = circuits
        self.clock = clock
        self.log = log
        self.settings = settings

    def run(self, caller: Caller, ask: ChatAsk, timer: StageTimer | None = None) -> "ChatRun":
        """A run which has not begun: call `prepare`, then `answer`, or `open` and iterate."""
        return ChatRun(self, caller, ask, timer)

    async def candidates(self, ask: ChatAsk) -> list[Candidate]:
        """Who can serve this, in order. Raises NotFound or NoRoute."""
        view = await self.catalog.view()
        if ask.provider is not None and self._slug_of(ask.provider) is None:
            raise InvalidRequest.of_field("provider", "is no provider this gateway knows.")
        model = named_model(ask, view, self.settings, self.clock.now())
        usable = set(view.heads)
        for name in model.split(","):
            slug = self._slug_of(name.strip().partition("/")[0])
            if slug is not None and slug not in usable and await self.platform.config(slug) is not None:
                usable.add(slug)
        return find_candidates(self._routing(view, usable), model)

    def _slug_of(self, name: str) -> str | None:
        return canonical_slug(name) if self.registry.has(name) else None

    def _routing(self, view: CatalogView, usable: set[str]) -> Routing:
        return Routing(
            view=view,
            now=self.clock.now(),
            is_usable=usable.__contains__,
            canonical_slug=self._slug_of,
            allow_unlisted=self.settings.allow_unlisted_models,
        )


class ChatRun:
    """One generation from start to settlement. Used once, by one task."""

    def __init__(self, service: ChatService, caller: Caller, ask: ChatAsk, timer: StageTimer | None) -> None:
        self._service = service
        self._caller = caller
        self._ask = ask
        self._timer = timer or (lambda _stage, _duration_s: None)
        self._started_s = service.clock.monotonic()
        limit_s = min(
            ask.deadline_s or service.settings.request_timeout_s, service.settings.request_timeout_s
        )
        self._deadline_s = self._started_s + limit_s
        self._candidates: list[Candidate] = []
        self._record: GenerationRecord | None = None
        self._source: _Source | None = None
        self._settled = False
        self.id = new_id("gen")
        self.served: Candidate | None = None
        self.attempts: list[Attempt] = []

    @property
    def record(self) -> GenerationRecord:
        """The record as last written. Raises GatewayFault before `prepare`."""
        if self._record is None:
            raise GatewayFault("The run has not begun.")
        return self._record

    @property
    def attempt_count(self) -> int:
        """Calls to providers so far, one that is still streaming included."""
        return len(self.attempts) + (self._source is not None and not self._settled)

    # -- before ---------------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Finds candidates and writes the record. Raises before anything is called or charged."""
        service, clock = self._service, self._service.clock
        started_s = clock.monotonic()
        self._candidates = await service.candidates(self._ask)
        routed_s = clock.monotonic()
        self._timer("route", routed_s - started_s)
        now = clock.now()
        record = GenerationRecord(
            id=self.id,
            owner=self._caller.user_id,
            key_id=self._caller.key_id,
            type="text",
            status=GenerationStatus.RUNNING,
            created_at=now,
            started_at=now,
            requested_model=self._ask.model,
            project_id=self._ask.project_id or self._caller.project_id,
            metadata=self._ask.metadata,
            expires_at=now + timedelta(days=RECORD_DAYS),
        )
        await service.generations.begin(record, rate=rate_window(self._caller, now))
        self._record = record
        self._timer("record", clock.monotonic() - routed_s)

    # -- whole ----------------------------------------------------------------------------------------------

    async def answer(self) -> ChatAnswer:
        """The whole answer, from the first candidate that gives one; settled before it returns.

        Raises the last candidate's error, after the record says so.
        """
        started_s = self._service.clock.monotonic()
        try:
            answer = await self._first_of(self._answer_of)
        except HeadgateError as error:
            await self._settle(GenerationStatus.FAILED, error=error)
            raise self._helpful(error) from error
        except asyncio.CancelledError:
            await asyncio.shield(self._settle(GenerationStatus.CANCELLED))
            raise
        self._timer("provider", self._service.clock.monotonic() - started_s)
        started_s = self._service.clock.monotonic()
        await self._settle(GenerationStatus.SUCCEEDED, outcome=answer.outcome)
        self._timer("settle", self._service.clock.monotonic() - started_s)
        return answer

    async def _answer_of(self, bound: BoundProvider, candidate: Candidate) -> ChatAnswer:
        return await bound.chat(
            self._call(candidate),
            self._price(candidate),
            deadline_s=self._left_s(),
            on_attempt=self.attempts.append,
        )

    # -- streamed -------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Returns once a candidate's first event is there. Raises the last candidate's error."""
        started_s = self._service.clock.monotonic()
        try:
            self._source = await self._first_of(self._source_of)
        except HeadgateError as error:
            await self._settle(GenerationStatus.FAILED, error=error)
            raise self._helpful(error) from error
        self._timer("provider", self._service.clock.monotonic() - started_s)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Framed events for the client. What comes before the first content is held back with it, so that
        another candidate can still take over. Settled before the last bytes.

        Raises HeadgateError when it breaks; nothing that looks like an end was given then.
        """
        held: list[bytes] = []
        content = False
        while (source := self._source) is not None:
            try:
                events = await source.read()
            except Exception as raised:  # noqa: BLE001 - as in `_first_of`
                events = [StreamEvent(error=self._as_error(raised, source.candidate))]
            error = next((event.error for event in events if event.error is not None), None)
            if error is not None:
                held.clear()
                await self._take_over(source, error, content=content)
                continue
            content = content or any(event.content for event in events)
            held.extend(event.data for event in events if event.data)
            if source.ended:
                await source.finish()
                await self._settle(GenerationStatus.SUCCEEDED, outcome=source.outcome)
                self._source = None
            if held and (content or source.ended):
                yield b"".join(held)
                held.clear()

    async def _take_over(self, broken: "_Source", error: HeadgateError, *, content: bool) -> None:
        """The next candidate's source, if one may still take over; else settles and raises."""
        self._service.circuits.failed(broken.candidate.provider, error)
        await broken.close()
        if not content and error.failover:
            try:
                self._source = await self._first_of(self._source_of)
                return
            except HeadgateError as last:
                error = last
        self._source = None
        await self._settle(GenerationStatus.FAILED, error=error, outcome=broken.outcome)
        raise error

    async def abandon(self) -> None:
        """The client went away: stops the provider, and settles with what was produced."""
        source, self._source = self._source, None
        if source is not None:
            await source.close()
        await self._settle(GenerationStatus.CANCELLED, outcome=source.outcome if source is not None else None)

    async def _source_of(self, bound: BoundProvider, candidate: Candidate) -> "_Source":
        stream = await bound.open_chat_stream(
            self._call(candidate),
            self._price(candidate),
            deadline_s=self._left_s(),
            on_attempt=self.attempts.append,
        )
        source = _Source(stream, candidate)
        await source.first()
        return source

    # -- shared ---------------------------------------------------------------------------------------------

    async def _first_of[T](self, call: Callable[[BoundProvider, Candidate], Awaitable[T]]) -> T:
        """What the first candidate that succeeds gives; candidates tried are used up."""
        last: HeadgateError | None = None
        circuits = self._service.circuits
        while self._candidates:
            candidate = self._candidates.pop(0)
            if not circuits.allows(candidate.provider) and self._candidates:
                continue
            try:
                bound = await self._bind(candidate)
                result = await call(bound, candidate)
            except Exception as raised:  # noqa: BLE001 - a provider's own code may raise anything
                error = self._as_error(raised, candidate)
                circuits.failed(candidate.provider, error)
                last = error
                if not error.failover or self._service.clock.monotonic() >= self._deadline_s:
                    raise error from None
                continue
            circuits.succeeded(candidate.provider)
            self.served = candidate
            return result
        raise last or ProviderFailed("No candidate is left.")

    def _as_error(self, raised: Exception, candidate: Candidate) -> HeadgateError:
        """A crash in a provider's own code is the gateway's fault, and settled like any other error."""
        if isinstance(raised, HeadgateError):
            return raised
        self._service.log.error("provider.crashed", provider=candidate.provider, error=type(raised).__name__)
        return GatewayFault("The provider's own code failed.", provider=candidate.provider)

    def _helpful(self, error: HeadgateError) -> HeadgateError:
        """A provider's «no such model» with the ids that come closest, as for one the catalogue refuses."""
        view = self._service.catalog.peek()
        if error.code != "model_not_found" or view is None or self._ask.model is None:
            return error
        helpful = not_found(view, self._ask.model, said=error.detail)
        helpful.provider, helpful.provider_request_id = error.provider, error.provider_request_id
        return helpful

    async def _bind(self, candidate: Candidate) -> BoundProvider:
        return await self._service.registry.get(candidate.provider)

    def _call(self, candidate: Candidate) -> ChatCall:
        return ChatCall(
            body=self._ask.body,
            model=candidate.native_id,
            stream=self._ask.stream,
            include_usage=self._ask.include_usage,
        )

    def _price(self, candidate: Candidate) -> Callable[[Usage], Decimal | None]:
        pricing = candidate.info.pricing if candidate.info is not None else None

        def price(usage: Usage) -> Decimal | None:
            cost = cost_of(usage, pricing)
            return usage.cost_usd if cost is None else usd(cost)

        return price

    def _left_s(self) -> float:
        return max(0.0, self._deadline_s - self._service.clock.monotonic())

    async def _settle(
        self,
        status: GenerationStatus,
        *,
        outcome: ChatOutcome | None = None,
        error: HeadgateError | None = None,
    ) -> None:
        """Writes the outcome, once. If the store can't be written the record stays `running`, and says so."""
        if self._settled or self._record is None:
            return
        self._settled = True
        self._record = self._outcome_record(self._record, status, outcome, error)
        try:
            await self._service.generations.finish(self._record)
        except HeadgateError as fault:
            self._service.log.error("generation.unsettled", generation_id=self.id, code=fault.code)
        self._log_outcome(self._record)

    def _outcome_record(
        self,
        record: GenerationRecord,
        status: GenerationStatus,
        outcome: ChatOutcome | None,
        error: HeadgateError | None,
    ) -> GenerationRecord:
        usage = outcome.usage if outcome is not None else None
        reported = None if usage is None or usage.cost_usd is None else nanousd(usage.cost_usd)
        charged: int | None = 0
        if status is not GenerationStatus.FAILED and self.served is not None and usage is not None:
            price = self._price(self.served)(usage)
            charged = None if price is None else nanousd(price)
        elif status is GenerationStatus.SUCCEEDED:
            charged = None
        return replace(
            record,
            status=status,
            completed_at=self._service.clock.now(),
            model=self.served.id if self.served is not None else None,
            provider=self.served.provider if self.served is not None else None,
            output=_output(outcome) if self._ask.keep_output and outcome is not None else None,
            usage=usage,
            cost_charged_nanousd=charged,
            cost_provider_nanousd=reported,
            attempts=tuple(self.attempts),
            error=None if error is None else _error_json(error),
        )

    def _log_outcome(self, record: GenerationRecord) -> None:
        usage = record.usage or Usage()
        self._service.log.info(
            "generation.finished",
            generation_id=record.id,
            status=record.status.value,
            provider=record.provider,
            model=record.model,
            attempts=len(record.attempts),
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            code=record.error["code"] if record.error is not None else None,
        )


class _Source:
    """One candidate's stream, whose first events were read before it is handed over."""

    def __init__(self, stream: ChatStream, candidate: Candidate) -> None:
        self._stream = stream
        self._first: list[StreamEvent] = []
        self.candidate = candidate
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
        return events

    async def finish(self) -> None:
        """Confirms that there is no more, which counts the attempt as succeeded."""
        await self._stream.read()

    async def close(self) -> None:
        await self._stream.close()


def named_model(ask: ChatAsk, view: CatalogView, settings: Settings, now: datetime) -> str:
    """What the router looks for: the model within the named provider, or the default where none was named."""
    if ask.model is None:
        slug = canonical_slug(ask.provider) if ask.provider is not None else None
        default = default_model(view, Modality.TEXT, settings, now, provider=slug)
        if default is None:
            whose = f" of {ask.provider}" if ask.provider else ""
            raise NoRoute(f"There is no default text model{whose}; name one.", members={"candidates": []})
        return default
    if ask.provider is None:
        return ask.model
    prefix, _, rest = ask.model.partition("/")
    slug = canonical_slug(ask.provider)
    return ask.model if rest and canonical_slug(prefix) == slug else f"{slug}/{ask.model}"


def rate_window(caller: Caller, now: datetime) -> RateWindow | None:
    """The caller's counter for this minute, where its key has such a limit."""
    limit = caller.limits.requests_per_minute
    if limit is None:
        return None
    minute = int(now.timestamp() // 60)
    return RateWindow(name=f"{caller.key_id}#{minute}", limit=limit, expires_at=now + timedelta(minutes=2))


def _output(outcome: ChatOutcome) -> dict[str, Any]:
    output: dict[str, Any] = {"text": outcome.text, "finish_reason": outcome.finish_reason}
    if outcome.tool_calls:
        output["tool_calls"] = [dict(call) for call in outcome.tool_calls]
    return output


def _error_json(error: HeadgateError) -> dict[str, Any]:
    return {
        "code": error.code,
        "detail": error.detail,
        "retryable": error.retryable,
        "origin": error.spec.origin,
        "provider": error.provider,
        "provider_request_id": error.provider_request_id,
    }
