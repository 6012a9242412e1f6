"""The composition root: settings in, services out.

Everything is built on first use, so a function pays only for what its routes touch.
"""

from functools import cached_property
from typing import TYPE_CHECKING

from headgate.container.memory import memory_adapters
from headgate.container.outside import Adapters
from headgate.container.shared import Shared

if TYPE_CHECKING:
    from headgate.services.chat import ChatService
    from headgate.services.chat_means import ChatMeans
    from headgate.services.check_connection import ConnectionChecker
    from headgate.services.check_health import HealthService
    from headgate.services.check_webhook import WebhookChecker
    from headgate.services.deliver_webhook import WebhookDeliverer
    from headgate.services.explain import Explainer
    from headgate.services.flags import FlagManager
    from headgate.services.grant_credits import CreditsOffice
    from headgate.services.list_models import ModelLister
    from headgate.services.manage_connections import ConnectionManager
    from headgate.services.manage_keys import KeyManager
    from headgate.services.manage_projects import ProjectManager
    from headgate.services.manage_settings import SettingsManager
    from headgate.services.manage_webhooks import WebhookManager
    from headgate.services.once import Repeats
    from headgate.services.override_models import OverrideManager
    from headgate.services.record_usage import UsageRecorder
    from headgate.services.refresh_catalog import CatalogRefresher
    from headgate.services.refresh_connections import ConnectionRefresher
    from headgate.services.show_account import AccountOverview
    from headgate.services.show_providers import ProviderDirectory
    from headgate.services.show_usage import UsageReporter
    from headgate.services.sweep import Sweeper

__all__ = ["Adapters", "Container", "memory_adapters"]


