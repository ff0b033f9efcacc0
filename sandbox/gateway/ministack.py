"""All names of ministack that the sandbox uses. They are private: the version is pinned, and a test guards them."""

from __future__ import annotations

import contextvars
import copy
import functools
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from ministack import app as _app
from ministack.core import iam_actions as _iam_actions
from ministack.core import iam_evaluator as _iam_evaluator
from ministack.core import lambda_runtime as _lambda_runtime
from ministack.core.concurrency import run_reentrant
from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.core.router import extract_access_key_id
from ministack.services import cloudcontrol as _cloudcontrol
from ministack.services import cloudformation as _cloudformation
from ministack.services import cloudwatch as _cloudwatch
from ministack.services import cloudwatch_logs as _logs
from ministack.services import ecr as _ecr
from ministack.services import ecs as _ecs
from ministack.services import iam as _iam
from ministack.services import inspector2 as _inspector2
from ministack.services import kms as _kms
from ministack.services import lambda_svc as _lambda
from ministack.services import s3 as _s3
from ministack.services import sts as _sts
from ministack.services import tagging as _tagging
from ministack.services.cloudformation import changesets as _changesets
from ministack.services.cloudformation import drift as _drift
from ministack.services.cloudformation import engine as _engine
from ministack.services.cloudformation import handlers as _handlers
from ministack.services.cloudformation import helpers as _helpers
from ministack.services.cloudformation import provisioners as _provisioners
from ministack.services.cloudformation import stacks as _stacks

from sandbox.log_metrics import Datum

VERSION = "1.5.33"
STACK = "AWS::CloudFormation::Stack"

Response = tuple[int, dict[str, str], bytes]
RequestHandler = Callable[[str, str, dict[str, str], bytes, dict[str, list[str]]], Awaitable[Response]]

__all__ = ["extract_access_key_id", "get_account_id", "get_region", "request_scope", "run_reentrant"]

asgi_app = _app.app

# ministack merges stack tags into the property that _STACK_TAG_PROPERTY names for a type. For registered types that is
# the property below, which no template can have. So stack tags stay apart from the type's own Tags, and a change of
# stack tags alone is an update. ministack also puts the ids of the stack and of the resource into the property.
STACK_TAGS = "::StackTags"

# Which stack a delete is for: delete handlers are not told.
_deleting_stack: contextvars.ContextVar[str | None] = contextvars.ContextVar("deleting_stack", default=None)
# Which stack an UpdateStack is for, while its template is validated.
_updated_stack: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar("updated_stack", default=None)
_registered: set[str] = set()


def replace_ecr(api: RequestHandler, registry: RequestHandler) -> None:
    _ecr.handle_request = api
    _ecr.handle_registry_request = registry


def replace_cloud_control(api: RequestHandler) -> None:
    _cloudcontrol.handle_request = api


def wrap_cloudformation(wrap: Callable[[RequestHandler], RequestHandler]) -> None:
    """Put a handler before CloudFormation's own."""
    _cloudformation.handle_request = wrap(_cloudformation.handle_request)


def add_actions(actions: dict[str, Callable[[dict[str, list[str]]], Response]]) -> None:
    """Add actions to CloudFormation's API."""
    _cloudformation._ACTION_HANDLERS.update(actions)


def install() -> None:
    """Teach the stack engine what it must know of registered types. Once a process."""
    found = metadata.version("ministack")
    if found != VERSION:
        raise RuntimeError(f"The sandbox is made for ministack {VERSION}, and this is {found}: run `make setup`.")
    on_thread, sends_back = _stacks._runs_on_worker_thread, _stacks._sends_back_failed_update
    delete, import_all = _stacks._delete_resource, _changesets._import_resources_async

    def delete_in_stack(kind: str, physical_id: str, properties: Any, stack: Any = None, logical_id: Any = None) -> Any:
        token = _deleting_stack.set(stack)
        try:
            return delete(kind, physical_id, properties, stack, logical_id)
        finally:
            _deleting_stack.reset(token)

    def delete_nested(physical_id: str, _properties: Any) -> None:
        _delete_nested_stack(delete_in_stack, physical_id)

    async def import_prepared(change_set: dict[str, Any], stack: dict[str, Any], is_new: bool) -> None:
        # ministack imports on the event loop, which handlers need for their calls to AWS. So our imports run before.
        await run_reentrant(_prepare_import, change_set, stack)
        await import_all(change_set, stack, is_new)

    _stacks._runs_on_worker_thread = lambda kind: kind in _registered or on_thread(kind)
    _stacks._sends_back_failed_update = lambda kind: kind in _registered or sends_back(kind)
    _stacks._delete_resource = delete_in_stack
    _provisioners._RESOURCE_HANDLERS[STACK]["delete"] = delete_nested
    _changesets._import_resources_async = import_prepared


