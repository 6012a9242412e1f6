"""template.yaml as values: functions with their environment and events, tables with their keys. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from dev.intrinsics import NO_VALUE, Scope, TemplateError, read_yaml

REGION = "us-east-1"
ACCOUNT = "123456789012"
"""The account that moto gives to every caller."""

STACK = "headgate-local"

_FUNCTION = "AWS::Serverless::Function"
_TABLES = ("AWS::DynamoDB::Table", "AWS::Serverless::SimpleTable")
_ALIAS = "AWS::KMS::Alias"
_OWN_NAMES = {_FUNCTION: "FunctionName", "AWS::S3::Bucket": "BucketName", _ALIAS: "AliasName"}
"""The property by which a resource may name itself; a table's is the rest's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One Api event. method: upper case, `ANY` for all. streamed: the answer is not buffered by Lambda."""

    method: str
    path: str
    streamed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSpec:
    """One ScheduleV2 event. input: the JSON text that the function is called with."""

    name: str
    expression: str
    timezone: str = "UTC"
    input: str = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSpec:
    """One DynamoDB event. table: its physical name. retries: -1 is until the record is too old (24 hours).

    reports_failures: the function answers with `batchItemFailures`. bisects: a failed batch is cut in two.
    filters: patterns of which one must match, as JSON texts.
    """

    name: str
    table: str
    batch_size: int = 100
    retries: int = -1
    reports_failures: bool = False
    bisects: bool = False
    filters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionSpec:
    """One function. name: its folder's, which is also its module's. environment: exactly what is declared.

    chosen: those of its variables that follow from a parameter which somebody gave.
    """

    logical_id: str
    name: str
    physical_name: str
    folder: str
    handler: str
    timeout_s: int
    memory_mb: int
    environment: Mapping[str, str]
    chosen: frozenset[str] = frozenset()
    routes: tuple[Route, ...] = ()
    schedules: tuple[ScheduleSpec, ...] = ()
    streams: tuple[StreamSpec, ...] = ()

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self.physical_name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSpec:
    """One table. create: what DynamoDB's CreateTable takes. ttl_attribute: None where nothing expires."""

    logical_id: str
    physical_name: str
    create: Mapping[str, Any]
    ttl_attribute: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """What a template describes, once its parameters are known. key_aliases: `alias/…`, one a KMS key."""

    functions: tuple[FunctionSpec, ...]
    tables: tuple[TableSpec, ...]
    key_aliases: tuple[str, ...] = ()

    def function(self, name: str) -> FunctionSpec:
        """By folder, logical id, physical name or ARN, with or without a `:qualifier`. Raises KeyError."""
        for spec in self.functions:
            names = (spec.name, spec.logical_id, spec.physical_name, spec.arn)
            if name in names or name.rpartition(":")[0] in names:
                return spec
        raise KeyError(name)


def read_stack(text: str, parameters: Mapping[str, str] | None = None) -> Stack:
    """The stack of a SAM template; `parameters` win over their defaults. Raises TemplateError."""
    template = read_yaml(text)
    reader = _Reader(template, parameters or {})
    return Stack(
        functions=tuple(reader.functions()),
        tables=tuple(reader.tables()),
        key_aliases=tuple(reader.key_aliases()),
    )


def physical_name(logical_id: str) -> str:
    """What a resource without a name of its own is called here."""
    return f"{STACK}-{logical_id}"


