"""Requests that run in threads of their own, and the answers about their progress."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.driver.failures import OperationError
from sandbox.gateway.cloudcontrol.errors import CloudControlError

Event = dict[str, Any]
_DONE = ("SUCCESS", "FAILED", "CANCEL_COMPLETE")


class CancelledError(Exception):
    """The request was cancelled between two calls of the handler."""


@dataclass
class Request:
    """A create, update or delete."""

    type_name: str
    operation: str
    identifier: str | None
    asked: Event  # the parameters, to recognise a repetition
    token: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "IN_PROGRESS"
    message: str | None = None
    error_code: str | None = None
    model: Event | None = None
    changed: float = field(default_factory=time.time)

    def change(self, **fields: Any) -> None:
        for name, value in fields.items():
            setattr(self, name, value)
        self.changed = time.time()

    @property
    def done(self) -> bool:
        return self.status in _DONE

    def as_event(self) -> Event:
        """The ProgressEvent of the API."""
        event = {
            "TypeName": self.type_name,
            "Identifier": self.identifier,
            "RequestToken": self.token,
            "Operation": self.operation,
            "OperationStatus": self.status,
            "EventTime": self.changed,
            "ResourceModel": json.dumps(self.model) if self.model else None,
            "StatusMessage": self.message,
            "ErrorCode": self.error_code,
        }
        return {name: value for name, value in event.items() if value is not None}


class Requests:
    """All requests of one account and Region."""

    def __init__(self) -> None:
        self._by_token: dict[str, Request] = {}
        self._by_client_token: dict[str, Request] = {}
        self._lock = threading.Lock()

    def start(self, request: Request, client_token: str | None, work: Callable[[Request], None]) -> Request:
        """Run `work` in a thread. For a known client token, return its request instead. Raises CloudControlError."""
        with self._lock:
            known = self._by_client_token.get(client_token or "")
            if known is not None:
                if known.asked != request.asked:
                    raise CloudControlError("ClientTokenConflictException", "This client token is of another request.")
                return known
            self._refuse_concurrent(request)
            self._by_token[request.token] = request
            if client_token:
                self._by_client_token[client_token] = request
        threading.Thread(target=_run, args=(request, work), daemon=True).start()
        return request

    def _refuse_concurrent(self, request: Request) -> None:
        for other in self._by_token.values():
            same = (other.type_name, other.identifier) == (request.type_name, request.identifier)
            if same and request.identifier is not None and not other.done:
                text = f"A {other.operation} of {request.identifier} is under way, with request token {other.token}."
                raise CloudControlError("ConcurrentOperationException", text)

    def find(self, token: str) -> Request:
        """Raises CloudControlError where there is none."""
        if token not in self._by_token:
            raise CloudControlError("RequestTokenNotFoundException", f"Request token '{token}' was not found.")
        return self._by_token[token]

    def listed(self, operations: list[str], statuses: list[str]) -> list[Request]:
        """The requests with one of the operations and statuses, newest first; an empty list means all."""
        with self._lock:
            found = list(self._by_token.values())
        wanted = [each for each in found if not operations or each.operation in operations]
        return [each for each in reversed(wanted) if not statuses or each.status in statuses]

    def cancel(self, token: str) -> Request:
        """Stop a request before its next call of the handler. Raises CloudControlError where it is done."""
        request = self.find(token)
        if request.done:
            text = f"Only requests that are under way can be cancelled. '{token}' is {request.status}."
            raise CloudControlError("ConcurrentModificationException", text)
        request.change(status="CANCEL_IN_PROGRESS")
        return request


def _run(request: Request, work: Callable[[Request], None]) -> None:
    try:
        work(request)
    except CancelledError:
        request.change(status="CANCEL_COMPLETE")
    except OperationError as error:
        request.change(status="FAILED", message=error.message, error_code=error.code)
    except Exception as error:
        request.change(status="FAILED", message=str(error), error_code="InternalFailure")
    else:
        request.change(status="SUCCESS", message=None)
