"""One chat completion, whole or streamed: route, record, call, fail over, settle.

The record is written before a provider is called and once more before the last byte leaves, so that a crash
anywhere in between leaves a `running` record behind, never nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from decimal import Decimal

from headgate.domain.admission import Closing
from headgate.domain.callers import Caller
from headgate.domain.errors import GatewayFault, HeadgateError, LimitReached, ProviderFailed
from headgate.domain.generation import GenerationRecord, GenerationStatus, Usage
from headgate.domain.ids import new_id
from headgate.providers.base import ChatAnswer, ChatCall, ChatOutcome, StreamEvent
from headgate.providers.bound import BoundProvider
from headgate.services.charge import admit, charge_usd, charged_nanousd, closing_of, counters_of, free_of
from headgate.services.chat_means import ChatMeans
from headgate.services.chat_records import (
    ChatAsk,
    call_of,
    estimated_tokens,
    finished_record,
    running_record,
    with_counts,
    with_usage,
    within_key,
)
from headgate.services.chat_source import Source
from headgate.services.once import AnswerKeeper
from headgate.services.route import Candidate
from headgate.services.settle import settle, tell_keys
from headgate.services.survey import Survey
from headgate.services.turns import Turns, last_word

StageTimer = Callable[[str, float], None]

_SLOW_S = 30.0
"""Seconds that a stream may wait for its client without being the client's to answer for."""


