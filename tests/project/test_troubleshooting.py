"""guides/troubleshooting.md has every message of ours: they are taken from the source."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from sandbox.driver.schema import Schema
from tests.support.project_copy import PACKAGE, ROOT, SCHEMA

SOURCE = ROOT / "src" / PACKAGE
SOURCES = sorted(path for path in SOURCE.rglob("*.py") if path.name != "models.py")
GUIDE = (ROOT / "guides" / "troubleshooting.md").read_text(encoding="utf-8")
ELLIPSIS = "…"

# Texts with spaces that no user reads as a message.
NO_MESSAGES = {
    "AccountRules | None": "a type",
    "Mapping[str, object]": "a type",
    "not authorized to perform: ([a-z0-9-]+:\\w+)": "what AWS says, as a regular expression",
    "ECR charges archived images for at least 90 days, also those that were deleted earlier.": "a note in the report",
    "The summary of the purge report of … could not be written: ….": "in the log only",
    "CloudFormation says %s. The handler ignores it.": "in the log only",
    "Replacing the %s of %s, which was: %s": "in the log only",
    "repository policy": "a part of it, like the next one",
    "lifecycle policy": "",
    "The repository %s is not marked, because ecr:TagResource was denied.": "in the log only",
    "…/… pass … at …": "the value of the tag awstut:purge-progress, like the next one",
    "… rate …/s left …:…:…": "",
    "… seconds": "a length of time",
    "A name is used twice in one object.": "caught where it is raised, like those that follow",
    "… is negative": "",
    "failures are negative": "",
    "a time is negative": "",
    "the callback context proves no repository": "",
    "the callback context has no begin": "",
    "the repository …": "a part of a message, like the next one",
    "the repositories": "",
    "… …": "the name of a cause for waiting",
    "Principal not found": "what ECR says, like the next one",
    "Invalid repository policy provided": "",
    "known role": "causes for waiting",
    "seen tags": "",
    "the report has no place": "",
    "the failure has no code": "",
    "the pace is zero": "",
    "a failure has its phase, and the phase its failure": "",
    "must be a number, without quotes": "no value of ours is such a number",
    "… must be one of …": "no value of ours from outside is such a choice",
    "the type configuration": "a part of another message, like those that follow",
    "type configuration of the account": "",
    "the callback context": "",
    "the event": "",
    "the properties": "",
    "… image…": "",
    "a container": "a part of a message, like the next ones",
    "(type configuration of the account)": "",
    "of no definition": "",
    "at least": "",
    "last pull …": "",
    "restored …": "",
    "no pull recorded": "",
    "and … more": "",
    "aws ecr tag-resource": "",
    "aws ecr tag-resource --region … --resource-arn … --tags …": "",
    "--region … --repository-name …": "",
    "aws ecr delete-repository-policy …": "",
    "aws cloudformation delete-stack --stack-name … --retain-resources …": "",
    'aws ecr set-repository-policy … --policy-text "$(aws ecr get-repository-policy … --query policyText --output text '
    """| jq -c '.Statement|=map(select(.Sid!="AwstutFreezeOnDelete"))')\"""": "",
}


def resolved(placeholder: ast.FormattedValue, module: ModuleType) -> str:
    """What takes the place of `{placeholder}`: the value of a constant, or an ellipsis for what differs."""
    names = {node.id for node in ast.walk(placeholder.value) if isinstance(node, ast.Name)}
    known = {name for name in names if name.isupper() or isinstance(getattr(module, name, None), ModuleType)}
    value: object = None
    if names and names == known:
        value = eval(compile(ast.Expression(placeholder.value), "message", "eval"), vars(module))
    if not isinstance(value, str | int):
        return ELLIPSIS
    [spec] = placeholder.format_spec.values if isinstance(placeholder.format_spec, ast.JoinedStr) else [None]
    return format(value, str(spec.value) if isinstance(spec, ast.Constant) else "")


def texts(path: Path) -> Iterator[str]:
    """All texts of a module, but for the docstrings."""
    parts_of_name = path.relative_to(ROOT / "src").with_suffix("").parts
    module = importlib.import_module(".".join(parts_of_name).removesuffix(".__init__"))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    parts: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            parts.add(node.value)
        if isinstance(node, ast.JoinedStr):
            parts.update(node.values)
            parts.update(each.format_spec for each in node.values if isinstance(each, ast.FormattedValue))  # type: ignore[misc]
            yield "".join(
                str(each.value) if isinstance(each, ast.Constant) else resolved(each, module)  # type: ignore[arg-type]
                for each in node.values
                if node not in parts
            )
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in parts:
            yield node.value


def is_sentence(text: str) -> bool:
    """Whether it may be (a part of) a message: it has spaces, and a word of four letters or more."""
    return " " in text.strip() and re.search("[A-Za-z]{4}", text) is not None


def messages(path: Path) -> set[str]:
    return {" ".join(text.split()) for text in texts(path) if is_sentence(text)} - NO_MESSAGES.keys()


def documented() -> set[str]:
    """What the guide has as list items in code quotes."""
    found = re.findall(r"^- (`+)(.+?)\1$", GUIDE, re.MULTILINE)
    return {" ".join(text.split()) for _, text in found}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_message_of_the_source_is_in_the_guide(path: Path) -> None:
    assert messages(path) - documented() == set()


def test_every_message_of_the_guide_is_in_the_source() -> None:
    assert documented() - set().union(*map(messages, SOURCES)) == set()


def test_every_message_of_the_guide_is_explained() -> None:
    items = re.split(r"^- (?=`)", GUIDE, flags=re.MULTILINE)[1:]
    assert [item for item in items if len(item.partition("`\n")[2].split()) < 3] == []


# What CloudFormation says before a handler is called, in the words of the local AWS

REFUSED: dict[str, dict[str, object]] = {
    "#: extraneous key [Name] is not permitted": {"Name": "app"},
    "#/PurgeReport: required key [BucketName] not found": {"PurgeReport": {"Prefix": "reports"}},
    "#/RepositoryName: failed validation constraint for keyword [pattern]": {"RepositoryName": "My-App"},
    "#/ImageTagMutability: failed validation constraint for keyword [enum]": {"ImageTagMutability": "immutable"},
    "#/PurgeProtection/PulledWithinDays: failed validation constraint for keyword [minimum]": {
        "PurgeProtection": {"PulledWithinDays": 0}
    },
    "#/DeletionProtection: expected type: Boolean, found: String": {"DeletionProtection": "yes"},
    "#/Tags: expected type: JSONArray, found: JSONObject": {"Tags": {"Owner": "me"}},
    "#/LifecyclePolicy/LifecyclePolicyText: expected type: String, found: JSONObject": {
        "LifecyclePolicy": {"LifecyclePolicyText": {"rules": []}}
    },
    "#/PurgeProtection: expected type: JSONObject, found: Null": {"PurgeProtection": None},
    "#/LifecyclePolicy/LifecyclePolicyText: expected minLength: 100, actual: 2": {
        "LifecyclePolicy": {"LifecyclePolicyText": "{}"}
    },
    "#/PurgeProtection/TagPatterns: expected minimum item count: 1, found: 0": {"PurgeProtection": {"TagPatterns": []}},
}


def rows(heading: str) -> set[str]:
    """The first cells, without their quotes, of the table below the line that begins with `heading`."""
    _, _, rest = GUIDE.partition(f"| {heading}")
    return set(re.findall(r"^\| `([^`]+)` \|", rest.partition("\n\n")[0], re.MULTILINE))


@pytest.mark.parametrize("message", REFUSED)
def test_refusal_of_cloudformation_is_what_the_schema_gives(message: str) -> None:
    schema = Schema(SCHEMA)
    assert schema.problems(schema.coerce(REFUSED[message])) == [message]


def test_guide_begins_with_what_cloudformation_says() -> None:
    assert rows("CloudFormation says") == REFUSED.keys()
    first = re.findall(r"^## (.+)$", GUIDE, re.MULTILINE)[0]
    assert first == "CloudFormation refuses before anything of this type runs"


def test_guide_has_what_cloud_control_says() -> None:
    """The local AWS says the same. Its tests are in tests/sandbox, because this environment lacks its libraries."""
    kinds = ("createOnlyProperties", "readOnlyProperties")
    refused_patches = {f"Invalid patch update: {kind} [{SCHEMA[kind][0]}] cannot be updated" for kind in kinds}
    assert rows("Cloud Control says") == {f"Model validation failed ({next(iter(REFUSED))})", *refused_patches}
