"""The registry finds providers by file name or entry point, and hands them out ready to be called."""

import asyncio
import importlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from headgate.domain.errors import (
    GatewayFault,
    HeadgateError,
    InvalidRequest,
    NotFound,
    ProviderFailed,
    ProviderRefused,
)
from headgate.domain.secret import Secret
from headgate.ports import HttpTransport, WireRequest
from headgate.providers.base import (
    ChatAnswer,
    ChatCall,
    ChatStreamReader,
    ModelPage,
    PriceUsage,
    Provider,
    ProviderConfig,
    ProviderSpec,
    provider,
)
from headgate.providers.registry import (
    INFRASTRUCTURE,
    BrokenProvider,
    DuplicateProvider,
    ProviderRegistry,
    canonical_slug,
)
from headgate.testing.clock import ManualClock
from headgate.testing.transport import Answer, ScriptedTransport

_MUTE = AssertionError("a registry sends nothing and reads no answer")


class Mute(Provider):
    """Translates nothing: the registry never asks it to."""

    spec = ProviderSpec(
        slug="mute", name="Mute", description="", docs_url="", base_url="https://mute.example"
    )
    made: ClassVar[list[str]] = []
    validated: ClassVar[list[ProviderConfig]] = []
    own_transport: ClassVar[HttpTransport | None] = None

    def __init__(self) -> None:
        type(self).made.append(self.spec.slug)

    def validate_config(self, config: ProviderConfig) -> None:
        super().validate_config(config)
        self.validated.append(config)

    def transport(self) -> HttpTransport | None:
        return self.own_transport

    def build_list_models(self, config: ProviderConfig, page: str | None) -> WireRequest | None:
        return WireRequest(method="GET", url=f"{self.base_url(config)}/models", idempotent=True)

    def parse_list_models(self, body: bytes) -> ModelPage:
        return ModelPage(models=())

    def build_key_check(self, config: ProviderConfig) -> WireRequest | None:
        return None

    def build_chat(self, call: ChatCall, config: ProviderConfig) -> WireRequest:
        raise _MUTE

    def parse_chat(self, call: ChatCall, body: bytes, price: PriceUsage) -> ChatAnswer:
        raise _MUTE

    def read_chat_stream(self, call: ChatCall, price: PriceUsage) -> ChatStreamReader:
        raise _MUTE

    def classify_error(self, status: int, headers: Mapping[str, str], body: bytes) -> HeadgateError:
        return ProviderFailed(f"HTTP {status}")


@pytest.fixture(autouse=True)
def _fresh_lists() -> None:
    Mute.made, Mute.validated, Mute.own_transport = [], [], None


class Platform:
    """The platform's configurations, with a pause in which others may come in between."""

    def __init__(self, **keys: str) -> None:
        self.keys = keys
        self.asked: list[str] = []

    async def __call__(self, slug: str) -> ProviderConfig | None:
        self.asked.append(slug)
        await asyncio.sleep(0)
        key = self.keys.get(slug)
        return ProviderConfig(api_key=Secret(key)) if key is not None else None


def make_registry(
    platform: Platform | None = None,
    *,
    package: str = "headgate.providers",
    transport: ScriptedTransport | None = None,
) -> ProviderRegistry:
    return ProviderRegistry(
        transport=transport or ScriptedTransport(),
        clock=ManualClock(),
        configure=platform or Platform(),
        package=package,
    )


SOURCE = """
from headgate.providers.base import ProviderSpec, provider
from {module} import Mute

@provider
class {cls}(Mute):
    spec = ProviderSpec(slug="{slug}", name="{cls}", description="", docs_url="", base_url="https://x.example")
{more}
"""


class Files:
    """A package of providers in a temporary directory."""

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self.path = root / name
        self.path.mkdir()
        (self.path / "__init__.py").write_text("")

    def add(self, file: str, *, slug: str | None = None, cls: str = "Found", more: str = "") -> None:
        self.write(file, SOURCE.format(module=Mute.__module__, slug=slug or file, cls=cls, more=more))

    def write(self, file: str, source: str) -> None:
        (self.path / f"{file}.py").write_text(source)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Files]:
    monkeypatch.syspath_prepend(str(tmp_path))
    assert Mute.__module__ in sys.modules, "the files import their base class from here"
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    name = "some_providers"
    yield Files(tmp_path, name)
    for module in [each for each in sys.modules if each == name or each.startswith(f"{name}.")]:
        del sys.modules[module]
    sys.modules.pop("some_plugin", None)
    importlib.invalidate_caches()


