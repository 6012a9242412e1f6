"""Lists that users' own keys see, as `refresh` stores them."""

from headgate.codec import snapshot_version
from headgate.domain.catalog import ModelInfo
from headgate.domain.connections import Connection
from headgate.ports import ConnectionModels
from tests.support.bench import Bench


async def sees(bench: Bench, connection: Connection, *models: ModelInfo, error: str | None = None) -> None:
    """Stores what a connection's key sees, read now."""
    ordered = tuple(sorted(models, key=lambda each: each.id))
    read = ConnectionModels(
        connection_id=connection.id,
        version=snapshot_version(ordered),
        checked_at=bench.clock.now(),
        models=ordered,
        error=error,
    )
    await bench.connections.write_list(connection, read)