def wrap_stack_delete(wrap: Callable[[Callable[..., None]], Callable[..., None]]) -> None:
    """Wrap the function by which stacks delete a resource. It gets type, id, properties, stack name and logical id."""
    _stacks._delete_resource = wrap(_stacks._delete_resource)


def before_update_complete(prepare: Callable[[dict[str, Any]], str]) -> None:
    """Call a function with the stack before an update ends; what it returns is the reason of the last event."""
    original = _stacks._add_event

    def add(stack_id: str, stack_name: str, logical_id: str, kind: str, status: str, *more: Any, **named: Any) -> None:
        if (logical_id, kind, status) == (stack_name, STACK, "UPDATE_COMPLETE"):
            named["reason"] = prepare(stack_by_name(stack_name))
        original(stack_id, stack_name, logical_id, kind, status, *more, **named)

    _stacks._add_event = add


def add_event(stack: dict[str, Any], resource: tuple[str, str, str], status: str, reason: str = "") -> None:
    """Record an event of a resource: its logical id, type and physical id."""
    logical_id, kind, physical_id = resource
    _stacks._add_event(stack["StackId"], stack["StackName"], logical_id, kind, status, reason, physical_id)


def itself(stack: dict[str, Any]) -> tuple[str, str, str]:
    """A stack as the resource of its own events."""
    return stack["StackName"], STACK, stack["StackId"]


def check_exports(check: Callable[[str, str | None, list[str]], str | None]) -> None:
    """Fail an operation if `check` returns a reason.

    `check` gets each export that changes, its new value, and the names of the stacks that import it.
    """
    resolve = _stacks._resolve_stack_outputs

    def resolve_checked(*arguments: Any) -> tuple[list[dict[str, Any]], dict[str, dict[str, str]]]:
        outputs, exports = resolve(*arguments)
        stack_id = arguments[-1]
        for name, before in list(_cloudformation._exports.items()):
            value = exports.get(name, {}).get("Value")
            if before["StackId"] == stack_id and value != before["Value"]:
                why = check(name, value, _importers(name))
                if why:
                    raise ValueError(why)
        return outputs, exports

    _stacks._resolve_stack_outputs = resolve_checked


def _importers(export: str) -> list[str]:
    """The names of the stacks that import an export."""
    return [
        name
        for name, stack in _cloudformation._stacks.items()
        if stack["StackStatus"] != "DELETE_COMPLETE" and export in _handlers._imported_export_names(stack, name)
    ]


def check_updates(check: Callable[[dict[str, Any], dict[str, Any]], str | None]) -> None:
    """Refuse an update, and fail a change set, where `check` says why; it gets the stack and the new template."""
    actions = _handlers._ACTION_HANDLERS
    update, create_change_set = actions["UpdateStack"], actions["CreateChangeSet"]
    validate = _handlers.validate_template_support

    def update_checked(parameters: dict[str, Any]) -> Response:
        token = _updated_stack.set(_handlers._resolve_stack(_helpers._p(parameters, "StackName")))
        try:
            answer: Response = update(parameters)
            return answer
        finally:
            _updated_stack.reset(token)

    def validate_checked(template: dict[str, Any], *more: Any, **named: Any) -> None:
        validate(template, *more, **named)
        stack = _updated_stack.get()
        why = check(stack, template) if stack else None
        if why:
            raise ValueError(why)

    def create_change_set_checked(parameters: dict[str, Any]) -> Response:
        before = set(_cloudformation._change_sets)
        answer: Response = create_change_set(parameters)
        for made in set(_cloudformation._change_sets) - before:
            change_set = _cloudformation._change_sets[made]
            why = check(stack_by_name(change_set["StackName"]), change_set["_template"])
            if why:
                change_set.update(Status="FAILED", ExecutionStatus="UNAVAILABLE", StatusReason=why, Changes=[])
        return answer

    _handlers.validate_template_support = validate_checked
    actions.update(UpdateStack=update_checked, CreateChangeSet=create_change_set_checked)


