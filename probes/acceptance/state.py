"""What a step left, in a form that is the same in every account: names, ids and times are replaced."""

from __future__ import annotations

import json
import re
from typing import Any

from botocore.exceptions import ClientError

from probes.place import Place
from probes.stacks import Stack

Json = dict[str, Any]
_TAGS_WITH_IDS = ("awstut:request", "awstut:stack-id", "awstut:taken-over")
_NOT_COMPARED = ("awstut:purge-progress", "awstut:purge-report")  # counts and times; some runs have no report
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha256:[0-9a-f]{6,}…?")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|\+00:00| UTC)?")


def plain(place: Place, text: str) -> str:
    """The string without what differs from run to run."""
    text = re.sub(rf"{place.run.prefix}-(\w+)-\d+", r"PREFIX-\1", text)
    for found, name in (
        (place.run.prefix, "PREFIX"),
        (place.run.number, "RUN"),
        (place.account, "ACCOUNT"),
        (place.region, "REGION"),
    ):
        text = text.replace(found, name)
    for pattern, name in ((_UUID, "ID"), (_DIGEST, "DIGEST"), (_TIME, "TIME")):
        text = pattern.sub(name, text)
    return text


def events(place: Place, stack: Stack) -> list[str]:
    """The statuses of the resource in order, without repetitions in a row. A failed one includes its reason."""
    found: list[str] = []
    for status, reason in stack.events():
        told = f"{status}: {plain(place, reason)}" if status.endswith("FAILED") else status
        if found[-1:] != [told]:
            found.append(told)
    return found


def repository(place: Place, name: str) -> Json | None:
    """What ECR holds under a name; None where there is nothing."""
    ecr = place.ecr
    try:
        [described] = ecr.describe_repositories(repositoryNames=[name])["repositories"]
    except ecr.exceptions.RepositoryNotFoundException:
        return None
    state = {
        "mutability": described["imageTagMutability"],
        "scanOnPush": described["imageScanningConfiguration"]["scanOnPush"],
        "encryption": described["encryptionConfiguration"]["encryptionType"],
        "tags": _tags(place, described["repositoryArn"]),
        "policy": _policy(ecr.get_repository_policy, "policyText", name),
        "lifecycle": _policy(ecr.get_lifecycle_policy, "lifecyclePolicyText", name),
        "images": _images(place, name),
    }
    clean: Json = json.loads(plain(place, json.dumps(state)))
    return clean


def _tags(place: Place, arn: str) -> dict[str, str]:
    tags = {tag["Key"]: tag["Value"] for tag in place.ecr.list_tags_for_resource(resourceArn=arn)["tags"]}
    return {
        key: "ID" if key in _TAGS_WITH_IDS else value.removesuffix(" purge-report")
        for key, value in sorted(tags.items())
        if key not in _NOT_COMPARED and not key.startswith("aws:")
    }


def _policy(read: Any, key: str, name: str) -> Any:
    """A policy by its meaning: AWS and the sandbox spell it in forms of their own."""
    try:
        text: str = read(repositoryName=name)[key]
    except ClientError as error:
        if error.response["Error"]["Code"].endswith("PolicyNotFoundException"):
            return None
        raise
    return by_meaning(json.loads(text))


def by_meaning(value: Any) -> Any:
    """A policy in one form: each list is sorted, and a list of one element is replaced by the element."""
    if isinstance(value, dict):
        return {key: by_meaning(each) for key, each in value.items()}
    if isinstance(value, list):
        sorted_list = sorted((by_meaning(each) for each in value), key=lambda each: json.dumps(each, sort_keys=True))
        return sorted_list[0] if len(sorted_list) == 1 else sorted_list
    return value


def _images(place: Place, name: str) -> dict[str, int]:
    """How many there are of each status. The statuses are asked for one by one, whether or not ECR knows ANY."""
    counts = {}
    for status in ("ACTIVE", "ARCHIVED", "ACTIVATING"):
        pages = place.ecr.get_paginator("describe_images").paginate(repositoryName=name, filter={"imageStatus": status})
        count = sum(len(page["imageDetails"]) for page in pages)
        if count:
            counts[status] = count
    return counts


def report(place: Place, bucket: str, prefix: str) -> Json:
    """What the report of a delete says: how many images by outcome, and the summary's status."""
    s3 = place.client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    summaries = [each["Key"] for page in pages for each in page.get("Contents", []) if "summary.json" in each["Key"]]
    told = [json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in summaries]
    return {
        "summaries": len(told),
        "status": sorted(str(each.get("status")) for each in told),
        "images": [each.get("images") for each in told],
        "archived": [(each.get("archived") or {}).get("images") for each in told],
    }
