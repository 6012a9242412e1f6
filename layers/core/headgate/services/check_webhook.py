"""Trying a webhook out: an example of an event is signed and sent, as events that happen are."""

from dataclasses import dataclass, replace

from headgate.domain.callers import Caller
from headgate.domain.errors import InvalidRequest
from headgate.domain.webhooks import EVENTS
from headgate.ports import AuditLog, Clock, WebhookStore
from headgate.services.acts import Act
from headgate.services.deliver_webhook import Delivery, WebhookDeliverer
from headgate.services.manage_webhooks import find_webhook
from headgate.services.webhook_examples import example_of


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookCheck:
    """event: the name of what was sent. message_id: its `webhook-id`."""

    event: str
    message_id: str
    delivery: Delivery


class WebhookChecker:
    """Sends examples to webhooks of callers."""

    def __init__(
        self, *, store: WebhookStore, deliverer: WebhookDeliverer, audit: AuditLog, clock: Clock
    ) -> None:
        self._store = store
        self._deliverer = deliverer
        self._audit = audit
        self._clock = clock

    async def check(self, caller: Caller, webhook_id: str, event: str | None, act: Act) -> WebhookCheck:
        """Whatever goes wrong at the receiver is a result.

        event: of EVENTS, whether or not the webhook asked for it; None is the first that it asked for.

        Raises NotFound for another user's, InvalidRequest naming `event`, GatewayFault.
        """
        row = await find_webhook(self._store, caller, webhook_id)
        name = row.first_event if event is None else event
        if name not in EVENTS:
            raise InvalidRequest.of_field("event", f"no event {name!r}; there are {', '.join(EVENTS)}.")
        message_id = act.new_id("evt", "webhook message")
        delivery = await self._deliverer.deliver(row, example_of(name, act.at), message_id, act)
        told = {"host": row.host, "event": name, "message_id": message_id}
        told["outcome"] = "delivered" if delivery.code is None else delivery.code.value
        if delivery.status is not None:
            told["status"] = str(delivery.status)
        # Of the time at which it is told: who reads the log on from what came last then misses none.
        act = replace(act, at=self._clock.now())
        await self._audit.append_audit([act.event("webhook.test", row.id, **told)])
        return WebhookCheck(event=name, message_id=message_id, delivery=delivery)
