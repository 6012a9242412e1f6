"""The runner's process keeps nothing of the machine's environment that a function could lean on."""

import json
import os
import subprocess
import sys

from dev.moto import ROOT

PROGRAM = """
import json, os
from dev.resources import isolate_environment
isolate_environment()
print(json.dumps(dict(os.environ)))
"""


def isolated(environ: dict[str, str]) -> dict[str, str]:
    """The environment of a process which started on this one and isolated itself."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "layers" / "core")])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": paths, **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_no_key_setting_or_proxy_of_the_machine_is_left() -> None:
    given = {
        "OPENAI_API_KEY": "sk-1",
        "HEADGATE_ADMIN_KEY": "hg_12345678",
        "GITHUB_TOKEN": "t",
        "HTTPS_PROXY": "http://proxy",
    }
    assert isolated(given).keys().isdisjoint(given)


def test_no_real_account_can_be_reached_with_what_is_left() -> None:
    environ = isolated(
        {
            "AWS_PROFILE": "production",
            "AWS_ACCESS_KEY_ID": "AKIAREAL",
            "AWS_SECRET_ACCESS_KEY": "real",
            "AWS_SESSION_TOKEN": "real",
            "AWS_REGION": "eu-central-1",
        }
    )
    assert environ["AWS_ACCESS_KEY_ID"] == environ["AWS_SECRET_ACCESS_KEY"] == "local"
    assert {"AWS_PROFILE", "AWS_SESSION_TOKEN"}.isdisjoint(environ)
    assert environ["AWS_CONFIG_FILE"] == environ["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull


def test_what_a_process_needs_to_run_is_left() -> None:
    assert (
        isolated({"TZ": "Europe/Berlin", "SSL_CERT_FILE": "/certs"}).items()
        >= {
            "PATH": os.environ["PATH"],
            "TZ": "Europe/Berlin",
            "SSL_CERT_FILE": "/certs",
        }.items()
    )
