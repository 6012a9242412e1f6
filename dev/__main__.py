"""`python -m dev`: the whole gateway on this machine. `make dev` does the same."""

import os
import sys
import time
from pathlib import Path

_BEGAN_S = time.monotonic()
ROOT = Path(__file__).resolve().parent.parent


_INTERRUPTED = 130


def main() -> int:
    """Our own packages are put on the path first: nothing is installed. Ctrl-C at the start is no crash."""
    sys.path[:0] = [str(ROOT / "layers" / "core"), str(ROOT)]
    try:
        from dev import cli  # noqa: PLC0415 - needs the path above

        return cli.main(sys.argv[1:], root=ROOT, began_s=_BEGAN_S)
    except KeyboardInterrupt:
        return _INTERRUPTED


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # threads that handlers still hold must not keep the process
