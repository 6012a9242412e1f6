"""Making, changing over and removing users' webhooks. A secret is shown once, when it is made."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from headgate.domain.callers import Caller
from headgate.domain.errors import Conflict, InvalidRequest, NotFound
from headgate.domain.secret import Secret
from headgate.domain.webhooks import EVENTS, GROUPS, Webhook, secret_text, unknown_events, webhook_context
from headgate.paging import page_among, position_of
from headgate.ports import KeyVault, Log, WebhookStore
from headgate.services.acts import Act
from headgate.services.connection_rules import AddressRules

MOST_PER_USER = 100
CHANGE_OVER = timedelta(hours=24)
"""How long deliveries are signed by the secret before as well."""


def webhook_secret_of(act: Act) -> Secret:
    """The secret of the webhook that this act makes or rotates; only its seed tells it."""
    return secret_text(act.draw("webhook secret"))


async def find_webhook(store: WebhookStore, caller: Caller, webhook_id: str) -> Webhook:
    """One of the caller's own. Raises NotFound."""
    for row in await store.list_webhooks(caller.user_id):
        if row.id == webhook_id:
            return row
    raise NotFound(f"There is no webhook {webhook_id[:80]}.")


class WebhookManager:
    """Webhooks of callers, each seeing its own user's only."""

    def __init__(self, *, store: WebhookStore, vault: KeyVault, addresses: AddressRules, log: Log) -> None:
        self._store = store
        self._vault = vault
        self._addresses = addresses
        self._log = log

    async def list(
        self, caller: Caller, *, limit: int, cursor: str | None
    ) -> tuple[list[Webhook], str | None]:
        """Newest first. The second value is the next cursor."""
        rows = await self._store.list_webhooks(caller.user_id)
        placed = [(position_of(row.created_at, row.id), row) for row in rows]
        return page_among(f"webhooks of {caller.user_id}", placed, limit=limit, cursor=cursor)

    async def get(self, caller: Caller, webhook_id: str) -> Webhook:
        """Raises NotFound for another user's."""
        return await find_webhook(self._store, caller, webhook_id)

    async def create(
        self, caller: Caller, url: str, events: Iterable[str], act: Act
    ) -> tuple[Webhook, Secret]:
        """The webhook and its secret; both follow from the act, so that the same act again gives the same.

        Raises InvalidRequest naming `url` or `events`.
        """
        wanted = tuple(dict.fromkeys(events))
        self._check_url(url)
        if unknown := unknown_events(wanted):
            known = ", ".join([*EVENTS, *GROUPS])
            raise InvalidRequest.of_field("events", f"no event {unknown[0]!r}; there are {known}.")
        secret = webhook_secret_of(act)
        row = Webhook(
            id=act.new_id("whk"),
            user_id=caller.user_id,
            url=url,
            events=wanted,
            created_at=act.at,
            updated_at=act.at,
            sealed=b"",
        )
        rows = await self._store.list_webhooks(caller.user_id)
        made = next((each for each in rows if each.id == row.id), None)
        if made is not None:
            return made, secret
        if len(rows) >= MOST_PER_USER:
            raise Conflict(f"A user may have {MOST_PER_USER} webhooks.")
        row = replace(row, sealed=await self._vault.seal(secret, webhook_context(row)))
        await self._store.create_webhook(row, act.event("webhook.create", row.id, host=row.host))
        self._log.info("webhook.created", webhook_id=row.id, user_id=row.user_id)
        return row, secret

    async def rotate(self, caller: Caller, webhook_id: str, act: Act) -> tuple[Webhook, Secret]:
        """A new secret. For a day deliveries are signed by both. Raises NotFound, Conflict."""
        row = await self.get(caller, webhook_id)
        secret = webhook_secret_of(act)
        after = replace(
            row,
            sealed=await self._vault.seal(secret, webhook_context(row)),
            previous=row.sealed,
            previous_until=act.at + CHANGE_OVER,
            updated_at=act.at,
            revision=row.revision + 1,
        )
        await self._store.replace_webhook(after, act.event("webhook.rotate", row.id, host=row.host))
        return after, secret

    async def delete(self, caller: Caller, webhook_id: str, act: Act) -> None:
        """Nothing is sent there any more. Raises NotFound."""
        row = await self.get(caller, webhook_id)
        await self._store.delete_webhook(
            caller.user_id, webhook_id, act.event("webhook.delete", webhook_id, host=row.host)
        )

    def _check_url(self, url: str) -> None:
        try:
            self._addresses.check_url(url)
        except InvalidRequest as refused:
            raise InvalidRequest.of_field("url", refused.errors[0].message) from refused
