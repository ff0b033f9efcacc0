"""The entry point that CloudFormation calls. It adds what the support library's Resource lacks."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

from cloudformation_cli_python_lib import Action, ProgressEvent, Resource, SessionProxy
from cloudformation_cli_python_lib.exceptions import InvalidRequest, InvalidTypeConfiguration
from cloudformation_cli_python_lib.interface import BaseResourceHandlerRequest
from cloudformation_cli_python_lib.utils import HandlerRequest

from ..errors import AWS_ERRORS, HandlerError, failure, shortened
from ..models import TypeConfigurationModel
from ..rules.account import AccountRules, account_rules
from ..typed_json import Strictness, check
from .events import PROPERTIES, check_event, hints
from .log_delivery import DeliverySession, direct_logs
from .sessions import session_of

LOG = logging.getLogger(__name__)
LOG.setLevel(logging.INFO)


class AutoPurgeResource(Resource):
    """Passes the page token on, and turns what is raised into answers that a user understands."""

    @staticmethod
    def _parse_request(event_data: MutableMapping[str, Any]) -> Any:
        """As the library does it, but with sessions that read botocore's data once."""
        try:
            check_event(event_data)
            event = HandlerRequest.deserialize(event_data)
            action = Action[event.action]
        except (ValueError, TypeError) as error:
            raise InvalidRequest(f"Nothing was done: {error}.") from error
        direct_logs(event)
        if found := hints(event_data):
            LOG.info("CloudFormation says %s. The handler ignores it.", found)
        caller, provider = map(session_of, (event.requestData.callerCredentials, event.requestData.providerCredentials))
        return (caller, provider and DeliverySession(provider)), action, event.callbackContext or {}, event

    def _cast_resource_request(self, request: HandlerRequest) -> BaseResourceHandlerRequest:
        data = request.requestData
        data.resourceProperties = getattr(data, "resourceProperties", None) or {}  # LIST may come without any
        for properties in (data.resourceProperties, data.previousResourceProperties):
            try:
                check(self._model_cls, properties or {}, "the properties", PROPERTIES)
            except ValueError as error:
                raise InvalidRequest(f"{error}.") from error
        try:
            cast: BaseResourceHandlerRequest = super()._cast_resource_request(request)
        except InvalidRequest as error:
            unknown = _unknown_property(error)
            if unknown:
                raise InvalidRequest(f"{unknown} is not a property. Check its spelling.") from error
            raise
        try:
            cast.typeConfiguration = read_configuration(data.typeConfiguration)  # type: ignore[assignment]
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
        progress.message = shortened(progress.message)
        if action is not Action.DELETE:  # which logs a line with figures
            LOG.info("%s: %s. %s", action.name, progress.status.name, progress.message)
        return progress


def _unknown_property(error: BaseException | None) -> str | None:
    """The property that the library does not know, which it reports by a KeyError."""
    while error:
        if isinstance(error, KeyError):
            return str(error.args[0])
        error = error.__cause__ or error.__context__
    return None


def read_configuration(configuration: Any) -> AccountRules:
    """The type configuration that came with a request, checked. None counts as an empty one. Raises ValueError."""
    if configuration is None:
        return AccountRules()
    check(TypeConfigurationModel, configuration, "the type configuration", Strictness(nulls=False))
    return account_rules(configuration)
