"""Prints template.yaml as CloudFormation gets it, after SAM's transform. Run by .venv-sam's Python.

The places of code are swapped for S3 addresses first, as `sam package` does: the transform takes no folder.
"""

import json
import sys
from pathlib import Path
from typing import Any

from samtranslator.translator.transform import transform  # type: ignore[import-not-found]
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-not-found]


class _BasicPolicies:
    """SAM asks IAM for the managed policies' addresses; these are the ones it adds by itself."""

    def load(self) -> dict[str, str]:
        names = ("AWSLambdaBasicExecutionRole", "AWSLambdaDynamoDBExecutionRole")
        return {name: f"arn:aws:iam::aws:policy/service-role/{name}" for name in names}


def _package(template: dict[str, Any]) -> None:
    for name, resource in template["Resources"].items():
        for place in ("CodeUri", "ContentUri"):
            if place in resource.get("Properties", {}):
                resource["Properties"][place] = f"s3://bucket/{name}"


def main() -> None:
    template = yaml_parse(Path(sys.argv[1]).read_text())
    _package(template)
    parameters = {name: spec["Default"] for name, spec in template["Parameters"].items()}
    json.dump(transform(template, parameters, _BasicPolicies()), sys.stdout)


if __name__ == "__main__":
    main()
