"""One attempt to tell one webhook: what is sent, what is told of it, and what a receiver can't do to it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from standardwebhooks import Webhook as Receiver
from standardwebhooks import WebhookVerificationError

from headgate.domain.audit import AuditEvent
from headgate.domain.errors import CODES, GatewayFault, ProviderFailed
from headgate.domain.secret import Secret
from headgate.domain.webhooks import Webhook, WebhookEvent, secret_text, webhook_context
from headgate.net.guard import AddressGuard
from headgate.net.transport import AioTransport
from headgate.ports import WireRequest
from headgate.services.acts import Act
from headgate.services.deliver_webhook import Delivery, DeliveryCode, Patience, WebhookDeliverer
from headgate.testing.clock import ManualClock
from headgate.testing.memory import (
    Answer,
    MemoryAccountStore,
    MemoryLog,
    MemoryVault,
    ScriptedTransport,
)
from tests.unit.net.certificates import Authority
from tests.unit.net.names import Names
from tests.unit.net.test_guard import BAD_URLS
from tests.unit.net.wire_server import Script, WireServer, answer_of, repeat, script_of

URL = "https://hooks.example.com/in/Sc3retPath?to=Sc3retQuery"
EVENT = WebhookEvent(
    type="model.added", at=datetime(2026, 11, 21, tzinfo=UTC), data={"id": "evt_9", "name": "Zoë"}
)
NEW, OLD = secret_text(b"n" * 32), secret_text(b"o" * 32)
QUICK = Patience(connect_s=1.0, answer_s=0.3, total_s=1.0, drain_s=0.2)


class Post:
    """A deliverer, and one webhook of ada's. It is now, since receivers refuse what is five minutes old."""

    def __init__(
        self, transport: Any, patience: Patience | None = None, vault: MemoryVault | None = None
    ) -> None:
        self.clock = ManualClock(datetime.now(UTC))
        self.vault = vault or MemoryVault()
        self.audit = MemoryAccountStore(self.clock)
        self.log = MemoryLog()
        self.transport = transport
        self.deliverer = WebhookDeliverer(
            vault=self.vault,
            transport=transport,
            audit=self.audit,
            clock=self.clock,
            log=self.log,
            patience=patience,
        )

    async def webhook(self, url: str = URL, **fields: Any) -> Webhook:
        row = Webhook(
            id="whk_1",
            user_id="ada",
            url=url,
            events=("model.*",),
            created_at=self.clock.now(),
            updated_at=self.clock.now(),
            sealed=b"",
        )
        return replace(row, **{"sealed": await self.seal(row, NEW), **fields})

    async def seal(self, row: Webhook, secret: Secret) -> bytes:
        return await self.vault.seal(secret, webhook_context(row))

    async def rotated(self, *, ago: timedelta) -> Webhook:
        row = await self.webhook()
        until = self.clock.now() - ago + timedelta(hours=24)
        return replace(row, previous=await self.seal(row, OLD), previous_until=until)

    async def deliver(self, row: Webhook, message_id: str = "evt_1") -> Delivery:
        return await self.deliverer.deliver(row, EVENT, message_id, self.act())

    def act(self) -> Act:
        return Act(actor="key_1", at=self.clock.now(), user_id="ada", request_id="req_1")

    async def told(self) -> list[AuditEvent]:
        return await self.audit.read_audit(after=None, limit=100)

    @property
    def sent(self) -> WireRequest:
        request: WireRequest = self.transport.requests[-1]
        return request


def taken(*answers: Any) -> Post:
    return Post(ScriptedTransport(*(answers or (Answer(204),))))


def verified(request: WireRequest, secret: Secret) -> Any:
    """The message, as whoever has this secret reads it. Raises WebhookVerificationError."""
    headers = {name: value for name, value in request.headers.items() if isinstance(value, str)}
    return Receiver(secret.reveal()).verify(request.body or b"", headers)


async def test_the_event_is_sent_signed_to_the_address_and_2xx_is_success() -> None:
    for status in (200, 202, 204, 299):
        post = taken(Answer(status, body=b"thanks"))
        outcome = await post.deliver(await post.webhook())
        assert outcome == Delivery(status=status, latency_ms=0)
        assert outcome.ok
        assert (post.sent.method, post.sent.url, post.sent.guarded) == ("POST", URL, True)
        assert post.sent.headers["content-type"] == "application/json"
        told = verified(post.sent, NEW)
        assert (told["type"], told["data"]) == (EVENT.type, EVENT.data)
        assert post.transport.responses[-1].closed


