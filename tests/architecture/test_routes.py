"""What API Gateway sends where, and how the answers come back."""

import json
import re
from typing import Any

import pytest

from dev.template import Route, Stack
from headgate.http.app import create_api, routes_of
from headgate.http.openapi import ROUTERS

STREAMED = {"models", "generations"}
GREEDY = "/{proxy+}"
WITHOUT_TWIN = {"/healthz", "/openapi.json"}


def _routes(stack: Stack) -> list[tuple[str, Route]]:
    return [(function.name, route) for function in stack.functions for route in function.routes]


def _samples(function: str) -> set[str]:
    """A path for each route that the function's code serves."""
    app = create_api([ROUTERS[function]], None)
    paths = {route.path_format for route in routes_of(app)} - (
        {"/healthz"} if function != "health" else set()
    )
    return {re.sub(r"\{\w+\}", "x", path) for path in paths}


def _names(path: str) -> set[str]:
    """All that a caller may call a path."""
    if path in WITHOUT_TWIN:
        return {path}
    short = {path.replace("/v2/", "/api/", 1)} if path.startswith("/v2/models") else set()
    return {path, f"/api{path}", *short}


def _serves(template_path: str, path: str) -> bool:
    """A variable takes one part of a path; `{proxy+}` all that follow, and at least one."""
    parts, asked = template_path.split("/")[1:], path.split("/")[1:]
    if template_path.endswith(GREEDY):
        parts, asked = parts[:-1], (asked[: len(parts) - 1] if len(asked) >= len(parts) and asked[-1] else [])
    return len(parts) == len(asked) and all(
        part == given or (part.startswith("{") and given) for part, given in zip(parts, asked, strict=True)
    )


def _preference(template_path: str) -> list[int]:
    """Part by part: a fixed one wins over a variable, and that over `{proxy+}`."""
    return [0 if "+}" in part else 1 if part.startswith("{") else 2 for part in template_path.split("/")]


def _owner(stack: Stack, path: str) -> str | None:
    """Whom API Gateway sends a path to."""
    matching = [(route.path, name) for name, route in _routes(stack) if _serves(route.path, path)]
    return max(matching, key=lambda found: _preference(found[0]), default=(None, None))[1]


@pytest.mark.parametrize("function", ROUTERS)
def test_whatever_a_function_serves_reaches_it_by_each_of_its_names(stack: Stack, function: str) -> None:
    samples = _samples(function)
    assert samples
    for path in samples:
        for name in _names(path):
            assert _owner(stack, name) == function, name


@pytest.mark.parametrize("function", ROUTERS)
def test_nothing_is_routed_that_a_function_does_not_serve(stack: Stack, function: str) -> None:
    served = {name for path in _samples(function) for name in _names(path)}
    for route in stack.function(function).routes:
        assert any(_serves(route.path, path) for path in served), route.path


def test_the_contract_has_its_paths(stack: Stack) -> None:
    owners = {
        "/v1/models": "models",
        "/api/models": "models",
        "/api/v2/models/openrouter/openai/gpt-4o-mini": "models",
        "/v1/chat/completions": "generations",
        "/api/v2/generations": "generations",
        "/v1/generation": "generations",
        "/v2/keys": "accounts",
        "/v1/key": "accounts",
        "/api/v1/credits": "accounts",
        "/v2/projects/acme": "accounts",
        "/v2/settings": "accounts",
        "/v2/credits/ledger": "accounts",
        "/v2/usage": "accounts",
        "/v2/flags/use_provider_registry": "accounts",
        "/v2/audit": "accounts",
        "/v2/connections": "connections",
        "/v2/connections/con_1": "connections",
        "/api/v2/connections/con_1/default": "connections",
        "/v2/connections/con_1/test": "health",
        "/api/v2/connections/con_1/test": "health",
        "/v2/connections/con_1/test/more": "connections",
        "/v2/webhooks": "connections",
        "/v2/webhooks/whk_1": "connections",
        "/api/v2/webhooks/whk_1/rotate": "connections",
        "/v2/webhooks/whk_1/test": "deliver",
        "/api/v2/webhooks/whk_1/test": "deliver",
        "/v2/providers/health": "health",
        "/healthz": "health",
        "/openapi.json": "health",
    }
    assert {path: _owner(stack, path) for path in owners} == owners


def test_no_path_part_has_two_variables_to_choose_from(stack: Stack) -> None:
    """API Gateway refuses a stack with `{id}` beside `{proxy+}`, or beside another name: "a sibling of this
    resource already has a variable path part"."""
    variables: dict[str, set[str]] = {}
    for _, route in _routes(stack):
        parts = route.path.split("/")
        for at, part in enumerate(parts):
            if part.startswith("{"):
                variables.setdefault("/".join(parts[:at]), set()).add(part)
    assert {parent: names for parent, names in variables.items() if len(names) > 1} == {}


