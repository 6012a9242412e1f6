"""moto with the template's tables and key, and the caller of events/, in it: what `sam local` needs of AWS.

`make sam-local` runs it until Ctrl-C. Functions run in containers, so it listens where those can reach it:
on Docker's bridge or, where there is none (Docker Desktop), on loopback, which containers know by a name.
"""

import asyncio
import errno
import json
import os
import platform
import socket
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from dev.moto_process import OneAtATime
from dev.resources import client, create_keys, create_tables, isolate_environment
from dev.template import REGION, TableSpec, read_stack
from headgate.aws.accounts import DynamoAccountStore
from headgate.aws.clients import AwsClients
from headgate.domain.callers import ApiKey, Scope, hash_key

ROOT = Path(__file__).resolve().parents[1]
VARIABLES = ROOT / ".aws-sam/sam-local.json"
BRIDGE = "172.17.0.1"
BY_NAME = "host.docker.internal"


class Quiet(WSGIRequestHandler):
    """No line for every request."""

    def log_request(self, *_: object) -> None: ...


def serve(port: int) -> tuple[BaseWSGIServer, str]:
    """The server, and the host name by which a container finds it. Exits when the port is taken."""
    app = OneAtATime(DomainDispatcherApplication(create_backend_app))
    for address, name in ((BRIDGE, BRIDGE), ("127.0.0.1", BY_NAME)):
        try:
            listener = socket.create_server((address, port))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                continue
            sys.exit(f"{address}:{port}: {os.strerror(error.errno or 0)}. Set PORT to another one.")
        fd = listener.detach()
        return make_server(address, port, app, threaded=True, request_handler=Quiet, fd=fd), name
    sys.exit("there is no loopback address to listen on")


def named_as_sam_local_does(table: TableSpec) -> TableSpec:
    """`!Ref` of a resource is its logical id there."""
    create = {**table.create, "TableName": table.logical_id}
    return replace(table, physical_name=table.logical_id, create=create)


def example_key() -> str:
    """The key that the files in events/ call with."""
    event = json.loads((ROOT / "events/models/v1-list.json").read_text())
    header: str = event["headers"]["Authorization"]
    return header.removeprefix("Bearer ")


async def put_example_key(endpoint_url: str) -> None:
    clients = AwsClients(region=REGION, endpoint_url=endpoint_url)
    text = example_key()
    key = ApiKey(
        id="key_01example0000000000000001",
        hash=hash_key(text),
        user_id="ada",
        name="events/",
        scopes=frozenset({Scope.ADMIN}),
        created_at=datetime.now(UTC),
        hint=text[-4:],
    )
    await DynamoAccountStore(clients, "AccountsTable").put_key(key)
    clients.close()


def tell(here: str, from_containers: str, key_alias: str) -> None:
    """Prints what to type, and writes the file that it names.

    The file is for SAM, whose CLI can't resolve `!If […, !Ref AWS::NoValue]` and leaves the variable out; and
    for which a key's alias is called by its logical id.
    """
    machine = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
    VARIABLES.parent.mkdir(exist_ok=True)
    variables = {"AWS_ENDPOINT_URL": from_containers, "HEADGATE_KMS_KEY": key_alias}
    VARIABLES.write_text(json.dumps({"Parameters": variables}))
    parameters = f'"Architecture={machine} MockProvider=on LocalEndpoint={from_containers}"'
    also = f"--region {REGION} --env-vars {VARIABLES.relative_to(ROOT)} --parameter-overrides {parameters}"
    print(f"AWS is played at {here} until Ctrl-C. In another terminal, in this folder:\n")
    print(f"  sam build --parameter-overrides Architecture={machine}")
    print(f"  sam local invoke RefreshFunction -e events/refresh/schedule.json {also}")
    print(f"  sam local start-api {also}")
    print(f'  curl -H "Authorization: Bearer {example_key()}" http://127.0.0.1:3000/v1/models', flush=True)


def main() -> None:
    port = int(os.environ.get("PORT", "5005"))
    isolate_environment()
    server, host = serve(port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = f"http://{server.host}:{server.port}"
    stack = read_stack((ROOT / "template.yaml").read_text())
    create_tables(client("dynamodb", here), map(named_as_sam_local_does, stack.tables))
    create_keys(client("kms", here), stack.key_aliases)
    asyncio.run(put_example_key(here))
    tell(here, f"http://{host}:{server.port}", stack.key_aliases[0])
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        server.shutdown()


if __name__ == "__main__":
    main()