async def test_a_message_that_is_sent_again_has_its_id_and_body_and_a_time_of_its_own() -> None:
    post = taken(Answer(500), Answer(200))
    row, began_s = await post.webhook(), int(post.clock.now().timestamp())
    await post.deliver(row, "evt_7")
    post.clock.advance(60)
    await post.deliver(row, "evt_7")
    first, again = post.transport.requests
    assert first.body == again.body
    assert first.headers["webhook-id"] == again.headers["webhook-id"] == "evt_7"
    at = [int(each.headers["webhook-timestamp"]) for each in (first, again)]
    assert at == [began_s, began_s + 60]


async def test_for_a_day_after_a_rotation_either_secret_verifies() -> None:
    post = taken()
    await post.deliver(await post.rotated(ago=timedelta(hours=23, minutes=59)))
    for secret in (NEW, OLD):
        assert verified(post.sent, secret)["type"] == EVENT.type


async def test_from_then_on_the_old_one_verifies_nothing_and_is_not_opened() -> None:
    post = taken()
    await post.deliver(await post.rotated(ago=timedelta(hours=24)))
    assert verified(post.sent, NEW)
    with pytest.raises(WebhookVerificationError):
        verified(post.sent, OLD)
    assert len(post.vault.unsealed) == 1


async def test_a_secret_that_can_not_be_opened_says_so_and_nothing_is_sent() -> None:
    post = taken()
    for moved in ({"user_id": "grace"}, {"id": "whk_2"}, {"sealed": b"noise"}):
        outcome = await post.deliver(await post.webhook(**moved))
        assert (outcome.code, outcome.status) == (DeliveryCode.SECRET_UNUSABLE, None)
        assert "otate" in (outcome.detail or "")
    assert post.transport.requests == []
    assert {event.details["outcome"] for event in await post.told()} == {"refused"}


async def test_rotating_a_secret_that_could_not_be_opened_is_all_it_takes() -> None:
    post = taken()
    row = await post.webhook(previous=b"noise", previous_until=post.clock.now() + timedelta(hours=24))
    assert (await post.deliver(row)).ok
    assert verified(post.sent, NEW)
    (event,) = await post.told()
    assert (event.details["outcome"], event.details["previous"]) == ("ok", "refused")


class Forgetful(MemoryVault):
    """Can't be reached when it is asked for the nth time."""

    def __init__(self, nth: int) -> None:
        super().__init__()
        self.left = nth

    async def unseal(self, sealed: bytes, context: Mapping[str, str]) -> Secret:
        self.left -= 1
        if self.left == 0:
            raise GatewayFault.unavailable("The vault")
        return await super().unseal(sealed, context)


@pytest.mark.parametrize("nth", [1, 2])
async def test_while_the_vault_is_away_nothing_is_sent_half_signed(nth: int) -> None:
    post = Post(ScriptedTransport(), vault=Forgetful(nth))
    outcome = await post.deliver(await post.rotated(ago=timedelta()))
    assert (outcome.code, outcome.status) == (DeliveryCode.GATEWAY_UNAVAILABLE, None)
    assert post.transport.requests == []
    (event,) = await post.told()
    assert event.details[("outcome", "previous")[nth - 1]] == "unknown"


async def test_each_opening_is_told_before_the_secret_is_used() -> None:
    post = taken()
    order: list[str] = []
    tell = post.audit.append_audit

    async def telling(events: Sequence[AuditEvent]) -> None:
        order.extend(event.action for event in events)
        await tell(events)

    def look(_request: WireRequest) -> Answer:
        order.append("sent")
        return Answer(200)

    post.audit.append_audit = telling  # type: ignore[method-assign]
    post.transport.on("hooks", look)
    await post.deliver(await post.rotated(ago=timedelta()))
    (event,) = await post.told()
    assert order == ["webhook.decrypt", "sent"]
    assert (event.action, event.target, event.actor) == ("webhook.decrypt", "whk_1", "key_1")
    assert (event.user_id, event.request_id) == ("ada", "req_1")
    assert event.details == {"host": "hooks.example.com", "outcome": "ok", "previous": "ok"}


async def test_an_opening_that_can_not_be_told_is_used_for_nothing() -> None:
    post = taken()
    row = await post.webhook()
    post.audit.fault = GatewayFault.unavailable("The audit log")
    with pytest.raises(GatewayFault):
        await post.deliver(row)
    assert post.transport.requests == []
    assert "decrypt.untold" in [entry.event for entry in post.log.entries]


