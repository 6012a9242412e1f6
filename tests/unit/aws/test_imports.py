"""The SDK takes 300 ms to import, so nothing imports it before it is used."""

import subprocess
import sys
from pathlib import Path

import headgate.aws

LAYER = Path(headgate.aws.__file__).parents[2]
MODULES = sorted(f"headgate.aws.{path.stem}" for path in Path(headgate.aws.__file__).parent.glob("[a-z]*.py"))

PROGRAM = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
from headgate.aws.clients import AwsClients
AwsClients(region="eu-west-1").close()
print(*sorted({name.split(".")[0] for name in sys.modules} & {"boto3", "botocore", "urllib3"}))
"""


def test_no_module_imports_the_sdk_before_a_call() -> None:
    assert len(MODULES) >= 9
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *MODULES],
        env={"PYTHONPATH": str(LAYER)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
