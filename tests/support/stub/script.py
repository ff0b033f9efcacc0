"""Handlers that answer what a test wrote down, and a driver to call them: without any process."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from sandbox.driver.journal import Journal
from sandbox.driver.operation import Driver, Operation
from sandbox.driver.request import Caller, Json
from sandbox.driver.schema import Schema
from sandbox.driver.settings import Settings
from tests.support.stub import SCHEMA

Answer = Json | Callable[[Json], Json]
MODEL = {"Name": "app", "Size": 3}
DONE = {"status": "SUCCESS", "resourceModel": MODEL}


def failed(code: str, message: str = "no", **more: Any) -> Json:
    return {"status": "FAILED", "errorCode": code, "message": message, **more}


def in_progress(**more: Any) -> Json:
    return {"status": "IN_PROGRESS", "resourceModel": MODEL, "callbackDelaySeconds": 5, **more}


class Script:
    """Handlers that answer what the test wrote down, in that order; the last answer is repeated."""

    schema = Schema(SCHEMA)
    version = "00000001"
    role_arn = "arn:aws:iam::123456789012:role/execution"
    arn = "arn:aws:cloudformation:us-east-1:123456789012:type/resource/Test-Stub-Thing/00000001"
    log_group = "logs"

    def __init__(self, **answers: Sequence[Answer]) -> None:
        self.answers = {action: list(given) for action, given in answers.items()}
        self.events: list[Json] = []
        self.type_configuration: Json | None = None
        self.pool = ThreadPoolExecutor(4)

    def configuration(self) -> Json | None:
        return self.type_configuration

    def start(self, event: Json, _seconds: float) -> Future[Json]:
        self.events.append(event)
        answers = self.answers[event["action"]]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return self.pool.submit(lambda: answer(event) if callable(answer) else answer)

    def called(self, action: str) -> list[Json]:
        return [event for event in self.events if event["action"] == action]


@dataclass
class Bench:
    settings: Settings = field(default_factory=Settings)
    journal: Journal = field(default_factory=Journal)
    slept: list[float] = field(default_factory=list)
    caller: Caller = field(
        default_factory=lambda: Caller("123456789012", "us-east-1", "arn:stack", "Thing", {"team": "a"}, {"team": "b"})
    )
    _keys: Iterator[int] = field(default_factory=itertools.count)

    def credentials(self, role_arn: str, _type_arn: str) -> Json:
        return {"accessKeyId": f"{role_arn}-{next(self._keys)}", "secretAccessKey": "s", "sessionToken": "t"}

    def operation(self, script: Script) -> Operation:
        driver = Driver(self.settings, self.journal, self.credentials, sleep=self.slept.append)
        return Operation(driver, script, self.caller)
