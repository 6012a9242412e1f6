"""The same bytes from a bare uvicorn: `python -m bench.static PORT FOLDER`. What serving costs at the least.

FOLDER holds `answers.json`: `{path: {"headers": [[name, value]…], "plain": file, "gzip": file, "etag": …}}`.
"""

import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

type Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One path's answers, ready to be sent."""

    etag: bytes
    headers: Headers
    plain: bytes
    gzipped: bytes


class Static:
    """Answers from a dictionary."""

    def __init__(self, entries: dict[str, Entry]) -> None:
        self._entries = entries

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[object]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        del receive
        entry = self._entries[scope["path"]]
        asked = dict(scope["headers"])
        status, body, headers = 200, entry.plain, entry.headers
        if asked.get(b"if-none-match") == entry.etag:
            status, body = 304, b""
        else:
            if b"gzip" in asked.get(b"accept-encoding", b""):
                body, headers = entry.gzipped, [*headers, (b"content-encoding", b"gzip")]
            headers = [*headers, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def read_entries(folder: Path) -> dict[str, Entry]:
    """The folder's answers by path."""
    listed = json.loads((folder / "answers.json").read_text())
    return {
        path: Entry(
            etag=row["etag"].encode(),
            headers=[(name.encode(), value.encode()) for name, value in row["headers"]],
            plain=(folder / row["plain"]).read_bytes(),
            gzipped=(folder / row["gzip"]).read_bytes(),
        )
        for path, row in listed.items()
    }


if __name__ == "__main__":
    uvicorn.run(
        Static(read_entries(Path(sys.argv[2]))),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        server_header=False,
        log_level="warning",
        timeout_keep_alive=75,
    )
