"""`make release`: after all tests, make all that a release of this version needs, and stop before it is published.

It writes into `build/release-NUMBER/`: the package, its bill of materials, SHA256SUMS, and the text of the release.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts import package  # noqa: E402
from scripts.publish_check import CHECKS, Problems, Project, manual_steps, run  # noqa: E402

_SECTION = r"^## \[{}\] - \d{{4}}-\d{{2}}-\d{{2}}\n((?:(?!## ).*\n?)*)"
_TEXT = "RELEASE.md"


def notes(project: Project) -> str | None:
    """What the changelog says of this version, in its dated section; None without one."""
    number = package.version(project.folder)
    text = (project.folder / "CHANGELOG.md").read_text(encoding="utf-8")
    found = re.search(_SECTION.format(re.escape(number)), text, re.MULTILINE)
    return found[1].strip() + "\n" if found and found[1].strip() else None


def has_section(project: Project) -> Problems:
    if notes(project) is None:
        number = package.version(project.folder)
        yield f"CHANGELOG.md has no section '## [{number}] - YYYY-MM-DD' with notes: write the release commit first."


def is_committed(project: Project) -> Problems:
    """Somebody else has to be able to build the same: so nothing may differ from the commit."""
    command = ["git", "-C", str(project.folder), "status", "--porcelain"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    changed = done.stdout.splitlines() if done.returncode == 0 else [done.stderr.strip()]
    for line in changed:
        yield f"Not committed: {line}"


def is_not_tagged(project: Project) -> Problems:
    """A tag is never moved."""
    tag = f"v{package.version(project.folder)}"
    command = ["git", "-C", str(project.folder), "tag", "--list", tag]
    if subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip():
        yield f"There is a tag {tag} already: write a new version into VERSION."


def write(project: Project, folder: Path) -> Problems:
    """Write the files. A second build must have the same bytes."""
    built = package.build(folder, project.folder)
    with tempfile.TemporaryDirectory(prefix="release-") as other:
        if package.build(Path(other), project.folder).read_bytes() != built.read_bytes():
            yield "A second build of the package has other bytes."
    files = [built, package.write_bill(built, project.folder)]
    (folder / "SHA256SUMS").write_text("".join(_sums(files)), encoding="ascii")
    (folder / _TEXT).write_text(notes(project) or "", encoding="utf-8")


def _sums(files: list[Path]) -> Iterator[str]:
    """As sha256sum writes and checks them."""
    for path in files:
        yield f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"


def main() -> int:
    project = Project(ROOT)
    number = package.version(ROOT)
    folder = ROOT / "build" / f"release-{number}"
    checks = {
        "the changelog has a dated section": has_section,
        "everything is committed": is_committed,
        "the version is not tagged yet": is_not_tagged,
        **CHECKS,
        "the files of the release are written": lambda project: write(project, folder),
    }
    failed = run(project, checks)
    if failed:
        print(f"\n{failed} of {len(checks)} checks failed. Nothing is to be released.")
        return 1
    print(f"\nAll {len(checks)} checks passed. Version {number} is ready in {folder.relative_to(ROOT)}:")
    for path in sorted(folder.iterdir()):
        print(f"  {path.name}")
    print(f"\nNothing is published. What remains, by the one who releases (guides/release.md):\n{commands(number)}\n")
    print(manual_steps(project))
    return 0


def commands(number: str) -> str:
    """What tags the version and makes the release on GitHub."""
    files = f"build/release-{number}"
    return (
        f"  git tag --sign v{number} --message 'Version {number}' && git push origin v{number}\n"
        f"  gh release create v{number} --verify-tag --notes-file {files}/{_TEXT} "
        f"{files}/*.zip {files}/*.cdx.json {files}/SHA256SUMS"
    )


if __name__ == "__main__":
    sys.exit(main())
