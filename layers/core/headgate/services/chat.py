"""Chat completions: what their runs share, and who can serve them."""

from headgate.domain.callers import Caller
from headgate.domain.errors import InvalidRequest
from headgate.ports import Clock, GenerationStore, Log
from headgate.providers.registry import ProviderRegistry, canonical_slug
from headgate.services.catalog import Catalog, CatalogView
from headgate.services.chat_naming import named_model, not_configured
from headgate.services.chat_records import ChatAsk
from headgate.services.chat_run import ChatRun, StageTimer
from headgate.services.circuits import Circuits
from headgate.services.platform_keys import PlatformKeys
from headgate.services.route import Candidate, Considered, Routing, consider, kept
from headgate.settings import Settings

__all__ = ["ChatRun", "ChatService", "StageTimer"]


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

    def run(self, caller: Caller, ask: ChatAsk, timer: StageTimer | None = None) -> ChatRun:
        """A run which has not begun: call `prepare`, then `answer`, or `open` and iterate."""
        return ChatRun(self, caller, ask, timer)

    async def candidates(self, ask: ChatAsk) -> list[Candidate]:
        """Who can serve this, in order. Raises NotFound or NoRoute."""
        return kept(await self.considered(ask), ask.model)

    async def considered(self, ask: ChatAsk) -> list[Considered]:
        """Every candidate with its verdict, those that are kept first. Raises NotFound or NoRoute."""
        view = await self.catalog.view()
        if ask.provider is not None and self._slug_of(ask.provider) is None:
            raise InvalidRequest.of_field("provider", "is no provider this gateway knows.")
        model = named_model(ask, view, self.settings, self.clock.now())
        usable = set(view.heads)
        for name in model.split(","):
            slug = self._slug_of(name.strip().partition("/")[0])
            if slug is not None and slug not in usable and await self.platform.config(slug) is not None:
                usable.add(slug)
        if ask.provider is not None:
            usable &= {canonical_slug(ask.provider)}
            if not usable:
                raise not_configured(ask.provider, model)
        return consider(self._routing(view, usable), model, ask.wish)

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
