"""What a server tells of its models beside the list: asked for after it, and never at its cost."""

import asyncio
from collections.abc import Iterable

from headgate.domain.catalog import ModelInfo
from headgate.domain.errors import HeadgateError
from headgate.providers.sending import Sender

MAX_DETAILS = 200
DETAILS_AT_ONCE = 4
DETAILS_TIMEOUT_S = 15.0
MAX_FAILED_DETAILS = 3
"""After so many the others are not asked for: it is another kind of server, or a broken one."""


async def ask_details(
    sender: Sender, models: tuple[ModelInfo, ...], details: Iterable[str]
) -> tuple[ModelInfo, ...]:
    """The models in their order, with what the answers tell of them, as far as they come, and in time."""
    provider, config = sender.provider, sender.config
    by_id = {model.id: model for model in models}
    gate, failures = asyncio.Semaphore(DETAILS_AT_ONCE), 0

    async def ask(detail: str) -> None:
        nonlocal failures
        async with gate:
            request = provider.build_detail(config, detail)
            if request is None or failures >= MAX_FAILED_DETAILS:
                return
            run = sender.run(DETAILS_TIMEOUT_S, "", None, retry=False)
            try:
                told = await run.exchange(request, lambda body: [*provider.parse_detail(detail, body, by_id)])
            except HeadgateError:
                failures += 1
            else:
                by_id.update((model.id, model) for model in told if model.id in by_id)

    wanted = list(dict.fromkeys(details))[:MAX_DETAILS]
    try:
        async with asyncio.timeout(DETAILS_TIMEOUT_S):
            await asyncio.gather(*(ask(detail) for detail in wanted))
    except TimeoutError:
        pass  # then what is there must do
    return tuple(by_id.values())
