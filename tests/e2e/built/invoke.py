"""Calls a built handler the way Lambda does. Run by a bare interpreter (`-I -S`), not imported.

Arguments: a file for the outcome, the function's folder, the layers' python folders. Reads a JSON list of
events; the outcome is `{"answers": [...], "strangers": [...]}`: what the handler returned for each, or
`{"raised": text}`, and the files of imported modules that Lambda would not have.
"""

import importlib
import json
import os
import sys
import sysconfig
from pathlib import Path
from typing import Any


class Context:
    """What the runtime hands to a handler beside the event."""

    function_name = "built"
    function_version = "$LATEST"
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:built"
    memory_limit_in_mb = 512
    aws_request_id = "8f5a2c9e-0000-4000-8000-000000000000"
    log_group_name = "/aws/lambda/built"
    log_stream_name = "2026/11/20/[$LATEST]0"

    def get_remaining_time_in_millis(self) -> int:
        return 29_000


def answer(handler: Any, event: Any) -> Any:
    try:
        return handler(event, Context())
    except Exception as error:  # noqa: BLE001 - the runtime reports whatever a handler raises
        return {"raised": f"{type(error).__name__}: {error}"}


def strangers(shipped: list[str]) -> list[str]:
    """Modules from anywhere but the standard library and the artefacts."""
    homes = [*(Path(place).resolve() for place in shipped), Path(sysconfig.get_path("stdlib")).resolve()]
    files = [Path(found).resolve() for item in list(sys.modules.values()) if (found := _file(item))]
    mine = Path(__file__).resolve()
    return sorted(
        str(file)
        for file in files
        if file != mine
        and (not any(file.is_relative_to(home) for home in homes) or "site-packages" in file.parts)
    )


def _file(module: Any) -> str | None:
    file = getattr(module, "__file__", None)
    return file if isinstance(file, str) else None


def main() -> None:
    to, *shipped = sys.argv[1:]
    sys.path[:0] = shipped
    os.chdir(shipped[0])
    handler = importlib.import_module("app").handler
    answers = [answer(handler, event) for event in json.load(sys.stdin)]
    Path(to).write_text(json.dumps({"answers": answers, "strangers": strangers(shipped)}))


if __name__ == "__main__":
    main()
