"""The entry point that CloudFormation calls: what the support library's Resource leaves open."""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping
from typing import Any

from cloudformation_cli_python_lib import Action, ProgressEvent, Resource, SessionProxy
from cloudformation_cli_python_lib.exceptions import InvalidRequest, InvalidTypeConfiguration
from cloudformation_cli_python_lib.interface import BaseResourceHandlerRequest
from cloudformation_cli_python_lib.utils import HandlerRequest

from . import configuration, protection
from . import event as shape
from .delivery import DeliverySession, direct_logs
from .errors import AWS_ERRORS, HandlerError, failure

LOG = logging.getLogger(__name__)
LOG.setLevel(logging.INFO)


class AutoPurgeResource(Resource):
    """Passes the page token on, and turns what is raised into answers that a user understands."""

    @staticmethod
    def _parse_request(event_data: MutableMapping[str, Any]) -> Any:
        try:
            shape.check(event_data)
        except ValueError as error:
            raise InvalidRequest(f"Nothing was done: {error}") from error
        (caller, provider), action, context, event = Resource._parse_request(event_data)
        direct_logs(event)
        return (caller, provider and DeliverySession(provider)), action, context, event

    def _cast_resource_request(self, request: HandlerRequest) -> BaseResourceHandlerRequest:
        data = request.requestData
        data.resourceProperties = getattr(data, "resourceProperties", None) or {}  # LIST may come without any
        for properties in (data.resourceProperties, data.previousResourceProperties):
            _refuse_null(properties or {})
            try:
                shape.check_properties(properties, self._model_cls)
            except ValueError as error:
                raise InvalidRequest(str(error)) from error
        try:
            cast: BaseResourceHandlerRequest = super()._cast_resource_request(request)
        except InvalidRequest as error:
            unknown = _unknown_property(error)
            if unknown:
                raise InvalidRequest(f"{unknown} is not a property. Check its spelling.") from error
            raise
        try:
            cast.typeConfiguration = configuration.read(data.typeConfiguration)  # type: ignore[assignment]
        except ValueError as error:
            raise InvalidTypeConfiguration(self.type_name, f"{error}.") from error
        cast.nextToken = request.nextToken  # the library drops it, and a caller would read page one for ever
        return cast

    def _invoke_handler(
        self,
        session: SessionProxy | None,
        request: BaseResourceHandlerRequest,
        action: Action,
        callback_context: MutableMapping[str, Any],
    ) -> ProgressEvent:
        try:
            progress = super()._invoke_handler(session, request, action, callback_context)
        except HandlerError as error:
            progress = ProgressEvent.failed(error.code, error.message)
        except AWS_ERRORS as error:
            reason = failure(error)
            progress = ProgressEvent.failed(reason.code, reason.message)
        progress.message = protection.shortened(progress.message)
        if action is not Action.DELETE:  # which logs a line with figures
            LOG.info("%s: %s. %s", action.name, progress.status.name, progress.message)
        return progress


def _unknown_property(error: BaseException | None) -> str | None:
    """The property that the library stumbled over, which it tells by a KeyError."""
    while error:
        if isinstance(error, KeyError):
            return str(error.args[0])
        error = error.__cause__ or error.__context__
    return None


def _refuse_null(value: object, path: str = "") -> None:
    """Raise InvalidRequest for a null, of which the library would say "Unsupported type"."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            _refuse_null(each, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            _refuse_null(each, f"{path}[{number}]")
    elif value is None:
        raise InvalidRequest(f"{path} is null. Give it a value, or leave it out.")