def _delete_nested_stack(delete: Callable[..., Any], physical_id: str) -> None:
    """Delete the resources of a nested stack. Raises RuntimeError with the resources that failed.

    ministack's own function ignores failures, and marks the stack as deleted.
    """
    name = _provisioners._nested_stack_lookup_name(physical_id)
    stack = _cloudformation._stacks.get(name)
    if stack is None:
        return
    definitions, resources, failed = stack["_template"]["Resources"], stack["_resources"], {}
    for logical_id in reversed(_engine._topological_sort(definitions, stack.get("_conditions", {}))):
        record = resources.get(logical_id)
        if record is None or str(definitions[logical_id].get("DeletionPolicy", "")).startswith("Retain"):
            continue
        try:
            delete(record["ResourceType"], record["PhysicalResourceId"], record["Properties"], name, logical_id)
        except Exception as error:  # of any handler; told by the parent's event
            failed[logical_id] = str(error)
    stack["_resources"] = {logical_id: resources[logical_id] for logical_id in failed}
    stack["StackStatus"] = "DELETE_FAILED" if failed else "DELETE_COMPLETE"
    if failed:
        reasons = " ".join(f"{logical_id}: {reason}" for logical_id, reason in failed.items())
        listed = ", ".join(failed)
        told = f"Embedded stack {stack['StackId']} was not successfully deleted: "
        raise RuntimeError(f"{told}The following resource(s) failed to delete: [{listed}]. {reasons}")


# Imports a resource before the engine does. It gets the identifier, the stack, the logical id, and a function that
# resolves the properties. It returns the physical id and the attributes, or None if the import failed.
ImportHook = Callable[
    [dict[str, str], dict[str, Any], str, Callable[[], dict[str, Any]]], tuple[str, dict[str, Any]] | None
]
_import_hooks: dict[str, ImportHook] = {}


def _prepare_import(change_set: dict[str, Any], stack: dict[str, Any]) -> None:
    """Import what has a hook, in the order of the engine: a resource may refer to one before it."""
    definitions, resources = change_set["_template"]["Resources"], dict(stack.get("_resources", {}))
    conditions = _engine._evaluate_conditions(change_set["_template"], change_set["_resolved_params"])
    entries = {each["LogicalResourceId"]: each for each in change_set["_resources_to_import"]}
    for logical_id in _engine._topological_sort(definitions, conditions):
        hook = _import_hooks.get(entries.get(logical_id, {}).get("ResourceType", ""))
        if hook is None:
            continue
        properties = functools.partial(_resolved_properties, change_set, stack, logical_id, dict(resources))
        imported = hook(entries[logical_id]["ResourceIdentifier"], stack, logical_id, properties)
        if imported is None:
            return
        physical_id, attributes = imported
        kind = definitions[logical_id]["Type"]
        resources[logical_id] = {"PhysicalResourceId": physical_id, "ResourceType": kind, "Attributes": attributes}


def _resolved_properties(
    change_set: dict[str, Any], stack: dict[str, Any], logical_id: str, resources: dict[str, Any]
) -> dict[str, Any]:
    """The properties of a resource in a change set's template, where `resources` exist already."""
    template, values = change_set["_template"], change_set["_resolved_params"]
    conditions = _engine._evaluate_conditions(template, values)
    given = copy.deepcopy(template["Resources"][logical_id].get("Properties", {}))
    place = (values, conditions, template.get("Mappings", {}), stack["StackName"], stack["StackId"])
    resolved = _engine._resolve_refs(given, resources, *place)
    return {name: value for name, value in resolved.items() if value is not _engine._NO_VALUE}


