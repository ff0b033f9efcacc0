"""What is written for people: links lead somewhere, commands exist, pictures are of the text beside them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.support.project_copy import ROOT, SCHEMA

README = ROOT / "README.md"
GUIDES = sorted((ROOT / "guides").glob("*.md"))
ROOT_PAGES = [ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")]
# These are in packages, too, and read there: their links are addresses.
PACKAGE_PAGES = sorted((ROOT / "examples" / "cdk").glob("*/README.md"))
PAGES = [README, *ROOT_PAGES, ROOT / "examples" / "README.md", *PACKAGE_PAGES, *GUIDES]
ADDRESS = f"{SCHEMA['sourceUrl']}/blob/main/"
PICTURES = sorted((ROOT / "guides" / "images").glob("*.svg"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))
BADGES = re.compile(r"\[!\[([^]]*)\]\((https://img\.shields\.io/badge/[^)]+)\)\]\(([^)]+)\)")
TYPED_BY_THESE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "stack").glob("test_*.py"))


def prose(page: Path) -> str:
    """A page without its code."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"(`+).*?\1", "code", text)


def links(page: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", prose(page))


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads_somewhere(page: Path, link: str) -> bool:
    if link.startswith(ADDRESS):
        page, link = README, link.removeprefix(ADDRESS)
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists() or ROOT not in (target, *target.parents):
        return False
    return not anchor or anchor in anchors(target)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings_that_are_there(page: Path) -> None:
    inside = [link for link in links(page) if link.startswith(ADDRESS) or not link.startswith("https://")]
    assert [link for link in inside if not leads_somewhere(page, link)] == []


def test_links_are_found() -> None:
    assert len(links(README)) > len(GUIDES)
    assert not leads_somewhere(README, "guides/missing.md")
    assert not leads_somewhere(README, "guides/protection.md#missing")
    assert not leads_somewhere(README, f"{ADDRESS}guides/protection.md#missing")


@pytest.mark.parametrize("page", PACKAGE_PAGES, ids=lambda path: path.parent.name)
def test_page_of_a_package_links_by_address(page: Path) -> None:
    assert len(links(page)) > 5
    assert [link for link in links(page) if not link.startswith("https://")] == []


def test_readme_is_two_screens() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 80


def test_comparison_has_what_aws_charges_and_what_aws_checks_itself() -> None:
    guide = (ROOT / "guides" / "comparison.md").read_text(encoding="utf-8")
    words = ("first 1,000 a month", "0.0009 USD", "0.00008 USD", "ECR repository delete readiness")
    assert [each for each in words if each not in guide] == []
    assert f"{(10 * 60 - 30) * 0.00008:.2f} USD" in guide  # the example of ten minutes


@pytest.mark.parametrize("page", [*GUIDES, ROOT / "CHANGELOG.md", ROOT / "SECURITY.md"], ids=lambda path: path.name)
def test_readme_links_to_every_page(page: Path) -> None:
    assert str(page.relative_to(ROOT)) in links(README)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_make_targets_that_are_named_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = re.findall(r"(?:^|`)make ((?:[a-z-]+ ?)+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert {target for words in named for target in words.split()} - targets == set()


@pytest.mark.parametrize("page", [path for path in GUIDES if "```sh" in path.read_text()], ids=lambda path: path.name)
def test_commands_of_a_guide_are_typed_by_a_test(page: Path) -> None:
    assert f'"{page.name}"' in TYPED_BY_THESE


def test_badges_are_true() -> None:
    """They are static, and say nothing of a release or of a build, which nobody can look up yet."""
    badges = BADGES.findall(README.read_text(encoding="utf-8"))
    assert [(url.rsplit("/", 1)[1], target) for _, url, target in badges] == [
        ("license-Apache--2.0-blue", "LICENSE"),
        ("python-3.11%20%7C%203.12-blue", "guides/contributing.md"),
    ]
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert '"runtime": "python3.12"' in (ROOT / ".rpdk-config").read_text(encoding="utf-8")
    assert "sys.version_info < (3, 11)" in (ROOT / "scripts" / "setup").read_text(encoding="utf-8")


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.name)
def test_picture_needs_nothing_from_elsewhere(picture: Path) -> None:
    addresses = set(re.findall(r"https?://[^\"' <]+", picture.read_text(encoding="utf-8")))
    assert addresses == {"http://www.w3.org/2000/svg"}


def test_modules_that_the_architecture_names_exist() -> None:
    page = (ROOT / "guides" / "architecture.md").read_text(encoding="utf-8")
    package = ROOT / "src" / "awstut_ecr_autopurgerepository"
    known = {path.name for path in package.rglob("*.py")}
    assert set(re.findall(r"\w+\.py", page)) - known == set()


def test_the_architecture_explains_every_module_of_the_delete() -> None:
    page = (ROOT / "guides" / "architecture.md").read_text(encoding="utf-8")
    modules = (ROOT / "src" / "awstut_ecr_autopurgerepository" / "deletion").glob("[a-z]*.py")
    assert [path.name for path in modules if f"| `{path.name}` |" not in page] == []


def test_changelog_begins_with_what_is_not_released() -> None:
    versions = re.findall(r"^## \[([^]]+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert versions[0] == "Unreleased"


def test_pre_commit_hooks_use_tools_and_tests_that_are_there() -> None:
    [local] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert local["repo"] == "local"
    words = [word for hook in local["hooks"] for word in hook["entry"].split()]
    assert [word for word in words if word.startswith("tests/") and not (ROOT / word).exists()] == []
    assert {word for word in words if "/bin/" in word} <= {f".venv/bin/{name}" for name in ("ruff", "mypy", "python")}


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.name)
def test_issue_form_has_what_github_asks_for(form: Path) -> None:
    loaded = yaml.safe_load(form.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= loaded.keys()
    inputs = [each for each in loaded["body"] if each["type"] != "markdown"]
    assert all(each["attributes"]["label"] for each in inputs)
    assert len({each["id"] for each in inputs}) == len(inputs)
