"""Chat completions: what their runs share, and who can serve them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from headgate.domain.callers import Caller
from headgate.domain.credentials import PLATFORM, Credential
from headgate.domain.errors import HeadgateError, InvalidRequest
from headgate.ports import Clock, GenerationStore, Log
from headgate.providers.registry import ProviderRegistry, canonical_slug
from headgate.services.bind import Binder
from headgate.services.caller_catalog import CallerCatalog
from headgate.services.catalog import Catalog
from headgate.services.catalog_view import CatalogView
from headgate.services.charge import tariff_of
from headgate.services.chat_naming import Market, modality_of, not_configured, picked, provider_wanted
from headgate.services.chat_records import ChatAsk
from headgate.services.chat_run import ChatRun, StageTimer
from headgate.services.circuits import Circuits
from headgate.services.platform_keys import PlatformKeys
from headgate.services.reach import Reach, ReachService
from headgate.services.route import Candidate, Considered, Pick, Routing, consider, kept, listed
from headgate.services.settle import PAUSES_S
from headgate.services.suggest import helped
from headgate.settings import Settings

_PLATFORM = (PLATFORM,)

__all__ = ["ChatRun", "ChatService", "StageTimer", "Survey"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Who can serve one request, and the catalogue in which they were found.

    considered: every candidate with its verdict, those that are kept first. model: as the caller wrote it.
    """

    view: CatalogView
    model: str | None
    considered: list[Considered]

    def candidates(self) -> list[Candidate]:
        """Those to try, in order. Raises NoRoute where there is none."""
        return kept(self.considered, self.model)

    def helped(self, error: HeadgateError) -> HeadgateError:
        """A provider's «no such model» with the ids that come closest of those that it may have."""
        return helped(error, self.view, self.model)


class ChatService:
    """Makes runs. Holds what they share: stores, providers, circuits."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        seen: CallerCatalog,
        registry: ProviderRegistry,
        platform: PlatformKeys,
        binder: Binder,
        reach: ReachService,
        generations: GenerationStore,
        circuits: Circuits,
        clock: Clock,
        log: Log,
        settings: Settings,
    ) -> None:
        self.catalog = catalog
        self.seen = seen
        self.registry = registry
        self.platform = platform
        self.binder = binder
        self.reach = reach
        self.generations = generations
        self.circuits = circuits
        self.clock = clock
        self.log = log
        self.settings = settings
        self.tariff = tariff_of(settings)
        self.settle_pauses_s: Sequence[float] = PAUSES_S

    def run(self, caller: Caller, ask: ChatAsk, timer: StageTimer | None = None) -> ChatRun:
        """A run which has not begun: call `prepare`, then `answer`, or `open` and iterate."""
        return ChatRun(self, caller, ask, timer)

    async def survey(self, caller: Caller, ask: ChatAsk) -> Survey:
        """Who can serve this request. Nothing is called.

        Raises NotFound for an unknown model, NoRoute where nothing can be called, and what `ReachService.of`
        raises.
        """
        if ask.provider is not None and self._slug_of(ask.provider) is None:
            raise InvalidRequest.of_field("provider", "is no provider this gateway knows.")
        view, reach = await self._means(caller, ask)
        market = Market(
            view=view,
            settings=self.settings,
            now=self.clock.now(),
            slug_of=self._slug_of,
            modality=modality_of(ask),
        )
        picks = picked(ask, reach, market)
        routing = await self._routing(market, reach, picks, within=provider_wanted(ask, reach))
        return Survey(view=view, model=ask.model, considered=consider(routing, picks, ask.wish))

    async def _means(self, caller: Caller, ask: ChatAsk) -> tuple[CatalogView, Reach]:
        """The keys that serve this request, and the catalogue that is seen with them."""
        reach = await self.reach.of(
            caller,
            modality=modality_of(ask).value,
            project_id=ask.project_id,
            connection_id=ask.connection_id,
            lent=ask.lent,
        )
        view = await self.seen.view(caller, ask.lent, reach.serving)
        return view, replace(reach, lists=view.lists) if view.lists else reach

    def _slug_of(self, name: str) -> str | None:
        return canonical_slug(name) if self.registry.has(name) else None

    async def _platform(self, view: CatalogView, picks: list[Pick]) -> set[str]:
        """Providers that the platform has: those in the catalogue, and those named that may not be in it."""
        slugs = set(view.platform.heads)
        for pick in picks:
            slug = self._slug_of(pick.name.partition("/")[0])
            if slug is not None and slug not in slugs and await self.platform.config(slug) is not None:
                slugs.add(slug)
        return slugs

    async def _routing(
        self, market: Market, reach: Reach, picks: list[Pick], *, within: str | None
    ) -> Routing:
        """Raises NoRoute where nobody has a key for the one provider that is wanted."""
        view = market.view
        platform = await self._platform(view, picks)
        usable = {slug for slug in platform | reach.slugs if view.may_serve(slug)}
        if within is not None:
            usable &= {within}
            if not usable:
                raise not_configured(within, ",".join(pick.name for pick in picks))
        unlisted = self.settings.allow_unlisted_models
        own = reach.slugs
        known: dict[tuple[str, str], tuple[Credential, ...]] = {}

        def credentials(slug: str, native_id: str) -> tuple[Credential, ...]:
            found = known.get((slug, native_id))
            if found is None:
                there = listed(view.platform, slug, native_id) is not None
                paid = slug in platform and (there or unlisted)
                found = _PLATFORM if paid and not own else ()
                if own:
                    found = reach.credentials(slug, native_id, platform=paid, listed=there)
                known[slug, native_id] = found
            return found

        return Routing(
            view=view,
            now=market.now,
            modality=market.modality,
            is_usable=usable.__contains__,
            canonical_slug=self._slug_of,
            allow_unlisted=unlisted,
            credentials=credentials,
            words=reach.words,
            prefers=reach.preferred,
        )
