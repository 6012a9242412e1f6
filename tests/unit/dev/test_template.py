"""What the local runner reads from a SAM template."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev.intrinsics import TemplateError, read_yaml
from dev.template import Route, ScheduleSpec, Stack, StreamSpec, read_stack

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: {Type: String, Default: live}
  Level: {Type: String, Default: "off", AllowedValues: ["on", "off"]}
  Hosts: {Type: CommaDelimitedList, Default: "a.test, b.test"}
  TtlSeconds: {Type: Number, Default: 600}
  Every: {Type: String, Default: rate(10 minutes)}
Mappings:
  Sizes: {small: {memory: 256}}
Conditions:
  IsOn: !Equals [!Ref Level, "on"]
  IsLive: !And [!Equals [!Ref Stage, live], !Not [!Condition IsOn]]
Globals:
  Function:
    Handler: app.handler
    Timeout: 29
    Environment: {Variables: {SERVICE: things}}
Resources:
  ReadFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/read/
      MemorySize: !FindInMap [Sizes, small, memory]
      Environment:
        Variables:
          TABLE: !Ref Things
          TABLE_ARN: !GetAtt Things.Arn
          OTHER: !Ref KeepFunction
          OTHER_ARN: !Sub "${KeepFunction.Arn}:live"
          HOSTS: !Join [";", !Ref Hosts]
          SECOND: !Select [1, !Split [",", "x,y"]]
          TTL: !Ref TtlSeconds
          FLAG: true
          SEAL: !Ref KeyAlias
          PREFIX: !If [IsLive, !Sub "/${Stage}", ""]
          LITERAL: !Sub ["${!Stage} ${word} ${AWS::Region}", {word: !Ref Stage}]
          ABSENT: !If [IsOn, x, !Ref AWS::NoValue]
      Events:
        All: {Type: Api, Properties: {Path: /things, Method: any, ResponseTransferMode: RESPONSE_STREAM}}
        Each: {Type: Api, Properties: {Path: "/things/{proxy+}", Method: get}}
  KeepFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/keep
      Timeout: 60
      Environment: {Variables: {TABLE: !Ref Things}}
      Events:
        Often: {Type: ScheduleV2, Properties: {ScheduleExpression: !Ref Every, Input: '{"task":"keep"}'}}
        Never: {Type: ScheduleV2, Properties: {ScheduleExpression: rate(1 day), State: DISABLED}}
        Changes:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Things.StreamArn
            StartingPosition: TRIM_HORIZON
            BatchSize: 10
            MaximumRetryAttempts: 3
            FunctionResponseTypes: [ReportBatchItemFailures]
  SometimesFunction:
    Type: AWS::Serverless::Function
    Condition: IsOn
    Properties: {CodeUri: functions/sometimes/}
  Key: {Type: AWS::KMS::Key, Properties: {KeyPolicy: {}}}
  KeyAlias:
    Type: AWS::KMS::Alias
    Properties: {AliasName: !Sub "alias/${AWS::StackName}", TargetKeyId: !Ref Key}
  Things:
    Type: AWS::DynamoDB::Table
    DeletionPolicy: Retain
    Properties:
      BillingMode: PAY_PER_REQUEST
      KeySchema: [{AttributeName: pk, KeyType: HASH}, {AttributeName: sk, KeyType: RANGE}]
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}, {AttributeName: sk, AttributeType: S}]
      GlobalSecondaryIndexes:
        - IndexName: by-sk
          KeySchema: [{AttributeName: sk, KeyType: HASH}]
          Projection: {ProjectionType: ALL}
          ContributorInsightsSpecification: {Enabled: true}
      StreamSpecification: {StreamViewType: NEW_AND_OLD_IMAGES}
      TimeToLiveSpecification: {AttributeName: ttl, Enabled: true}
      DeletionProtectionEnabled: true
"""


@pytest.fixture
def stack() -> Stack:
    return read_stack(TEMPLATE)


def test_a_function_has_its_own_environment_and_the_globals_all_resolved(
    stack: Stack,
) -> None:
    assert stack.function("read").environment == {
        "SERVICE": "things",
        "TABLE": "headgate-local-Things",
        "TABLE_ARN": "arn:aws:dynamodb:us-east-1:123456789012:table/headgate-local-Things",
        "OTHER": "headgate-local-KeepFunction",
        "OTHER_ARN": "arn:aws:lambda:us-east-1:123456789012:function:headgate-local-KeepFunction:live",
        "HOSTS": "a.test;b.test",
        "SECOND": "y",
        "TTL": "600",
        "FLAG": "true",
        "SEAL": "alias/headgate-local",
        "PREFIX": "/live",
        "LITERAL": "${Stage} live us-east-1",
    }
    assert stack.function("keep").environment == {"SERVICE": "things", "TABLE": "headgate-local-Things"}


def test_a_functions_own_properties_win_over_the_globals(stack: Stack) -> None:
    assert stack.function("read").timeout_s == 29
    assert stack.function("keep").timeout_s == 60
    assert stack.function("read").memory_mb == 256


