"""Why a request would go where it would go, without sending it."""

from dataclasses import dataclass, replace

from headgate.domain.callers import Caller
from headgate.domain.catalog import ProviderStatus
from headgate.services.charge import longest_charge
from headgate.services.chat_means import ChatMeans
from headgate.services.chat_naming import circuit_of
from headgate.services.chat_records import ChatAsk, denied_name, estimated_tokens, may_use
from headgate.services.key_models import NOT_FOR_KEY
from headgate.services.route import Candidate, Considered

_LEFT_ALONE = "tried last: its circuit is open, as it failed just now"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One candidate's row. estimated_nanousd: what would be set aside for it; None where that is unknown."""

    candidate: Candidate
    kept: bool
    reasons: tuple[str, ...]
    estimated_nanousd: int | None
    health: ProviderStatus
    latency_ms: int | None


class Explainer:
    """Answers from the catalogue, and from how this process has fared with the providers."""

    def __init__(self, means: ChatMeans) -> None:
        self._means = means

    async def explain(self, caller: Caller, ask: ChatAsk) -> list[Explained]:
        """Every candidate in the order in which it would be tried, then those this caller's key may not use,
        or which were rejected.

        Raises NotFound when nothing has that name.
        """
        survey = await self._means.surveyor.survey(caller, ask)
        considered = _within_key(caller, survey.considered, ask.model)
        considered = [self._left_alone(each, ask) for each in considered]
        considered.sort(key=lambda each: (not each.kept, _LEFT_ALONE in each.reasons))
        view, tokens = survey.view, estimated_tokens(ask.body)
        rows = []
        for each in considered:
            health = view.health.get(each.candidate.provider)
            rows.append(
                Explained(
                    candidate=each.candidate,
                    kept=each.kept,
                    reasons=each.reasons,
                    estimated_nanousd=longest_charge(each.candidate, ask, self._means.tariff, tokens=tokens),
                    health=view.status_of(each.candidate.provider),
                    latency_ms=health.latency_p50_ms if health is not None else None,
                )
            )
        return rows

    def _left_alone(self, each: Considered, ask: ChatAsk) -> Considered:
        """As this process knows it: another may have fared better with that provider."""
        name = circuit_of(each.candidate, ask)
        if not each.kept or self._means.circuits.would_allow(name):
            return each
        return replace(each, reasons=(*each.reasons, _LEFT_ALONE))


def _within_key(caller: Caller, considered: list[Considered], model: str | None) -> list[Considered]:
    denied = denied_name(caller, [each.candidate for each in considered if each.kept], model)
    why = NOT_FOR_KEY if denied is None else f"this key may not use {denied[:200]}"
    return [
        replace(each, kept=False, reasons=(why,))
        if each.kept and (denied is not None or not may_use(caller, each.candidate))
        else each
        for each in considered
    ]