class ChatRun:
    """One generation from start to settlement. Used once, by one task."""

    def __init__(self, means: ChatMeans, caller: Caller, ask: ChatAsk, timer: StageTimer | None) -> None:
        self._means = means
        self._caller = caller
        self._ask = ask
        self._timer = timer or (lambda _stage, _duration_s: None)
        self._started_s = means.clock.monotonic()
        limit_s = min(ask.deadline_s or means.settings.request_timeout_s, means.settings.request_timeout_s)
        self._allowed_s = limit_s
        self._deadline_s = self._started_s + limit_s
        self._turns = Turns(means.circuits, ask, caller.user_id)
        self._record: GenerationRecord | None = None
        self._survey: Survey | None = None
        self._source: Source | None = None
        self._settled = False
        self._calling = False
        self._waited_s = 0.0
        self.id = new_id("gen")
        self._last = b""
        self.keeper: AnswerKeeper | None = None
        self.served: Candidate | None = None
        self.call: ChatCall | None = None
        self.estimated = False
        self.attempts = self._turns.attempts

    @property
    def record(self) -> GenerationRecord:
        """The record as last written. Raises GatewayFault before `prepare`."""
        if self._record is None:
            raise GatewayFault("The run has not begun.")
        return self._record

    @property
    def recorded(self) -> bool:
        """Whether there is a record of this run to look up by its id."""
        return self._record is not None

    @property
    def attempt_count(self) -> int:
        """Calls to providers so far, one that is under way included."""
        return len(self.attempts) + (self._calling or (self._source is not None and not self._settled))

    # -- before ---------------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Finds candidates and writes the record, if any. Raises before anything is called or charged."""
        means, clock = self._means, self._means.clock
        started_s = clock.monotonic()
        self._survey = await means.surveyor.survey(self._caller, self._ask)
        found = within_key(self._caller, self._survey.candidates(), self._ask.model)
        routed_s = clock.monotonic()
        self._timer("route", routed_s - started_s)
        await self._begin(found)
        self._timer("record", clock.monotonic() - routed_s)

    async def _begin(self, candidates: list[Candidate]) -> None:
        """Counting tokens generates nothing and costs nothing: it only counts as a request.

        Who lacks the credits for the dearest candidate may still be served by those that cost nothing.
        """
        means = self._means
        if self._ask.operation == "count_tokens":
            self._turns.left = candidates
            return await means.generations.count(counters_of(self._caller, means.clock.now()))
        try:
            await self._admit(candidates)
        except LimitReached as refused:
            free = free_of(candidates, self._ask, means.tariff)
            if refused.code != "insufficient_credits" or not free:
                raise
            await self._admit(free)

    async def _admit(self, candidates: list[Candidate]) -> None:
        means, now = self._means, self._means.clock.now()
        admitted = admit(
            self._caller, self._ask, candidates, generation_id=self.id, now=now, tariff=means.tariff
        )
        record = running_record(
            self.id,
            self._caller,
            self._ask,
            now=now,
            allowed_s=self._allowed_s,
            cost_estimated_nanousd=admitted.estimated_nanousd,
            held_nanousd=admitted.held_nanousd,
            raised=admitted.raised,
        )
        await means.generations.begin(record, admitted.admission)
        self._record, self._turns.left = record, candidates

    # -- whole ----------------------------------------------------------------------------------------------

    async def answer(self) -> ChatAnswer:
        """The whole answer, from the first candidate that gives one; settled before it returns.

        Raises the last candidate's error, after the record says so.
        """
        try:
            answer = await self._first_of(self._answer_of)
        except HeadgateError as error:
            raise await self._failed_with(error) from error
        except asyncio.CancelledError:
            await asyncio.shield(self._settle(GenerationStatus.CANCELLED))
            raise
        started_s = self._means.clock.monotonic()
        self._last = answer.body
        await self._settle(GenerationStatus.SUCCEEDED, outcome=with_counts(answer.outcome, self._ask.body))
        self._timer("settle", self._means.clock.monotonic() - started_s)
        return answer

    async def _answer_of(self, bound: BoundProvider, candidate: Candidate) -> ChatAnswer:
        call = self._call(candidate)
        if self._ask.operation == "count_tokens":
            return await self._count_tokens(bound, call, candidate)
        ask = bound.embed if self._ask.operation == "embeddings" else bound.chat
        answer = await ask(
            call,
            self._price(candidate),
            deadline_s=self._left_s(),
            on_attempt=self._turns.note,
            retry=not self._turns.left,
        )
        self._turns.worked(candidate)
        return answer

    async def _count_tokens(self, bound: BoundProvider, call: ChatCall, candidate: Candidate) -> ChatAnswer:
        """`{"input_tokens": n}`; estimated, and said to be, where the provider can't count."""
        count = await bound.count_tokens(call, deadline_s=self._left_s(), on_attempt=self._turns.note)
        self.estimated = count is None
        if count is None:
            self._turns.left_early(candidate)
            count = estimated_tokens(call.body)
        else:
            self._turns.worked(candidate)
        free = ChatOutcome(usage=Usage(cost_usd=Decimal(0)))
        return ChatAnswer(body=b'{"input_tokens":%d}' % count, outcome=free)

    # -- streamed -------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Returns once a candidate's first event is there. Raises the last candidate's error."""
        try:
            self._source = await self._first_of(self._source_of)
        except HeadgateError as error:
            raise await self._failed_with(error) from error

    async def _failed_with(self, error: HeadgateError) -> HeadgateError:
        """Settles, and returns the error as the caller is told it."""
        told = error if self._survey is None else self._survey.helped(error)
        await self._settle(GenerationStatus.FAILED, error=told)
        return told

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
            produced = content or any(event.content for event in events)
            held.extend(event.data for event in events if event.data and event.error is None)
            if error is not None:
                self._last = b"".join(held) if produced else b""
                last = await self._take_over(source, error, sent=content)
                if last is None:
                    held.clear()
                    continue
                if self._last:
                    yield self._last  # what was produced is given, however the reads were cut
                raise last
            content = produced
            if source.ended:
                await source.finish()
                self._turns.worked(source.candidate)
                self._last = b"".join(held)
                await self._settle(
                    GenerationStatus.SUCCEEDED, outcome=with_counts(source.outcome, self._ask.body)
                )
                self._source = None
            if held and (content or source.ended):
                data = b"".join(held)
                if self.keeper is not None and not source.ended:
                    self.keeper.give(data)
                given_s = self._means.clock.monotonic()
                yield data
                self._waited_s += self._means.clock.monotonic() - given_s
                held.clear()

    async def _take_over(self, broken: Source, error: HeadgateError, *, sent: bool) -> HeadgateError | None:
        """Lets the next candidate go on, if one may; else settles, and returns the error to raise."""
        error = self._turns.failed(broken.candidate, error)
        await broken.close()
        if not sent and self._turns.may_go_on(broken.candidate, error) and self._turns.left:
            try:
                self._source = await self._first_of(self._source_of)
                return None
            except HeadgateError as last:
                error = last_word(error, last)
        self._source = None
        if sent and self._was_held_up():
            left = with_usage(broken.outcome, self._ask.body, pieces=broken.pieces)
            await self._settle(GenerationStatus.CANCELLED, error=error, outcome=left)
        else:
            await self._settle(GenerationStatus.FAILED, error=error, outcome=broken.outcome)
        return error

    def _was_held_up(self) -> bool:
        """Whether it lasted for want of a client that reads: no provider waits for ever, nor does the
        deadline, and an answer does not become free by being read too slowly."""
        lasted_s = self._means.clock.monotonic() - self._started_s
        return self._waited_s >= max(_SLOW_S, lasted_s / 2)

    async def abandon(self) -> None:
        """The client went away: stops the provider, and settles with what was produced."""
        source, self._source = self._source, None
        outcome = None
        if source is not None:
            await source.close()
            outcome = with_usage(source.outcome, self._ask.body, pieces=source.pieces)
            self._turns.left_early(source.candidate, well=bool(outcome.text or outcome.tool_calls))
        await self._settle(GenerationStatus.CANCELLED, outcome=outcome)

    async def _source_of(self, bound: BoundProvider, candidate: Candidate) -> Source:
        stream = await bound.open_chat_stream(
            self._call(candidate),
            self._price(candidate),
            deadline_s=self._left_s(),
            on_attempt=self._turns.note,
            retry=not self._turns.left,
        )
        source = Source(stream, candidate)
        await source.first()
        return source

    # -- shared ---------------------------------------------------------------------------------------------

    async def _first_of[T](self, call: Callable[[BoundProvider, Candidate], Awaitable[T]]) -> T:
        """What the first candidate that succeeds gives; candidates tried are used up."""
        started_s = self._means.clock.monotonic()
        try:
            return await self._try_each(call)
        finally:
            self._timer("provider", self._means.clock.monotonic() - started_s)

    async def _try_each[T](self, call: Callable[[BoundProvider, Candidate], Awaitable[T]]) -> T:
        told: HeadgateError | None = None
        while self._turns.left:
            candidate = self._turns.take()
            try:
                bound = await self._means.binder.bind(
                    candidate.provider, candidate.credential, self._turns.opened.append
                )
                self._calling = True
                result = await call(bound, candidate)
            except asyncio.CancelledError:
                self._turns.left_early(candidate)
                raise
            except Exception as raised:  # noqa: BLE001 - a provider's own code may raise anything
                error = self._turns.failed(candidate, self._as_error(raised, candidate))
                told = last_word(told, error)
                late = self._means.clock.monotonic() >= self._deadline_s
                if late or not self._turns.may_go_on(candidate, error):
                    raise told from None
                continue
            finally:
                self._calling = False
            self.served = candidate
            return result
        raise told or ProviderFailed("No candidate is left.")

    def _as_error(self, raised: Exception, candidate: Candidate) -> HeadgateError:
        """A crash in a provider's own code is the gateway's fault, and settled like any other error."""
        if isinstance(raised, HeadgateError):
            return raised
        self._means.log.error("provider.crashed", provider=candidate.provider, error=type(raised).__name__)
        return GatewayFault("The provider's own code failed.", provider=candidate.provider)

    def _call(self, candidate: Candidate) -> ChatCall:
        self.call = call_of(self._ask, candidate)
        return self.call

    def _price(self, candidate: Candidate) -> Callable[[Usage], Decimal | None]:
        return lambda usage: charge_usd(usage, candidate, self._means.tariff)

    def _left_s(self) -> float:
        return max(0.0, self._deadline_s - self._means.clock.monotonic())

    async def _settle(
        self,
        status: GenerationStatus,
        *,
        outcome: ChatOutcome | None = None,
        error: HeadgateError | None = None,
    ) -> None:
        """Writes the outcome, once. If the store can't be written the record stays `running`, and says so.

        Where tokens were counted there is no record: what is written tells of the keys that were used.
        """
        if self._settled:
            return await self._mark_connections()
        self._settled = True
        means, now = self._means, self._means.clock.now()
        begun = self._record or running_record(self.id, self._caller, self._ask, now=now, allowed_s=0)
        ended = finished_record(
            begun,
            status,
            at=now,
            served=self.served,
            asked=self._turns.asked,
            outcome=outcome,
            charged_nanousd=charged_nanousd(status, self.served, outcome, means.tariff),
            attempts=self.attempts,
            opened=self._turns.opened,
            error=error,
            keep_output=self._ask.keep_output,
        )
        closing = None if self._record is None else closing_of(begun, ended, now)
        self._record = ended if closing is not None else None
        write = asyncio.create_task(self._close(ended, closing, error))
        try:
            await asyncio.shield(write)
        except asyncio.CancelledError:
            await write  # the client may leave at any moment; what was decided is written all the same
            raise

    async def _close(
        self, record: GenerationRecord, closing: Closing | None, error: HeadgateError | None
    ) -> None:
        store, log = self._means.generations, self._means.log
        if closing is None:
            await tell_keys(store, log, record)
        else:
            if self.keeper is not None:
                closing = replace(closing, answer=await self.keeper.keep(record, self._last, error))
            await settle(store, log, record, closing, pauses_s=self._means.settle_pauses_s)
        await self._mark_connections()

    async def _mark_connections(self) -> None:
        """Last, since a request's outcome does not hang on it."""
        for connection, reason in self._turns.marks():
            await self._means.reach.note_attention(connection, reason)
