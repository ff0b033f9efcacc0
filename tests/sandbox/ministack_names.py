"""The private names of ministack that the sandbox uses: another version may have none of them.

These tests import ministack, so they need the sandbox's environment: tests/sandbox/test_sandbox_ministack.py runs them.
"""

import asyncio
import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from ministack import app
from ministack.core import concurrency, iam_actions, iam_evaluator, lambda_runtime, responses
from ministack.services import (
    cloudcontrol,
    cloudformation,
    cloudwatch,
    cloudwatch_logs,
    ecr,
    ecs,
    iam,
    inspector2,
    kms,
    lambda_svc,
    s3,
    sts,
    tagging,
)
from ministack.services.cloudformation import changesets, drift, engine, handlers, helpers, provisioners, stacks

from sandbox.environment import ACCOUNT, REGION
from sandbox.gateway.ministack import key_arn, role_age


def parameters(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_the_version_is_the_pinned_one() -> None:
    text = (Path(__file__).parents[2] / "requirements-sandbox.in").read_text()
    version = metadata.version("ministack")
    assert f"ministack=={version} " in text


REQUEST = ["method", "path", "headers", "body", "query_params"]


@pytest.mark.parametrize(
    "handler",
    [
        ecr.handle_request,
        ecr.handle_registry_request,
        cloudcontrol.handle_request,
        cloudformation.handle_request,
        kms.handle_request,
        lambda_svc.handle_request,
        ecs.handle_request,
        inspector2.handle_request,
    ],
)
def test_request_handlers_are_coroutines_of_five_arguments(handler: object) -> None:
    assert inspect.iscoroutinefunction(handler)
    assert parameters(handler) == REQUEST


def test_modules_are_looked_up_at_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    async def replaced(*_: object) -> tuple[int, dict[str, str], bytes]:
        return 299, {}, b"ours"

    monkeypatch.setattr(ecr, "handle_request", replaced)
    monkeypatch.setattr(ecr, "handle_registry_request", replaced)
    request: tuple[object, ...] = ("GET", "/v2/", {}, b"", {})
    assert asyncio.run(app._lazy_handler("ecr")(*request)) == (299, {}, b"ours")
    assert asyncio.run(app._handle_ecr_registry_request(*request)) == (299, {}, b"ours")


def test_create_update_and_delete_get_what_the_stack_types_expect(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[object, ...]] = []

    def handler(*arguments: object) -> tuple[str, dict[str, str]]:
        calls.append(arguments)
        return "id", {}

    handled = {"create": handler, "update": handler, "delete": handler}
    switches = {"update_with_logical_id": True, "delete_with_logical_id": True}
    monkeypatch.setitem(provisioners._RESOURCE_HANDLERS, "Test::A::B", handled | switches)
    before, after = {"Size": 1}, {"Size": 2}
    provisioners._provision_resource("Test::A::B", "Thing", before, "stack")
    provisioners._update_resource("Test::A::B", "id", before, after, "stack", "Thing")
    provisioners._update_resource("Test::A::B", "id", after, dict(after), "stack", "Thing")  # no change, and no call
    provisioners._delete_resource("Test::A::B", "id", after, "stack", "Thing")
    assert calls == [("Thing", before, "stack"), ("id", before, after, "stack", "Thing"), ("id", after, "Thing")]


def test_helpers_of_the_stack_engine_have_the_expected_shape() -> None:
    """That the engine looks them up at each call: tests of stacks, updates and imports fail if it does not."""
    assert parameters(stacks._runs_on_worker_thread) == ["resource_type"]
    assert parameters(stacks._sends_back_failed_update) == ["resource_type"]
    assert inspect.iscoroutinefunction(changesets._import_resources_async)
    assert parameters(changesets._import_resources_async) == ["cs", "stack", "new_stack"]
    assert parameters(stacks._delete_resource)[:3] == ["resource_type", "physical_id", "props"]
    events = ["stack_id", "stack_name", "logical_id", "resource_type", "status", "reason", "physical_id"]
    assert parameters(stacks._add_event)[:7] == events


def test_the_tables_are_dictionaries() -> None:
    for table in (
        provisioners._RESOURCE_HANDLERS,
        provisioners._REPLACING_PROPERTIES,
        provisioners._CONDITIONALLY_REPLACING_PROPERTIES,
        provisioners._STACK_TAG_PROPERTY,
        drift._DRIFT_READERS,
        handlers._ACTION_HANDLERS,
    ):
        assert isinstance(table, dict)
    assert set(provisioners._RESOURCE_HANDLERS["AWS::ECR::Repository"]) >= {"create", "update", "delete"}
    assert cloudformation._ACTION_HANDLERS is handlers._ACTION_HANDLERS


def test_logs_metrics_and_tagging_have_what_is_put_in_their_place() -> None:
    """That the functions are looked up at each call: tests of monitoring and of the tagging API fail if not."""
    for log_function in (cloudwatch_logs._put_metric_filter, cloudwatch_logs._put_log_events):
        assert parameters(log_function) == ["data"]
    assert parameters(cloudwatch_logs.error_response_json)[:3] == ["code", "message", "status"]
    assert isinstance(cloudwatch_logs._metric_filters, responses.AccountRegionScopedDict)
    stored = ["namespace", "name", "dims", "ts", "unit", "value", "values", "counts", "stat_values"]
    assert parameters(cloudwatch._store_datum) == stored
    assert parameters(cloudwatch._evaluate_all_alarms) == []
    assert parameters(cloudwatch._get_metric_data) == ["params", "cbor_data", "is_cbor", "is_json"]
    assert isinstance(cloudwatch._metrics, responses.AccountRegionScopedDict)
    assert all("ecr" in table for table in (tagging._COLLECTORS, tagging._WRITERS, tagging._REMOVERS))
    assert parameters(tagging._HANDLERS["GetResources"]) == ["data"]
    for failure in (tagging._ResourceNotFound, tagging._WrongRegionArn):
        assert issubclass(failure, Exception)


def test_updates_are_checked_where_their_templates_are_validated() -> None:
    for name in ("UpdateStack", "CreateChangeSet"):
        assert parameters(handlers._ACTION_HANDLERS[name]) == ["params"]
    assert parameters(handlers.validate_template_support)[0] == "template"
    assert parameters(handlers._resolve_stack) == ["stack_name"]
    assert parameters(helpers._p)[:2] == ["params", "key"]
    assert isinstance(cloudformation._change_sets, responses.AccountRegionScopedDict)


def test_exports_are_resolved_and_found_as_expected() -> None:
    expected = ["outputs_defs", "conditions", "resources", "param_values", "mappings", "stack_name", "stack_id"]
    assert parameters(stacks._resolve_stack_outputs) == expected
    assert parameters(handlers._imported_export_names) == ["stack", "stack_name"]
    assert isinstance(cloudformation._exports, responses.AccountRegionScopedDict)


def test_properties_of_imported_resources_are_resolved_as_expected() -> None:
    expected = ["value", "resources", "params", "conditions", "mappings", "stack_name", "stack_id"]
    assert parameters(engine._resolve_refs) == expected
    assert parameters(engine._evaluate_conditions)[0] == "template"


def test_roles_tell_when_they_were_made() -> None:
    created = {"Action": ["CreateRole"], "RoleName": ["new"], "AssumeRolePolicyDocument": ["{}"]}
    with responses.request_scope(ACCOUNT, REGION):
        asyncio.run(iam.handle_request("POST", "/", {}, urlencode(created, doseq=True).encode(), created))
        age = role_age(f"arn:aws:iam::{ACCOUNT}:role/new")
    assert age is not None
    assert 0 <= age < 60


def test_stack_tags_are_merged_into_the_property_that_the_table_names() -> None:
    provisioners._STACK_TAG_PROPERTY["Test::A::B"] = ("::Tags", "map")
    try:
        tagged = provisioners._with_stack_tags(
            "Test::A::B", {"Size": 1}, [{"Key": "a", "Value": "1"}], "stack", "stack-id", "Thing"
        )
    finally:
        del provisioners._STACK_TAG_PROPERTY["Test::A::B"]
    assert tagged["Size"] == 1
    assert tagged["::Tags"]["a"] == "1"
    assert tagged["::Tags"]["aws:cloudformation:stack-id"] == "stack-id"


def test_other_helpers_have_the_expected_shape() -> None:
    assert parameters(s3._get_object_data)[:2] == ["bucket_name", "key"]
    assert parameters(sts.register_session) == ["access_key", "session"]
    assert parameters(lambda_runtime.reset) == []
    assert parameters(concurrency.run_reentrant)[0] == "fn"
    assert parameters(responses.request_scope) == ["account_id", "region"]
    assert isinstance(cloudformation._stacks, responses.AccountRegionScopedDict)


def test_sts_iam_and_s3_have_the_expected_shape() -> None:
    assert isinstance(sts._sessions, dict)
    assert isinstance(sts._gen_secret(), str)
    assert isinstance(sts._gen_session_token(), str)
    assert hasattr(iam._roles, "get_scoped")
    assert parameters(iam_evaluator._resolve_managed_policy_document) == ["policy_arn", "account_id"]
    assert parameters(s3.handle_request)[:5] == REQUEST
    assert "internal" in parameters(s3.handle_request)
    for function in (
        iam_actions.extract_iam_action,
        iam_actions.extract_resource_arn,
        iam_actions.s3_additional_checks,
    ):
        assert callable(function)


def test_functions_tasks_and_services_are_kept_as_expected() -> None:
    for table in (lambda_svc._functions, ecs._clusters, ecs._tasks, ecs._services, ecs._task_defs):
        assert isinstance(table, responses.AccountRegionScopedDict)
    assert ecs._normalize_ecs_timestamps(
        ecs._sanitize({"_own": 1, "createdAt": "1970-01-01T00:00:09Z", "x": None})
    ) == {"createdAt": 9}
    assert inspector2._get_config(ACCOUNT)["ecr"]["status"] == "DISABLED"


def ask_kms(operation: str, **parameters: str) -> dict[str, Any]:
    headers = {"x-amz-target": f"TrentService.{operation}"}
    _, _, body = asyncio.run(kms.handle_request("POST", "/", headers, json.dumps(parameters).encode(), {}))
    answer: dict[str, Any] = json.loads(body or b"{}")
    return answer


def test_kms_finds_a_key_by_each_of_its_spellings() -> None:
    with responses.request_scope(ACCOUNT, REGION):
        key = ask_kms("CreateKey")["KeyMetadata"]
        ask_kms("CreateAlias", AliasName="alias/app", TargetKeyId=key["KeyId"])
        spellings = [key["KeyId"], key["Arn"], "alias/app", f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/app"]
        assert [key_arn(each) for each in spellings] == [key["Arn"]] * 4
        assert key_arn("alias/other") is None


def test_nested_stacks_are_found_and_sorted_as_expected() -> None:
    assert parameters(provisioners._nested_stack_lookup_name) == ["physical_id_or_arn"]
    assert parameters(engine._topological_sort)[:2] == ["resources", "conditions"]
    assert parameters(provisioners._RESOURCE_HANDLERS["AWS::CloudFormation::Stack"]["delete"])[:2] == [
        "physical_id",
        "props",
    ]


AS_MINISTACK_SEES_IT = """
import json, sys
from pathlib import Path
from sandbox.environment import isolate
isolate(1234, Path(sys.argv[1]), verbose=False)
from ministack import app
from ministack.core import responses
from ministack.services import s3
from ministack.services.cloudformation import custom_resource
seen = [s3.DATA_DIR, app.LOG_LEVEL, custom_resource._HOST, custom_resource._PORT]
print(json.dumps([*seen, responses.get_account_id(), responses.get_region()]))
"""


def test_what_is_set_in_the_environment_is_what_ministack_reads(tmp_path: Path) -> None:
    """Which addresses it listens on, and whether it finds a docker daemon: see the tests of the server."""
    command = [sys.executable, "-c", AS_MINISTACK_SEES_IT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    expected = [str(tmp_path / "s3"), "CRITICAL", "127.0.0.1", "1234", ACCOUNT, REGION]
    assert json.loads(done.stdout.splitlines()[-1]) == expected
