"""Removes what runs have made, and finds what earlier runs left, by prefix and tag. Nothing else is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from probes.clock import look_until
from probes.made import DESCRIPTION, TAG, TYPE_NAME, Kind, Thing, run_of
from probes.place import Place

_UNCERTAIN_SECONDS = 20  # a thing whose creation was not answered may be seen late
_STACK_SECONDS = 1_200
_REGISTRATION_SECONDS = 300  # a run that is killed may leave a type that is still being registered
_GONE = frozenset({"RepositoryNotFoundException", "NoSuchBucket", "NoSuchEntity", "TypeNotFoundException"})
_NAMED_BY_A_RUN = frozenset({Kind.STACK, Kind.REPOSITORY, Kind.BUCKET, Kind.ROLE})

# A stack is removed before the type that deletes its things, and a role after everything that uses it.
_ORDER = list(Kind)


class NotRemovedError(RuntimeError):
    """Something is still there; the text names it and says why."""


def remove_all(place: Place, things: Iterable[Thing], say: Callable[[str], None] = lambda _line: None) -> list[str]:
    """Remove things of any run; what could not be removed, with the reason. One failure does not stop the others."""
    problems = []
    newest_first = reversed(list(things))
    for thing in sorted(newest_first, key=lambda each: _ORDER.index(each.kind)):
        try:
            _remove(place, thing)
        except (NotRemovedError, ClientError, BotoCoreError) as error:
            problems.append(f"{thing.kind} {thing.name} in {thing.region}: {error}")
            continue
        place.made.forget(thing)
        say(f"Removed {thing.kind} {thing.name}.")
    return problems


def _remove(place: Place, thing: Thing) -> None:
    """Remove one thing. If AWS never confirmed its creation, look for it again, because it may appear late."""
    if thing.kind in _NAMED_BY_A_RUN and run_of(thing.name) is None:
        raise NotRemovedError("its name is not one that a run gives")
    remove = _REMOVERS[thing.kind]
    if not remove(place, thing) and thing in place.made.uncertain and not place.on_sandbox:
        look_until(place.clock, lambda: remove(place, thing), _UNCERTAIN_SECONDS)


def _remove_repository(place: Place, thing: Thing) -> bool:
    """Whether there was one. A lifecycle policy or a Deny of the probes is no obstacle to force."""
    ecr = place.client("ecr", thing.region)
    return _done(lambda: ecr.delete_repository(repositoryName=thing.name, force=True))


def _remove_stack(place: Place, thing: Thing) -> bool:
    """Delete a stack whatever it is doing. What it cannot delete is retained, and removed by itself."""
    client = place.client("cloudformation", thing.region)
    stack_id = _stack_id(client, thing.name)
    if stack_id is None:
        return False
    until = place.clock.monotonic() + _STACK_SECONDS
    retained: list[str] = []
    while (status := _status(client, stack_id)) != "DELETE_COMPLETE":
        if place.clock.monotonic() > until or (status == "DELETE_FAILED" and retained):
            raise NotRemovedError(f"the stack is {status}")
        if status == "DELETE_FAILED":
            retained = _failed_resources(client, stack_id)
        if not status.endswith("_IN_PROGRESS") or status == "REVIEW_IN_PROGRESS":
            client.delete_stack(StackName=stack_id, **({"RetainResources": retained} if retained else {}))
        place.clock.sleep(place.poll)
    return True


def _stack_id(client: Any, name: str) -> str | None:
    try:
        found: str = client.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise
    return found


def _status(client: Any, stack_id: str) -> str:
    try:
        status: str = client.describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return "DELETE_COMPLETE"
        raise
    return status


def _failed_resources(client: Any, stack_id: str) -> list[str]:
    found = client.describe_stack_resources(StackName=stack_id)["StackResources"]
    return [each["LogicalResourceId"] for each in found if each["ResourceStatus"] == "DELETE_FAILED"]


def _remove_type(place: Place, thing: Thing) -> bool:
    """Deregister all versions of the run's own type. Of another type, the one version that a run registered."""
    client = place.client("cloudformation", thing.region)
    if thing in place.made.uncertain:
        _wait_for_registration(place, client, thing.name)
    named = {"Type": "RESOURCE", "TypeName": thing.name}
    described = _type(client, thing.name)
    if described is None:
        return False
    versions = client.list_type_versions(**named)["TypeVersionSummaries"]
    if run_of(thing.name) is None and (len(versions) > 1 or not _is_role_of_a_run(described)):
        raise NotRemovedError("it has versions that this run did not register")
    for each in versions:
        if not each.get("IsDefaultVersion"):
            client.deregister_type(**named, VersionId=each["VersionId"])
    client.deregister_type(**named)
    return True