def test_api_events_are_routes(stack: Stack) -> None:
    assert stack.function("read").routes == (
        Route(method="ANY", path="/things", streamed=True),
        Route(method="GET", path="/things/{proxy+}"),
    )


def test_enabled_schedules_carry_their_expression_and_input(stack: Stack) -> None:
    assert stack.function("keep").schedules == (
        ScheduleSpec(name="KeepFunction.Often", expression="rate(10 minutes)", input='{"task":"keep"}'),
    )


def test_a_table_event_names_its_table(stack: Stack) -> None:
    assert stack.function("keep").streams == (
        StreamSpec(
            name="KeepFunction.Changes",
            table="headgate-local-Things",
            batch_size=10,
            retries=3,
            reports_failures=True,
        ),
    )


def test_a_table_is_created_with_its_keys_indexes_stream_and_expiry(stack: Stack) -> None:
    (table,) = stack.tables
    assert table.create["TableName"] == table.physical_name == "headgate-local-Things"
    assert [key["AttributeName"] for key in table.create["KeySchema"]] == ["pk", "sk"]
    assert table.create["GlobalSecondaryIndexes"] == [
        {
            "IndexName": "by-sk",
            "KeySchema": [{"AttributeName": "sk", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ]
    assert table.create["StreamSpecification"] == {
        "StreamEnabled": True,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    assert table.ttl_attribute == "ttl"
    assert "DeletionProtectionEnabled" not in table.create


def test_a_key_is_known_by_its_alias(stack: Stack) -> None:
    assert stack.key_aliases == ("alias/headgate-local",)


def test_what_a_condition_excludes_is_not_there() -> None:
    assert "sometimes" not in {spec.name for spec in read_stack(TEMPLATE).functions}
    assert "sometimes" in {spec.name for spec in read_stack(TEMPLATE, {"Level": "on"}).functions}


def test_a_given_parameter_wins_over_its_default() -> None:
    changed = read_stack(TEMPLATE, {"Every": "rate(1 minute)", "TtlSeconds": "5", "Stage": "other"})
    assert changed.function("keep").schedules[0].expression == "rate(1 minute)"
    assert changed.function("read").environment["TTL"] == "5"
    assert changed.function("read").environment["PREFIX"] == ""


def test_a_variable_knows_whether_a_given_parameter_made_it() -> None:
    assert read_stack(TEMPLATE).function("read").chosen == frozenset()
    given = read_stack(TEMPLATE, {"TtlSeconds": "600", "Level": "off"}).function("read")
    assert given.chosen == {"TTL", "PREFIX", "ABSENT"}
    assert given.environment["TTL"] == "600"


@pytest.mark.parametrize(
    ("parameters", "said"),
    [({"Nope": "1"}, "no parameter Nope"), ({"Level": "loud"}, "Level must be one of on, off")],
)
def test_a_parameter_that_the_template_does_not_take_is_refused(
    parameters: dict[str, str], said: str
) -> None:
    with pytest.raises(TemplateError, match=said):
        read_stack(TEMPLATE, parameters)


def test_a_parameter_without_a_default_must_be_given() -> None:
    text = TEMPLATE.replace("Stage: {Type: String, Default: live}", "Stage: {Type: String}")
    with pytest.raises(TemplateError, match="HEADGATE_PARAM_Stage"):
        read_stack(text)


@pytest.mark.parametrize(
    "name",
    [
        "keep",
        "KeepFunction",
        "headgate-local-KeepFunction",
        "headgate-local-KeepFunction:live",
        "arn:aws:lambda:us-east-1:123456789012:function:headgate-local-KeepFunction",
        "arn:aws:lambda:us-east-1:123456789012:function:headgate-local-KeepFunction:live",
    ],
)
def test_a_function_is_found_by_any_of_its_names(stack: Stack, name: str) -> None:
    assert stack.function(name).logical_id == "KeepFunction"


def test_an_unknown_function_is_not_found(stack: Stack) -> None:
    with pytest.raises(KeyError):
        stack.function("headgate-local-Nobody")


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        ("!Ref Things", "!Ref Nothing", "no resource or parameter Nothing"),
        ("!Ref Things", "!ImportValue elsewhere", "Fn::ImportValue is not understood"),
        ("[IsLive, ", "[IsNew, ", "no condition IsNew"),
        ("CodeUri: functions/read/", "InlineCode: x", "ReadFunction: a function needs its CodeUri"),
        ("[1, !Split", "[7, !Split", "Fn::Select has arguments it can't take"),
    ],
)
def test_a_template_that_can_not_run_here_says_what_is_wrong(was: str, becomes: str, said: str) -> None:
    with pytest.raises(TemplateError, match=said):
        read_stack(TEMPLATE.replace(was, becomes, 1))


@given(st.text(max_size=40))
def test_text_that_is_no_template_is_refused_and_nothing_else(text: str) -> None:
    try:
        template = read_yaml(text)
    except TemplateError:
        return
    assert isinstance(template, dict)
