"""Writing how a generation ended. An answer that was given is never taken back for it."""

import asyncio
import random
from collections.abc import Sequence

from headgate.domain.admission import Closing
from headgate.domain.errors import HeadgateError
from headgate.domain.generation import GenerationRecord, Usage
from headgate.ports import GenerationStore, Log

PAUSES_S = (0.1, 0.3, 0.6, 1.0)
"""Between tries. A client waits for its last bytes meanwhile."""


async def settle(
    store: GenerationStore,
    log: Log,
    record: GenerationRecord,
    closing: Closing,
    *,
    pauses_s: Sequence[float] = PAUSES_S,
) -> None:
    """Writes the outcome, again and again while the store can't be reached.

    What can't be written at all leaves the record unfinished and its money held, and is logged with all that
    it takes to put it right by hand; else the sweep ends it, and nothing is charged.
    """
    try:
        await _written(store, record, closing, pauses_s)
    except HeadgateError as fault:
        log.error("generation.unsettled", code=fault.code, **_figures(record))
        await tell_keys(store, log, record)  # of its calls the record that stands there knows nothing
    log.info(
        "generation.finished",
        provider=record.provider,
        model=record.model,
        attempts=len(record.attempts),
        code=record.error["code"] if record.error is not None else None,
        **_figures(record),
    )


async def tell_keys(store: GenerationStore, log: Log, record: GenerationRecord) -> None:
    """For the audit log, where the record itself can't: which keys were used and opened, if any of ours."""
    used = sorted({attempt.key for attempt in record.attempts} - {"lent"})
    if not used and not record.opened:
        return
    try:
        await store.tell_keys(record)
    except HeadgateError as fault:
        log.error(
            "keys.untold",
            code=fault.code,
            generation_id=record.id,
            key_id=record.key_id,
            request_id=record.request_id,
            used=used,
            opened=[f"{each.connection_id}: {each.outcome}" for each in record.opened],
        )


async def _written(
    store: GenerationStore, record: GenerationRecord, closing: Closing, pauses_s: Sequence[float]
) -> None:
    """The same outcome may be written twice, so a try whose answer was lost does no harm."""
    for pause_s in pauses_s:
        try:
            return await store.finish(record, closing)
        except HeadgateError as fault:
            if fault.code != "gateway_unavailable":
                raise
        await asyncio.sleep(pause_s * (0.5 + random.random() / 2))  # noqa: S311 - jitter, no secret
    await store.finish(record, closing)


def _figures(record: GenerationRecord) -> dict[str, object]:
    usage = record.usage or Usage()
    return {
        "generation_id": record.id,
        "status": record.status.value,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "charged_nanousd": record.cost_charged_nanousd,
        "held_nanousd": record.held_nanousd,
    }
