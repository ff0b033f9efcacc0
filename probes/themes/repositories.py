"""Repositories: how they come and go, and what ECR refuses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from probes.belief import MODEL, Answer, Belief, api, report, user_guide
from probes.clock import AT_ONCE, WITHIN, Seen, distribution, how_late, look_until, not_seen
from probes.made import Kind
from probes.place import ACCEPTED, Place, refusal, said
from probes.registry import probe

_INVALID = "InvalidParameterException"
_NOT_FOUND = "RepositoryNotFoundException"
_NOBODY = "000000000000"  # an account that is nobody's
_SRC = "src/awstut_ecr_autopurgerepository"

BELIEFS = (
    Belief(
        "new-repository-is-late",
        "Repositories are created asynchronously. DescribeRepositories right after CreateRepository can fail with "
        "RepositoryNotFoundException.",
        (report("hashicorp/terraform-provider-aws", 3849),),
        (f"{_SRC}/repository/create.py", f"{_SRC}/repository/visibility.py"),
        {"DescribeRepositories finds it by": AT_ONCE},
        {"DescribeRepositories finds it by": WITHIN},
        "lateness.new_repository",
    ),
    Belief(
        "new-tags-are-late",
        "The tags of a CreateRepository request can become visible later than the repository.",
        (report("hashicorp/terraform-provider-aws", 28012), report("hashicorp/terraform-provider-aws", 27028)),
        (f"{_SRC}/repository/create.py", f"{_SRC}/repository/visibility.py"),
        {"ListTagsForResource has them by": AT_ONCE},
        {"ListTagsForResource has them by": WITHIN},
        "lateness.new_tags",
    ),
    Belief(
        "deleted-repository-is-late",
        "For a while after a repository is deleted, DescribeRepositories can still return it.",
        ("an eventually consistent service may do so",),
        (f"{_SRC}/deletion/look.py",),
        {"DescribeRepositories says it is gone by": AT_ONCE},
        {"DescribeRepositories says it is gone by": WITHIN},
        "lateness.deleted_repository",
    ),
    Belief(
        "name-is-free-again",
        "The name of a deleted repository can be used again, at once or after a while.",
        ("an eventually consistent service may do so",),
        (f"{_SRC}/repository/create.py",),
        {"CreateRepository takes the name by": AT_ONCE, "creation time": "another one"},
        {"CreateRepository takes the name by": WITHIN},
        "lateness.deleted_name",
    ),
    Belief(
        "name-is-taken",
        "CreateRepository with the name of an existing repository fails with RepositoryAlreadyExistsException, and "
        "changes nothing.",
        (api("CreateRepository"),),
        (f"{_SRC}/repository/create.py", f"{_SRC}/errors.py"),
        {"a second time": "RepositoryAlreadyExistsException", "its tags": "those of the first"},
        enforced_in=("repositories.create_repository RepositoryAlreadyExistsException",),
    ),
    Belief(
        "repository-names",
        "A repository's name has up to 256 characters: lower-case letters and digits. Between two of these, one "
        "separator is allowed: a dot, one or two underscores, one or more hyphens, or a slash.",
        (api("CreateRepository"), MODEL),
        ("awstut-ecr-autopurgerepository.json", f"{_SRC}/repository/create.py"),
        {
            "257 letters": _INVALID,
            "upper case": _INVALID,
            "a hyphen at the end": _INVALID,
            "a slash at the end": _INVALID,
            "each kind of separator": ACCEPTED,
        },
        enforced_in=("repositories.create_repository InvalidParameterException",),
    ),
    Belief(
        "missing-repository",
        "A call that names a repository that does not exist fails with RepositoryNotFoundException.",
        (api("DescribeImages"), api("BatchDeleteImage"), api("ListTagsForResource")),
        (f"{_SRC}/errors.py", f"{_SRC}/deletion/look.py"),
        dict.fromkeys(
            (
                "BatchDeleteImage",
                "DeleteRepository",
                "DescribeImages",
                "DescribeRepositories",
                "GetLifecyclePolicy",
                "GetRepositoryPolicy",
                "ListImages",
                "ListTagsForResource",
                "SetRepositoryPolicy",
                "TagResource",
            ),
            _NOT_FOUND,
        ),
        enforced_in=("state._found RepositoryNotFoundException",),
    ),
    Belief(
        "registry-of-another-account",
        "A call that names the registry of another account is denied, unless a policy in that account allows it.",
        (user_guide("registry-permissions"),),
        (),
        {"DescribeRepositories": "AccessDeniedException"},
        enforced_in=("state.check_registry AccessDeniedException",),
    ),
    Belief(
        "arn-of-nothing",
        "A call that sets, removes or reads tags fails with InvalidParameterException if its ARN is not the ARN of a "
        "repository.",
        (api("TagResource"),),
        (),
        {"TagResource of a topic": _INVALID},
        enforced_in=("state.name_in_arn InvalidParameterException",),
    ),
    Belief(
        "only-empty-repositories",
        "Without force, DeleteRepository fails with RepositoryNotEmptyException if the repository holds an image. "
        "With force, it deletes the repository and its images.",
        (api("DeleteRepository"),),
        (f"{_SRC}/deletion/purge.py",),
        {"without force": "RepositoryNotEmptyException", "with force": ACCEPTED},
        enforced_in=("repositories.delete_repository RepositoryNotEmptyException",),
    ),
    Belief(
        "repository-defaults",
        "A repository that is created without any settings has mutable image tags (MUTABLE), no scan on push, AES256 "
        "encryption, and no tags of its own.",
        (api("CreateRepository"),),
        (f"{_SRC}/repository/translate.py", f"{_SRC}/repository/update.py"),
        {"imageTagMutability": "MUTABLE", "scanOnPush": False, "encryptionType": "AES256"},
    ),
    Belief(
        "creation-time",
        "createdAt differs between a repository and an earlier one of the same name. It stays the same in all answers "
        "about one repository.",
        (api("Repository"),),
        (f"{_SRC}/deletion/look.py",),
        {"CreateRepository and DescribeRepositories": "the same"},
    ),
    Belief(
        "exclusion-filters",
        "MUTABLE_WITH_EXCLUSION and IMMUTABLE_WITH_EXCLUSION need exclusion filters; the other values must not have "
        "any. At most 5 filters are allowed, with at most two wildcards each.",
        (api("PutImageTagMutability"), user_guide("image-tag-mutability")),
        ("awstut-ecr-autopurgerepository.json", f"{_SRC}/repository/update.py"),
        {
            "filters with MUTABLE": _INVALID,
            "MUTABLE_WITH_EXCLUSION without filters": _INVALID,
            "5 filters": ACCEPTED,
            "6 filters": _INVALID,
            "2 wildcards": ACCEPTED,
            "3 wildcards": _INVALID,
        },
        enforced_in=("repositories._mutability InvalidParameterException",),
    ),
    Belief(
        "unknown-enums",
        "A value that is not one of those that the service model lists for its parameter fails with "
        "InvalidParameterException.",
        (MODEL,),
        ("awstut-ecr-autopurgerepository.json",),
        {"imageTagMutability": _INVALID, "encryptionType": _INVALID},
        enforced_in=("enumerations.check InvalidParameterException",),
    ),
    Belief(
        "encryption-of-new-repositories",
        "A key is allowed only with KMS encryption. If the key does not exist, CreateRepository fails with "
        "KmsException.",
        (api("EncryptionConfiguration"),),
        (f"{_SRC}/errors.py", f"{_SRC}/repository/encryption.py"),
        {"AES256 with a key": _INVALID, "a key that does not exist": "KmsException"},
        enforced_in=("repositories._encryption InvalidParameterException", "repositories._encryption KmsException"),
    ),
    Belief(
        "kms-permissions",
        "For a repository with a KMS key, a role needs kms:DescribeKey, kms:CreateGrant and kms:RetireGrant.",
        (user_guide("encryption-at-rest"),),
        ("awstut-ecr-autopurgerepository.json", "examples/execution-role.yaml"),
        unasked="A customer managed key costs money, and cannot be deleted for at least seven days.",
    ),
    Belief(
        "repositories-come-back",
        "ECR can create a deleted repository again by itself: by create-on-push, a pull-through cache, or replication.",
        (user_guide("repository-creation-templates"), user_guide("pull-through-cache")),
        (f"{_SRC}/deletion/look.py",),
        unasked="The probe would need settings of the whole registry, which would also affect other repositories.",
    ),
    Belief(
        "repositories-a-page",
        "DescribeRepositories returns at most 1,000 repositories a page. A request that names repositories cannot ask "
        "for pages.",
        (api("DescribeRepositories"),),
        (f"{_SRC}/repository/read.py", f"{_SRC}/ecr.py"),
        {"1 a page": "more to come", "1,000 a page": ACCEPTED, "1,001 a page": _INVALID, "0 a page": _INVALID},
        enforced_in=("paging.page_size InvalidParameterException",),
    ),
)


@probe(
    "new-repository-is-late",
    "new-tags-are-late",
    "deleted-repository-is-late",
    "creation-time",
    creates="20 empty repositories, one after the other",
    seconds=60,
)
def lateness_of_repositories(place: Place) -> Mapping[str, Answer]:
    """Create and delete a repository some times, and see how late it shows."""
    ecr, found, tagged, gone, same = place.ecr, [], [], [], []
    for _ in range(place.tries):
        name = place.name("late")
        created = place.create_repository(name)
        found.append(_seen(place, name, ACCEPTED))
        tagged.append(look_until(place.clock, lambda name=name: _has_tags(place, name), place.patience))  # type: ignore[misc]
        same.append(ecr.describe_repositories(repositoryNames=[name])["repositories"][0]["createdAt"])
        same[-1] = same[-1] == created["createdAt"]
        ecr.delete_repository(repositoryName=name)
        gone.append(_seen(place, name, _NOT_FOUND))
        if not_seen(found, tagged, gone):
            break
    place.details.update(found=distribution(found), tagged=distribution(tagged), gone=distribution(gone))
    return {
        "new-repository-is-late": {"DescribeRepositories finds it by": how_late(found)},
        "new-tags-are-late": {"ListTagsForResource has them by": how_late(tagged)},
        "deleted-repository-is-late": {"DescribeRepositories says it is gone by": how_late(gone)},
        "creation-time": {"CreateRepository and DescribeRepositories": "the same" if all(same) else "different"},
    }


def _seen(place: Place, name: str, answer: str) -> Seen:
    """When DescribeRepositories answers so."""
    ecr = place.ecr
    return look_until(
        place.clock, lambda: refusal(ecr.describe_repositories, repositoryNames=[name]) == answer, place.patience
    )


def _has_tags(place: Place, name: str) -> bool:
    try:
        tags = place.ecr.list_tags_for_resource(resourceArn=place.arn(name))["tags"]
    except place.ecr.exceptions.RepositoryNotFoundException:
        return False
    return bool(tags)


@probe("name-is-taken", "name-is-free-again", "repository-defaults", creates="1 empty repository", seconds=10)
def names_of_repositories(place: Place) -> Mapping[str, Answer]:
    """Use a name twice, at the same time and one after the other."""
    ecr, name = place.ecr, place.name("name")
    created = place.create_repository(name)
    second = refusal(ecr.create_repository, repositoryName=name, tags=[{"Key": "second", "Value": "yes"}])
    look_until(place.clock, lambda: _has_tags(place, name), place.patience)
    tags = {tag["Key"] for tag in ecr.list_tags_for_resource(resourceArn=place.arn(name))["tags"]}
    ecr.delete_repository(repositoryName=name)
    again: list[dict[str, Any]] = []

    def create_again() -> bool:
        try:
            again.append(place.create_repository(name))
        except ecr.exceptions.RepositoryAlreadyExistsException:
            return False
        return True

    free = look_until(place.clock, create_again, place.patience)
    other = bool(again) and again[0]["createdAt"] != created["createdAt"]
    return {
        "name-is-taken": {"a second time": second, "its tags": _tags_of_first(place, tags)},
        "name-is-free-again": {
            "CreateRepository takes the name by": how_late([free]),
            "creation time": "another one" if other else "the same",
        },
        "repository-defaults": {
            "imageTagMutability": created["imageTagMutability"],
            "scanOnPush": created["imageScanningConfiguration"]["scanOnPush"],
            "encryptionType": created["encryptionConfiguration"]["encryptionType"],
        },
    }


def _tags_of_first(place: Place, keys: set[str]) -> str:
    return "those of the first" if keys == set(place.run.tags) else "others"


def _try_to_create(place: Place, name: str, **more: Any) -> str:
    """The error code of CreateRepository. A repository that is created after all is deleted with the probe."""
    thing = place.made.note(Kind.REPOSITORY, name, place.region)
    code = refusal(place.ecr.create_repository, repositoryName=name, tags=place.tags, **more)
    if code == ACCEPTED:
        place.made.confirm(thing)
    else:
        place.made.forget(thing)
    return code


@probe(
    "repository-names",
    "unknown-enums",
    "encryption-of-new-repositories",
    creates="1 empty repository; all others are refused",
    seconds=10,
)
def refused_repositories(place: Place) -> Mapping[str, Answer]:
    """Create repositories that ECR refuses."""
    name = place.name("refused")
    long = f"{name}-{'x' * 257}"[:257]
    key = f"arn:{place.partition}:kms:{place.region}:{place.account}:key/00000000-1111-2222-3333-444444444444"
    return {
        "repository-names": {
            "257 letters": _try_to_create(place, long),
            "upper case": _try_to_create(place, f"{name}A"),
            "a hyphen at the end": _try_to_create(place, f"{name}-"),
            "a slash at the end": _try_to_create(place, f"{name}/"),
            "each kind of separator": _try_to_create(place, f"{name}/a.b_c__d--e"),
        },
        "unknown-enums": {
            "imageTagMutability": _try_to_create(place, name, imageTagMutability="SOMETIMES"),
            "encryptionType": _try_to_create(place, name, encryptionConfiguration={"encryptionType": "ROT13"}),
        },
        "encryption-of-new-repositories": {
            "AES256 with a key": _try_to_create(
                place, name, encryptionConfiguration={"encryptionType": "AES256", "kmsKey": key}
            ),
            "a key that does not exist": _try_to_create(
                place, name, encryptionConfiguration={"encryptionType": "KMS", "kmsKey": key}
            ),
        },
    }


@probe("missing-repository", "registry-of-another-account", "arn-of-nothing", creates="nothing", seconds=5)
def missing_repositories(place: Place) -> Mapping[str, Answer]:
    """Name a repository that does not exist."""
    ecr, name = place.ecr, place.name("missing")
    arn, policy = place.arn(name), json.dumps({"Version": "2012-10-17", "Statement": [_ALLOW_EVERYBODY]})
    digest = [{"imageDigest": f"sha256:{'0' * 64}"}]
    named = {"repositoryName": name}
    return {
        "missing-repository": {
            "BatchDeleteImage": refusal(ecr.batch_delete_image, **named, imageIds=digest),
            "DeleteRepository": refusal(ecr.delete_repository, **named),
            "DescribeImages": refusal(ecr.describe_images, **named),
            "DescribeRepositories": refusal(ecr.describe_repositories, repositoryNames=[name]),
            "GetLifecyclePolicy": refusal(ecr.get_lifecycle_policy, **named),
            "GetRepositoryPolicy": refusal(ecr.get_repository_policy, **named),
            "ListImages": refusal(ecr.list_images, **named),
            "ListTagsForResource": refusal(ecr.list_tags_for_resource, resourceArn=arn),
            "SetRepositoryPolicy": refusal(ecr.set_repository_policy, **named, policyText=policy),
            "TagResource": refusal(ecr.tag_resource, resourceArn=arn, tags=place.tags),
        },
        "registry-of-another-account": {"DescribeRepositories": refusal(ecr.describe_repositories, registryId=_NOBODY)},
        "arn-of-nothing": {
            "TagResource of a topic": refusal(
                ecr.tag_resource,
                resourceArn=f"arn:{place.partition}:sns:{place.region}:{place.account}:{name}",
                tags=place.tags,
            )
        },
    }


_ALLOW_EVERYBODY = {"Effect": "Allow", "Principal": "*", "Action": "ecr:DescribeImages"}


@probe("only-empty-repositories", creates="1 repository with an image", seconds=10)
def full_repository(place: Place) -> Mapping[str, Answer]:
    """Delete a repository that holds an image."""
    name = place.repository("full")
    place.push(name, "one")
    without = refusal(place.ecr.delete_repository, repositoryName=name)
    code, message = said(place.ecr.delete_repository, repositoryName=name, force=True)
    place.details["message"] = message
    return {"only-empty-repositories": {"without force": without, "with force": code}}


@probe("exclusion-filters", creates="1 empty repository", seconds=10)
def exclusion_filters(place: Place) -> Mapping[str, Answer]:
    """Set filters that ECR takes, and others."""
    name = place.repository("filters")

    def put(mutability: str, *filters: str) -> str:
        given = [{"filterType": "WILDCARD", "filter": each} for each in filters]
        more = {"imageTagMutabilityExclusionFilters": given} if given else {}
        return refusal(place.ecr.put_image_tag_mutability, repositoryName=name, imageTagMutability=mutability, **more)

    excluding = "IMMUTABLE_WITH_EXCLUSION"
    return {
        "exclusion-filters": {
            "filters with MUTABLE": put("MUTABLE", "dev-*"),
            "MUTABLE_WITH_EXCLUSION without filters": put("MUTABLE_WITH_EXCLUSION"),
            "5 filters": put(excluding, *(f"dev-{n}" for n in range(5))),
            "6 filters": put(excluding, *(f"dev-{n}" for n in range(6))),
            "2 wildcards": put(excluding, "*-dev-*"),
            "3 wildcards": put(excluding, "*-dev-*-*"),
        }
    }


@probe("repositories-a-page", creates="2 empty repositories", seconds=10)
def pages_of_repositories(place: Place) -> Mapping[str, Answer]:
    """List repositories; those of others are not looked at."""
    for _ in range(2):
        place.repository("page")

    def page(size: int) -> str:
        return refusal(place.ecr.describe_repositories, maxResults=size)

    more = "nextToken" in place.ecr.describe_repositories(maxResults=1)
    return {
        "repositories-a-page": {
            "1 a page": "more to come" if more else "all at once",
            "1,000 a page": page(1_000),
            "1,001 a page": page(1_001),
            "0 a page": page(0),
        }
    }
