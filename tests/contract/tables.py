"""The stack's own tables, as template.yaml declares them, under names for one test."""

from functools import cache
from pathlib import Path
from typing import Any

from dev.template import Stack, read_stack

_TEMPLATE = Path(__file__).parents[2] / "template.yaml"


@cache
def _stack() -> Stack:
    return read_stack(_TEMPLATE.read_text(), {"DeletionProtection": "false"})


def create_table_request(logical_id: str, name: str) -> dict[str, Any]:
    """What CreateTable takes for a table of the template (`LedgerTable`), under this name."""
    spec = next(table for table in _stack().tables if table.logical_id == logical_id)
    return {**spec.create, "TableName": name}