def parameter_values(declared: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """Each parameter's value. Raises TemplateError for an unknown, missing or disallowed one."""
    unknown = sorted(given.keys() - declared.keys())
    if unknown:
        raise TemplateError(f"the template has no parameter {', '.join(unknown)}")
    values: dict[str, Any] = {}
    for name, spec in declared.items():
        value = given.get(name, spec.get("Default"))
        if value is None:
            raise TemplateError(f"parameter {name} has no default: set HEADGATE_PARAM_{name}")
        allowed = spec.get("AllowedValues")
        if allowed and str(value) not in [str(item) for item in allowed]:
            raise TemplateError(f"parameter {name} must be one of {', '.join(map(str, allowed))}")
        is_list = spec.get("Type", "String").startswith(("CommaDelimitedList", "List<"))
        values[name] = [part.strip() for part in str(value).split(",")] if is_list else value
    return values


class _Values(dict[str, Any]):
    """Parameters by name, which remembers those that were asked for."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.asked.add(name)
        return super().__getitem__(name)


class _Reader:
    """Walks one template. Holds what `!Ref` and the like mean in it."""

    def __init__(self, template: Mapping[str, Any], given: Mapping[str, str]) -> None:
        self._resources: Mapping[str, Any] = template.get("Resources") or {}
        self._globals = (template.get("Globals") or {}).get("Function") or {}
        pseudo = {
            "AWS::Region": REGION,
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::StackName": STACK,
            "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/local",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::NoValue": NO_VALUE,
        }
        self._given = given.keys()
        self._values = _Values({**parameter_values(template.get("Parameters") or {}, given), **pseudo})
        self._scope = Scope(
            values=self._values,
            attribute=self._attribute,
            conditions=template.get("Conditions") or {},
            mappings=template.get("Mappings") or {},
        )

    def functions(self) -> Iterator[FunctionSpec]:
        for logical_id, resource in self._of_type(_FUNCTION):
            with_globals = {**self._globals, **resource.get("Properties", {})}
            try:
                yield self._function(logical_id, with_globals)
            except TemplateError as error:
                raise TemplateError(f"{logical_id}: {error}") from error

    def tables(self) -> Iterator[TableSpec]:
        for logical_id, resource in self._of_type(*_TABLES):
            properties = self._scope.resolve(resource.get("Properties", {}))
            yield _table(logical_id, self._name(logical_id), properties)

    def key_aliases(self) -> Iterator[str]:
        for logical_id, _ in self._of_type(_ALIAS):
            yield self._name(logical_id)

    def _of_type(self, *types: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for logical_id, resource in self._resources.items():
            if resource.get("Type") in types and self._exists(resource):
                yield logical_id, resource

    def _exists(self, resource: Mapping[str, Any]) -> bool:
        condition = resource.get("Condition")
        return condition is None or self._scope.holds(condition)

    def _name(self, logical_id: str) -> str:
        resource = self._resources[logical_id]
        key = _OWN_NAMES.get(resource["Type"], "TableName")
        given = resource.get("Properties", {}).get(key)
        name = NO_VALUE if given is None else self._scope.resolve(given)
        return physical_name(logical_id) if name is NO_VALUE else str(name)

    def _attribute(self, logical_id: str, attribute: str) -> str:
        resource = self._resources.get(logical_id)
        if resource is None or not self._exists(resource):
            raise TemplateError(f"there is no resource or parameter {logical_id}")
        name, kind = self._name(logical_id), resource["Type"]
        if attribute in ("", "Name", "Id"):
            return name
        if kind in _TABLES:
            arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"
            return f"{arn}/stream/local" if attribute == "StreamArn" else arn
        if kind == _FUNCTION and attribute == "Arn":
            return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
        service = kind.split("::")[1].lower() if kind.count("::") == 2 else "local"
        return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{name}/{attribute}"

    def _function(self, logical_id: str, properties: Mapping[str, Any]) -> FunctionSpec:
        resolve = self._scope.resolve
        if "CodeUri" not in properties:
            raise TemplateError("a function needs its CodeUri")
        folder = PurePosixPath(str(resolve(properties["CodeUri"])))
        events = resolve(properties.get("Events", {}))
        environment, chosen = self._environment(properties)
        return FunctionSpec(
            logical_id=logical_id,
            name=folder.name,
            physical_name=self._name(logical_id),
            folder=str(folder),
            handler=str(resolve(properties.get("Handler", "app.handler"))),
            timeout_s=int(resolve(properties.get("Timeout", 3))),
            memory_mb=int(resolve(properties.get("MemorySize", 128))),
            environment=environment,
            chosen=chosen,
            routes=tuple(_route(event) for _, event in _events(events, "Api")),
            schedules=tuple(
                _schedule(f"{logical_id}.{name}", event)
                for name, event in _events(events, "ScheduleV2")
                if event.get("State", "ENABLED") == "ENABLED"
            ),
            streams=tuple(
                _stream(f"{logical_id}.{name}", event)
                for name, event in _events(events, "DynamoDB")
                if event.get("Enabled", True)
            ),
        )

    def _environment(self, properties: Mapping[str, Any]) -> tuple[dict[str, str], frozenset[str]]:
        """The function's variables, and the names of those that depend on a given parameter."""
        declared = {
            **(self._globals.get("Environment") or {}).get("Variables", {}),
            **(properties.get("Environment") or {}).get("Variables", {}),
        }
        environment: dict[str, str] = {}
        chosen: set[str] = set()
        for name, value in declared.items():
            self._values.asked.clear()
            resolved = self._scope.resolve(value)
            if resolved is not NO_VALUE:
                environment[name] = self._scope.text(resolved)
            if self._values.asked & self._given:
                chosen.add(name)
        return environment, frozenset(chosen)


def _events(events: Mapping[str, Any], kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, event in events.items():
        if event["Type"] == kind:
            yield name, event.get("Properties", {})


def _stream(name: str, event: Mapping[str, Any]) -> StreamSpec:
    _, is_table, path = str(event["Stream"]).partition(":table/")
    if not is_table:
        raise TemplateError(f"{name}: its Stream is not the StreamArn of a table of this template")
    return StreamSpec(
        name=name,
        table=path.split("/")[0],
        batch_size=int(event.get("BatchSize", 100)),
        retries=int(event.get("MaximumRetryAttempts", -1)),
        reports_failures="ReportBatchItemFailures" in event.get("FunctionResponseTypes", ()),
        bisects=bool(event.get("BisectBatchOnFunctionError", False)),
        filters=tuple(item["Pattern"] for item in event.get("FilterCriteria", {}).get("Filters", ())),
    )


def _route(event: Mapping[str, Any]) -> Route:
    method = str(event["Method"]).upper()
    return Route(
        method="ANY" if method in ("ANY", "X-AMAZON-APIGATEWAY-ANY-METHOD") else method,
        path=str(event["Path"]),
        streamed=event.get("ResponseTransferMode") == "RESPONSE_STREAM",
    )


def _schedule(name: str, event: Mapping[str, Any]) -> ScheduleSpec:
    return ScheduleSpec(
        name=name,
        expression=str(event["ScheduleExpression"]),
        timezone=str(event.get("ScheduleExpressionTimezone", "UTC")),
        input=str(event.get("Input", "{}")),
    )


def _table(logical_id: str, name: str, properties: Mapping[str, Any]) -> TableSpec:
    if "PrimaryKey" in properties or "KeySchema" not in properties:
        raise TemplateError(f"{logical_id}: a table needs its KeySchema written out")
    create: dict[str, Any] = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": properties["KeySchema"],
        "AttributeDefinitions": properties["AttributeDefinitions"],
    }
    for index in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
        if index in properties:
            create[index] = [
                {key: item[key] for key in ("IndexName", "KeySchema", "Projection")}
                for item in properties[index]
            ]
    if "StreamSpecification" in properties:
        view = properties["StreamSpecification"]["StreamViewType"]
        create["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": view}
    ttl = properties.get("TimeToLiveSpecification") or {}
    return TableSpec(
        logical_id=logical_id,
        physical_name=name,
        create=create,
        ttl_attribute=ttl.get("AttributeName") if ttl.get("Enabled") else None,
    )