class Container(Shared):
    """One function's services, each built once, when first asked for. Belongs to one event loop."""

    @cached_property
    def connection_manager(self) -> "ConnectionManager":
        from headgate.services.manage_connections import ConnectionManager  # noqa: PLC0415

        starts = self._adapters is not None or bool(self.settings.refresh_function)
        return ConnectionManager(
            store=self.connections,
            vault=self.vault,
            registry=self.registry,
            addresses=self.guard,
            starter=self.starter if starts else None,
            log=self.log,
        )

    @cached_property
    def webhooks(self) -> "WebhookManager":
        from headgate.services.manage_webhooks import WebhookManager  # noqa: PLC0415

        return WebhookManager(store=self.webhook_store, vault=self.vault, addresses=self.guard, log=self.log)

    @cached_property
    def webhook_deliverer(self) -> "WebhookDeliverer":
        from headgate.services.deliver_webhook import WebhookDeliverer  # noqa: PLC0415

        return WebhookDeliverer(
            vault=self.vault,
            transport=self.transport,
            audit=self.accounts,
            clock=self.clock,
            log=self.log,
        )

    @cached_property
    def webhook_checker(self) -> "WebhookChecker":
        from headgate.services.check_webhook import WebhookChecker  # noqa: PLC0415

        return WebhookChecker(
            store=self.webhook_store,
            deliverer=self.webhook_deliverer,
            audit=self.accounts,
            clock=self.clock,
        )

    @cached_property
    def connection_checker(self) -> "ConnectionChecker":
        from headgate.services.check_connection import ConnectionChecker  # noqa: PLC0415

        return ConnectionChecker(
            store=self.connections,
            binder=self.binder,
            audit=self.accounts,
            clock=self.clock,
            log=self.log,
        )

    @cached_property
    def connection_refresher(self) -> "ConnectionRefresher":
        from headgate.services.refresh_connections import ConnectionRefresher  # noqa: PLC0415

        return ConnectionRefresher(
            store=self.connections,
            binder=self.binder,
            prices=self.prices,
            leases=self.catalog_store,
            audit=self.accounts,
            clock=self.clock,
            log=self.log,
        )

    @cached_property
    def overrides(self) -> "OverrideManager":
        from headgate.services.override_models import OverrideManager  # noqa: PLC0415

        return OverrideManager(self.accounts)

    @cached_property
    def models(self) -> "ModelLister":
        from headgate.services.list_models import ModelLister  # noqa: PLC0415

        return ModelLister(self.catalog, self.clock, self.settings)

    @cached_property
    def chat(self) -> "ChatService":
        from headgate.services.chat import ChatService  # noqa: PLC0415

        return ChatService(self.chat_means)

    @cached_property
    def chat_means(self) -> "ChatMeans":
        from headgate.services.chat_means import ChatMeans  # noqa: PLC0415
        from headgate.services.survey import Surveyor  # noqa: PLC0415

        surveyor = Surveyor(
            seen=self.caller_catalog,
            registry=self.registry,
            platform=self.platform,
            reach=self.reach,
            clock=self.clock,
            settings=self.settings,
        )
        return ChatMeans(
            surveyor=surveyor,
            binder=self.binder,
            reach=self.reach,
            generations=self.generations,
            circuits=self.circuits,
            clock=self.clock,
            log=self.log,
            settings=self.settings,
        )

    @cached_property
    def repeats(self) -> "Repeats":
        from headgate.services.once import Repeats  # noqa: PLC0415

        return Repeats(self.generations)

    @cached_property
    def explain(self) -> "Explainer":
        from headgate.services.explain import Explainer  # noqa: PLC0415

        return Explainer(self.chat_means)

    @cached_property
    def health(self) -> "HealthService":
        from headgate.services.check_health import HealthService  # noqa: PLC0415

        return HealthService(
            store=self.catalog_store,
            registry=self.registry,
            platform=self.platform,
            audit=self.accounts,
            clock=self.clock,
            log=self.log,
            settings=self.settings,
        )

    @cached_property
    def refresher(self) -> "CatalogRefresher":
        from headgate.services.refresh_catalog import CatalogRefresher  # noqa: PLC0415

        return CatalogRefresher(
            store=self.catalog_store,
            registry=self.registry,
            platform=self.platform,
            prices=self.prices,
            audit=self.accounts,
            clock=self.clock,
            log=self.log,
            settings=self.settings,
        )

    @cached_property
    def sweeper(self) -> "Sweeper":
        from headgate.services.sweep import Sweeper  # noqa: PLC0415

        return Sweeper(self.generations, self.clock, self.log)

    @cached_property
    def usage_recorder(self) -> "UsageRecorder":
        from headgate.services.record_usage import UsageRecorder  # noqa: PLC0415

        return UsageRecorder(self.usage_store, self.traffic, self.accounts)

    @cached_property
    def usage(self) -> "UsageReporter":
        from headgate.services.show_usage import UsageReporter  # noqa: PLC0415

        return UsageReporter(self.usage_store)

    @cached_property
    def providers(self) -> "ProviderDirectory":
        from headgate.services.show_providers import ProviderDirectory  # noqa: PLC0415

        return ProviderDirectory(self.registry, configured=self._configured, log=self.log)

    async def _configured(self) -> list[str]:
        return await self.platform.configured()

    @cached_property
    def keys(self) -> "KeyManager":
        from headgate.services.manage_keys import KeyManager  # noqa: PLC0415

        return KeyManager(self.accounts, self.clock, self.log)

    @cached_property
    def projects(self) -> "ProjectManager":
        from headgate.services.manage_projects import ProjectManager  # noqa: PLC0415

        return ProjectManager(self.accounts)

    @cached_property
    def user_settings(self) -> "SettingsManager":
        from headgate.services.manage_settings import SettingsManager  # noqa: PLC0415

        return SettingsManager(self.accounts, self.connections, self._slug_of)

    @cached_property
    def credits(self) -> "CreditsOffice":
        from headgate.services.grant_credits import CreditsOffice  # noqa: PLC0415

        return CreditsOffice(self.ledger)

    @cached_property
    def account(self) -> "AccountOverview":
        from headgate.services.show_account import AccountOverview  # noqa: PLC0415

        return AccountOverview(self.accounts, self.ledger, self.usage_store, self.clock)

    @cached_property
    def flag_manager(self) -> "FlagManager":
        from headgate.services.flags import FlagManager  # noqa: PLC0415

        return FlagManager(self.accounts)

    async def warm(self) -> None:
        """Makes and imports, before the first request, what every request needs."""
        if self.settings.function == "generations":
            _ = self.chat, self.transport
        if self._adapters is None:
            await self.aws.warm("dynamodb")

    async def close(self) -> None:
        """Gives connections up."""
        if "registry" in self.__dict__:
            await self.registry.close()
        if "transport" in self.__dict__:
            await self.transport.close()
