"""A property of ours is everywhere it has to be: guides/contributing.md names these places."""

from __future__ import annotations

import re

import cfn_flip
import pytest

from awstut_ecr_autopurgerepository.repository.update import ON_MARKED_ONLY
from tests.project.test_native_schema import OURS_ALONE
from tests.support.project_copy import ROOT, SCHEMA

READ_ONLY = {path.rpartition("/")[2] for path in SCHEMA["readOnlyProperties"]}
OURS = sorted(
    name
    for path in OURS_ALONE
    if path.startswith("properties/") and path.count("/") == 1
    for name in [path.partition("/")[2]]
    if name not in READ_ONLY
)
GUIDES = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "guides").glob("*.md")))
CDK = ROOT / "examples" / "cdk"
PYTHON = (CDK / "python" / "src" / "auto_purge_repository" / "__init__.py").read_text(encoding="utf-8")
TYPESCRIPT = (CDK / "typescript" / "auto-purge-repository.ts").read_text(encoding="utf-8")
EVERYTHING = cfn_flip.load((ROOT / "examples" / "everything.yaml").read_text(encoding="utf-8"))[0]
SET = {name for each in EVERYTHING["Resources"].values() for name in each.get("Properties", {})}


def snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def camel_case(name: str) -> str:
    return name[0].lower() + name[1:]


def test_there_are_properties_of_ours() -> None:
    assert {"DeletionProtection", "PurgeProtection", "PurgeReport", "FreezeOnDelete"} <= set(OURS)


@pytest.mark.parametrize("name", OURS)
def test_an_update_refuses_it_on_a_repository_that_is_not_marked(name: str) -> None:
    assert name in ON_MARKED_ONLY


@pytest.mark.parametrize("name", [*OURS, "EmptyOnDelete"])
def test_the_example_with_everything_sets_it(name: str) -> None:
    assert name in SET


@pytest.mark.parametrize("name", [*OURS, "EmptyOnDelete"])
def test_the_cdk_constructs_have_it(name: str) -> None:
    assert re.search(rf"\b{snake_case(name)}\b", PYTHON)
    assert re.search(rf"\b{camel_case(name)}\b", TYPESCRIPT)


@pytest.mark.parametrize("name", [*OURS, "EmptyOnDelete"])
def test_a_guide_says_what_it_is_good_for(name: str) -> None:
    assert re.search(rf"\b{name}\b", GUIDES)


@pytest.mark.parametrize("name", sorted(set(SCHEMA["properties"]) - READ_ONLY))
def test_the_schema_s_list_of_differences_and_ours_agree(name: str) -> None:
    """A property is either native, or in the list of differences that test_native_schema.py compares."""
    native = {
        "RepositoryName",
        "EncryptionConfiguration",
        "ImageScanningConfiguration",
        "ImageTagMutability",
        "ImageTagMutabilityExclusionFilters",
        "LifecyclePolicy",
        "RepositoryPolicyText",
        "Tags",
        "EmptyOnDelete",
    }
    assert name in native or name in OURS
