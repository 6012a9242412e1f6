"""What docs/deploy.md says of the template is so."""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DEPLOY = (ROOT / "docs/deploy.md").read_text()


def test_the_table_of_parameters_is_whole_and_has_their_defaults(template: dict[str, Any]) -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (`[^`]+`|empty) \|", DEPLOY, re.M))
    documented = {name: "" if value == "empty" else value.strip("`") for name, value in rows.items()}
    assert documented == {name: str(spec["Default"]) for name, spec in template["Parameters"].items()}


def test_every_parameter_is_offered_in_a_group(template: dict[str, Any]) -> None:
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    offered = [name for group in groups for name in group["Parameters"]]
    assert sorted(offered) == sorted(template["Parameters"])


def test_outputs_it_names_exist(template: dict[str, Any]) -> None:
    named = set(re.findall(r"<([A-Z]\w+)>|`(ApiUrl|MintAdminKey)`", DEPLOY))
    assert {first or second for first, second in named} <= template["Outputs"].keys()


def test_the_minting_command_is_the_same_in_the_outputs_the_docs_and_the_events(
    template: dict[str, Any],
) -> None:
    event = json.loads((ROOT / "events/accounts/mint-admin-key.json").read_text())
    output = template["Outputs"]["MintAdminKey"]["Value"]["Fn::Sub"]
    for text in (output, DEPLOY):
        payload = re.search(r"'(\{\"action\".*?\})'", text)
        assert payload, text
        assert json.loads(payload[1]) == event
