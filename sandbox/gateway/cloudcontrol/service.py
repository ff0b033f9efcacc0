"""The operations of the API."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import jsonpatch

from sandbox.driver.failures import InvalidPropertiesError, OperationError
from sandbox.driver.model import identifier, identifier_model
from sandbox.driver.operation import Operation
from sandbox.driver.operations import checked, list_page, read
from sandbox.driver.request import Caller
from sandbox.driver.schema import find
from sandbox.gateway import ministack
from sandbox.gateway.cloud import Cloud, Place
from sandbox.gateway.cloudcontrol.errors import CloudControlError, refused
from sandbox.gateway.cloudcontrol.requests import CancelledError, Request, Requests
from sandbox.registry.types import RegistryError, TypeVersion

Json = dict[str, Any]
_PAGE = 20


class CloudControl:
    """`actions` maps the names of operations to methods; they raise CloudControlError."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._requests: dict[Place, Requests] = {}
        self._lock = threading.Lock()
        self.actions: dict[str, Callable[[Json], Json]] = {
            "CreateResource": self.create_resource,
            "GetResource": self.get_resource,
            "UpdateResource": self.update_resource,
            "DeleteResource": self.delete_resource,
            "ListResources": self.list_resources,
            "GetResourceRequestStatus": self.get_resource_request_status,
            "ListResourceRequests": self.list_resource_requests,
            "CancelResourceRequest": self.cancel_resource_request,
        }

    def create_resource(self, asked: Json) -> Json:
        version, desired = self._version(asked), _object(asked, "DesiredState")
        request = Request(version.schema.type_name, "CREATE", identifier(version.schema, desired), asked)

        def work(running: Request) -> None:
            operation = self._operation(version, running)
            try:
                model = checked(operation, desired)
            except InvalidPropertiesError as error:
                raise OperationError("", "InvalidRequest", _invalid(error)) from error
            answer = operation.run("CREATE", model)
            _finish(version, running, answer["resourceModel"])

        return self._start(request, asked, work)

    def update_resource(self, asked: Json) -> Json:
        """An update starts from what Read returns, not from what was applied last."""
        version, physical_id = self._version(asked), _need(asked, "Identifier")
        request = Request(version.schema.type_name, "UPDATE", physical_id, asked)
        before = self._read(version, physical_id)
        after = _patched(version, before, _need(asked, "PatchDocument"))

        def work(running: Request) -> None:
            answer = self._operation(version, running).run("UPDATE", after, before)
            _finish(version, running, answer["resourceModel"])

        return self._start(request, asked, work)

    def delete_resource(self, asked: Json) -> Json:
        """The handler gets the identifier, and nothing else."""
        version, physical_id = self._version(asked), _need(asked, "Identifier")
        request = Request(version.schema.type_name, "DELETE", physical_id, asked)
        self._read(version, physical_id)
        model = identifier_model(version.schema, physical_id)

        def work(running: Request) -> None:
            operation = self._operation(version, running)
            operation.driver.before_delete(operation.caller, physical_id)
            operation.run("DELETE", model)

        return self._start(request, asked, work)

    def get_resource(self, asked: Json) -> Json:
        version, physical_id = self._version(asked), _need(asked, "Identifier")
        model = self._read(version, physical_id)
        return {"TypeName": version.schema.type_name, "ResourceDescription": _description(version, model)}

    def list_resources(self, asked: Json) -> Json:
        version = self._version(asked)
        properties = _object(asked, "ResourceModel") if "ResourceModel" in asked else None
        try:
            answer = list_page(self._operation(version), asked.get("NextToken"), properties)
        except OperationError as error:
            raise refused(error) from error
        descriptions = [_description(version, model) for model in answer["resourceModels"]]
        page: Json = {"TypeName": version.schema.type_name, "ResourceDescriptions": descriptions}
        return {**page, "NextToken": answer["nextToken"]} if answer.get("nextToken") else page

    def get_resource_request_status(self, asked: Json) -> Json:
        return {"ProgressEvent": self._here().find(_need(asked, "RequestToken")).as_event()}

    def list_resource_requests(self, asked: Json) -> Json:
        wanted = asked.get("ResourceRequestStatusFilter") or {}
        found = self._here().listed(wanted.get("Operations") or [], wanted.get("OperationStatuses") or [])
        start, size = int(asked.get("NextToken") or 0), int(asked.get("MaxResults") or _PAGE)
        end = start + size
        page: Json = {"ResourceRequestStatusSummaries": [request.as_event() for request in found[start:end]]}
        return {**page, "NextToken": str(end)} if end < len(found) else page

    def cancel_resource_request(self, asked: Json) -> Json:
        return {"ProgressEvent": self._here().cancel(_need(asked, "RequestToken")).as_event()}

    def _start(self, request: Request, asked: Json, work: Callable[[Request], None]) -> Json:
        started = self._here().start(request, asked.get("ClientToken"), work)
        return {"ProgressEvent": started.as_event()}

    def _here(self) -> Requests:
        place = ministack.get_account_id(), ministack.get_region()
        with self._lock:
            return self._requests.setdefault(place, Requests())

    def _version(self, asked: Json) -> TypeVersion:
        name = _need(asked, "TypeName")
        try:
            return self._cloud.registry_here().find_version(name, None, asked.get("TypeVersionId"))
        except RegistryError as error:
            raise CloudControlError(error.code, str(error)) from error

    def _operation(self, version: TypeVersion, request: Request | None = None) -> Operation:
        caller = Caller(version.owner.account, version.owner.region)
        if request is None:
            return Operation(self._cloud.driver, version, caller)

        def tell(answer: Json) -> None:
            if request.status == "CANCEL_IN_PROGRESS":
                raise CancelledError
            found = identifier(version.schema, answer["resourceModel"])
            request.change(message=answer.get("message"), model=answer["resourceModel"], identifier=found)

        return Operation(self._cloud.driver, version, caller, tell, request.token)

    def _read(self, version: TypeVersion, physical_id: str) -> Json:
        try:
            return read(self._operation(version), physical_id)
        except OperationError as error:
            raise refused(error) from error


