"""Who can serve a request: its model's name looked up among what the caller's keys see, and routed."""

from dataclasses import dataclass, replace

from headgate.domain.callers import Caller
from headgate.domain.credentials import PLATFORM, Credential
from headgate.domain.errors import HeadgateError, InvalidRequest
from headgate.ports import Clock
from headgate.providers.registry import ProviderRegistry, canonical_slug
from headgate.services.caller_catalog import CallerCatalog
from headgate.services.catalog_view import CatalogView
from headgate.services.chat_naming import Market, modality_of, not_configured, picked, provider_wanted
from headgate.services.chat_records import ChatAsk
from headgate.services.platform_keys import PlatformKeys
from headgate.services.reach import Reach, ReachService
from headgate.services.route import Candidate, Considered, Pick, Routing, consider, kept, listed
from headgate.services.suggest import helped
from headgate.settings import Settings

_PLATFORM = (PLATFORM,)


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


class Surveyor:
    """Finds them. Calls no provider."""

    def __init__(
        self,
        *,
        seen: CallerCatalog,
        registry: ProviderRegistry,
        platform: PlatformKeys,
        reach: ReachService,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._seen = seen
        self._registry = registry
        self._platform_keys = platform
        self._reach = reach
        self._clock = clock
        self._settings = settings

    async def survey(self, caller: Caller, ask: ChatAsk) -> Survey:
        """Who can serve this request.

        Raises NotFound for an unknown model, NoRoute where nothing can be called, and what `ReachService.of`
        raises.
        """
        if ask.provider is not None and self._slug_of(ask.provider) is None:
            raise InvalidRequest.of_field("provider", "is no provider this gateway knows.")
        view, reach = await self._means(caller, ask)
        market = Market(
            view=view,
            settings=self._settings,
            now=self._clock.now(),
            slug_of=self._slug_of,
            modality=modality_of(ask),
        )
        picks = picked(ask, reach, market)
        routing = await self._routing(market, reach, picks, within=provider_wanted(ask, reach))
        return Survey(view=view, model=ask.model, considered=consider(routing, picks, ask.wish))

    async def _means(self, caller: Caller, ask: ChatAsk) -> tuple[CatalogView, Reach]:
        """The keys that serve this request, and the catalogue that is seen with them."""
        reach = await self._reach.of(
            caller,
            modality=modality_of(ask).value,
            project_id=ask.project_id,
            connection_id=ask.connection_id,
            lent=ask.lent,
        )
        view = await self._seen.view(caller, ask.lent, reach.serving)
        return view, replace(reach, lists=view.lists) if view.lists else reach

    def _slug_of(self, name: str) -> str | None:
        return canonical_slug(name) if self._registry.has(name) else None

    async def _platform(self, view: CatalogView, picks: list[Pick]) -> set[str]:
        """Providers that the platform has: those in the catalogue, and those named that may not be in it."""
        slugs = set(view.platform.heads)
        for pick in picks:
            slug = self._slug_of(pick.name.partition("/")[0])
            if slug is not None and slug not in slugs and await self._platform_keys.config(slug) is not None:
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
        unlisted = self._settings.allow_unlisted_models
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
