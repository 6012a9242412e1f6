"""CloudFormation's tags and functions, as far as one machine can answer them. Pure."""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

NO_VALUE = object()
"""What `!Ref AWS::NoValue` resolves to: the property that holds it is not there."""

_SUB = re.compile(r"\$\{(!?)([^${}]+)\}")


class TemplateError(Exception):
    """The template can't be read or run here; the message says which part and why."""


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags; dates and the like stay the text they are in the template."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - how PyYAML spells it
        first: [(tag, pattern) for tag, pattern in rules if tag != "tag:yaml.org,2002:timestamp"]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _construct_tag(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        raise TemplateError(f"!{suffix} stands before something that is no YAML value")
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _construct_tag)


def read_yaml(text: str) -> dict[str, Any]:
    """The template with `!Sub x` written out as `{"Fn::Sub": "x"}`. Raises TemplateError."""
    try:
        value = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise TemplateError(f"not valid YAML: {error}") from error
    if not isinstance(value, dict):
        raise TemplateError("not a template: the top of the file is no mapping")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What names mean: parameters and pseudo parameters, conditions, mappings, and resources' attributes.

    attribute: (logical id, attribute, "" for `!Ref`) → value; raises TemplateError for what is not there.
    """

    values: Mapping[str, Any]
    attribute: Callable[[str, str], Any]
    conditions: Mapping[str, Any] = field(default_factory=dict)
    mappings: Mapping[str, Any] = field(default_factory=dict)

    def resolve(self, value: Any) -> Any:
        """The value with every function in it answered. Raises TemplateError naming one that can't be."""
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        name = next(iter(value), "")
        if len(value) == 1 and (name in ("Ref", "Condition") or str(name).startswith("Fn::")):
            return self._call(name, value[name])
        resolved = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not NO_VALUE}

    def holds(self, name: str) -> bool:
        """Whether the condition of this name is true. Raises TemplateError when there is none."""
        if name not in self.conditions:
            raise TemplateError(f"there is no condition {name}")
        return bool(self.resolve(self.conditions[name]))

    def text(self, value: Any) -> str:
        """Resolved, as CloudFormation writes it into a string: true and false in lower case."""
        resolved = self.resolve(value)
        return str(resolved).lower() if isinstance(resolved, bool) else str(resolved)

    def _call(self, name: str, argument: Any) -> Any:
        function = _FUNCTIONS.get(name)
        if function is None:
            raise TemplateError(f"{name} is not understood by the local runner")
        try:
            return function(self, argument)
        except (ValueError, IndexError, KeyError, TypeError) as error:
            raise TemplateError(f"{name} has arguments it can't take: {argument!r}") from error

    def refer(self, name: str) -> Any:
        """`!Ref name`."""
        return self.values[name] if name in self.values else self.attribute(name, "")


def _sub(scope: Scope, argument: Any) -> str:
    text, names = (argument, {}) if isinstance(argument, str) else argument

    def replace(match: re.Match[str]) -> str:
        literal, name = match.groups()
        if literal:
            return f"${{{name}}}"
        name = name.strip()
        if name in names:
            return scope.text(names[name])
        resource, dot, attribute = name.partition(".")
        return scope.text(scope.attribute(resource, attribute) if dot else scope.refer(name))

    return _SUB.sub(replace, text)


def _get_att(scope: Scope, argument: Any) -> Any:
    resource, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
    return scope.attribute(resource, scope.text(attribute))


def _if(scope: Scope, argument: Any) -> Any:
    condition, then, otherwise = argument
    return scope.resolve(then if scope.holds(condition) else otherwise)


def _select(scope: Scope, argument: Any) -> Any:
    index, values = argument
    return scope.resolve(values)[int(scope.resolve(index))]


def _find_in_map(scope: Scope, argument: Any) -> Any:
    table, *keys = (scope.resolve(part) for part in argument[:3])
    value = scope.mappings[table]
    for key in keys:
        value = value[key]
    return value


def _join(scope: Scope, argument: Any) -> str:
    separator, values = argument
    return str(separator).join(scope.text(value) for value in scope.resolve(values))


def _split(scope: Scope, argument: Any) -> list[str]:
    separator, value = argument
    return scope.text(value).split(separator)


_FUNCTIONS: Mapping[str, Callable[[Scope, Any], Any]] = {
    "Ref": lambda scope, name: scope.refer(name),
    "Condition": lambda scope, name: scope.holds(name),
    "Fn::Sub": _sub,
    "Fn::GetAtt": _get_att,
    "Fn::If": _if,
    "Fn::Join": _join,
    "Fn::Split": _split,
    "Fn::Select": _select,
    "Fn::FindInMap": _find_in_map,
    "Fn::Base64": lambda scope, value: base64.b64encode(scope.text(value).encode()).decode(),
    "Fn::Equals": lambda scope, pair: scope.text(pair[0]) == scope.text(pair[1]),
    "Fn::And": lambda scope, values: all(scope.resolve(value) for value in values),
    "Fn::Or": lambda scope, values: any(scope.resolve(value) for value in values),
    "Fn::Not": lambda scope, values: not scope.resolve(values[0]),
}
