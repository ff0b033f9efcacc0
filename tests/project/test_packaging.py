"""The versioned package: what `cfn submit` would upload, and the same bytes whenever and wherever it is built."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from sandbox.build import BuildError
from scripts import package as packaging
from tests.support.project_copy import ROOT

NOTES = (".dist-info/RECORD", ".dist-info/INSTALLER", ".dist-info/REQUESTED", ".dist-info/WHEEL")


def without_notes(code: dict[str, bytes]) -> dict[str, bytes]:
    return {name: each for name, each in code.items() if not (name.endswith(NOTES) or name.startswith("bin/"))}


def read(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_package_is_the_same_when_built_again(versioned_package: Path, dry_run: Path) -> None:
    assert hashlib.sha256(versioned_package.read_bytes()).hexdigest() == (
        hashlib.sha256(packaging.reproducible(dry_run.read_bytes())).hexdigest()
    )


def test_package_holds_what_cfn_submit_uploads(versioned_package: Path, dry_run: Path) -> None:
    ours, theirs = read(versioned_package.read_bytes()), read(dry_run.read_bytes())
    our_code, their_code = read(ours.pop("ResourceProvider.zip")), read(theirs.pop("ResourceProvider.zip"))
    assert ours == theirs
    assert without_notes(our_code) == without_notes(their_code)


def test_package_has_no_command_line_and_nothing_that_only_this_imports(versioned_package: Path) -> None:
    code = read(read(versioned_package.read_bytes())["ResourceProvider.zip"])
    folders = {name.split("/")[0] for name in code}
    assert "awstut_ecr_autopurgerepository" in folders
    assert folders & {"autopurge", "click", "jinja2", "pygal", "rich", "ruamel", "ruamel.yaml"} == set()


def test_package_does_not_say_where_it_was_built(versioned_package: Path) -> None:
    code = read(read(versioned_package.read_bytes())["ResourceProvider.zip"])
    places = [str(ROOT).encode(), sys.prefix.encode(), sys.base_prefix.encode()]
    assert [name for name, content in code.items() if any(place in content for place in places)] == []


def test_package_says_nothing_of_the_time_and_the_machine(versioned_package: Path) -> None:
    with zipfile.ZipFile(versioned_package) as outer:
        inner = zipfile.ZipFile(io.BytesIO(outer.read("ResourceProvider.zip")))
        entries = outer.infolist() + inner.infolist()
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}


def test_package_is_named_after_its_version(versioned_package: Path) -> None:
    version = (ROOT / "VERSION").read_text().strip()
    assert versioned_package.name == f"awstut-ecr-autopurgerepository-{version}.zip"


def test_package_command_prints_the_digest_as_sha256sum_does(package_command: tuple[Path, str]) -> None:
    package, printed = package_command
    paths = (package, package.with_suffix(".cdx.json"))
    assert printed == "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path}\n" for path in paths)


def test_bill_of_materials_names_every_library_of_the_package(package_command: tuple[Path, str]) -> None:
    package, _ = package_command
    found = json.loads(package.with_suffix(".cdx.json").read_text())
    locked = re.findall(r"^([a-z0-9.-]+)==([^ ]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert [(each["name"], each["version"]) for each in found["components"]] == sorted(locked)
    assert [each["name"] for each in found["components"] if not each.get("licenses")] == []
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    own = found["metadata"]["component"]
    assert (own["name"], own["version"]) == (packaging.type_name(), packaging.version())
    assert own["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(package.read_bytes()).hexdigest()}]


def test_bill_of_materials_is_the_same_when_written_again(package_command: tuple[Path, str]) -> None:
    package, _ = package_command
    before = package.with_suffix(".cdx.json").read_bytes()
    assert packaging.write_bill(package).read_bytes() == before


@pytest.mark.parametrize("text", ["1.0", "v1.0.0", "1.0.0-rc1", "01.0.0", ""])
def test_version_that_the_registry_would_not_take_is_refused(tmp_path: Path, text: str) -> None:
    shutil.copy(ROOT / ".rpdk-config", tmp_path)
    (tmp_path / "VERSION").write_text(text)
    with pytest.raises(BuildError, match=r"write MAJOR\.MINOR\.PATCH"):
        packaging.file_name(tmp_path)
