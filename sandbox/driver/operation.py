"""One operation: calls of a handler until it answers SUCCESS or FAILED."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field

from sandbox.driver.contract import breach, context_bytes
from sandbox.driver.failures import RETRIABLE, AssumeRoleError, HandlerError
from sandbox.driver.journal import Journal
from sandbox.driver.model import identifier
from sandbox.driver.request import Call, Caller, Handlers, Json, make_event
from sandbox.driver.settings import Settings

_READING = ("READ", "LIST")


@dataclass(frozen=True)
class Driver:
    """What all operations share."""

    settings: Settings
    journal: Journal
    # for the ARNs of a role and of a type: accessKeyId, secretAccessKey, sessionToken; raises AssumeRoleError
    credentials: Callable[[str, str], Json]
    before_delete: Callable[[Caller, str], None] = lambda _caller, _physical_id: None
    sleep: Callable[[float], None] = time.sleep


@dataclass
class Operation:
    """Calls of a type's handlers with one request token.

    `on_progress` is told of each IN_PROGRESS answer; an exception of its own ends the operation.
    """

    driver: Driver
    handlers: Handlers
    caller: Caller
    on_progress: Callable[[Json], None] = lambda _answer: None
    token: str = field(default_factory=lambda: str(uuid.uuid4()))
    _last_model: Json | None = None  # of an IN_PROGRESS answer: CloudFormation remembers what a create has made

    def run(
        self, action: str, desired: Json | None, previous: Json | None = None, next_token: str | None = None
    ) -> Json:
        """The answer of the call that succeeded. Raises HandlerError."""
        call = Call(action, desired, previous, None, next_token)
        until = time.monotonic() + self.handlers.schema.timeout_seconds(action)
        number, failures = 1, 0
        while True:
            answer = self._answer_of(call, number)
            if answer["status"] == "SUCCESS":
                return answer
            if answer["status"] == "FAILED":
                failures += 1
                self._refuse_or_wait(answer, failures)
                continue
            self._last_model = answer["resourceModel"]
            self.on_progress(answer)
            self._wait(answer)
            if time.monotonic() > until:
                raise self._failure("NotStabilized", f"{action} is not done after the time that the schema allows.")
            # The next call gets the model and the callback context of this answer.
            call = Call(action, answer["resourceModel"], previous, answer.get("callbackContext") or {}, next_token)
            number, failures = number + 1, 0

    def _answer_of(self, call: Call, number: int) -> Json:
        """The answer of one call, checked against the contract. A call that takes too long is started again."""
        settings = self.driver.settings
        reading = call.action in _READING
        seconds = settings.read_seconds if reading else settings.call_seconds
        for copy in range(1, (1 if reading else settings.copies) + 1):
            entry, event = self._begin(call, number, copy)
            future = self.handlers.start(event, seconds)
            if not wait([future], seconds).done:
                entry["timed_out"] = True  # and runs on: CloudFormation can't stop it
                future.add_done_callback(lambda done, entry=entry: _complete(entry, done))  # type: ignore[misc]
                continue
            _complete(entry, future)
            error = future.exception()
            if error is not None:
                raise self._failure("InternalFailure", str(error)) from error
            return self._checked(call, future.result())
        raise self._failure("ServiceTimeout", f"{call.action} did not answer within {seconds:g} seconds.")

    def _begin(self, call: Call, number: int, copy: int) -> tuple[Json, Json]:
        try:
            event = make_event(self.handlers, self.caller, self.token, call, self.driver.credentials)
        except AssumeRoleError as error:
            raise self._failure("AccessDenied", str(error)) from error
        data: Json = event["requestData"]
        entry = self.driver.journal.begin(
            action=call.action,
            type_name=self.handlers.schema.type_name,
            version=self.handlers.version,
            token=self.token,
            stack_id=self.caller.stack_id,
            logical_id=self.caller.logical_id,
            slice=number,
            copy=copy,
            started=time.time(),
            properties=data["resourceProperties"],
            previous_properties=data["previousResourceProperties"],
            stack_tags=data["stackTags"],
            previous_stack_tags=data["previousStackTags"],
            type_configuration=data["typeConfiguration"],
            callback_context=call.context,
            next_token=call.next_token,
            access_key=data["callerCredentials"]["accessKeyId"],
            status=None,
            timed_out=False,
        )
        return entry, event

    def _checked(self, call: Call, answer: Json) -> Json:
        wrong = breach(self.handlers.schema, call.action, answer, self.driver.settings.context_limit_bytes)
        if wrong is None and call.action == "UPDATE" and answer["status"] != "FAILED":
            wrong = self._identifier_change(call, answer)
        if wrong is not None:
            raise self._failure("InternalFailure", f"The {call.action} handler breaks the contract: {wrong}.", answer)
        return answer

    def _identifier_change(self, call: Call, answer: Json) -> str | None:
        schema = self.handlers.schema
        same = identifier(schema, call.desired) == identifier(schema, answer["resourceModel"])
        return None if same else "an UPDATE must not change the primary identifier"

    def _refuse_or_wait(self, answer: Json, failures: int) -> None:
        settings = self.driver.settings
        code = answer["errorCode"]
        if code not in RETRIABLE or failures > settings.retries:
            raise self._failure(code, answer.get("message") or "", answer)
        self.driver.sleep(settings.retry_delay_seconds * 2 ** (failures - 1))

    def _wait(self, answer: Json) -> None:
        delay = float(answer.get("callbackDelaySeconds") or 0)
        cap = self.driver.settings.callback_delay_cap_seconds
        self.driver.sleep(delay if cap is None else min(delay, cap))

    def _failure(self, code: str, message: str, answer: Json | None = None) -> HandlerError:
        return HandlerError(code, message, self.token, (answer or {}).get("resourceModel") or self._last_model)


def _complete(entry: Json, done: Future[Json]) -> None:
    """Note in the journal how a call ended, even if nobody waits for it any more."""
    entry["seconds"] = time.time() - entry["started"]
    error = done.exception()
    if error is not None:
        entry.update(status="CRASHED", message=str(error))
        return
    answer = done.result()
    entry.update(
        status=answer.get("status"),
        error_code=answer.get("errorCode"),
        message=answer.get("message"),
        model=answer.get("resourceModel"),
        callback_delay_seconds=answer.get("callbackDelaySeconds"),
        context_bytes=context_bytes(answer),
    )