def add_resource_type(
    name: str,
    handlers: dict[str, Any],
    create_only: tuple[str, ...],
    drift: tuple[Callable[[str, dict[str, Any]], dict[str, Any] | None], frozenset[str]],
    before_import: ImportHook | None = None,
    takes_tags: bool = True,
    conditional_create_only: tuple[str, ...] = (),
) -> None:
    """Add a type to the stack engine; its handlers run on threads of their own.

    `drift` is a reader and the properties it reads. `conditional_create_only` is for change sets alone: whether an
    update replaces is up to the handler.
    """
    _registered.add(name)
    _provisioners._RESOURCE_HANDLERS[name] = handlers
    _provisioners._REPLACING_PROPERTIES[name] = create_only
    _provisioners._CONDITIONALLY_REPLACING_PROPERTIES[name] = conditional_create_only
    _drift._DRIFT_READERS[name] = drift
    if takes_tags:
        _provisioners._STACK_TAG_PROPERTY[name] = (STACK_TAGS, "map")
    else:
        _provisioners._STACK_TAG_PROPERTY.pop(name, None)
    if before_import is not None:
        _import_hooks[name] = before_import


def replace_resource_type(
    name: str,
    handlers: dict[str, Any],
    drift: tuple[Callable[[str, dict[str, Any]], dict[str, Any] | None], frozenset[str]],
    before_import: ImportHook,
) -> None:
    """Replace the handlers of a type that ministack has."""
    _provisioners._RESOURCE_HANDLERS[name] = handlers
    _drift._DRIFT_READERS[name] = drift
    _import_hooks[name] = before_import


def remove_resource_type(name: str) -> None:
    """Take a registered type away again."""
    _registered.discard(name)
    for table in (
        _provisioners._RESOURCE_HANDLERS,
        _provisioners._REPLACING_PROPERTIES,
        _provisioners._CONDITIONALLY_REPLACING_PROPERTIES,
        _provisioners._STACK_TAG_PROPERTY,
        _drift._DRIFT_READERS,
        _import_hooks,
    ):
        table.pop(name, None)


def physical_name(stack_name: str, logical_id: str) -> str:
    """A generated name as native types get it."""
    name: str = _provisioners._physical_name(stack_name, logical_id, lowercase=True, max_len=256)
    return name


def stack_by_name(name: str | None) -> dict[str, Any]:
    """The stack of this account and Region; empty where there is none."""
    stack: dict[str, Any] = (_cloudformation._stacks.get(name) or {}) if name else {}
    return stack


def stack_of(physical_id: str, logical_id: str | None) -> dict[str, Any]:
    """The stack that a delete is for, or that holds a resource; empty where there is none."""
    name = _deleting_stack.get()
    if name is not None:
        return stack_by_name(name)
    for stack in _cloudformation._stacks.values():
        for logical, record in stack.get("_resources", {}).items():
            if record.get("PhysicalResourceId") == physical_id and logical_id in (None, logical):
                found: dict[str, Any] = stack
                return found
    return {}


def stack_tags(stack: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in stack.get("Tags") or []}


def read_object(bucket: str, key: str) -> bytes | None:
    """An object of S3, None where there is none."""
    content: bytes | None = _s3._get_object_data(bucket, key)
    return content


def install_secrets(prefix: str) -> None:
    """Let the secrets and session tokens of STS begin with `prefix`, so that they are found where they leak."""
    secret, token = _sts._gen_secret, _sts._gen_session_token
    _sts._gen_secret = lambda: prefix + secret()
    _sts._gen_session_token = lambda: prefix + token()


def new_session(role_arn: str, seconds: int = 3600) -> dict[str, str]:
    """Temporary credentials of a role, in the names that handlers expect. STS knows them."""
    key, secret, token = f"ASIA{secrets.token_hex(8).upper()}", _sts._gen_secret(), _sts._gen_session_token()
    account, role = role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1]
    session = {
        "Arn": f"arn:aws:sts::{account}:assumed-role/{role}/CloudFormation",
        "UserId": f"AROA{secrets.token_hex(8).upper()}:CloudFormation",
        "SecretAccessKey": secret,
        "SessionToken": token,
        "Expiration": time.time() + seconds,
        "AccountId": account,
        "PrincipalType": "AssumedRole",
    }
    _sts.register_session(key, session)
    return {"accessKeyId": key, "secretAccessKey": secret, "sessionToken": token}


