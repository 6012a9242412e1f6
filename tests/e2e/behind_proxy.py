"""`python -m dev` whose functions reach AWS through a proxy of the test's: its address is `TEST_AWS_PROXY`.

The proxy is told where moto listens, as soon as that is known.
"""

import os
import sys
import urllib.request

from dev import __main__ as local
from dev import runner
from dev.backing import MotoBacking

PROXY = os.environ["TEST_AWS_PROXY"]


class ProxiedMoto(MotoBacking):
    def environment(self) -> dict[str, str]:
        given = super().environment()
        told = urllib.request.Request(f"{PROXY}/moto", given["AWS_ENDPOINT_URL"].encode(), method="PUT")
        urllib.request.urlopen(told, timeout=5).close()
        return {**given, "AWS_ENDPOINT_URL": PROXY}


if __name__ == "__main__":
    runner.MotoBacking = ProxiedMoto  # type: ignore[attr-defined]
    code = local.main()
    sys.stdout.flush()
    os._exit(code)
