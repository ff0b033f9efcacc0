"""Ours is a superset of AWS::ECR::Repository: each difference is chosen, and a new native property is noticed.

The reference is the copy of CloudFormation's schema that cfn-lint ships.
"""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.project_copy import ROOT, SCHEMA_NAME

# A path here covers everything below it. One line is enough for a new property of ours.
OURS_ALONE = {
    "properties/DeletionProtection": "while true, the delete fails and touches nothing",
    "properties/PurgeProtection": "while an image falls under a rule, the delete fails and touches nothing",
    "properties/PurgeReport": "where a delete reports which images it deleted",
    "properties/FreezeOnDelete": "refuses pushes while a purge runs",
    "properties/AllowReplicatedDeletes": "a purge may go ahead although ECR replicates its deletions",
    "typeConfiguration": "an administrator's rules for all repositories of an account and Region",
    "properties/RegistryId": "Fn::GetAtt for the account that owns the registry",
    "readOnlyProperties: /properties/RegistryId": "as above",
    "tagging/permissions: ecr:ListTagsForResource": "cfn validate asks for it where the tags are read",
    "handlers/create/permissions: ecr:DeleteRepository": "a create that fails half-way removes its own repository",
    "handlers/create/permissions: ecr:DescribeRepositories": "a create is done when the repository is visible",
    "handlers/create/permissions: ecr:GetLifecyclePolicy": "a policy that is refused may be there from another copy",
    "handlers/create/permissions: ecr:GetRepositoryPolicy": "a policy that is refused may be there from another copy",
    "handlers/create/permissions: ecr:ListTagsForResource": "a retried create knows its own repository by a tag",
    "handlers/update/permissions: ecr:GetLifecyclePolicy": "update changes only what differs from the live repository",
    "handlers/update/permissions: ecr:GetRepositoryPolicy": "update changes only what differs from the live repository",
    "handlers/update/permissions: ecr:ListTagsForResource": "update changes only what differs from the live repository",
    "handlers/delete/timeoutInMinutes": "long enough for 100,000 images while ECR throttles",
    "handlers/delete/permissions: ecr:DeleteRepositoryPolicy": "FreezeOnDelete, taken out again",
    "handlers/delete/permissions: ecr:GetRepositoryPolicy": "FreezeOnDelete is added to the policy that is there",
    "handlers/delete/permissions: ecr:SetRepositoryPolicy": "FreezeOnDelete",
    "handlers/delete/permissions: ecs:DescribeServices": "PurgeProtection.InUseBy",
    "handlers/delete/permissions: ecs:DescribeTaskDefinition": "PurgeProtection.InUseBy",
    "handlers/delete/permissions: ecs:DescribeTasks": "PurgeProtection.InUseBy",
    "handlers/delete/permissions: ecs:ListClusters": "PurgeProtection.InUseBy",
    "handlers/delete/permissions: ecs:ListServices": "PurgeProtection.InUseBy",
    "handlers/delete/permissions: ecs:ListTasks": "PurgeProtection.InUseBy",
    "handlers/delete/permissions: inspector2:ListCoverage": "PurgeProtection.InUseBy",
    "handlers/delete/permissions: lambda:GetFunction": "PurgeProtection.InUseBy",
    "handlers/delete/permissions: lambda:ListFunctions": "PurgeProtection.InUseBy",
    "handlers/delete/permissions: s3:GetObject": "the purge report's summary counts what killed calls reported",
    "handlers/delete/permissions: s3:ListBucket": "the purge report's summary finds what killed calls reported",
    "handlers/delete/permissions: s3:PutObject": "the purge report",
    "handlers/delete/permissions: ecr:BatchDeleteImage": "the purge",
    "handlers/delete/permissions: ecr:DescribeImages": "the purge lists what it deletes",
    "handlers/delete/permissions: ecr:DescribeRegistry": "a purge that ECR would carry elsewhere is refused",
    "handlers/delete/permissions: ecr:DescribeRepositories": "the delete makes sure that the repository is gone",
    "handlers/delete/permissions: ecr:TagResource": "a long purge shows how far it is in a tag",
    "handlers/delete/permissions: ecr:ListTagsForResource": "the delete obeys the rules that are stored as tags",
}

