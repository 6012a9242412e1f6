"""What the routes need of the composition root, as one protocol; how a request finds it."""

from typing import TYPE_CHECKING, Protocol

from fastapi import Request

if TYPE_CHECKING:
    from headgate.ports import AccountStore, CatalogStore, Clock, ConnectionStore, GenerationStore, Log
    from headgate.providers.registry import ProviderRegistry
    from headgate.services.authenticate import Authenticator
    from headgate.services.caller_catalog import CallerCatalog
    from headgate.services.catalog import Catalog
    from headgate.services.chat import ChatService
    from headgate.services.check_connection import ConnectionChecker
    from headgate.services.check_health import HealthService
    from headgate.services.check_webhook import WebhookChecker
    from headgate.services.explain import Explainer
    from headgate.services.flags import FlagManager, Flags
    from headgate.services.grant_credits import CreditsOffice
    from headgate.services.limit_reads import ReadLimiter
    from headgate.services.list_models import ModelLister
    from headgate.services.manage_connections import ConnectionManager
    from headgate.services.manage_keys import KeyManager
    from headgate.services.manage_projects import ProjectManager
    from headgate.services.manage_settings import SettingsManager
    from headgate.services.manage_webhooks import WebhookManager
    from headgate.services.once import Repeats
    from headgate.services.override_models import OverrideManager
    from headgate.services.show_account import AccountOverview
    from headgate.services.show_providers import ProviderDirectory
    from headgate.services.show_usage import UsageReporter
    from headgate.settings import Settings


class Services(Protocol):
    """Built on first use, each once: a function makes only what its routes touch."""

    @property
    def settings(self) -> "Settings": ...
    @property
    def clock(self) -> "Clock": ...
    @property
    def log(self) -> "Log": ...
    @property
    def authenticate(self) -> "Authenticator": ...
    @property
    def reads(self) -> "ReadLimiter": ...
    @property
    def catalog(self) -> "Catalog": ...
    @property
    def caller_catalog(self) -> "CallerCatalog": ...
    @property
    def overrides(self) -> "OverrideManager": ...
    @property
    def catalog_store(self) -> "CatalogStore": ...
    @property
    def models(self) -> "ModelLister": ...
    @property
    def registry(self) -> "ProviderRegistry": ...
    @property
    def chat(self) -> "ChatService": ...
    @property
    def explain(self) -> "Explainer": ...
    @property
    def generations(self) -> "GenerationStore": ...
    @property
    def repeats(self) -> "Repeats": ...
    @property
    def connections(self) -> "ConnectionStore": ...
    @property
    def connection_manager(self) -> "ConnectionManager": ...
    @property
    def webhooks(self) -> "WebhookManager": ...
    @property
    def webhook_checker(self) -> "WebhookChecker": ...
    @property
    def connection_checker(self) -> "ConnectionChecker": ...
    @property
    def health(self) -> "HealthService": ...
    @property
    def providers(self) -> "ProviderDirectory": ...
    @property
    def usage(self) -> "UsageReporter": ...
    @property
    def keys(self) -> "KeyManager": ...
    @property
    def accounts(self) -> "AccountStore": ...
    @property
    def projects(self) -> "ProjectManager": ...
    @property
    def user_settings(self) -> "SettingsManager": ...
    @property
    def credits(self) -> "CreditsOffice": ...
    @property
    def account(self) -> "AccountOverview": ...
    @property
    def flags(self) -> "Flags": ...
    @property
    def flag_manager(self) -> "FlagManager": ...


def services_of(request: Request) -> Services:
    """The function's services, from the app it runs in."""
    services: Services = request.app.state.runtime.services
    return services
