"""Keys of users' own, over the stores of a bench."""

from dataclasses import replace
from typing import Any

from headgate.domain.accounts import Project, ProviderSettings
from headgate.domain.audit import AuditEvent, audit_event
from headgate.domain.connections import Connection, key_context
from headgate.domain.secret import Secret
from headgate.ports import WireRequest
from tests.support.bench import Bench


def act(bench: Bench, target: str = "x") -> AuditEvent:
    return audit_event(at=bench.clock.now(), actor="key_x", action="test", target=target)


async def connect(
    bench: Bench, slug: str, name: str = "work", *, user: str = "ann", key: str | None = "", **fields: Any
) -> Connection:
    """A stored connection `con_<name>` whose key is `sk-<name>-0123456789`; the first is the default. Later
    ones are newer."""
    bench.clock.advance(0.001)
    now = bench.clock.now()
    made = Connection(
        id=f"con_{name}", user_id=user, name=name, type=slug, created_at=now, updated_at=now, **fields
    )
    if key is not None:
        text = key or key_of(name)
        sealed = await bench.vault.seal(Secret(text), key_context(made))
        made = replace(made, sealed=sealed, key_hint=text[-4:])
    await bench.connections.create(made, act(bench, made.id))
    return made


def key_of(name: str) -> str:
    return f"sk-{name}-0123456789"


async def change(bench: Bench, connection: Connection, **fields: Any) -> Connection:
    """The stored connection, changed."""
    stored = (await bench.connections.load(connection.user_id)).find(connection.id)
    assert stored is not None
    changed = replace(stored, revision=stored.revision + 1, updated_at=bench.clock.now(), **fields)
    await bench.connections.replace(changed, act(bench, changed.id))
    return changed


async def delete(bench: Bench, connection: Connection) -> Connection:
    return await change(
        bench, connection, is_active=False, deactivated_at=bench.clock.now(), deactivated_by="key_x"
    )


async def found(bench: Bench, project_id: str, *, owner: str, **fields: Any) -> Project:
    """A project that is stored."""
    now = bench.clock.now()
    made = Project(id=project_id, owner_user_id=owner, created_at=now, updated_at=now, **fields)
    await bench.accounts.put_project(made, act(bench, project_id))
    return made


async def say(bench: Bench, owner: str, **fields: Any) -> None:
    """Settings of `user:<id>` or `project:<id>`."""
    await bench.accounts.put_settings(owner, ProviderSettings(**fields), act(bench, owner))


def key_sent(request: WireRequest) -> str:
    """The key in a request to a fake provider."""
    value = request.headers["authorization"]
    return (value.reveal() if isinstance(value, Secret) else value).removeprefix("Bearer ")


def keys_sent(bench: Bench) -> list[str]:
    """Of every request, in order."""
    return [key_sent(request) for request in bench.transport.requests]