def test_no_path_belongs_to_two_functions(stack: Stack) -> None:
    paths = [route.path for _, route in _routes(stack)]
    assert len(paths) == len(set(paths))


def test_every_method_reaches_its_function_preflights_too(stack: Stack, transformed: dict[str, Any]) -> None:
    assert {route.method for _, route in _routes(stack)} == {"ANY"}
    for path, methods in transformed["Api"]["Properties"]["Body"]["paths"].items():
        assert set(methods) == {"x-amazon-apigateway-any-method"}, path
        assert "security" not in methods["x-amazon-apigateway-any-method"], path


def test_streamed_routes_are_integrated_for_streaming_and_the_others_are_not(
    stack: Stack, transformed: dict[str, Any]
) -> None:
    paths = transformed["Api"]["Properties"]["Body"]["paths"]
    for function, route in _routes(stack):
        integration = paths[route.path]["x-amazon-apigateway-any-method"]["x-amazon-apigateway-integration"]
        uri = json.dumps(integration["uri"])
        assert integration["type"] == "aws_proxy"
        if function in STREAMED:
            assert integration["responseTransferMode"] == "STREAM"
            assert integration["timeoutInMillis"] == 900_000
            assert "lambda:path/2021-11-15/functions/" in uri
            assert "/response-streaming-invocations" in uri
        else:
            assert "responseTransferMode" not in integration
            assert "timeoutInMillis" not in integration
            assert "lambda:path/2015-03-31/functions/" in uri


def test_a_streamed_function_may_run_as_long_as_its_stream(stack: Stack) -> None:
    for function in stack.functions:
        streamed = {route.streamed for route in function.routes}
        assert len(streamed) <= 1, "one adapter answers all of a function's routes, in one mode"
        if streamed == {True}:
            assert function.timeout_s == 900
            assert function.handler == "run.sh"
            assert function.environment["AWS_LAMBDA_EXEC_WRAPPER"] == "/opt/bootstrap"
            assert function.environment["AWS_LWA_INVOKE_MODE"] == "response_stream"
            assert function.environment["AWS_LWA_READINESS_CHECK_PATH"] == "/healthz"
        else:
            assert function.handler == "app.handler"
            assert not [name for name in function.environment if "LWA" in name or "WRAPPER" in name]


def test_the_adapter_of_a_streamed_function_is_that_of_its_processor(template: dict[str, Any]) -> None:
    for name in ("ModelsFunction", "GenerationsFunction"):
        layers = template["Resources"][name]["Properties"]["Layers"]
        assert layers[:2] == [{"Ref": "CoreLayer"}, {"Ref": "VendorLayer"}]
        condition, locally, adapter = layers[2]["Fn::If"]
        arn, names = adapter["Fn::Sub"]
        assert (condition, locally) == ("RunsLocally", {"Ref": "AWS::NoValue"})
        assert arn.endswith(":753240598075:layer:${Adapter}:30")
        assert names["Adapter"] == {
            "Fn::If": ["RunsOnArm", "LambdaAdapterLayerArm64", "LambdaAdapterLayerX86"]
        }


def test_the_api_is_regional_binary_safe_and_throttled(transformed: dict[str, Any]) -> None:
    api, stage = transformed["Api"]["Properties"], transformed["ApiStage"]["Properties"]
    # Edge-optimised endpoints cut a stream that is silent for 30 s.
    assert api["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    assert api["Body"]["x-amazon-apigateway-binary-media-types"] == ["*/*"]
    everything = stage["MethodSettings"][0]
    assert (everything["ResourcePath"], everything["HttpMethod"]) == ("/*", "*")
    assert everything["ThrottlingRateLimit"] == {"Ref": "ThrottleRate"}
    assert everything["ThrottlingBurstLimit"] == {"Ref": "ThrottleBurst"}


def test_invoke_permissions_fit_a_function_policy(transformed: dict[str, Any]) -> None:
    """Lambda refuses a resource policy over 20 KB; each route adds a statement of some 450 bytes to it."""
    counts: dict[str, int] = {}
    for resource in transformed.values():
        if resource["Type"] == "AWS::Lambda::Permission":
            function = json.dumps(resource["Properties"]["FunctionName"])
            counts[function] = counts.get(function, 0) + 1
    assert counts
    assert max(counts.values()) * 450 < 20_480 * 0.75
