"""What a function gets to see of this machine, and what the runner takes from it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev.dotenv import parse_dotenv
from dev.environment import ConfigError, LocalConfig, function_environment, provider_secrets, read_config
from dev.template import FunctionSpec, Route

AWS = {"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}


def a_function(*routes: Route, **environment: str) -> FunctionSpec:
    return FunctionSpec(
        logical_id="ReadFunction",
        name="read",
        physical_name="headgate-local-ReadFunction",
        folder="functions/read",
        handler="app.handler",
        timeout_s=29,
        memory_mb=512,
        environment=environment,
        routes=routes,
    )


def test_functions_are_told_where_providers_are_and_never_with_what_key() -> None:
    config = LocalConfig(
        provider_environ={"OPENAI_API_KEY": "sk-secret", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    )
    env = function_environment(a_function(), config, AWS)
    assert env["OPENAI_BASE_URL"] == "http://127.0.0.1:9/v1"
    assert "sk-secret" not in env.values()


def test_a_function_sees_what_it_declares_and_nothing_of_the_machines_environment() -> None:
    environ = {
        "OPENAI_API_KEY": "sk-1",
        "HOME": "/home/me",
        "HEADGATE_OTHER_TABLE": "t",
        "HEADGATE_KMS_KEY": "alias/mine",
        "HEADGATE_ADMIN_KEY": "hg_12345678",
    }
    config = read_config(environ, {}, {})
    env = function_environment(a_function(HEADGATE_THINGS_TABLE="things"), config, AWS)
    assert env["HEADGATE_THINGS_TABLE"] == "things"
    assert env["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert environ.keys().isdisjoint(env)


def test_a_function_knows_that_it_runs_locally() -> None:
    env = function_environment(a_function(), LocalConfig(store="memory"), {})
    assert env["HEADGATE_LOCAL"] == "1"
    assert env["HEADGATE_MOCK"] == "auto"
    assert env["HEADGATE_ALLOW_UNLISTED_MODELS"] == "1"
    assert env["HEADGATE_STORE"] == "memory"
    assert "127.0.0.1" in env["HEADGATE_PRIVATE_HOSTS"].split(",")


def test_credits_are_off_here_as_in_a_stack_until_somebody_asks_for_them() -> None:
    spec = a_function(HEADGATE_CREDITS="off")
    assert function_environment(spec, LocalConfig(), AWS)["HEADGATE_CREDITS"] == "off"
    config = read_config({"HEADGATE_CREDITS": "enforced"}, {}, {})
    assert function_environment(spec, config, AWS)["HEADGATE_CREDITS"] == "enforced"


def test_links_have_no_stage_locally() -> None:
    env = function_environment(a_function(HEADGATE_STAGE_PREFIX="/live"), LocalConfig(), AWS)
    assert env["HEADGATE_STAGE_PREFIX"] == ""


def test_a_setting_of_ones_own_wins_over_the_template() -> None:
    config = read_config({"HEADGATE_LIST_TTL_S": "5", "HEADGATE_MOCK": "1"}, {}, {})
    env = function_environment(a_function(HEADGATE_LIST_TTL_S="600", HEADGATE_MOCK="off"), config, AWS)
    assert (env["HEADGATE_LIST_TTL_S"], env["HEADGATE_MOCK"]) == ("5", "1")


def test_a_parameter_of_ones_own_wins_over_what_is_usual_locally() -> None:
    declared = a_function(HEADGATE_MOCK="off", HEADGATE_PRIVATE_HOSTS="")
    spec = replace(declared, chosen=frozenset({"HEADGATE_MOCK"}))
    env = function_environment(spec, LocalConfig(), AWS)
    assert env["HEADGATE_MOCK"] == "off"
    assert env["HEADGATE_PRIVATE_HOSTS"] != ""


def test_a_resources_name_is_the_templates_alone() -> None:
    config = read_config({"HEADGATE_THINGS_TABLE": "production"}, {}, {})
    env = function_environment(a_function(HEADGATE_THINGS_TABLE="local"), config, AWS)
    assert env["HEADGATE_THINGS_TABLE"] == "local"


@pytest.mark.parametrize(
    ("routes", "limit"),
    [
        ((Route(method="ANY", path="/a", streamed=True),), "10000000"),
        ((Route(method="ANY", path="/a"),), "4500000"),
        ((Route(method="ANY", path="/a"), Route(method="ANY", path="/b", streamed=True)), "4500000"),
    ],
)
def test_the_body_limit_is_that_of_the_functions_routes(routes: tuple[Route, ...], limit: str) -> None:
    assert function_environment(a_function(*routes), LocalConfig(), AWS)["HEADGATE_MAX_BODY_BYTES"] == limit


def test_a_body_limit_in_the_template_stands() -> None:
    spec = a_function(Route(method="ANY", path="/a"), HEADGATE_MAX_BODY_BYTES="100")
    assert function_environment(spec, LocalConfig(), AWS)["HEADGATE_MAX_BODY_BYTES"] == "100"


def test_the_environment_wins_over_the_file_and_arguments_over_both() -> None:
    dotenv = {
        "PORT": "1111",
        "OPENAI_API_KEY": "from-file",
        "HEADGATE_PARAM_A": "file",
        "HEADGATE_PARAM_B": "file",
    }
    config = read_config({"PORT": "2222", "HEADGATE_PARAM_B": "env"}, dotenv, {"C": "arg"})
    assert config.port == 2222
    assert config.provider_environ == {"OPENAI_API_KEY": "from-file"}
    assert config.parameters == {"A": "file", "B": "env", "C": "arg"}
    assert read_config({"HEADGATE_PARAM_C": "env"}, {}, {"C": "arg"}).parameters == {"C": "arg"}


@pytest.mark.parametrize(
    "environ",
    [
        {"PORT": "eighty"},
        {"PORT": "0"},
        {"PORT": "70000"},
        {"HEADGATE_STORE": "disk"},
        {"HEADGATE_ADMIN_KEY": "short"},
        {"HEADGATE_ADMIN_KEY": "two words here"},
    ],
)
def test_a_setting_that_can_not_be_used_is_refused_by_name(environ: dict[str, str]) -> None:
    (name, value), *_ = environ.items()
    with pytest.raises(ConfigError, match=name) as caught:
        read_config(environ, {}, {})
    assert value not in str(caught.value) or value == "0"


def test_no_key_shows_in_the_configurations_repr() -> None:
    config = read_config({"OPENAI_API_KEY": "sk-hidden", "HEADGATE_ADMIN_KEY": "hg_hidden_text"}, {}, {})
    assert "hidden" not in repr(config)


async def test_a_providers_secret_holds_its_key_and_address_under_its_slug() -> None:
    environ = {
        "OPENAI_API_KEY": "sk-1",
        "GOOGLE_API_KEY": "g-1",
        "OLLAMA_BASE_URL": "http://127.0.0.1:11434/v1",
        "STRANGER_API_KEY": "s-1",
    }
    assert await provider_secrets(environ, ["openai", "anthropic", "gemini", "custom"]) == {
        "openai": {"api_key": "sk-1"},
        "gemini": {"api_key": "g-1"},
        "custom": {"base_url": "http://127.0.0.1:11434/v1"},
    }


def test_a_dotenv_file_reads_as_shells_read_it() -> None:
    text = """
# a comment
PLAIN=value
export EXPORTED=yes
SPACED = around
QUOTED="with # and spaces "
SINGLE='it'
COMMENTED=value # why
EMPTY=
NONE=#nothing
URL=http://127.0.0.1:1/v1?a=b#c
no equals sign
"""
    assert parse_dotenv(text) == {
        "PLAIN": "value",
        "EXPORTED": "yes",
        "SPACED": "around",
        "QUOTED": "with # and spaces ",
        "SINGLE": "it",
        "COMMENTED": "value",
        "EMPTY": "",
        "NONE": "",
        "URL": "http://127.0.0.1:1/v1?a=b#c",
    }


@given(
    st.dictionaries(
        st.from_regex(r"[A-Z_]{1,8}", fullmatch=True), st.from_regex(r"[!$-&(-~]{0,12}", fullmatch=True)
    )
)
def test_what_is_written_quoted_is_read_back(pairs: dict[str, str]) -> None:
    text = "\n".join(f"{name}='{value}'" for name, value in pairs.items())
    assert parse_dotenv(text) == pairs