async def test_nothing_that_is_logged_or_told_has_the_path_the_query_or_a_secret() -> None:
    post = taken(Answer(500, body=b"Sc3retBody"))
    outcome = await post.deliver(await post.rotated(ago=timedelta()))
    told = f"{post.log.entries} {await post.told()} {outcome}"
    assert "hooks.example.com" in told
    for text in ("Sc3ret", NEW.reveal(), OLD.reveal()):
        assert text not in told


@pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 500, 503])
async def test_any_answer_but_2xx_is_a_failure_that_names_it(status: int) -> None:
    post = taken(Answer(status))
    outcome = await post.deliver(await post.webhook())
    assert (outcome.code, outcome.status) == (DeliveryCode.NOT_ACCEPTED, status)
    assert str(status) in (outcome.detail or "")


@pytest.mark.parametrize("code", sorted(ProviderFailed.codes))
@pytest.mark.parametrize("ran", [True, False])
async def test_every_failure_of_the_wire_is_an_outcome_that_says_whether_it_may_have_arrived(
    code: str, ran: bool
) -> None:
    post = taken(ProviderFailed("hooks.example.com failed.", code=code, may_have_run=ran))
    outcome = await post.deliver(await post.webhook())
    assert outcome.code is not None
    assert outcome.code.value not in CODES
    if code != "provider_protocol":
        assert ("may have got" in (outcome.detail or "")) is ran
        assert ("Nothing was sent" in (outcome.detail or "")) is not ran


# -- over real sockets --------------------------------------------------------------------------------------


def wired(guard: AddressGuard | None = None, names: dict[str, list[list[str]]] | None = None) -> Post:
    guard = guard or AddressGuard(allow_loopback=True)
    make: dict[str, Any] = {} if names is None else {"make_resolver": lambda: Names(names)}
    return Post(AioTransport(guard=guard, **make), QUICK)


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    made = wired()
    yield made
    await made.transport.close()


async def tried(post: Post, script: Script) -> tuple[Delivery, WireServer]:
    async with WireServer(script) as server:
        return await post.deliver(await post.webhook(f"{server.url}/in?x=1")), server


