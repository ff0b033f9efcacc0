"""Where probes run: an account and a Region, its clients, and everything that is made in it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import ClientError

from probes.clock import Clock, SystemClock, look_until
from probes.made import Kind, Ledger, Run
from probes.pushing import Manifest, Repository, Send, image

ACCEPTED = "accepted"


class ProbeError(RuntimeError):
    """A probe could not ask; the text says why."""


class Clients(Protocol):
    """How AWS is called. Requests are sent as they are: nothing is checked on this machine."""

    def client(self, service: str, region: str, credentials: dict[str, str] | None = None) -> Any: ...

    def sender(self, region: str) -> Send:
        """For the registry's own protocol, logged in."""


@dataclass
class Place:
    """`tries` is how often lateness is measured, `poll` how many seconds lie between two looks at a stack.

    `settle` is how long a new role is waited for before it is used, in seconds.
    """

    clients: Clients
    account: str
    region: str
    run: Run = field(default_factory=Run.new)
    made: Ledger = field(default_factory=Ledger)
    clock: Clock = field(default_factory=SystemClock)
    partition: str = "aws"
    second_region: str = ""
    tries: int = 20
    poll: float = 3.0
    settle: float = 15.0
    patience: float = 180.0
    on_sandbox: bool = False
    details: dict[str, Any] = field(default_factory=dict)  # what the probe at hand saw besides its answers
    shared: dict[str, Any] = field(default_factory=dict)  # what several probes use, made once a run
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def client(self, service: str, region: str = "", credentials: dict[str, str] | None = None) -> Any:
        return self.clients.client(service, region or self.region, credentials)

    @property
    def ecr(self) -> Any:
        return self.client("ecr")

    def name(self, label: str) -> str:
        """A new name that begins with the run's prefix."""
        return f"{self.run.prefix}-{label}-{next(self._numbers)}"

    @property
    def tags(self) -> list[dict[str, str]]:
        return [{"Key": key, "Value": value} for key, value in self.run.tags.items()]

    def arn(self, repository: str) -> str:
        return f"arn:{self.partition}:ecr:{self.region}:{self.account}:repository/{repository}"

    def create_repository(self, name: str, region: str = "", **more: Any) -> dict[str, Any]:
        """Create a repository, without waiting until it is seen."""
        thing = self.made.note(Kind.REPOSITORY, name, region or self.region)
        tags = [*self.tags, *more.pop("tags", [])]
        try:
            made = self.client("ecr", region).create_repository(repositoryName=name, tags=tags, **more)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                self.made.forget(thing)  # it was refused
            raise
        self.made.confirm(thing)
        described: dict[str, Any] = made["repository"]
        return described

    def repository(self, label: str, region: str = "", **more: Any) -> str:
        """The name of a new repository that is seen."""
        name = self.name(label)
        self.repository_in(region, name, **more)
        return name

    def repository_in(self, region: str, name: str, **more: Any) -> None:
        """Create a repository under that name, and wait until it is seen."""
        self.create_repository(name, region, **more)
        ecr = self.client("ecr", region)
        seen = look_until(self.clock, lambda: refusal(ecr.describe_repositories, repositoryNames=[name]) == ACCEPTED)
        if not seen.looks:
            raise ProbeError(f"The repository {name} was not found {seen.seconds:.0f} seconds after it was created.")

    def push(self, repository: str, *notes: str, region: str = "") -> list[Manifest]:
        """Push an image for each note, which is its tag, too; by the registry's protocol."""
        pushed = [image(note) for note in notes]
        target = self.pushing(repository, region)
        target.put_layers()
        for note, manifest in zip(notes, pushed, strict=True):
            target.put_manifest(manifest, note)
        return pushed

    def pushing(self, repository: str, region: str = "") -> Repository:
        """For pushes by the registry's protocol."""
        return Repository(self.clients.sender(region or self.region), repository)

    def role(self, label: str, trust: dict[str, Any], statements: list[dict[str, Any]]) -> str:
        """The ARN of a new role, which may do what the statements say."""
        iam, name = self.client("iam"), self.name(label)
        thing = self.made.note(Kind.ROLE, name, self.region)
        document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **trust}]}
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document), Tags=self.tags)
        self.made.confirm(thing)
        if statements:
            policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
            iam.put_role_policy(RoleName=name, PolicyName="probe", PolicyDocument=policy)
        arn: str = made["Role"]["Arn"]
        return arn

    def bucket(self, label: str) -> str:
        """The name of a new bucket, which nobody else can read."""
        s3, name = self.client("s3"), self.name(label)
        thing = self.made.note(Kind.BUCKET, name, self.region)
        where = {"CreateBucketConfiguration": {"LocationConstraint": self.region}}
        s3.create_bucket(Bucket=name, **({} if self.region == "us-east-1" else where))
        self.made.confirm(thing)
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": self.tags})
        return name


def deleted(ecr: Any, repository: str, *digests: str) -> list[str]:
    """What became of each image in one call: "deleted", or its failure code."""
    ids = [{"imageDigest": each} for each in digests]
    answer = ecr.batch_delete_image(repositoryName=repository, imageIds=ids)
    failed = {each["imageId"]["imageDigest"]: each["failureCode"] for each in answer["failures"]}
    return [failed.get(each, "deleted") for each in digests]


def said(call: Callable[..., Any], **parameters: Any) -> tuple[str, str]:
    """The error code of a call and its message; `ACCEPTED` and nothing if it succeeds."""
    try:
        call(**parameters)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    return ACCEPTED, ""


def refusal(call: Callable[..., Any], **parameters: Any) -> str:
    """The error code of a call; `ACCEPTED` if it succeeds."""
    return said(call, **parameters)[0]
