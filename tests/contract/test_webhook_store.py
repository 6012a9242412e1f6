"""What services may rely on of any store of users' webhooks."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from headgate.aws.accounts import DynamoAccountStore
from headgate.aws.webhooks import DynamoWebhookStore
from headgate.domain.audit import AuditEvent
from headgate.domain.errors import Conflict
from headgate.domain.webhooks import Webhook
from headgate.ports import AccountStore, WebhookStore
from headgate.services.acts import Act
from headgate.testing.memory import MemoryAccountStore, MemoryWebhookStore
from tests.contract.conftest import KINDS
from tests.contract.values import NOON


@pytest.fixture(params=KINDS)
def stores(request: pytest.FixtureRequest) -> tuple[WebhookStore, AccountStore]:
    if request.param == "memory":
        log = MemoryAccountStore()
        return MemoryWebhookStore(log), log
    aws, make_table = request.getfixturevalue("aws"), request.getfixturevalue("make_table")
    table, accounts_table = make_table("ConnectionsTable"), make_table("AccountsTable")
    return (
        DynamoWebhookStore(aws.clients, table, accounts_table),
        DynamoAccountStore(aws.clients, accounts_table),
    )


@pytest.fixture
def store(stores: tuple[WebhookStore, AccountStore]) -> WebhookStore:
    return stores[0]


def webhook(number: int, **fields: Any) -> Webhook:
    at = NOON + timedelta(seconds=number)
    return Webhook(
        **{
            "id": f"whk_{number:04d}",
            "user_id": "ada",
            "url": f"https://hooks.example.com/{number}",
            "events": ("generation.*",),
            "created_at": at,
            "updated_at": at,
            "sealed": b"\x00sealed\xff",
            **fields,
        }
    )


def event() -> AuditEvent:
    return Act(actor="key_1", at=NOON, user_id="ada").event("webhook.test", "x")


async def test_webhooks_are_listed_newest_first_and_each_user_s_own(store: WebhookStore) -> None:
    rows = [
        webhook(2, previous=b"old", previous_until=NOON, events=("batch.completed", "model.*")),
        webhook(3),
        webhook(1),
    ]
    for row in rows:
        await store.create_webhook(row, event())
    await store.create_webhook(webhook(9, user_id="grace"), event())
    assert await store.list_webhooks("ada") == (rows[1], rows[0], rows[2])
    assert await store.list_webhooks("nobody") == ()


async def test_an_id_is_given_once_but_the_same_write_may_come_twice(store: WebhookStore) -> None:
    await store.create_webhook(webhook(1), event())
    await store.create_webhook(webhook(1), event())
    with pytest.raises(Conflict):
        await store.create_webhook(webhook(1, url="https://evil.example.com/"), event())
    assert await store.list_webhooks("ada") == (webhook(1),)


async def test_of_changes_to_one_at_once_one_is_made(store: WebhookStore) -> None:
    await store.create_webhook(webhook(1), event())
    changes = [webhook(1, sealed=b"new %d" % number, revision=2) for number in range(4)]
    outcomes = await asyncio.gather(
        *(store.replace_webhook(change, event()) for change in changes), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict"] * 3 + ["NoneType"]
    (row,) = await store.list_webhooks("ada")
    assert row in changes
    await store.replace_webhook(row, event())
    with pytest.raises(Conflict):
        await store.replace_webhook(replace(row, revision=9), event())
    with pytest.raises(Conflict):
        await store.replace_webhook(webhook(7, revision=2), event())


async def test_one_that_was_removed_is_gone(store: WebhookStore) -> None:
    await store.create_webhook(webhook(1), event())
    assert await store.delete_webhook("grace", "whk_0001", event()) is False
    assert await store.delete_webhook("ada", "whk_0001", event()) is True
    assert await store.delete_webhook("ada", "whk_0001", event()) is False
    assert await store.list_webhooks("ada") == ()


async def test_what_was_done_is_told_and_what_was_refused_is_not(
    stores: tuple[WebhookStore, AccountStore],
) -> None:
    store, log = stores
    done, refused = [event() for _ in range(3)], [event() for _ in range(3)]
    await store.create_webhook(webhook(1), done[0])
    await store.replace_webhook(webhook(1, revision=2), done[1])
    await store.delete_webhook("ada", "whk_0001", done[2])
    assert await store.delete_webhook("ada", "whk_0001", refused[0]) is False
    with pytest.raises(Conflict):
        await store.replace_webhook(webhook(1, revision=3), refused[1])
    await store.create_webhook(webhook(2), event())
    with pytest.raises(Conflict):
        await store.create_webhook(webhook(2, events=()), refused[2])
    told = {each.id for each in await log.read_audit(after=None, limit=100)}
    assert {each.id for each in done} <= told
    assert not {each.id for each in refused} & told