# -- names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("google", "gemini"),
        ("ollama", "custom"),
        ("vllm", "custom"),
        ("lmstudio", "custom"),
        ("Google", "gemini"),
        ("OpenRouter", "openrouter"),
        ("openai", "openai"),
        ("nobody", "nobody"),
    ],
)
def test_every_name_of_a_provider_leads_to_its_slug(name: str, slug: str) -> None:
    assert canonical_slug(name) == slug


async def test_aliases_work_wherever_a_slug_does() -> None:
    registry = make_registry()
    assert registry.has("ollama")
    assert registry.load("vllm") is registry.load("custom")
    bound = registry.bind("lmstudio", ProviderConfig(base_url="http://127.0.0.1:1234/v1"))
    assert bound.slug == "custom"


# -- discovery --------------------------------------------------------------------------------------------


def test_each_file_is_a_provider_but_for_the_infrastructure(files: Files) -> None:
    files.add("alpha")
    files.add("beta")
    files.write("_helper", "")
    for name in INFRASTRUCTURE:
        files.write(name, "")
    assert make_registry(package=files.name).known_slugs() == ("alpha", "beta")


def test_listing_slugs_imports_no_provider(files: Files) -> None:
    files.write("alpha", "raise RuntimeError('imported')")
    registry = make_registry(package=files.name)
    assert registry.known_slugs() == ("alpha",)
    assert registry.has("alpha")
    assert f"{files.name}.alpha" not in sys.modules


def test_loading_imports_only_what_is_asked_for_and_once(files: Files) -> None:
    files.add("alpha")
    files.write("beta", "raise RuntimeError('imported')")
    registry = make_registry(package=files.name)
    assert registry.load("alpha") is registry.load("alpha")
    assert Mute.made == ["alpha"]


def test_list_tells_what_each_provider_says_of_itself(files: Files) -> None:
    files.add("beta", cls="Beta")
    files.add("alpha", cls="Alpha")
    assert [spec.name for spec in make_registry(package=files.name).list()] == ["Alpha", "Beta"]


def test_a_slug_other_than_the_file_name_is_refused(files: Files) -> None:
    files.add("alpha", slug="beta")
    with pytest.raises(BrokenProvider, match="beta"):
        make_registry(package=files.name).load("alpha")


def test_another_contract_is_refused(files: Files) -> None:
    files.add("alpha", more="    contract_version = 99")
    with pytest.raises(BrokenProvider, match="99"):
        make_registry(package=files.name).load("alpha")


def test_two_providers_in_one_file_are_refused(files: Files) -> None:
    files.add("alpha")
    path = files.path / "alpha.py"
    path.write_text(path.read_text() + path.read_text().replace("Found", "Second"))
    with pytest.raises(BrokenProvider, match="2 classes"):
        make_registry(package=files.name).load("alpha")


def test_a_file_without_a_marked_class_is_refused(files: Files) -> None:
    files.write("alpha", f"from {Mute.__module__} import Mute\nclass Alpha(Mute): ...")
    with pytest.raises(BrokenProvider, match="0 classes"):
        make_registry(package=files.name).load("alpha")


def test_a_class_imported_from_elsewhere_does_not_count(files: Files) -> None:
    files.add("alpha")
    files.write("beta", f"from {files.name}.alpha import Found")
    with pytest.raises(BrokenProvider, match="0 classes"):
        make_registry(package=files.name).load("beta")


def test_an_alias_is_no_slug(files: Files) -> None:
    files.add("google")
    files.add("gemini", slug="google")
    with pytest.raises(BrokenProvider, match="alias"):
        make_registry(package=files.name).load("gemini")


@pytest.mark.parametrize("source", ["import nothing_of_this_name", "def f(:", "1 / 0", "raise RuntimeError"])
def test_a_file_that_does_not_import_breaks_itself_only(files: Files, source: str) -> None:
    files.write("alpha", source)
    files.add("beta")
    registry = make_registry(package=files.name)
    with pytest.raises(BrokenProvider, match="alpha"):
        registry.load("alpha")
    assert [spec.slug for spec in registry.list()] == ["beta"]
    assert list(registry.broken) == ["alpha"]


def test_a_broken_file_that_was_mended_works_after_the_reload(files: Files) -> None:
    files.write("alpha", "1 / 0")
    registry = make_registry(package=files.name)
    for _ in range(2):
        with pytest.raises(BrokenProvider):
            registry.load("alpha")
    files.add("alpha")
    registry.reload()
    assert registry.load("alpha").spec.slug == "alpha"
    assert registry.broken == {}


