"""The record of each generation, and everything that is decided with it: limits, money, idempotency."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from headgate.domain.admission import Admission, Answer, Claim, Closing, Counter
from headgate.domain.generation import GenerationRecord

MAX_ANSWER_BYTES = 16_000_000
"""Of an answer that is kept for repetitions, before compression: some 60 items of a table at the most."""


class AlreadyClaimed(Exception):
    """An idempotency key is taken. `claim`: what it was taken with; generation_id: for which generation."""

    def __init__(self, claim: Claim, generation_id: str) -> None:
        super().__init__("the idempotency key is taken")
        self.claim = claim
        self.generation_id = generation_id


def check_size(answer: Answer) -> None:
    """Raises ValueError for a body over MAX_ANSWER_BYTES."""
    if len(answer.body) > MAX_ANSWER_BYTES:
        raise ValueError("an answer that is too large to be kept")


class GenerationStore(Protocol):
    """The record of each generation, written before the provider is called and before the last byte."""

    async def begin(self, record: GenerationRecord, admission: Admission = Admission()) -> None:
        """Writes the record, raises the counters, takes the claim and sets the hold aside, together or not at
        all. Sent twice by the SDK, it happens once.

        Raises AlreadyClaimed before anything else that is in the way; LimitReached (`rate_limited`, saying
        which limit, with the time until its window ends) when a counter would pass its limit;
        LimitReached (`insufficient_credits`, members `needed` and `available`) when the hold is not covered;
        Conflict when there is another generation of that id.
        """
        ...

    async def count(self, counters: Sequence[Counter]) -> None:
        """Raises the counters, together or not at all, for what is limited but leaves no record.

        Raises LimitReached as `begin`.
        """
        ...

    async def finish(self, record: GenerationRecord, closing: Closing = Closing()) -> None:
        """Replaces the record by its outcome, settles the hold and corrects the counters, together. A
        generation is finished once: the same again is fine, a second outcome raises Conflict and changes
        nothing. (Which of two is first decides: the sweep, or a run that took too long.)"""
        ...

    async def tell_keys(self, record: GenerationRecord) -> None:
        """Hands on which keys were used and opened, where no record says so: tokens were counted, or the
        record had ended without it. Told once for an id; found under none, and in no list."""
        ...

    async def get(self, generation_id: str) -> GenerationRecord | None: ...

    async def list_by_owner(
        self,
        owner: str,
        *,
        filters: Mapping[str, str],
        limit: int,
        cursor: str | None,
    ) -> tuple[list[GenerationRecord], str | None]:
        """Newest first. filters: `status`, `type`, `project_id`. The second value is the next cursor."""
        ...

    async def list_overdue(self, *, before: datetime, limit: int) -> list[GenerationRecord]:
        """Unfinished ones whose `due_at` is before this moment, oldest first.

        One that can't be read is left out while there are others, so that it keeps none of them from its end;
        alone it raises GatewayFault.
        """
        ...

    async def find_claim(self, name: str) -> tuple[Claim, str] | None:
        """What an idempotency key is taken with, and for which generation; None when it is free."""
        ...

    async def put_answer(self, generation_id: str, answer: Answer) -> None:
        """Keeps it until it expires; written before the record says that the generation is finished.

        Raises ValueError for a body over MAX_ANSWER_BYTES.
        """
        ...

    async def get_answer(self, generation_id: str) -> Answer | None:
        """None when none was kept, or it has expired."""
        ...