async def forever(wire: Any) -> None:
    await wire.read_request()
    await wire.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        await wire.write(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")


async def drip(wire: Any) -> None:
    await wire.read_request()
    await wire.write(b"HTTP/1.1 500 Oops\r\ncontent-length: 100000\r\n\r\n")
    while True:
        await wire.write(b"x")
        await asyncio.sleep(0.05)


async def endless_head(wire: Any) -> None:
    await wire.read_request()
    await wire.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        await wire.write(b"x-more: yes\r\n")
        await asyncio.sleep(0.01)


HOSTILE: dict[str, tuple[Script, DeliveryCode | None, int | None]] = {
    "hangs": (script_of("hang"), DeliveryCode.TIMED_OUT, None),
    "resets": (script_of("reset"), DeliveryCode.BROKEN_OFF, None),
    "hangs up": (script_of("close"), DeliveryCode.BROKEN_OFF, None),
    "talks nonsense": (script_of(b"SSH-2.0-x\r\n\r\n", "close"), DeliveryCode.BAD_ANSWER, None),
    "never ends its head": (endless_head, DeliveryCode.TIMED_OUT, None),
    "switches protocols": (
        repeat(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
        DeliveryCode.BAD_ANSWER,
        None,
    ),
    "streams forever": (forever, None, 200),
    "fails by drips": (drip, DeliveryCode.NOT_ACCEPTED, 500),
    "breaks after a good head": (
        script_of(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", "reset"),
        None,
        200,
    ),
    "packs nonsense": (
        repeat(answer_of(b"no gzip", headers="content-encoding: gzip")),
        None,
        200,
    ),
}


@pytest.mark.parametrize("how", HOSTILE)
async def test_whatever_a_receiver_does_is_an_outcome_in_good_time(post: Post, how: str) -> None:
    script, code, status = HOSTILE[how]
    async with asyncio.timeout(5):
        outcome, server = await tried(post, script)
    assert (outcome.code, outcome.status) == (code, status)
    assert len(server.requests) == 1
    if code is not None:
        assert "127.0.0.1" in (outcome.detail or "")


async def test_of_an_answer_little_is_read(post: Post) -> None:
    written = 0

    async def flood(wire: Any) -> None:
        nonlocal written
        await wire.read_request()
        await wire.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        while True:
            await wire.write(b"x" * 65536)
            written += 65536

    outcome, _ = await tried(post, flood)
    assert outcome.ok
    assert written < 16_000_000  # what sockets hold, and no more


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_failure_and_leads_nowhere(post: Post, status: int) -> None:
    async with WireServer(repeat(answer_of(b""))) as inner:
        away = answer_of(b"", status=f"{status} Away", headers=f"Location: {inner.url}/Sc3ret")
        outcome, outer = await tried(post, repeat(away))
    assert (outcome.code, outcome.status) == (DeliveryCode.REDIRECTED, status)
    assert "Sc3ret" not in (outcome.detail or "")
    assert (len(outer.requests), inner.connections) == (1, 0)


async def test_a_connection_serves_one_message(post: Post) -> None:
    """Kept ones die while a process sleeps, and the next message would seem to have failed."""
    async with WireServer(repeat(answer_of(b"ok", headers="connection: close"))) as server:
        row = await post.webhook(server.url)
        assert [(await post.deliver(row)).ok for _ in range(2)] == [True, True]
    assert server.connections == 2


async def test_where_nothing_listens_nothing_was_sent(post: Post) -> None:
    async with WireServer(script_of()) as server:
        url = server.url
    outcome = await post.deliver(await post.webhook(url))
    assert outcome.code is DeliveryCode.UNREACHABLE
    assert "Nothing was sent" in (outcome.detail or "")


@pytest.mark.parametrize("url", BAD_URLS)
async def test_an_address_out_of_reach_is_refused_though_it_was_stored(url: str) -> None:
    strict = wired(AddressGuard(), {})
    outcome = await strict.deliver(await strict.webhook(url))
    await strict.transport.close()
    assert (outcome.code, outcome.status) == (DeliveryCode.REFUSED_ADDRESS, None)
    assert "base_url" not in (outcome.detail or "")


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["1.1.1.1", "127.0.0.1"], ["::ffff:127.0.0.1"], ["169.254.169.254"]]
)
async def test_a_name_that_leads_inside_is_refused_when_it_is_connected_to(addresses: list[str]) -> None:
    async with WireServer(repeat(answer_of(b""))) as server:
        strict = wired(AddressGuard(), {"inside.test": [addresses]})
        outcome = await strict.deliver(await strict.webhook(f"http://inside.test:{server.port}/"))
        await strict.transport.close()
    assert outcome.code is DeliveryCode.REFUSED_ADDRESS
    assert not [address for address in addresses if address in (outcome.detail or "")]
    assert server.connections == 0


async def test_a_private_host_that_the_operator_named_is_told() -> None:
    async with WireServer(repeat(answer_of(b""))) as server:
        named = wired(AddressGuard(allowed_hosts=["hooks.internal"]), {"hooks.internal": [["127.0.0.1"]]})
        outcome = await named.deliver(await named.webhook(f"http://hooks.internal:{server.port}/"))
        await named.transport.close()
    assert outcome.ok


async def test_a_name_that_is_none_says_so() -> None:
    lost = wired(AddressGuard(), {})
    outcome = await lost.deliver(await lost.webhook("https://nowhere.test/in"))
    await lost.transport.close()
    assert outcome.code is DeliveryCode.UNREACHABLE
    assert "nowhere.test could not be resolved" in (outcome.detail or "")


async def test_a_receiver_whose_certificate_nobody_trusts_is_told_nothing(post: Post) -> None:
    own = Authority().server_context("127.0.0.1")
    async with WireServer(repeat(answer_of(b"")), tls=own) as server:
        outcome = await post.deliver(await post.webhook(server.url))
    assert outcome.code is DeliveryCode.UNREACHABLE
    assert "TLS" in (outcome.detail or "")
    assert server.requests == []


def test_the_outcome_of_an_attempt_is_within_what_api_gateway_waits() -> None:
    patience = Patience()
    assert patience.total_s + patience.drain_s < 20
    assert patience.connect_s < patience.answer_s < patience.total_s


async def test_bodies_are_json_that_is_signed_byte_for_byte(post: Post) -> None:
    async with WireServer(repeat(answer_of(b""))) as server:
        await post.deliver(await post.webhook(server.url))
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    headers = dict(line.decode().split(": ", 1) for line in head.split(b"\r\n")[1:])
    assert Receiver(NEW.reveal()).verify(body, headers) == orjson.loads(body)
