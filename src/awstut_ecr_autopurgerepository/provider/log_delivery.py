"""Delivery of logs and metrics to the user's account, in a way that cannot fail an operation.

The library sends each log record in a request of its own. Errors of these requests, and some errors of the requests
for metrics, reach the handler and become its answer. Here a delivery that fails raises nothing, and is not tried again
until the next call of the handler.
"""

from __future__ import annotations

import logging
from typing import Any

from botocore.config import Config
from cloudformation_cli_python_lib import SessionProxy
from cloudformation_cli_python_lib.log_delivery import ProviderLogHandler
from cloudformation_cli_python_lib.utils import HandlerRequest

from ..errors import AWS_ERRORS

_PACKAGE = __name__.partition(".")[0]
# Metrics may hang before the handler's 55 s, and logs after them: together they must end before a second copy starts.
_ONE_SHORT_TRY = Config(connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 1})


class DeliverySession:
    """The session of the account's log role, with clients that are quick to give up."""

    def __init__(self, session: SessionProxy) -> None:
        self._session = session

    def client(self, service: str) -> Any:
        """A client of logs or cloudwatch, as the library asks for it."""
        client = self._session.client(service, config=_ONE_SHORT_TRY)  # type: ignore[call-overload]
        return _Metrics(client) if service == "cloudwatch" else client


class _Metrics:
    """The one call of CloudWatch that the library makes."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._given_up = False

    def put_metric_data(self, **request: Any) -> None:
        if self._given_up:
            return
        try:
            self._client.put_metric_data(**request)
        except AWS_ERRORS:
            self._given_up = True


class DeliveredLogs(ProviderLogHandler):
    """Sends our own records, and only those: each record is one call."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)  # not the library's: it would make a client, and then another one
        self.client: Any = None
        self.addFilter(logging.Filter(_PACKAGE))

    def direct(self, event: HandlerRequest) -> None:
        """Send to the log group and stream of this event, or nowhere if it names none."""
        data = event.requestData
        self.group = data.providerLogGroupName or ""
        self.given_up = not (self.group and data.providerCredentials)
        self.sequence_token = ""  # nosec B105
        of_stack = event.stackId and data.logicalResourceId
        stream = f"{event.stackId}/{data.logicalResourceId}" if of_stack else f"{event.awsAccountId}-{event.region}"
        self.stream = stream.replace(":", "__")

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record."""
        if self.given_up:
            return
        try:
            super().emit(record)
        except Exception:  # whatever it is, it is no reason to fail somebody's operation
            self.given_up = True


def direct_logs(event: HandlerRequest) -> None:
    """Send the records of this call where its event says. The library finds our handler, and only renews its client."""
    root = logging.getLogger()
    ours = next((each for each in root.handlers if isinstance(each, DeliveredLogs)), None)
    if ours is None:
        ours = DeliveredLogs()
        root.addHandler(ours)
    ours.direct(event)