def _wait_for_registration(place: Place, client: Any, name: str) -> None:
    """Wait while a type is being registered: it is not described before that has ended."""
    asked = {"Type": "RESOURCE", "TypeName": name, "RegistrationStatusFilter": "IN_PROGRESS"}

    def has_ended() -> bool:
        try:
            return not client.list_type_registrations(**asked)["RegistrationTokenList"]
        except ClientError:  # what is answered for a type that never was is not known
            return True

    look_until(place.clock, has_ended, _REGISTRATION_SECONDS)


def _type(client: Any, name: str) -> dict[str, Any] | None:
    """What DescribeType answers of a type that is registered."""
    try:
        described: dict[str, Any] = client.describe_type(Type="RESOURCE", TypeName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            return None
        raise
    return None if described.get("DeprecatedStatus") == "DEPRECATED" else described


def is_registered(place: Place, name: str) -> bool:
    """Whether a type is registered in the place's Region."""
    return _type(place.client("cloudformation"), name) is not None


def _is_role_of_a_run(described: dict[str, Any]) -> bool:
    """Whether a type was registered with a role that a run made: a type can have no tags."""
    return run_of(str(described.get("ExecutionRoleArn", "")).rpartition("/")[2]) is not None


def _remove_bucket(place: Place, thing: Thing) -> bool:
    s3 = place.client("s3", thing.region)
    try:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=thing.name)
        for key in [each["Key"] for page in pages for each in page.get("Contents", [])]:
            s3.delete_object(Bucket=thing.name, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            return False
        raise
    return _done(lambda: s3.delete_bucket(Bucket=thing.name))


def _remove_role(place: Place, thing: Thing) -> bool:
    iam = place.client("iam", thing.region)
    try:
        for name in iam.list_role_policies(RoleName=thing.name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=thing.name, PolicyName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            return False
        raise
    return _done(lambda: iam.delete_role(RoleName=thing.name))


def _remove_replication(place: Place, thing: Thing) -> bool:
    """Take the rules away if all of them are the run's; `thing.name` is the run's prefix."""
    ecr = place.client("ecr", thing.region)
    rules = ecr.describe_registry().get("replicationConfiguration", {}).get("rules") or []
    if not rules:
        return False
    filters = [each["filter"] for rule in rules for each in rule.get("repositoryFilters", [])]
    if len(filters) < len(rules) or any(not each.startswith(thing.name) for each in filters):
        raise NotRemovedError("the registry has rules of replication that this run did not set")
    ecr.put_replication_configuration(replicationConfiguration={"rules": []})
    return True


def _done(call: Callable[[], Any]) -> bool:
    """Whether something was there to be removed."""
    try:
        call()
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            return False
        raise
    return True


_REMOVERS: dict[Kind, Callable[[Place, Thing], bool]] = {
    Kind.REPLICATION: _remove_replication,
    Kind.STACK: _remove_stack,
    Kind.TYPE: _remove_type,
    Kind.REPOSITORY: _remove_repository,
    Kind.BUCKET: _remove_bucket,
    Kind.ROLE: _remove_role,
}


def leftovers(place: Place) -> list[Thing]:
    """What runs have left in this account and Region. A thing's name begins with a run's prefix; its tag names the run.

    A type cannot have tags, so its description or its role tells. If other things of a run are left, wait until its
    type is not being registered any more. A bucket without tags counts as left if it is empty: its run had no time to
    tag it.
    """
    finders = (_replication, _stacks, repositories_left, _buckets, _roles)
    found = [thing for find in finders for thing in find(place)]
    for name in sorted({name for thing in found if (run := run_of(thing.name)) for name in (run.type_name, TYPE_NAME)}):
        _wait_for_registration(place, place.client("cloudformation"), name)
    return [*found, *_types(place)]


def _is_ours(name: str, tags: Iterable[dict[str, str]]) -> bool:
    run = run_of(name)
    return run is not None and {tag["Key"]: tag["Value"] for tag in tags}.get(TAG) == run.number


def _replication(place: Place) -> Iterator[Thing]:
    rules = place.ecr.describe_registry().get("replicationConfiguration", {}).get("rules") or []
    for rule in rules:
        found = [run_of(f"{each['filter']}-") for each in rule.get("repositoryFilters", [])]
        if found and found[0] is not None:
            yield Thing(Kind.REPLICATION, found[0].prefix, place.region)
            return


def _stacks(place: Place) -> Iterator[Thing]:
    client = place.client("cloudformation")
    for page in client.get_paginator("describe_stacks").paginate():
        for each in page["Stacks"]:
            if _is_ours(each["StackName"], each.get("Tags", [])) and each["StackStatus"] != "DELETE_COMPLETE":
                yield Thing(Kind.STACK, each["StackName"], place.region)


def _types(place: Place) -> Iterator[Thing]:
    client, token = place.client("cloudformation"), None
    while True:
        more: dict[str, Any] = {"NextToken": token} if token else {}
        page = client.list_types(Type="RESOURCE", Visibility="PRIVATE", **more)
        for each in page["TypeSummaries"]:
            if _is_type_of_a_run(client, each):
                yield Thing(Kind.TYPE, each["TypeName"], place.region)
        token = page.get("NextToken")
        if token is None:
            return


def _is_type_of_a_run(client: Any, summary: dict[str, Any]) -> bool:
    name: str = summary["TypeName"]
    if run_of(name) is not None:
        return str(summary.get("Description", "")).startswith(DESCRIPTION)
    described = _type(client, name)
    return described is not None and _is_role_of_a_run(described)


def repositories_left(place: Place) -> Iterator[Thing]:
    """Repositories of runs."""
    for page in place.ecr.get_paginator("describe_repositories").paginate():
        for each in page["repositories"]:
            name = each["repositoryName"]
            if run_of(name) is None:
                continue
            if _is_ours(name, place.ecr.list_tags_for_resource(resourceArn=each["repositoryArn"])["tags"]):
                yield Thing(Kind.REPOSITORY, name, place.region)


def _buckets(place: Place) -> Iterator[Thing]:
    s3 = place.client("s3")
    for each in s3.list_buckets()["Buckets"]:
        if run_of(each["Name"]) is not None and _is_bucket_of_a_run(s3, each["Name"]):
            yield Thing(Kind.BUCKET, each["Name"], place.region)


def _is_bucket_of_a_run(s3: Any, name: str) -> bool:
    try:
        tags = s3.get_bucket_tagging(Bucket=name)["TagSet"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchTagSet":
            return False  # of another Region, or of somebody else
        return not s3.list_objects_v2(Bucket=name, MaxKeys=1).get("Contents")
    return _is_ours(name, tags)


def _roles(place: Place) -> Iterator[Thing]:
    iam = place.client("iam")
    for page in iam.get_paginator("list_roles").paginate():
        for each in page["Roles"]:
            name = each["RoleName"]
            if run_of(name) is not None and _is_ours(name, iam.list_role_tags(RoleName=name)["Tags"]):
                yield Thing(Kind.ROLE, name, place.region)