def principal_of(access_key: str) -> str:
    """The ARN of the session that a key belongs to; empty for keys that are of no session."""
    return str(_sts._sessions.get(access_key, {}).get("Arn", ""))


def role(account: str, name: str) -> tuple[Any, list[Any]] | None:
    """The trust policy of a role, and its other policies; None where there is no such role."""
    found = _iam._roles.get_scoped(account, None, name)
    if found is None:
        return None
    attached = [_iam_evaluator._resolve_managed_policy_document(arn, account) for arn in found["AttachedPolicies"]]
    documents = [*found.get("InlinePolicies", {}).values(), *attached]
    return found["AssumeRolePolicyDocument"], [each for each in documents if each]


def role_age(arn: str) -> float | None:
    """For how many seconds a role has existed; None where there is no such role."""
    found = _iam._roles.get_scoped(arn.split(":")[4], None, arn.rsplit("/", 1)[-1])
    if found is None:
        return None
    created = datetime.fromisoformat(found["CreateDate"])
    return (datetime.now(UTC) - created).total_seconds()


def wrap_kms(wrap: Callable[[RequestHandler], RequestHandler]) -> None:
    """Put a handler before that of KMS."""
    _kms.handle_request = wrap(_kms.handle_request)


def key_arn(spelling: str) -> str | None:
    """The ARN of a KMS key of the account and Region of the request at hand; None where there is none."""
    found = _kms._resolve_key(spelling)
    return str(found["Arn"]) if found else None


def wrap_s3(wrap: Callable[[Callable[..., Awaitable[Response]]], Callable[..., Awaitable[Response]]]) -> None:
    """Put a handler before S3's own, which takes more arguments than those of other services."""
    _s3.handle_request = wrap(_s3.handle_request)


def s3_questions(
    method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
) -> list[tuple[str, str, dict[str, Any]]]:
    """Action, resource and condition keys of all permissions that a request to S3 needs."""
    action = _iam_actions.extract_iam_action("s3", method, path, headers, body, query)
    if action is None:
        return []
    place = get_region(), get_account_id()
    resource = _iam_actions.extract_resource_arn("s3", method, path, headers, body, query, *place)
    more = _iam_actions.s3_additional_checks(method, path, headers, body, query)
    context = _iam_actions.s3_service_context(action, query, path, headers)
    return [(action, resource, context), *((other, arn, {}) for other, arn in more)]


def s3_denial(action: str, principal: str, message: str) -> Response:
    """What S3 answers to a call that is not allowed."""
    answer: Response = _iam_actions.access_denied_response("s3", action, principal, "sandbox", message=message)
    return answer


def wrap_lambda(wrap: Callable[[RequestHandler], RequestHandler]) -> None:
    """Put a handler before that of Lambda."""
    _lambda.handle_request = wrap(_lambda.handle_request)


def functions() -> dict[str, list[dict[str, Any]]]:
    """All versions of the functions of the account and Region of the request at hand, $LATEST first, by name."""
    return {
        name: [record["config"], *(version["config"] for version in record["versions"].values())]
        for name, record in _lambda._functions.items()
    }


def wrap_ecs(wrap: Callable[[RequestHandler], RequestHandler]) -> None:
    """Put a handler before that of ECS."""
    _ecs.handle_request = wrap(_ecs.handle_request)


def tasks() -> list[dict[str, Any]]:
    """The tasks themselves, of the account and Region of the request at hand."""
    return list(_ecs._tasks.values())


def containers() -> dict[str, list[dict[str, Any]]]:
    """All records of ECS, as it shows them, of the account and Region of the request at hand."""
    tables = {
        "clusters": _ecs._clusters,
        "tasks": _ecs._tasks,
        "services": _ecs._services,
        "task_definitions": _ecs._task_defs,
    }
    return {
        kind: [_ecs._normalize_ecs_timestamps(_ecs._sanitize(each)) for each in table.values()]
        for kind, table in tables.items()
    }


def wrap_inspector(wrap: Callable[[RequestHandler], RequestHandler]) -> None:
    """Put a handler before that of Amazon Inspector."""
    _inspector2.handle_request = wrap(_inspector2.handle_request)


def scans_ecr(account: str) -> bool:
    """Whether Amazon Inspector scans images of an account."""
    return bool(_inspector2._get_config(account)["ecr"]["status"] == "ENABLED")