def test_an_incomplete_class_is_refused_by_what_it_lacks(files: Files) -> None:
    source = SOURCE.format(module=Mute.__module__, slug="alpha", cls="Alpha", more="").replace(
        "(Mute)", "(Provider)"
    )
    files.write("alpha", source.replace("import ProviderSpec", "import Provider, ProviderSpec"))
    with pytest.raises(BrokenProvider, match="build_chat"):
        make_registry(package=files.name).load("alpha")


def test_an_unknown_slug_names_the_known_ones(files: Files) -> None:
    files.add("alpha")
    with pytest.raises(NotFound, match="alpha"):
        make_registry(package=files.name).load("nobody")


# -- plugins ----------------------------------------------------------------------------------------------


def install_plugin(root: Path, slug: str, *, dist: str = "some-plugin", module: str = "some_plugin") -> None:
    info = root / f"{dist}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[headgate.providers]\n{slug} = {module}:Found\n")
    source = SOURCE.format(module=Mute.__module__, slug=slug, cls="Found", more="    contract_version = 1")
    (root / f"{module}.py").write_text(source)
    importlib.invalidate_caches()


async def test_an_installed_plugin_is_a_provider_like_any_other(files: Files, tmp_path: Path) -> None:
    files.add("alpha")
    install_plugin(tmp_path, "plugged")
    registry = make_registry(Platform(plugged="sk-plugged"), package=files.name)
    assert registry.known_slugs() == ("alpha", "plugged")
    bound = await registry.get("plugged")
    assert bound.spec.base_url == "https://x.example"


async def test_a_plugin_reaches_its_provider_through_the_gateways_transport(
    files: Files, tmp_path: Path
) -> None:
    install_plugin(tmp_path, "plugged")
    transport = ScriptedTransport(Answer.of_json({}))
    registry = make_registry(Platform(plugged="sk-plugged"), package=files.name, transport=transport)
    await (await registry.get("plugged")).list_models()
    assert [request.url for request in transport.requests] == ["https://x.example/models"]


def test_a_plugin_states_the_contract_it_was_written_for(files: Files, tmp_path: Path) -> None:
    install_plugin(tmp_path, "plugged")
    path = tmp_path / "some_plugin.py"
    path.write_text(path.read_text().replace("contract_version = 1", "pass"))
    with pytest.raises(BrokenProvider, match="contract_version"):
        make_registry(package=files.name).load("plugged")


def test_a_plugin_may_not_hide_a_builtin_provider(files: Files, tmp_path: Path) -> None:
    files.add("alpha")
    install_plugin(tmp_path, "alpha")
    with pytest.raises(DuplicateProvider, match="alpha"):
        make_registry(package=files.name).known_slugs()


def test_two_plugins_may_not_claim_one_slug(files: Files, tmp_path: Path) -> None:
    install_plugin(tmp_path, "plugged")
    install_plugin(tmp_path, "plugged", dist="other-plugin", module="other_plugin")
    with pytest.raises(DuplicateProvider, match="plugged"):
        make_registry(package=files.name).known_slugs()


def test_a_plugins_slug_is_its_entry_points_name(files: Files, tmp_path: Path) -> None:
    install_plugin(tmp_path, "plugged")
    path = tmp_path / "some_plugin.py"
    path.write_text(path.read_text().replace('slug="plugged"', 'slug="other"'))
    with pytest.raises(BrokenProvider, match="other"):
        make_registry(package=files.name).load("plugged")


def test_reload_finds_what_was_installed_and_changed_since(files: Files, tmp_path: Path) -> None:
    files.add("alpha", cls="Before")
    registry = make_registry(package=files.name)
    assert registry.load("alpha").spec.name == "Before"
    assert registry.known_slugs() == ("alpha",)
    files.add("alpha", cls="After")
    files.add("beta")
    install_plugin(tmp_path, "plugged")
    assert registry.known_slugs() == ("alpha",)
    registry.reload()
    assert registry.known_slugs() == ("alpha", "beta", "plugged")
    assert registry.load("alpha").spec.name == "After"


# -- registering ------------------------------------------------------------------------------------------


async def test_an_instance_can_be_registered_with_its_configuration(files: Files) -> None:
    registry = make_registry(package=files.name)
    instance = Mute()
    registry.register(instance, ProviderConfig(api_key=Secret("sk-own")))
    assert registry.known_slugs() == ("mute",)
    assert (await registry.get("mute")).provider is instance


