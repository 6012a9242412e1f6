"""Who reads the environment, and what the template puts into it."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from dev.template import Stack, read_stack
from headgate.settings import from_environ

ROOT = Path(__file__).parents[2]
SHIPPED = sorted([*(ROOT / "layers/core/headgate").rglob("*.py"), *(ROOT / "functions").rglob("*.py")])
_MONEY = {"HEADGATE_CREDITS", "HEADGATE_DEFAULT_HOLD_TOKENS", "HEADGATE_GATEWAY_FEE_PERCENT"}
THE_READER = ROOT / "layers/core/headgate/settings.py"


class _Recorder(Mapping[str, str]):
    """An empty environment that remembers what was asked of it."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _touches_environment(tree: ast.AST) -> bool:
    names = {"environ", "environb", "getenv", "getenvb", "putenv"}
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=attr, value=ast.Name(id="os")) if attr in names:
                return True
            case ast.ImportFrom(module="os", names=imported) if names & {item.name for item in imported}:
                return True
    return False


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(ROOT)))
def test_settings_alone_read_the_environment(path: Path) -> None:
    assert _touches_environment(ast.parse(path.read_text())) is (path == THE_READER)


def test_the_template_sets_nothing_that_settings_do_not_read(stack: Stack) -> None:
    recorder = _Recorder()
    from_environ("models", recorder)
    for function in stack.functions:
        ours = {name for name in function.environment if name.startswith("HEADGATE_")}
        assert ours <= recorder.asked, function.name


def test_settings_can_read_what_the_template_sets(stack: Stack) -> None:
    for function in stack.functions:
        settings = from_environ(function.name, function.environment)
        assert settings.store == "aws"
        assert settings.local is False
        assert settings.mock == "off"
        assert settings.stage_prefix in ("", "/live")


def test_a_function_is_told_of_the_tables_it_may_use_and_of_no_other(stack: Stack) -> None:
    tables = {
        function.name: {
            name.removeprefix("HEADGATE_").removesuffix("_TABLE").lower()
            for name in function.environment
            if name.endswith("_TABLE")
        }
        for function in stack.functions
    }
    assert tables == {
        "models": {"catalog", "accounts", "connections"},
        "generations": {"catalog", "accounts", "connections", "generations", "ledger"},
        "connections": {"accounts", "connections"},
        "deliver": {"accounts", "connections"},
        "accounts": {"accounts", "ledger", "connections"},
        "health": {"catalog", "accounts", "connections"},
        "refresh": {"catalog", "accounts", "connections"},
        "usage": {"catalog", "accounts", "ledger"},
        "sweep": {"generations", "ledger"},
    }


def test_the_key_of_connections_is_named_to_those_that_seal_or_open_with_it(stack: Stack) -> None:
    told = {function.name for function in stack.functions if "HEADGATE_KMS_KEY" in function.environment}
    assert told == {"connections", "deliver", "generations", "health", "refresh"}


def test_whoever_answers_callers_knows_whose_tokens_to_take(stack: Stack) -> None:
    for function in stack.functions:
        told = {name for name in function.environment if name.startswith("HEADGATE_OIDC_")}
        assert len(told) == (3 if function.routes else 0), function.name


def test_what_calls_cost_is_told_to_the_function_that_charges_for_them(stack: Stack) -> None:
    told = {
        function.name: {name for name in _MONEY if name in function.environment}
        for function in stack.functions
    }
    assert told.pop("generations") == _MONEY
    assert not any(told.values())


def test_a_stack_serves_without_credits_fee_or_tokens_unless_told_otherwise(stack: Stack) -> None:
    settings = from_environ("generations", stack.function("generations").environment)
    assert settings.credits == "off"
    assert not settings.gateway_fee_percent
    assert settings.oidc_issuer is None


def test_no_key_stands_in_the_template(stack: Stack) -> None:
    for function in stack.functions:
        assert not [name for name in function.environment if name.endswith(("_API_KEY", "_TOKEN", "_SECRET"))]


def test_no_stack_switches_on_what_only_the_local_runner_may(stack: Stack) -> None:
    """Loopback addresses, chosen key texts: HEADGATE_LOCAL is the runner's to set, never a stack's."""
    for function in stack.functions:
        assert not {"HEADGATE_LOCAL", "HEADGATE_STORE", "AWS_ENDPOINT_URL"} & function.environment.keys()


def test_sam_local_gets_buffering_handlers_and_an_endpoint(template_text: str) -> None:
    address = "http://172.17.0.1:5000"
    for function in read_stack(template_text, {"LocalEndpoint": address}).functions:
        assert function.handler == "app.handler"
        assert function.environment["AWS_ENDPOINT_URL"] == address
        assert "AWS_LAMBDA_EXEC_WRAPPER" not in function.environment
