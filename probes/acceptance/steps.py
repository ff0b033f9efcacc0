"""The steps: create, push, update, refuse, unlock, purge, import, and a name that is taken; and by Cloud Control."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from typing import Any

from probes.acceptance import state
from probes.clock import look_until
from probes.made import TYPE_NAME, Kind
from probes.place import Place, ProbeError
from probes.pushing import image, index
from probes.stacks import Stack, new_stack, one

OPERATIONS = 16  # of handlers, that are charged
SECONDS = 900
_POLLS = 400
Json = dict[str, Any]

_LIFECYCLE = {
    "rules": [
        {
            "rulePriority": 1,
            "description": "Nothing of this run gets so old.",
            "selection": {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": 9999,
            },
            "action": {"type": "expire"},
        }
    ]
}
_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "Pull",
            "Effect": "Allow",
            "Principal": {"Service": "codebuild.amazonaws.com"},
            "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        }
    ],
}


@dataclass
class Acceptance:
    """A run of all steps; `steps` is the record. `bucket` takes the reports, or there are none."""

    place: Place
    bucket: str = ""
    steps: dict[str, Json] = field(default_factory=dict)

    def run(self) -> dict[str, Json]:
        """The record."""
        self._life_of_a_stack()
        self._import()
        self._taken_name()
        self._cloud_control()
        return self.steps

    def _note(self, step: str, name: str, stack: Stack | None = None, **more: Any) -> None:
        """Write down how a step ended."""
        found: Json = {"repository": state.repository(self.place, name), **more}
        if stack is not None:
            found["events"] = state.events(self.place, stack)
        self.steps[step] = found

    def _name(self, label: str) -> str:
        """A name for a repository that a stack will make; the run removes it if the stack does not."""
        name = self.place.name(label)
        self.place.made.note(Kind.REPOSITORY, name, self.place.region)
        return name

    def _properties(self, name: str, **more: Any) -> Json:
        properties: Json = {
            "RepositoryName": name,
            "ImageScanningConfiguration": {"ScanOnPush": True},
            "RepositoryPolicyText": _POLICY,
            "LifecyclePolicy": {"LifecyclePolicyText": json.dumps(_LIFECYCLE)},
            "Tags": [{"Key": "team", "Value": "probe"}],
            **more,
        }
        if self.bucket:
            properties["PurgeReport"] = {"BucketName": self.bucket, "Prefix": self.place.run.prefix}
        return properties

    def _life_of_a_stack(self) -> None:
        """Create, fill, protect, refuse, unlock, purge."""
        stack, name = new_stack(self.place, "life"), self._name("life")
        status = stack.create(one(TYPE_NAME, self._properties(name)))
        self._note("create a stack", name, stack, status=status)
        self._push(name)
        self._note("push images", name)
        protected = self._properties(name, ImageTagMutability="IMMUTABLE", PurgeProtection={"TagPatterns": ["v*"]})
        status = stack.update(one(TYPE_NAME, protected))
        self._note("update the stack", name, stack, status=status)
        status = stack.delete()
        self._note("delete the stack: refused", name, stack, status=status)
        self._unlock(" ".join(reason for _, reason in stack.events()))
        status = stack.delete()
        told = state.report(self.place, self.bucket, f"{self.place.run.prefix}/{name}/") if self.bucket else None
        self._note("delete the stack again", name, stack, status=status, report=told)

    def _push(self, name: str) -> None:
        """A multi-architecture image twice under one tag, one with a tag for each architecture, archived ones."""
        target = self.place.pushing(name)
        target.put_layers()
        for build in ("first", "second"):
            children = [image(f"{build} {architecture}") for architecture in ("amd64", "arm64")]
            for child in children:
                target.put_manifest(child)
            target.put_manifest(index(*children, note=build), "latest")
        children = [image(f"v1 {architecture}") for architecture in ("amd64", "arm64")]
        for child, architecture in zip(children, ("amd64", "arm64"), strict=True):
            target.put_manifest(child, f"v1-{architecture}")
        target.put_manifest(index(*children, note="v1"), "v1")
        for old in ("old-1", "old-2"):
            target.put_manifest(image(old), old)
            self.place.ecr.update_image_storage_class(
                repositoryName=name, imageId={"imageTag": old}, targetStorageClass="ARCHIVE"
            )

    def _unlock(self, message: str) -> None:
        """Do what the command in a refusal says."""
        found = re.search(r"aws ecr tag-resource [^\n\"]*(?:\"[^\"]*\"[^\n\"]*)*", message.replace('\\"', '"'))
        if found is None:
            raise ProbeError(f"The refusal names no command: {message}")
        words = shlex.split(found[0].partition(" (RequestToken")[0].rstrip('"'))
        arn = words[words.index("--resource-arn") + 1]
        if self.place.run.prefix not in arn:
            raise ProbeError(f"The command is about another repository: {arn}")
        pairs = [re.fullmatch("Key=([^,]+),Value=(.*)", word) for word in words[words.index("--tags") + 1 :]]
        tags = [{"Key": pair[1], "Value": pair[2].rstrip('".')} for pair in pairs if pair]
        self.place.ecr.tag_resource(resourceArn=arn, tags=tags)

    def _import(self) -> None:
        """Import a repository that somebody made, and delete it with its stack.

        This step marks the repository first, as guides/import.md says: a role that is limited to marked repositories
        may not set the mark.
        """
        name = self.place.repository("imported")
        mark = [{"Key": "awstut:auto-purge", "Value": "on"}]
        self.place.ecr.tag_resource(resourceArn=self.place.arn(name), tags=mark)
        self.place.push(name, "one", "two")
        stack = new_stack(self.place, "import")
        template = one(TYPE_NAME, {"RepositoryName": name, "EmptyOnDelete": True}, DeletionPolicy="Delete")
        status = stack.import_thing(template, TYPE_NAME, {"RepositoryName": name})
        self._note("import a repository", name, stack, status=status)
        status = stack.delete()
        self._note("delete the imported repository", name, stack, status=status)

    def _taken_name(self) -> None:
        """Create a stack under a name that somebody has."""
        name = self.place.repository("taken")
        self.place.push(name, "one")
        stack = new_stack(self.place, "taken")
        status = stack.create(one(TYPE_NAME, {"RepositoryName": name}))
        self._note("create what exists", name, stack, status=status)

    def _cloud_control(self) -> None:
        """Create and delete without a stack."""
        name = self._name("control")
        tags = [{"Key": key, "Value": value} for key, value in self.place.run.tags.items()]
        created = self._request("create_resource", DesiredState=json.dumps({"RepositoryName": name, "Tags": tags}))
        self._note("create by Cloud Control", name, request=created)
        self.place.push(name, "one", "two")
        deleted = self._request("delete_resource", Identifier=name)
        self._note("delete by Cloud Control", name, request=deleted)

    def _request(self, operation: str, **asked: Any) -> str:
        """How a request by Cloud Control ended."""
        client = self.place.client("cloudcontrol")
        event: list[Json] = [getattr(client, operation)(TypeName=TYPE_NAME, **asked)["ProgressEvent"]]

        def done() -> bool:
            token = event[-1]["RequestToken"]
            event.append(client.get_resource_request_status(RequestToken=token)["ProgressEvent"])
            return event[-1]["OperationStatus"] not in ("PENDING", "IN_PROGRESS")

        look_until(self.place.clock, done, _POLLS)
        failed = event[-1]["OperationStatus"] == "FAILED"
        message = f": {state.plain(self.place, event[-1].get('StatusMessage', ''))}" if failed else ""
        return f"{event[-1]['OperationStatus']}{message}"
