"""Telling one webhook of one event, once. Who calls it decides when to try again, by the outcome."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

import orjson

from headgate.domain.audit import AuditEvent
from headgate.domain.catalog import rfc3339
from headgate.domain.errors import GatewayFault, HeadgateError, InvalidRequest, ProviderFailed
from headgate.domain.secret import Secret
from headgate.domain.signatures import signed_headers
from headgate.domain.webhooks import Webhook, WebhookEvent, webhook_context
from headgate.ports import (
    AuditLog,
    Clock,
    HttpTransport,
    KeyVault,
    Log,
    Unsealable,
    WireRequest,
    WireResponse,
)
from headgate.services.acts import Act

_DRAIN_BYTES = 16_384
"""What is read of an answer, and thrown away: so that a receiver which says little can say it to its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a receiver is waited for, in seconds. API Gateway waits 29 s for whoever asks for a test.

    connect_s: until a connection stands. answer_s: from there to the answer's head. total_s: for both.
    drain_s: for the rest of the answer, on which nothing depends.
    """

    connect_s: float = 5.0
    answer_s: float = 10.0
    total_s: float = 15.0
    drain_s: float = 1.0


class DeliveryCode(StrEnum):
    """Why a delivery failed. docs/webhooks.md says what a user can do about each."""

    REFUSED_ADDRESS = "refused_address"
    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed_out"
    BROKEN_OFF = "broken_off"
    BAD_ANSWER = "bad_answer"
    REDIRECTED = "redirected"
    NOT_ACCEPTED = "not_accepted"
    SECRET_UNUSABLE = "secret_unusable"  # noqa: S105 - a code, not a secret
    GATEWAY_UNAVAILABLE = "gateway_unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What became of one attempt. It succeeded if `code` is None: the receiver answered 2xx.

    status: the receiver's, None where none came. detail: for the webhook's owner, and nothing of the answer's
    body in it. latency_ms: from the first attempt to connect to the answer's head, 0 where nothing was sent.
    """

    status: int | None = None
    code: DeliveryCode | None = None
    detail: str | None = None
    latency_ms: int = 0

    @property
    def ok(self) -> bool:
        return self.code is None


class WebhookDeliverer:
    """Signs and sends. The secret is opened for each delivery and kept by nobody."""

    def __init__(
        self,
        *,
        vault: KeyVault,
        transport: HttpTransport,
        audit: AuditLog,
        clock: Clock,
        log: Log,
        patience: Patience | None = None,
    ) -> None:
        self._vault = vault
        self._transport = transport
        self._audit = audit
        self._clock = clock
        self._log = log
        self._patience = patience or Patience()

    async def deliver(self, webhook: Webhook, event: WebhookEvent, message_id: str, act: Act) -> Delivery:
        """One attempt. Whatever goes wrong with the secret or at the receiver is an outcome.

        message_id: the same for each attempt of one message, so that its receiver can tell a repetition; no
        dot in it. act: on whose behalf, as the audit log names it.

        Raises GatewayFault when the audit log can't be written: a secret that was opened is used for nothing
        before that is told.
        """
        secrets = await self._open(webhook, act)
        if isinstance(secrets, Delivery):
            outcome = secrets
        else:
            body = body_of(event)
            headers = signed_headers(secrets, message_id=message_id, at=self._clock.now(), body=body)
            outcome = await self._send(webhook, headers, body)
        self._log.info(
            "webhook.tried",
            webhook_id=webhook.id,
            message_id=message_id,
            type=event.type,
            code=outcome.code,
            status=outcome.status,
            latency_ms=outcome.latency_ms,
        )
        return outcome

    # -- the secret ----------------------------------------------------------------------------------------

    async def _open(self, webhook: Webhook, act: Act) -> list[Secret] | Delivery:
        """The secret, and the one before it while it still counts; or why nothing can be sent."""
        opened = [await self._unseal(webhook, webhook.sealed)]
        told = {"host": webhook.host, "outcome": _told(opened[0])}
        previous = webhook.previous_at(self._clock.now())
        if previous is not None and isinstance(opened[0], Secret):
            found = await self._unseal(webhook, previous)
            told["previous"] = _told(found)
            if found != _UNUSABLE:  # after a rotation for just that reason, the new one signs alone
                opened.append(found)
        await self._tell(act.event("webhook.decrypt", webhook.id, **told))
        failed = next((each for each in opened if isinstance(each, Delivery)), None)
        return failed or [each for each in opened if isinstance(each, Secret)]

    async def _tell(self, event: AuditEvent) -> None:
        try:
            await self._audit.append_audit([event])
        except GatewayFault as fault:
            self._log.error(
                "decrypt.untold",
                code=fault.code,
                webhook_id=event.target,
                actor=event.actor,
                request_id=event.request_id,
                **event.details,
            )
            raise

    async def _unseal(self, webhook: Webhook, sealed: bytes) -> Secret | Delivery:
        try:
            return await self._vault.unseal(sealed, webhook_context(webhook))
        except Unsealable:
            return _UNUSABLE
        except GatewayFault as fault:
            self._log.warning("webhook.not_opened", webhook_id=webhook.id, code=fault.code)
            return _VAULT_AWAY

    # -- the wire ------------------------------------------------------------------------------------------

    async def _send(self, webhook: Webhook, headers: Mapping[str, str], body: bytes) -> Delivery:
        request = self._request(webhook, headers, body)
        started_s = self._clock.monotonic()

        def latency_ms() -> int:
            return round((self._clock.monotonic() - started_s) * 1000)

        try:
            response = await self._transport.send(request)
        except InvalidRequest as refused:
            detail = refused.errors[0].message if refused.errors else refused.detail
            return Delivery(code=DeliveryCode.REFUSED_ADDRESS, detail=detail, latency_ms=latency_ms())
        except ProviderFailed as failed:
            code, detail = _meaning_of(failed)
            return Delivery(code=code, detail=detail, latency_ms=latency_ms())
        took_ms = latency_ms()
        await _let_finish(response, self._patience.drain_s)
        code_of_status, words = _judged(webhook.host, response.status)
        return Delivery(status=response.status, code=code_of_status, detail=words, latency_ms=took_ms)

    def _request(self, webhook: Webhook, headers: Mapping[str, str], body: bytes) -> WireRequest:
        """Never on a connection of earlier: a process may have slept since, and what is sent on one that died
        meanwhile looks as if the receiver had hung up."""
        patience = self._patience
        return WireRequest(
            method="POST",
            url=webhook.url,
            headers={"content-type": "application/json", "connection": "close", **headers},
            body=body,
            connect_timeout_s=patience.connect_s,
            first_byte_timeout_s=patience.answer_s,
            idle_timeout_s=patience.drain_s,
            total_timeout_s=patience.total_s,
            guarded=True,
        )


