"""The recorder in an account: registered once a run, and what it has written down."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from probes.clock import look_until
from probes.made import Kind
from probes.place import Place, ProbeError
from probes.recorder import package

_REGISTRATION_SECONDS = 900
_TRIES = 3  # a new role may not be known to CloudFormation yet
Json = dict[str, Any]


@dataclass(frozen=True)
class Recorder:
    """The registered type."""

    place: Place
    type_name: str
    bucket: str
    role: str

    def requests(self, name: str, action: str = "") -> list[Json]:
        """What CloudFormation asked for a thing so far, oldest first."""
        s3 = self.place.client("s3")
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=f"requests/{name}/")
        keys = sorted(each["Key"] for page in pages for each in page.get("Contents", []))
        wanted = [key for key in keys if not action or key.endswith(f"-{action}")]
        return [json.loads(s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()) for key in wanted]

    def actions(self, name: str) -> list[str]:
        return [each["action"] for each in self.requests(name)]

    def thing(self, name: str) -> Json | None:
        """A thing as it is stored; None where there is none."""
        s3 = self.place.client("s3")
        try:
            stored: Json = json.loads(s3.get_object(Bucket=self.bucket, Key=f"things/{name}")["Body"].read())
        except s3.exceptions.NoSuchKey:
            return None
        return stored

    def put(self, name: str, **properties: Any) -> None:
        """Make or change a thing behind CloudFormation's back."""
        model = {"Name": name, "Arn": f"arn:recorder:{name}", **properties}
        self.place.client("s3").put_object(Bucket=self.bucket, Key=f"things/{name}", Body=json.dumps(model).encode())

    def register_version(self, description: str) -> str:
        """Register another version; returns its ARN."""
        return _register(self.place, self.type_name, self.bucket, self.role, description)


def recorder(place: Place) -> Recorder:
    """The recorder of this run. The first call registers it, which takes a minute or two."""
    if "recorder" not in place.shared:
        place.shared["recorder"] = _set_up(place)
    found: Recorder = place.shared["recorder"]
    return found


def _set_up(place: Place) -> Recorder:
    bucket = place.bucket("recorder")
    service = {"Service": "resources.cloudformation.amazonaws.com"}
    arn = f"arn:{place.partition}:s3:::{bucket}"
    role = place.role(
        "recorder",
        {"Principal": service, "Action": "sts:AssumeRole"},
        [
            {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], "Resource": f"{arn}/*"},
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": arn},
        ],
    )
    place.clock.sleep(place.settle)
    made = place.made.note(Kind.TYPE, place.run.type_name, place.region)
    _register(place, place.run.type_name, bucket, role, "")
    place.made.confirm(made)
    return Recorder(place, place.run.type_name, bucket, role)


def _register(place: Place, type_name: str, bucket: str, role: str, description: str) -> str:
    key = f"package-{description or 'first'}.zip"
    place.client("s3").put_object(Bucket=bucket, Key=key, Body=package(type_name, bucket, description))
    for attempt in range(1, _TRIES + 1):
        answer = register(place, type_name, f"s3://{bucket}/{key}", role)
        if answer["ProgressStatus"] == "COMPLETE":
            arn: str = answer["TypeVersionArn"]
            return arn
        if attempt < _TRIES:
            place.clock.sleep(place.settle)
    raise ProbeError(f"{type_name} could not be registered: {answer.get('Description', '')}")


def register(place: Place, type_name: str, address: str, role: str) -> Json:
    """Register a package, and wait: what DescribeTypeRegistration answers at the end."""
    cloudformation = place.client("cloudformation")
    token = cloudformation.register_type(
        Type="RESOURCE", TypeName=type_name, SchemaHandlerPackage=address, ExecutionRoleArn=role
    )["RegistrationToken"]
    answers: list[Json] = []

    def done() -> bool:
        answers.append(cloudformation.describe_type_registration(RegistrationToken=token))
        return bool(answers[-1]["ProgressStatus"] != "IN_PROGRESS")

    look_until(place.clock, done, _REGISTRATION_SECONDS)
    return answers[-1]
