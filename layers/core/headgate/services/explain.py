"""Why a request would go where it would go, without sending it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headgate.domain.catalog import ModelInfo, ProviderStatus
from headgate.domain.generation import Usage, cost_of
from headgate.services.catalog import Catalog
from headgate.services.chat import ChatService
from headgate.services.chat_records import ChatAsk, estimated_tokens
from headgate.services.route import Candidate

_USUAL_OUTPUT_TOKENS = 1_000
"""Of an answer whose length nobody bounded, for the estimate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One candidate's row. estimated_nanousd: input estimate and the longest answer allowed; None unknown."""

    candidate: Candidate
    kept: bool
    reasons: tuple[str, ...]
    estimated_nanousd: int | None
    health: ProviderStatus
    latency_ms: int | None


class Explainer:
    """Answers from the catalogue alone."""

    def __init__(self, chat: ChatService, catalog: Catalog) -> None:
        self._chat = chat
        self._catalog = catalog

    async def explain(self, ask: ChatAsk) -> list[Explained]:
        """Every candidate in the order in which it would be tried, then the rejected ones.

        Raises NotFound when nothing has that name.
        """
        considered = await self._chat.considered(ask)
        view = await self._catalog.view()
        rows = []
        for each in considered:
            health = view.health.get(each.candidate.provider)
            rows.append(
                Explained(
                    candidate=each.candidate,
                    kept=each.kept,
                    reasons=each.reasons,
                    estimated_nanousd=estimated_cost(ask.body, each.candidate.info),
                    health=view.status_of(each.candidate.provider),
                    latency_ms=health.latency_p50_ms if health is not None else None,
                )
            )
        return rows


def estimated_cost(body: Mapping[str, Any], info: ModelInfo | None) -> int | None:
    """Nano-dollars of this request at this model's prices, if its answer gets as long as it may."""
    if info is None:
        return None
    asked = next(
        (body[name] for name in ("max_completion_tokens", "max_tokens") if isinstance(body.get(name), int)),
        min(info.max_output_tokens or _USUAL_OUTPUT_TOKENS, _USUAL_OUTPUT_TOKENS),
    )
    usage = Usage(input_tokens=estimated_tokens(body), output_tokens=max(0, asked))
    return cost_of(usage, info.pricing)