_UNUSABLE = Delivery(
    code=DeliveryCode.SECRET_UNUSABLE,
    detail="The webhook's secret can't be opened, so nothing was sent. Rotate it, and tell its receiver.",
)
_VAULT_AWAY = Delivery(
    code=DeliveryCode.GATEWAY_UNAVAILABLE,
    detail="The gateway can't open the webhook's secret now, so nothing was sent. Try again.",
)


def _told(opened: Secret | Delivery) -> str:
    """For the audit log; `unknown` where the vault did not answer, and may have opened it."""
    if isinstance(opened, Secret):
        return "ok"
    return "refused" if opened == _UNUSABLE else "unknown"


def body_of(event: WebhookEvent) -> bytes:
    """What is sent and signed, byte for byte: equal events have equal bodies."""
    return orjson.dumps({"type": event.type, "timestamp": rfc3339(event.at), "data": event.data})


def _meaning_of(failed: ProviderFailed) -> tuple[DeliveryCode, str]:
    """The transport's words, which name the host, and what they mean for who sends."""
    if failed.code == "provider_timeout":
        advice = "It may have got the event. A receiver should answer first, and do its work afterwards."
        hint = advice if failed.may_have_run else "Nothing was sent."
        return DeliveryCode.TIMED_OUT, f"{failed.detail} {hint}"
    if failed.code == "provider_protocol":
        return DeliveryCode.BAD_ANSWER, f"{failed.detail} It may have got the event."
    if failed.may_have_run:
        return DeliveryCode.BROKEN_OFF, f"{failed.detail} It may have got the event."
    words = "Nothing was sent. Look at the webhook's address, and whether its server is up."
    return DeliveryCode.UNREACHABLE, f"{failed.detail} {words}"


def _judged(host: str, status: int) -> tuple[DeliveryCode | None, str | None]:
    """What a status means. Where a redirect leads is not told: it may be a secret of the receiver's."""
    if 200 <= status < 300:
        return None, None
    if 300 <= status < 400:
        words = "Redirects are not followed: make a webhook with the address where this one leads."
        return DeliveryCode.REDIRECTED, f"{host} answered {status}. {words}"
    return DeliveryCode.NOT_ACCEPTED, f"{host} answered {status}; only 2xx means that it has taken the event."


async def _let_finish(response: WireResponse, within_s: float) -> None:
    """Hears a short answer out. Its status has been told: nothing that comes or fails here changes it."""
    read = 0
    try:
        with suppress(HeadgateError, TimeoutError):
            async with asyncio.timeout(within_s):
                async for piece in response.chunks():
                    read += len(piece)
                    if read > _DRAIN_BYTES:
                        break
    finally:
        await response.close()