def check_metric_filters(reason_against: Callable[[str], str | None]) -> None:
    """Refuse a metric filter where a function says why; it gets the filter's pattern."""
    put = _logs._put_metric_filter

    def put_checked(data: dict[str, Any]) -> Response:
        reason = reason_against(data.get("filterPattern", ""))
        if reason is not None:
            refused: Response = _logs.error_response_json("InvalidParameterException", reason, 400)
            return refused
        answer: Response = put(data)
        return answer

    _logs._put_metric_filter = put_checked


def metric_filters(group: str) -> list[dict[str, Any]]:
    """The metric filters of a log group."""
    return [each for each in _logs._metric_filters.values() if each["logGroupName"] == group]


def after_log_events(notify: Callable[[str, list[str]], None]) -> None:
    """Call a function with the log group and the lines that were just written to it."""
    put = _logs._put_log_events

    def put_and_notify(data: dict[str, Any]) -> Response:
        answer: Response = put(data)
        if answer[0] == 200:
            notify(data["logGroupName"], [each["message"] for each in data.get("logEvents", ())])
        return answer

    _logs._put_log_events = put_and_notify


def record_metrics(data: list[Datum]) -> None:
    """Put values of metrics into CloudWatch, and look at the alarms."""
    for each in data:
        place = each.namespace, each.name, dict(each.dimensions)
        _cloudwatch._store_datum(*place, each.time, each.unit, each.value, None, None, None)
    _cloudwatch._evaluate_all_alarms()


def dimensions_of(namespace: str, name: str) -> list[dict[str, str]]:
    """The dimensions of all metrics of a name, each with its values."""
    points = [each for (space, metric, _), each in _cloudwatch._metrics.items() if (space, metric) == (namespace, name)]
    return [each[0]["Dimensions"] for each in points if each]


def expand_metric_queries(expand: Callable[[dict[str, Any]], list[dict[str, Any]]]) -> None:
    """Replace each query of GetMetricData by the queries that `expand` returns for it."""
    get = _cloudwatch._get_metric_data

    def get_expanded(parameters: Any, data: dict[str, Any], is_cbor: bool, is_json: bool = False) -> Response:
        queries = [each for query in data.get("MetricDataQueries", ()) for each in expand(query)]
        answer: Response = get(parameters, {**data, "MetricDataQueries": queries}, is_cbor, is_json)
        return answer

    _cloudwatch._get_metric_data = get_expanded


def replace_tagging_of_ecr(
    collect: Callable[[], Iterator[tuple[str, list[dict[str, str]]]]],
    tag: Callable[[str, dict[str, str]], None],
    untag: Callable[[str, list[str]], None],
) -> None:
    """Let the tagging API find and change the tags of our repositories, by their ARNs."""
    _tagging._COLLECTORS["ecr"] = collect
    _tagging._WRITERS["ecr"] = lambda _spec, arn, tags: tag(arn, tags)
    _tagging._REMOVERS["ecr"] = lambda _spec, arn, keys: untag(arn, keys)


def tagging_failure(text: str, missing: bool) -> Exception:
    """The tagging API's exception for a missing resource, or for a call that is not valid."""
    failure: Exception = _tagging._ResourceNotFound(text) if missing else _tagging._WrongRegionArn(text)
    return failure


def page_resources(page: Callable[[dict[str, Any], list[dict[str, Any]]], tuple[list[dict[str, Any]], str]]) -> None:
    """Cut what GetResources finds into pages. The function may raise ValueError."""
    get = _tagging._HANDLERS["GetResources"]

    def get_page(data: dict[str, Any]) -> Response:
        status, headers, body = get(data)
        if status != 200:
            return status, headers, body
        try:
            found, token = page(data, json.loads(body)["ResourceTagMappingList"])
        except ValueError as error:
            refused: Response = _tagging._invalid_parameter(str(error))
            return refused
        answer: Response = _tagging._json({"ResourceTagMappingList": found, "PaginationToken": token})
        return answer

    _tagging._HANDLERS["GetResources"] = get_page


def stop_functions() -> None:
    """End the processes of Lambda functions."""
    _lambda_runtime.reset()
