"""Tags of repositories, and permissions that depend on them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from probes.belief import Answer, Belief, api, report, user_guide
from probes.clock import AT_ONCE, WITHIN, Seen, distribution, how_late, look_until, not_seen
from probes.made import TAG
from probes.place import ACCEPTED, Place, refusal
from probes.registry import probe

_SRC = "src/awstut_ecr_autopurgerepository"
_DENIED = "AccessDeniedException"
_BAD_TAG = "InvalidTagParameterException"
_MOST_TAGS = 50

BELIEFS = (
    Belief(
        "tags-of-a-repository",
        "A repository has at most 50 tags. A call that would set the 51st fails with TooManyTagsException, and sets "
        "none of its tags.",
        (api("TagResource"), user_guide("ecr-using-tags")),
        (f"{_SRC}/repository/validate.py", f"{_SRC}/rules/reserved_tags.py"),
        {"50 tags": ACCEPTED, "51 tags": "TooManyTagsException", "tags after that": 50},
        enforced_in=("repositories._checked_tags TooManyTagsException",),
    ),
    Belief(
        "texts-of-tags",
        "A tag's key has up to 128 characters, its value up to 256: letters, digits, spaces and + - = . _ : / @. Keys "
        "that begin with aws: cannot be set or removed. A call that names a key twice is refused.",
        (api("Tag"), user_guide("ecr-using-tags")),
        (f"{_SRC}/rules/reserved_tags.py", f"{_SRC}/repository/validate.py"),
        {
            "a key of 128": ACCEPTED,
            "a key of 129": _BAD_TAG,
            "a value of 256": ACCEPTED,
            "a value of 257": _BAD_TAG,
            "all special characters": ACCEPTED,
            "an asterisk": _BAD_TAG,
            "aws: to set": _BAD_TAG,
            "aws: to remove": _BAD_TAG,
            "one key twice": _BAD_TAG,
        },
        enforced_in=(
            "repositories._checked_tags InvalidTagParameterException",
            "repositories.untag_resource InvalidTagParameterException",
        ),
    ),
    Belief(
        "changed-tags-are-late",
        "For a while after TagResource or UntagResource, ListTagsForResource can return the tags from before.",
        ("an eventually consistent service may do so",),
        (f"{_SRC}/repository/update.py", f"{_SRC}/deletion/look.py"),
        {"a new tag is seen by": AT_ONCE, "a removed tag is gone by": AT_ONCE},
        {"a new tag is seen by": WITHIN, "a removed tag is gone by": WITHIN},
        "lateness.changed_tags",
    ),
    Belief(
        "conditions-on-tags-are-late",
        "A role that may only change repositories with a certain tag (aws:ResourceTag) can be denied a new repository "
        "for a while, although CreateRepository set that tag.",
        (report("hashicorp/terraform-provider-aws", 28012),),
        (f"{_SRC}/repository/create.py", "examples/execution-role.yaml"),
        {"the role is allowed by": AT_ONCE},
        {"the role is allowed by": WITHIN},
        "lateness.new_tags",
    ),
    Belief(
        "missing-repository-is-denied",
        "A role that may only change repositories with a certain tag gets AccessDenied instead of RepositoryNotFound "
        "for a repository that does not exist, because a missing repository has no tags.",
        ("IAM evaluates conditions before ECR looks for the repository",),
        (f"{_SRC}/deletion/look.py", f"{_SRC}/errors.py"),
        {"DescribeRepositories": _DENIED, "DeleteRepository": _DENIED},
        enforced_in=("iam.authorizer AccessDeniedException",),
    ),
)


@probe("tags-of-a-repository", "texts-of-tags", "changed-tags-are-late", creates="1 empty repository", seconds=30)
def tags_of_repositories(place: Place) -> Mapping[str, Answer]:
    """Set tags that ECR takes, and others."""
    arn = place.arn(place.repository("tags"))

    def put(*tags: tuple[str, str]) -> str:
        given = [{"Key": key, "Value": value} for key, value in tags]
        return refusal(place.ecr.tag_resource, resourceArn=arn, tags=given)

    lateness = _changes_seen(place, arn)
    texts = {
        "a key of 128": put(("k" * 128, "")),
        "a key of 129": put(("k" * 129, "")),
        "a value of 256": put(("value", "v" * 256)),
        "a value of 257": put(("value", "v" * 257)),
        "all special characters": put(("special", "a + - = . _ : / @")),
        "an asterisk": put(("special", "*")),
        "aws: to set": put(("aws:probe", "1")),
        "aws: to remove": refusal(place.ecr.untag_resource, resourceArn=arn, tagKeys=["aws:probe"]),
        "one key twice": put(("twice", "1"), ("twice", "2")),
    }
    look_until(place.clock, lambda: "special" in _keys(place, arn), place.patience)
    missing = _MOST_TAGS - len(_keys(place, arn))
    full = put(*((f"n{number}", "") for number in range(missing)))
    one_more = put(("one-more", ""), ("and-another", ""))
    look_until(place.clock, lambda: len(_keys(place, arn)) >= _MOST_TAGS, place.patience)
    return {
        "tags-of-a-repository": {
            "50 tags": full,
            "51 tags": one_more,
            "tags after that": len(_keys(place, arn)),
        },
        "texts-of-tags": texts,
        "changed-tags-are-late": lateness,
    }


def _keys(place: Place, arn: str) -> set[str]:
    return {tag["Key"] for tag in place.ecr.list_tags_for_resource(resourceArn=arn)["tags"]}


def _changes_seen(place: Place, arn: str) -> Answer:
    """How late changes of tags show, of some tries."""
    added: list[Seen] = []
    removed: list[Seen] = []
    for number in range(place.tries):
        key = f"try-{number}"
        place.ecr.tag_resource(resourceArn=arn, tags=[{"Key": key, "Value": ""}])
        added.append(_look(place, lambda key=key: key in _keys(place, arn)))  # type: ignore[misc]
        place.ecr.untag_resource(resourceArn=arn, tagKeys=[key])
        removed.append(_look(place, lambda key=key: key not in _keys(place, arn)))  # type: ignore[misc]
        if not_seen(added, removed):
            break
    place.details.update(added=distribution(added), removed=distribution(removed))
    return {"a new tag is seen by": how_late(added), "a removed tag is gone by": how_late(removed)}


def _look(place: Place, look: Callable[[], bool]) -> Seen:
    return look_until(place.clock, look, place.patience)


@probe(
    "conditions-on-tags-are-late",
    "missing-repository-is-denied",
    creates="1 role, and 20 empty repositories, one after the other",
    seconds=120,
)
def conditions_on_tags(place: Place) -> Mapping[str, Answer]:
    """Read new repositories as a role that may do so only by their tag."""
    limited = _limited_client(place)
    seen = []
    for _ in range(place.tries):
        name = place.name("condition")
        place.create_repository(name)
        seen.append(
            _look(place, lambda name=name: refusal(limited.describe_repositories, repositoryNames=[name]) == ACCEPTED)  # type: ignore[misc]
        )
        place.ecr.delete_repository(repositoryName=name)
        if not_seen(seen):
            break
    place.details["allowed"] = distribution(seen)
    missing = place.name("missing")
    return {
        "conditions-on-tags-are-late": {"the role is allowed by": how_late(seen)},
        "missing-repository-is-denied": {
            "DescribeRepositories": refusal(limited.describe_repositories, repositoryNames=[missing]),
            "DeleteRepository": refusal(limited.delete_repository, repositoryName=missing),
        },
    }


def _limited_client(place: Place) -> Any:
    """A client of ECR, of a role that may do everything to repositories with the run's tag."""
    condition = {"StringEquals": {f"aws:ResourceTag/{TAG}": place.run.number}}
    statement = {"Effect": "Allow", "Action": "ecr:*", "Resource": "*", "Condition": condition}
    me = {"Principal": {"AWS": place.account}, "Action": "sts:AssumeRole"}
    role = place.role("condition", me, [statement])
    place.clock.sleep(place.settle)
    assumed: list[dict[str, str]] = []

    def assume() -> bool:
        try:
            answer = place.client("sts").assume_role(RoleArn=role, RoleSessionName="probe")
        except ClientError:
            return False  # a new role is not known everywhere yet
        assumed.append(answer["Credentials"])
        return True

    look_until(place.clock, assume, place.patience)
    if not assumed:
        raise RuntimeError(f"The role could not be assumed: {json.dumps(role)}")
    credentials = {
        "aws_access_key_id": assumed[0]["AccessKeyId"],
        "aws_secret_access_key": assumed[0]["SecretAccessKey"],
        "aws_session_token": assumed[0]["SessionToken"],
    }
    return place.client("ecr", credentials=credentials)
