"""What makes a request the same as an earlier one, and what becomes of it then.

A generation's idempotency key is taken in the write that begins it, and points to it: whoever finds it taken
waits for that generation, and is given its answer; or runs in its place, where that came to nothing.
"""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import orjson

from headgate.domain.admission import LARGEST_WITHIN, Answer, Claim
from headgate.domain.errors import Conflict, HeadgateError, MalformedRequest, StillRunning
from headgate.domain.generation import UNFINISHED, GenerationRecord, GenerationStatus
from headgate.ports import MAX_ANSWER_BYTES, AlreadyClaimed, GenerationStore, Log

KEPT = timedelta(hours=24)
"""How long an idempotency key is remembered, with its answer."""

WAIT_S = 30.0
RETRY_AFTER_S = 5.0
_PAUSES_S = (0.2, 0.4, 0.8, 1.0)
_SAY_NOTHING_OF_EARLIER = frozenset({"forbidden", "unauthenticated", "gateway_unavailable"})

Pause = Callable[[float], Awaitable[object]]


def once_name(user_id: str, key: str) -> str:
    """What a user's idempotency key is stored as. Others' keys are never in the way, however they read."""
    return hashlib.sha256(orjson.dumps([user_id, key])).hexdigest()


def fingerprint(key: str, method: str, path: str, body: Any) -> str:
    """Equal for requests that ask the same: JSON as it was parsed, whatever its spaces and order of keys.

    Raises MalformedRequest for a body that is nested too deeply.
    """
    # The key goes in as salt: what is stored does not tell whether two requests were alike.
    head = orjson.dumps([key, method, path])
    return hashlib.sha256(head + _canonical(body)).hexdigest()


def _canonical(body: Any) -> bytes:
    try:
        return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # integers of more than 64 bits
        try:
            return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
        except RecursionError:
            raise MalformedRequest("The body is nested too deeply.") from None


def used_otherwise() -> Conflict:
    return Conflict(
        "This Idempotency-Key was used with another request in the last 24 hours. Give each request its own.",
        code="idempotency_conflict",
    )


def may_run_again(record: GenerationRecord) -> bool:
    """Whether this outcome leaves its idempotency key to the next try: nothing was given that could be
    given again."""
    if record.status is GenerationStatus.FAILED:
        return record.error is None or bool(record.error.get("retryable"))
    return record.status in (GenerationStatus.CANCELLED, GenerationStatus.EXPIRED)


class Repeats:
    """Lets one request under an idempotency key run, and gives the others its answer.

    wait_s: how long one that comes meanwhile waits for it.
    """

    def __init__(self, store: GenerationStore, *, wait_s: float = WAIT_S) -> None:
        self._store = store
        self.wait_s = wait_s

    async def settle(
        self,
        claim: Claim,
        begin: Callable[[Claim], Awaitable[object]],
        pause: Pause = asyncio.sleep,
    ) -> Answer | None:
        """The answer that this request had before; or None, and then `begin` has returned.

        begin: begins with a claim; raises AlreadyClaimed while it is another's. What else it raises is
        raised, unless there is an earlier answer: that one counts, whatever has changed since, but for what
        the caller's API key may do, and while the store can't be reached. pause: waits for so many seconds;
        what it raises is raised.

        Raises Conflict (`idempotency_conflict`): for a key that was used with another request, and for an
        answer that is not kept; StillRunning for one that is not there in time.
        """
        until_s = asyncio.get_running_loop().time() + self.wait_s
        while True:
            try:
                await begin(claim)
            except AlreadyClaimed as taken:
                first, generation_id = taken.claim, taken.generation_id
            except HeadgateError as error:
                # Where the store failed, what is found may be the claim of the very try that failed.
                asks = claim.replaces is None and error.code not in _SAY_NOTHING_OF_EARLIER
                found = await self._store.find_claim(claim.name) if asks else None
                if found is None:
                    raise
                first, generation_id = found
            else:
                return None
            if first.fingerprint != claim.fingerprint:
                raise used_otherwise()
            answer = await self._answer_of(generation_id, until_s, pause)
            if answer is not None:
                return answer
            claim = replace(claim, replaces=generation_id)

    async def _answer_of(self, generation_id: str, until_s: float, pause: Pause) -> Answer | None:
        """Waits for it. None when the generation came to nothing."""
        record = await self._ended(generation_id, until_s, pause)
        if record is None or may_run_again(record):
            return None
        answer = await self._store.get_answer(generation_id)
        if answer is None and record.status is GenerationStatus.SUCCEEDED:
            raise Conflict(
                f"This request was carried out as {generation_id}, but its answer was not kept: it is over "
                f"{MAX_ANSWER_BYTES // 1_000_000} MB, or could not be stored.",
                code="idempotency_conflict",
            )
        return answer

    async def _ended(self, generation_id: str, until_s: float, pause: Pause) -> GenerationRecord | None:
        loop, looks = asyncio.get_running_loop(), 0
        while (record := await self._store.get(generation_id)) is not None and record.status in UNFINISHED:
            left_s = until_s - loop.time()
            if left_s <= 0:
                raise StillRunning(
                    f"The first request with this Idempotency-Key is still running, as {generation_id}.",
                    retry_after_s=RETRY_AFTER_S,
                )
            await pause(min(left_s, _PAUSES_S[min(looks, len(_PAUSES_S) - 1)]))
            looks += 1
        return record


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a run ended, about to be recorded. given: the whole answer, or all of a stream that its client
    gets, but for the event that tells of an error."""

    record: GenerationRecord
    given: bytes
    error: HeadgateError | None


class AnswerKeeper:
    """Keeps what one client gets, for those who repeat its request. tell: how a client is told of an end.

    Of what is longer than MAX_ANSWER_BYTES nothing is kept, nor held in memory.
    """

    def __init__(self, store: GenerationStore, log: Log, tell: Callable[[Ending], Answer]) -> None:
        self._store = store
        self._log = log
        self._tell = tell
        self._given = bytearray()
        self._too_long = False

    def give(self, data: bytes) -> None:
        """Part of a stream, about to be sent."""
        self._too_long = self._too_long or len(self._given) + len(data) > MAX_ANSWER_BYTES
        if self._too_long:
            self._given.clear()
        else:
            self._given += data

    async def keep(self, record: GenerationRecord, rest: bytes, error: HeadgateError | None) -> Answer | None:
        """Called with the outcome before it is recorded, so that whoever reads of it finds the answer.

        Gives it back where it is small enough to be written with the outcome, in one. rest: the last of what
        the client gets. The answer is given whether or not it could be kept.
        """
        if may_run_again(record):
            return None
        self.give(rest)
        try:
            if self._too_long:
                raise ValueError("too long")
            answer = self._tell(Ending(record=record, given=bytes(self._given), error=error))
            if len(answer.body) <= LARGEST_WITHIN:
                return answer
            await self._store.put_answer(record.id, answer)
        except ValueError:
            self._log.warning("answer.not_kept", generation_id=record.id, code="payload_too_large")
        except HeadgateError as fault:
            self._log.error("answer.not_kept", generation_id=record.id, code=fault.code)
        return None


def kept_headers(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Those of an answer that are repeated with it: what it is and who gave it, not when or over what."""
    return tuple(
        (name, value)
        for name, value in headers
        if name in ("content-type", "cache-control", "x-accel-buffering", "x-should-retry")
        or name.startswith("x-headgate-")
    )
