"""Whatever the description lets a client send, and what it doesn't: the answers are as described.

Schemathesis makes the requests, of `/openapi.json` alone; they meet every function's real app in this
process, over the shipped fakes and the mock provider: nothing leaves it, and every run is the same.
"""

from typing import Any

import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.generation.feedback import NO_FEEDBACK
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from headgate.http.openapi import whole_api
from tests.e2e.described.house import House

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
DOCUMENT = orjson.loads(whole_api())
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT, config=SchemathesisConfig(seed=1))
OPERATIONS = {
    f"{operation.method.upper()} {operation.path}": operation
    for operation in (found.ok() for found in SCHEMA.get_all_operations() if isinstance(found, Ok))
}
PLAIN = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
FEW, MANY = settings(PLAIN, max_examples=4), settings(PLAIN, max_examples=10)


def example_of(name: str) -> dict[str, Any] | None:
    """The body that the description gives for one."""
    method, _, path = name.partition(" ")
    body = DOCUMENT["paths"][path][method.lower()].get("requestBody")
    return None if body is None else body["content"]["application/json"]["example"]


def any_case(name: str, house: House) -> st.SearchStrategy[Any]:
    """Valid and invalid requests, about things that are there and about any."""
    operation = OPERATIONS[name]
    known = house.parts_of(operation.path)
    modes = [GenerationMode.POSITIVE]
    if operation.body or operation.query or operation.headers:
        modes.append(GenerationMode.NEGATIVE)
    return st.one_of(
        *(
            operation.as_strategy(generation_mode=mode, feedback=NO_FEEDBACK, path_parameters=parts)
            for mode in modes
            for parts in ([known, None] if known else [None])
        )
    )


def sensible_case(name: str, house: House) -> st.SearchStrategy[Any]:
    """Valid requests about things that are there, with whatever else the description lets go with them."""
    operation = OPERATIONS[name]
    example = example_of(name)

    def made_sensible(case: Any) -> Any:
        case.headers.pop("X-Provider-Key", None)
        for part in ("cursor", "after", "project_id"):
            case.query.pop(part, None)
        if "id" in case.query:
            case.query["id"] = house.there["generation_id"]
        if example is not None:
            case.body = case.body | example if isinstance(case.body, dict) else example
        return case

    made = operation.as_strategy(feedback=NO_FEEDBACK, path_parameters=house.parts_of(operation.path) or None)
    return made.map(made_sensible)


def test_the_operations_here_are_those_of_the_description() -> None:
    described = sum(len(methods) for methods in DOCUMENT["paths"].values())
    assert len(OPERATIONS) == described > 50


@pytest.mark.parametrize("who", ["root", "ann"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_the_answer_to_any_request_is_as_described(house: House, name: str, who: str) -> None:
    @(MANY if who == "root" else FEW)
    @given(case=any_case(name, house))
    def ask(case: Any) -> None:
        case.validate_response(house.ask(case, who), checks=CHECKS)

    ask()


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_an_administrator_may_is_done_and_answered_as_described(house: House, name: str) -> None:
    statuses: list[int] = []

    @MANY
    @given(case=sensible_case(name, house))
    def ask(case: Any) -> None:
        answer = house.ask(case, "root")
        statuses.append(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    ask()
    assert any(200 <= status < 300 for status in statuses), statuses


@pytest.mark.parametrize("name", [name for name in OPERATIONS if example_of(name) is not None])
def test_the_examples_in_the_description_are_answered(house: House, name: str) -> None:
    operation = OPERATIONS[name]
    case = operation.Case(
        path_parameters=house.parts_of(operation.path),
        body=example_of(name),
        media_type="application/json",
    )
    answer = house.ask(case, "root")
    assert answer.is_success, answer.text
    case.validate_response(answer, checks=CHECKS)
