"""Providers as one credential reaches them: the platform's key, a user's connection, a key that was lent.

A key goes to the provider's own host, or where the operator put that (`<SLUG>_BASE_URL`), or where its owner
said. The platform's key goes to no address of a caller's, and only for the platform are requests signed as
the function's own role.
"""

import re
from copy import copy
from dataclasses import replace
from urllib.parse import urlsplit

from headgate.domain.connections import Connection
from headgate.domain.credentials import Credential
from headgate.domain.errors import HeadgateError, InvalidRequest, NotFound, ProviderRefused
from headgate.domain.secret import Secret
from headgate.providers.base import ProviderConfig
from headgate.providers.bound import BoundProvider
from headgate.providers.registry import ProviderRegistry
from headgate.services.connection_keys import ConnectionKeys, OnOpening
from headgate.services.platform_keys import PlatformKeys

LENT_HEADER = "X-Provider-Key"


class Binder:
    """Binds providers to credentials."""

    def __init__(self, registry: ProviderRegistry, platform: PlatformKeys, keys: ConnectionKeys) -> None:
        self._registry = registry
        self._platform = platform
        self._keys = keys

    async def bind(self, slug: str, credential: Credential, on_opening: OnOpening) -> BoundProvider:
        """on_opening: as of `ConnectionKeys.config`; what it is given must get to the audit log.

        Raises ProviderRefused (`provider_auth`) where there is no usable key, naming the connection if it
        is a connection's; InvalidRequest for a lent key that can't be one; GatewayFault when the key's store
        can't be reached.
        """
        if credential.connection is not None:
            return await self._bind_connection(credential.connection, on_opening)
        if credential.lent is not None:
            return await self._bind_lent(slug, credential.lent)
        return await self._registry.get(slug)

    async def _bind_connection(self, connection: Connection, on_opening: OnOpening) -> BoundProvider:
        config = await self._keys.config(connection, on_opening)
        if not connection.base_url:
            place = await self._platform.place(connection.type)
            config = replace(config, base_url=place.base_url)
        try:
            return self._bound(connection.type, config)
        except (InvalidRequest, NotFound) as wrong:
            raise ProviderRefused(
                f"{_named(connection)} can't be used: {wrong.detail}",
                provider=connection.type,
                members={"connection_id": connection.id},
            ) from wrong

    async def _bind_lent(self, slug: str, key: Secret) -> BoundProvider:
        config = replace(await self._platform.place(slug), api_key=key)
        try:
            return self._bound(slug, config)
        except InvalidRequest as wrong:
            raise InvalidRequest.of_field(LENT_HEADER, f"of no use for {slug}: {wrong.detail}") from wrong

    def _bound(self, slug: str, config: ProviderConfig) -> BoundProvider:
        spec = self._registry.load(slug).spec
        if spec.by_role and config.api_key is None:
            raise InvalidRequest.of_field("api_key", f"{spec.name} needs a key of your own.")
        return self._registry.bind(slug, config)


def blamed(error: HeadgateError, credential: Credential, *, told_to: str) -> HeadgateError:
    """The error, saying whose key was refused and what to do. told_to: the user who reads it: of someone
    else's connection neither where it leads is told, nor what its provider says of their account."""
    connection = credential.connection
    theirs = connection if connection is not None and connection.user_id != told_to else None
    if not isinstance(error, ProviderRefused):
        return error if theirs is None else _without_place(error, theirs)
    if connection is not None and error.members.get("connection_id") == connection.id:
        return error
    what = "account" if error.code == "provider_insufficient_funds" else "key"
    whose, look = "The key lent with the request", f"look at its {what}"
    said = f" {error.detail}" if theirs is None else ""
    if theirs is not None:
        whose, look = _named(theirs), f"whoever stored it should look at its {what}"
    elif connection is not None:
        whose = _named(connection)
    elif not credential.caller_pays:
        whose = f"The platform's access to {error.provider or 'the provider'}"
        look = f"an administrator should look at its {what}, or use one of your own"
    return ProviderRefused(
        f"{whose} was refused: {look}.{said}",
        code=error.code,
        retry_after_s=error.retry_after_s,
        provider=error.provider,
        provider_request_id=error.provider_request_id,
        may_have_run=error.may_have_run,
        members={**error.members, **({} if connection is None else {"connection_id": connection.id})},
    )


def _without_place(error: HeadgateError, connection: Connection) -> HeadgateError:
    """The error without the host of the connection's address, which errors of the network name."""
    host = urlsplit(connection.base_url or "").hostname
    if host is None or host not in error.detail.lower():
        return error
    discreet = copy(error)
    discreet.detail = re.sub(re.escape(host), "its server", error.detail, flags=re.IGNORECASE)
    return discreet


def attention_of(error: HeadgateError) -> str | None:
    """Why a connection should be looked at after this error; None where the error says nothing of its key."""
    if not isinstance(error, ProviderRefused):
        return None
    if error.code == "provider_insufficient_funds":
        return "Its provider says that the account has no funds."
    return "Its provider refused the key."


def _named(connection: Connection) -> str:
    return f"The connection '{connection.name}' ({connection.id})"
