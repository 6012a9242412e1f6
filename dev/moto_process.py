"""moto as a process of its own: `python -m dev.moto_process`, started and held by `dev.moto`.

It prints its port, and lives as long as its standard input stays open, so it can't outlive the runner,
however that ends. Each line of its input, `<table> <sequence number>`, says how far a table's stream has been
read.
"""

import logging
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable
from threading import Lock, Thread
from typing import Any

from moto.core.model_instances import model_data
from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends
from moto.dynamodbstreams.models import DynamoDBStreamsBackend, dynamodbstreams_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from dev.moto_transactions import copy_what_is_touched

_KEPT_ITERATORS = 16

type StartResponse = Callable[..., Any]


class OneAtATime:
    """A WSGI app that lets one DynamoDB request in at a time.

    moto 5.2.5 has no locks: a transaction that fails puts a copy of the tables back which it made at its
    start, and with it undoes what other threads wrote meanwhile. DynamoDB never does.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app
        self.lock = Lock()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if not environ.get("HTTP_X_AMZ_TARGET", "").startswith("DynamoDB"):
            return self._app(environ, start_response)
        with self.lock:
            return list(self._app(environ, start_response))


def forget_read(table_name: str, sequence_number: int) -> None:
    """Drops a stream's records up to this number, and iterators that are no longer used.

    moto keeps both for good, with an item's images before and after each change (5.2.5).
    """
    for _, _, backend in dynamodb_backends.iter_backends():
        table = backend.tables.get(table_name) if isinstance(backend, DynamoDBBackend) else None
        shard = None if table is None else table.stream_shard
        if shard is not None:
            read = max(0, min(len(shard.items), sequence_number - shard.starting_sequence_number + 1))
            del shard.items[:read]
            shard.starting_sequence_number += read
    for _, _, streams in dynamodbstreams_backends.iter_backends():
        assert isinstance(streams, DynamoDBStreamsBackend)
        for arn in list(streams.shard_iterators)[:-_KEPT_ITERATORS]:
            del streams.shard_iterators[arn]


def track_nothing() -> None:
    """moto lists every object that it ever made, for a page of its own, and with that keeps the copies of all
    items of a table that each transaction makes: 1 GB after 160 chats, 7 GB after 500 (5.2.5, measured).
    """
    for model in model_data["dynamodb"].values():
        model.instances_tracked = deque(maxlen=0)  # type: ignore[attr-defined]


def main() -> None:
    track_nothing()
    copy_what_is_touched()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = OneAtATime(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=MotoRequestHandler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        os.write(sys.stdout.fileno(), f"{server.server_port}\n".encode())
    except BrokenPipeError:
        os._exit(0)  # the runner ended before we were up
    for line in sys.stdin:
        table_name, sequence_number = line.split()
        with app.lock:
            forget_read(table_name, int(sequence_number))
    os._exit(0)  # requests that are still being served have no one left to answer


if __name__ == "__main__":
    main()