def _finish(version: TypeVersion, request: Request, model: Json) -> None:
    request.change(model=model, identifier=identifier(version.schema, model))


def _description(version: TypeVersion, model: Json) -> Json:
    return {"Identifier": identifier(version.schema, model), "Properties": json.dumps(model)}


def _invalid(error: InvalidPropertiesError) -> str:
    return f"Model validation failed ({error.message})"


def _need(asked: Json, name: str) -> str:
    value = asked.get(name)
    if not isinstance(value, str) or not value:
        raise CloudControlError("ValidationException", f"{name} is required.")
    return value


def _object(asked: Json, name: str) -> Json:
    try:
        value = json.loads(_need(asked, name))
    except json.JSONDecodeError as error:
        raise CloudControlError("InvalidRequestException", f"{name} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise CloudControlError("InvalidRequestException", f"{name} is not an object.")
    return value


def _patched(version: TypeVersion, before: Json, patch: str) -> Json:
    """The model after a JSON patch. Raises CloudControlError if the patch can't be applied, or breaks the schema."""
    try:
        after: Json = jsonpatch.apply_patch(before, patch)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, ValueError, TypeError) as error:
        raise CloudControlError("InvalidRequestException", f"The patch can't be applied: {error}") from error
    schema = version.schema
    rules = (
        ("readOnlyProperties", schema.read_only, "InvalidRequestException"),
        ("createOnlyProperties", schema.create_only, "NotUpdatableException"),
    )
    for name, paths, code in rules:
        changed = ["/properties/" + "/".join(path) for path in paths if find(before, path) != find(after, path)]
        if changed:
            raise CloudControlError(code, f"Invalid patch update: {name} [{', '.join(changed)}] cannot be updated")
    problems = schema.problems(schema.coerce(after))
    if problems:
        raise CloudControlError("InvalidRequestException", f"Model validation failed ({'; '.join(problems)})")
    return after
