"""The private names of ministack that the sandbox uses: another version may have none of them.

These tests import ministack, so they need the sandbox's environment: tests/sandbox/test_sandbox_ministack.py runs them.
"""

import inspect
from datetime import datetime
from importlib import metadata
from pathlib import Path

import pytest
from ministack import app
from ministack.core import concurrency, iam_actions, iam_evaluator, lambda_runtime, responses
from ministack.services import cloudcontrol, cloudformation, ecr, iam, kms, s3, sts
from ministack.services.cloudformation import changesets, drift, engine, handlers, helpers, provisioners, stacks

from sandbox.environment import isolate


def parameters(function: object) -> list[str]:
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
    ],
)
def test_request_handlers_are_coroutines_of_five_arguments(handler: object) -> None:
    assert inspect.iscoroutinefunction(handler)
    assert parameters(handler) == REQUEST


def test_modules_are_looked_up_at_each_request() -> None:
    source = inspect.getsource(app._lazy_handler) + inspect.getsource(app._handle_ecr_registry_request)
    assert "mod.handle_request(" in source
    assert '_get_module("ecr").handle_registry_request(' in source


def test_create_update_and_delete_get_what_the_stack_types_expect() -> None:
    create = inspect.getsource(provisioners._provision_resource)
    assert 'handler["create"](logical_id, props, stack_name)' in create
    update = inspect.getsource(provisioners._update_resource)
    assert "physical_id, old_props, new_props, stack_name, logical_id" in update
    assert 'handler.get("update_with_logical_id")' in update
    assert "if old_props == new_props:" in update
    delete = inspect.getsource(provisioners._delete_resource)
    assert 'handler["delete"](physical_id, props, logical_id)' in delete
    assert parameters(provisioners._delete_resource)[-2:] == ["stack_name", "logical_id"]


def test_the_stack_engine_looks_its_helpers_up_at_each_call() -> None:
    source = inspect.getsource(stacks)
    assert parameters(stacks._runs_on_worker_thread) == ["resource_type"]
    assert parameters(stacks._sends_back_failed_update) == ["resource_type"]
    assert "await run_reentrant(\n                    _delete_resource, rtype" in source
    assert inspect.iscoroutinefunction(changesets._import_resources_async)
    assert parameters(changesets._import_resources_async) == ["cs", "stack", "new_stack"]
    assert parameters(stacks._delete_resource)[:3] == ["resource_type", "physical_id", "props"]
    events = ["stack_id", "stack_name", "logical_id", "resource_type", "status", "reason", "physical_id"]
    assert parameters(stacks._add_event)[:7] == events
    assert source.count('f"{status_prefix}_COMPLETE",\n               physical_id=stack_id)') == 1
    assert "_import_resources_async(cs, stack, new_stack)" in inspect.getsource(changesets._start_import)


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


def test_updates_are_checked_where_their_templates_are_validated() -> None:
    for name in ("UpdateStack", "CreateChangeSet"):
        assert parameters(handlers._ACTION_HANDLERS[name]) == ["params"]
    assert "validate_template_support(" in inspect.getsource(handlers._update_stack)
    assert parameters(handlers.validate_template_support)[0] == "template"
    assert parameters(handlers._resolve_stack) == ["stack_name"]
    assert parameters(helpers._p)[:2] == ["params", "key"]
    assert isinstance(cloudformation._change_sets, responses.AccountRegionScopedDict)


def test_properties_of_imported_resources_are_resolved_as_expected() -> None:
    expected = ["value", "resources", "params", "conditions", "mappings", "stack_name", "stack_id"]
    assert parameters(engine._resolve_refs) == expected
    assert parameters(engine._evaluate_conditions)[0] == "template"
    for name in ("_template", "_resolved_params", "_resources_to_import"):
        assert f'cs["{name}"]' in inspect.getsource(changesets._import_resources_async)


def test_roles_tell_when_they_were_made() -> None:
    assert '"CreateDate": ' in inspect.getsource(iam)
    assert datetime.fromisoformat(iam._now()).tzinfo is not None


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
    assert "_gen_secret()" in inspect.getsource(sts)
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


def test_kms_finds_a_key_by_each_of_its_spellings() -> None:
    assert parameters(kms._resolve_key) == ["key_id_or_arn"]
    assert 'rec.get("Arn")' in inspect.getsource(kms._resolve_key)


def test_nested_stacks_are_found_and_sorted_as_expected() -> None:
    assert parameters(provisioners._nested_stack_lookup_name) == ["physical_id_or_arn"]
    assert parameters(engine._topological_sort)[:2] == ["resources", "conditions"]
    assert parameters(provisioners._RESOURCE_HANDLERS["AWS::CloudFormation::Stack"]["delete"])[:2] == [
        "physical_id",
        "props",
    ]


def test_what_is_set_in_the_environment_is_what_ministack_reads() -> None:
    source = inspect.getsource(app) + inspect.getsource(s3) + inspect.getsource(responses) + inspect.getsource(drift)
    names = ("BIND_HOST", "GATEWAY_PORT", "MINISTACK_HOST", "MINISTACK_ACCOUNT_ID", "MINISTACK_REGION")
    for name in (*names, "S3_DATA_DIR", "LOG_LEVEL", "IOT_MTLS_ENABLED", "SFTP_ENABLED", "DOCKER_HOST"):
        assert f'"{name}"' in source
        assert f'"{name}"' in inspect.getsource(isolate)
