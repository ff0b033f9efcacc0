"""Which images of a repository functions, tasks and services use. Pure.

The shapes are those of botocore's service models of Lambda 2015-03-31, ECS 2014-11-13 and Inspector 2020-06-08.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

DEFAULT_TAG = "latest"  # of a URI without tag and digest, as for docker pull

_ECR_HOST = re.compile(r"([0-9]{12})\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\..+")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}")
_MOST_USERS_NAMED = 2
_LONGEST_TAG_SHOWN = 40
_LONGEST_USER_SHOWN = 120


@dataclass(frozen=True)
class Address:
    """Where a repository's images are pulled from. ``uri`` is the one that ECR answers, without a tag."""

    account: str
    region: str
    name: str
    uri: str

    @classmethod
    def of(cls, arn: str, uri: str) -> Address:
        """The address of the repository with this ARN."""
        _, _, _, region, account, resource = arn.split(":", 5)
        return cls(account, region, resource.partition("/")[2], uri)


@dataclass(frozen=True)
class Reference:
    """A user, in words, and the URI of the image that it uses."""

    user: str
    uri: str


def image_id(uri: str, repository: Address) -> dict[str, str] | None:
    """The image of this repository that a URI names, by digest or by tag, as ECR takes it; None for any other image.

    An image of another account or Region is not the repository's, even if the repositories have the same name. What ECR
    would not take as a digest or a tag cannot be pulled, so it names no image.
    """
    place, _, digest = uri.partition("@")
    folder, slash, last = place.rpartition("/")
    last, _, tag = last.partition(":")
    registry, _, name = f"{folder}{slash}{last}".partition("/")
    if f"{registry}/{name}" != repository.uri and not _is_registry_of(registry, name, repository):
        return None
    if digest:
        return {"imageDigest": digest} if _DIGEST.fullmatch(digest) else None
    return {"imageTag": tag or DEFAULT_TAG} if _TAG.fullmatch(tag or DEFAULT_TAG) else None


def _is_registry_of(registry: str, name: str, repository: Address) -> bool:
    """Whether a registry, under any of its names, is that of the repository's account and Region."""
    host = _ECR_HOST.fullmatch(registry.lower())
    return host is not None and (host[1], host[2], name) == (repository.account, repository.region, repository.name)


# What each service answers


def of_function(function: Mapping[str, Any], code: Mapping[str, Any]) -> Iterator[Reference]:
    """What a version of a function uses: the image that was resolved, and the one that its tag names now."""
    version = function.get("Version", "$LATEST")
    user = f"the Lambda function {function['FunctionName']}" + ("" if version == "$LATEST" else f":{version}")
    for key in ("ResolvedImageUri", "ImageUri"):
        if code.get(key):
            yield Reference(user, code[key])


def of_task(task: Mapping[str, Any], cluster: str) -> Iterator[Reference]:
    """What a running task uses: by the digest of each container, or by its image before the digest is known."""
    kind, _, service = task.get("group", "").partition(":")
    if kind == "service" and service:
        user = service_in_words(service, cluster)
    else:
        user = f"the ECS task {_last(task.get('taskDefinitionArn', 'of no definition'))} in cluster {_last(cluster)}"
    for container in task.get("containers", ()):
        image, digest = container.get("image"), container.get("imageDigest")
        if image:
            yield Reference(user, f"{image.partition('@')[0]}@{digest}" if digest else image)


def task_definitions_of(service: Mapping[str, Any]) -> list[str]:
    """The ARNs of all task definitions that a service starts tasks from; none for one that is deleted."""
    if service.get("status") == "INACTIVE":
        return []
    parts = [service, *service.get("deployments", ()), *service.get("taskSets", ())]
    return list(dict.fromkeys(each["taskDefinition"] for each in parts if each.get("taskDefinition")))


def of_task_definition(definition: Mapping[str, Any], user: str) -> Iterator[Reference]:
    """What the containers of a task definition use."""
    for container in definition.get("containerDefinitions", ()):
        if container.get("image"):
            yield Reference(user, container["image"])


def service_in_words(name: str, cluster: str) -> str:
    """A service, by its name or ARN and those of its cluster."""
    return f"the ECS service {_last(name)} in cluster {_last(cluster)}"


def _last(arn: str) -> str:
    return arn.rpartition("/")[2]


def is_covered(resource: Mapping[str, Any]) -> bool:
    """Whether Amazon Inspector scans a resource, so that its counts can be believed."""
    return bool(resource.get("scanStatus", {}).get("statusCode") == "ACTIVE")


def of_coverage(resource: Mapping[str, Any], repository: Address) -> Iterator[Reference]:
    """The use of an image that Amazon Inspector counts; without any count, a time of last use counts as use."""
    image = resource.get("resourceMetadata", {}).get("ecrImage", {})
    count = image.get("inUseCount")
    if not (count if count is not None else image.get("lastInUseAt")):
        return
    digest = _DIGEST.search(resource.get("resourceId", ""))
    number = "a container" if count is None else f"{count:,} container{'' if count == 1 else 's'}"
    if digest:
        yield Reference(f"{number} in ECS or EKS", f"{repository.uri}@{digest[0]}")


# What was found


@dataclass
class ImagesInUse:
    """Images that are in use: their users, each with the service that named it, and a tag, by digest.

    ``unchecked`` says why use could not be checked, by service. ``is_complete`` is False if there may be more images.
    """

    users: dict[str, dict[str, str]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    unchecked: dict[str, str] = field(default_factory=dict)
    is_complete: bool = True

    def __bool__(self) -> bool:
        return bool(self.users or self.unchecked)

    def add(self, image: Mapping[str, Any], user: str, service: str) -> None:
        """Note that a service says who uses an image, which has the shape of DescribeImages."""
        digest = image["imageDigest"]
        self.users.setdefault(digest, {}).setdefault(user, service)
        if tags := image.get("imageTags"):
            self.tags.setdefault(digest, tags[0])

    def services(self) -> set[str]:
        """The services that named a user."""
        return {service for users in self.users.values() for service in users.values()}

    def samples(self, services: Collection[str]) -> list[str]:
        """Each image that these services named, in few words, and who uses it."""
        of_these = {
            digest: [user for user, service in users.items() if service in services]
            for digest, users in self.users.items()
        }
        return [f"{self._shown(digest)} by {_first_users(users)}" for digest, users in of_these.items() if users]

    def _shown(self, digest: str) -> str:
        tag = self.tags.get(digest)
        return f"{_cut(tag, _LONGEST_TAG_SHOWN)} ({digest[:19]})" if tag else digest[:19]


def _first_users(users: Sequence[str]) -> str:
    more = len(users) - _MOST_USERS_NAMED
    shown = ", ".join(_cut(each, _LONGEST_USER_SHOWN) for each in users[:_MOST_USERS_NAMED])
    return shown + (f" and {more:,} more" if more > 0 else "")


def _cut(words: str, longest: int) -> str:
    return words if len(words) <= longest else f"{words[: longest - 3]}..."
