"""What API Gateway sends where, and how the answers come back."""

import json
from typing import Any

import pytest

from dev.template import Route, Stack

PREFIXES = {
    "models": {"/v1/models", "/v2/models"},
    "generations": {"/v1/chat", "/v2/generations"},
    "accounts": {"/v2/keys"},
    "health": {"/v2/providers", "/healthz", "/openapi.json"},
}
"""The contract's paths by function, without their twins under /api. Whatever is below belongs to them too."""

LEAVES = {"/healthz", "/openapi.json"}
"""Nothing is below these, and they have no twin."""

STREAMED = {"models", "generations"}
GREEDY = "/{proxy+}"


def _expected(prefixes: set[str]) -> set[str]:
    paths = set()
    for prefix in prefixes:
        twins = set() if prefix in LEAVES else {f"/api{prefix}"}
        if prefix == "/v2/models":
            twins.add("/api/models")
        for path in {prefix, *twins}:
            paths |= {path} if prefix in LEAVES else {path, path + GREEDY}
    return paths


def _routes(stack: Stack) -> list[tuple[str, Route]]:
    return [(function.name, route) for function in stack.functions for route in function.routes]


@pytest.mark.parametrize("function", PREFIXES)
def test_a_function_has_its_paths_their_twins_under_api_and_all_below(stack: Stack, function: str) -> None:
    expected = _expected(PREFIXES[function])
    paths = {route.path for route in stack.function(function).routes}
    # There is nothing at /v1/chat itself.
    assert paths == expected - {"/v1/chat", "/api/v1/chat"}


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