def test_a_registered_class_is_made_when_it_is_asked_for(files: Files) -> None:
    registry = make_registry(package=files.name)
    registry.register_class(Mute)
    assert Mute.made == []
    assert isinstance(registry.load("mute"), Mute)
    registry.load("mute")
    assert Mute.made == ["mute"]


def test_a_slug_is_taken_once(files: Files) -> None:
    files.add("alpha")
    registry = make_registry(package=files.name)
    registry.register(Mute())
    with pytest.raises(DuplicateProvider, match="mute"):
        registry.register_class(Mute)
    alpha = type(registry.load("alpha"))
    with pytest.raises(DuplicateProvider, match="alpha"):
        registry.register(alpha())


def test_a_provider_can_be_replaced_on_purpose(files: Files) -> None:
    registry = make_registry(package=files.name)
    first, second = Mute(), Mute()
    registry.register(first)
    registry.register(second, replace=True)
    assert registry.load("mute") is second


def test_registering_checks_the_contract(files: Files) -> None:
    class Later(Mute):
        contract_version = 2

    with pytest.raises(BrokenProvider, match="contract 2"):
        make_registry(package=files.name).register(Later())


async def test_an_unregistered_provider_is_gone_until_the_reload(files: Files) -> None:
    files.add("alpha")
    registry = make_registry(Platform(alpha="sk-alpha"), package=files.name)
    await registry.get("alpha")
    registry.unregister("alpha")
    assert not registry.has("alpha")
    assert registry.known_slugs() == ()
    with pytest.raises(NotFound):
        await registry.get("alpha")
    with pytest.raises(NotFound):
        registry.unregister("alpha")
    registry.reload()
    assert registry.has("alpha")


def test_the_decorator_refuses_a_class_without_a_spec() -> None:
    class Bare:
        pass

    with pytest.raises(TypeError, match="Bare"):
        provider(Bare)  # type: ignore[type-var]


# -- lifecycle --------------------------------------------------------------------------------------------


async def test_many_callers_at_once_initialise_a_provider_once(files: Files) -> None:
    registry = make_registry(Platform(mute="sk-mute"), package=files.name)
    registry.register_class(Mute)
    bounds = await asyncio.gather(*(registry.get("mute") for _ in range(20)))
    assert len(set(map(id, bounds))) == 1
    assert len(Mute.validated) == 1
    assert Mute.made == ["mute"]


async def test_a_changed_configuration_is_taken_up_and_an_equal_one_is_not_checked_again(
    files: Files,
) -> None:
    platform = Platform(mute="sk-first")
    registry = make_registry(platform, package=files.name)
    registry.register_class(Mute)
    before = await registry.get("mute")
    assert await registry.get("mute") is before
    platform.keys["mute"] = "sk-second"
    after = await registry.get("mute")
    assert after is not before
    assert after.config.api_key == Secret("sk-second")
    assert len(Mute.validated) == 2


async def test_without_a_platform_configuration_it_says_what_to_set() -> None:
    registry = make_registry()
    assert await registry.find("openrouter") is None
    with pytest.raises(ProviderRefused, match="OPENROUTER_API_KEY") as caught:
        await registry.get("openrouter")
    assert (caught.value.code, caught.value.provider) == ("provider_auth", "openrouter")


async def test_a_wrong_platform_configuration_is_no_fault_of_the_caller() -> None:
    registry = make_registry(Platform(custom="sk-x"))
    with pytest.raises(ProviderRefused, match="base_url"):
        await registry.get("custom")


def test_a_callers_wrong_configuration_names_the_field() -> None:
    registry = make_registry()
    with pytest.raises(InvalidRequest) as caught:
        registry.bind("openai", ProviderConfig())
    assert [error.field for error in caught.value.errors] == ["api_key"]


async def test_a_providers_own_transport_is_used_and_closed_the_shared_one_is_not(files: Files) -> None:
    own, shared = ScriptedTransport(Answer.of_json({})), ScriptedTransport()
    Mute.own_transport = own
    registry = make_registry(package=files.name, transport=shared)
    registry.register(Mute(), ProviderConfig(api_key=Secret("sk-own")))
    await (await registry.get("mute")).list_models()
    assert len(own.requests) == 1
    await registry.close()
    await registry.close()
    assert own.closed
    assert not shared.closed


async def test_a_closed_registry_gives_nothing_out() -> None:
    registry = make_registry(Platform(openai="sk-x"))
    await registry.close()
    with pytest.raises(GatewayFault):
        await registry.get("openai")