ABSENT = "absent"
# path: (the native value, ours, the reason)
CHANGED = {
    "writeOnlyProperties: /properties/EmptyOnDelete": (True, ABSENT, "stored on the repository, so it can be read"),
    **{
        f"{kind}: /properties/EncryptionConfiguration{part}": (
            *((True, ABSENT) if kind == "createOnlyProperties" else (ABSENT, True)),
            "spelling out what the repository has is no change, and replaces nothing",
        )
        for kind in ("createOnlyProperties", "conditionalCreateOnlyProperties")
        for part in ("", "/EncryptionType", "/KmsKey")
    },
    "tagging/cloudFormationSystemTags": (True, False, "CloudFormation gives aws:cloudformation:* to native types only"),
    "properties/Tags/uniqueItems": (True, False, "the library calls set() on the tags, which are dicts; we check"),
    **{
        f"properties/Tags/items/properties/{part}": (*values, "a read answers each tag that ECR takes, whoever set it")
        for part, values in {
            "Key/maxLength": (127, 128),
            "Value/maxLength": (255, 256),
            "Value/minLength": (1, ABSENT),
        }.items()
    },
    "properties/ImageTagMutabilityExclusionFilters/items/properties/ImageTagMutabilityExclusionFilterValue/pattern": (
        "^[0-9a-zA-Z._*-]{1,128}",
        "^[0-9a-zA-Z._*-]{1,128}$",
        "without an end, the pattern lets anything follow the first character",
    ),
}

_NOT_COMPARED = {"typeName", "sourceUrl", "documentationUrl", "description", "definitions", "$schema"}


def native_schema() -> dict[str, Any]:
    found = importlib.util.find_spec("cfnlint")  # only its place: to import it takes a second
    assert found
    assert found.origin
    schemas = Path(found.origin).parent / "data" / "schemas"
    name = json.loads((schemas / "providers" / "us-east-1.json").read_text())["AWS::ECR::Repository"]
    loaded: dict[str, Any] = json.loads((schemas / "resources" / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def our_schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / SCHEMA_NAME).read_text(encoding="utf-8"))
    return loaded


def resolve(part: Any, definitions: dict[str, Any]) -> Any:
    """`part` with each $ref replaced by what it points to; keywords beside a $ref are kept."""
    if isinstance(part, list):
        return [resolve(item, definitions) for item in part]
    if not isinstance(part, dict):
        return part
    beside = {key: resolve(value, definitions) for key, value in part.items() if key != "$ref"}
    target = resolve(definitions[part["$ref"].split("/")[-1]], definitions) if "$ref" in part else {}
    return {**target, **beside}


def flatten(part: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Pairs of path and value, without descriptions; an item of a list has a path of its own, as order is nothing."""
    if isinstance(part, dict):
        names_properties = path.rsplit("/", 1)[-1] == "properties"
        for key, value in part.items():
            if names_properties or key not in _NOT_COMPARED:
                yield from flatten(value, f"{path}/{key}" if path else key)
    elif isinstance(part, list):
        yield from ((f"{path}: {item}", True) for item in part)
    else:
        yield path, part


def keywords(schema: dict[str, Any]) -> dict[str, Any]:
    return dict(flatten(resolve(schema, schema["definitions"])))


def differences(native: dict[str, Any], ours: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    pairs = {path: (native.get(path, ABSENT), ours.get(path, ABSENT)) for path in native.keys() | ours.keys()}
    return {path: (old, new) for path, (old, new) in pairs.items() if old != new}


def covers(listed: str, path: str) -> bool:
    return path == listed or path.startswith((f"{listed}/", f"{listed}: "))


NATIVE, OURS = keywords(native_schema()), keywords(our_schema())
DIFFERENCES = differences(NATIVE, OURS)


def test_every_difference_from_the_native_type_is_a_chosen_one() -> None:
    unlisted = {
        path: values
        for path, values in DIFFERENCES.items()
        if path not in CHANGED and not (values[0] == ABSENT and any(covers(listed, path) for listed in OURS_ALONE))
    }
    assert unlisted == {}


def test_every_chosen_change_is_as_listed() -> None:
    assert {path: DIFFERENCES.get(path) for path in CHANGED} == {path: values[:2] for path, values in CHANGED.items()}


def test_nothing_that_is_ours_alone_has_become_native_or_gone() -> None:
    stale = [listed for listed in OURS_ALONE if not any(covers(listed, path) for path in DIFFERENCES)]
    native = [listed for listed in OURS_ALONE if any(covers(listed, path) for path in NATIVE)]
    assert (stale, native) == ([], [])


def test_each_native_property_and_attribute_is_there() -> None:
    assert native_schema()["properties"].keys() <= our_schema()["properties"].keys()


def test_a_new_native_property_would_be_noticed() -> None:
    grown = {**NATIVE, "properties/SomethingNew/type": "string"}
    assert differences(grown, OURS).keys() - DIFFERENCES.keys() == {"properties/SomethingNew/type"}
