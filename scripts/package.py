"""Build the package of this version, for `examples/register.yaml`: the same bytes from one commit, whatever built it.

The bill of materials of the package is written beside it: see `scripts/bill_of_materials.py`.

The package holds what `cfn submit --dry-run` builds, except what depends on the time and the machine of the build:
times, order, permissions, pip's notes about its own run, the name of the tool that built a wheel, and command-line
scripts, which begin with the path of the Python that built them.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sandbox.build import BuildError, build_package  # noqa: E402
from scripts.bill_of_materials import bill  # noqa: E402

_CODE = "ResourceProvider.zip"
_PIP_NOTES = (".dist-info/RECORD", ".dist-info/INSTALLER", ".dist-info/REQUESTED")
_SCRIPTS = "bin/"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first that a zip can hold
_REGULAR_FILE = 0o100644 << 16
_UNIX = 3
_VERSION = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}")


def version(project: Path = ROOT) -> str:
    """The version of the project, MAJOR.MINOR.PATCH; the file VERSION is the one place that has it."""
    text = (project / "VERSION").read_text(encoding="ascii").strip()
    if not _VERSION.fullmatch(text):
        raise BuildError(f"VERSION holds {text!r}: write MAJOR.MINOR.PATCH, three numbers, as the registry asks.")
    return text


def type_name(project: Path = ROOT) -> str:
    name: str = json.loads((project / ".rpdk-config").read_text(encoding="utf-8"))["typeName"]
    return name


def file_name(project: Path = ROOT) -> str:
    return f"{type_name(project).replace('::', '-').lower()}-{version(project)}.zip"


def reproducible(package: bytes) -> bytes:
    """`package`, a zip of `cfn submit --dry-run`, without what depends on when and where it was built.

    Nothing is compressed, as in the original: what compression makes of one input depends on the machine's zlib.
    """
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents[_CODE] = _written(_without_build_notes(contents[_CODE]))
    return _written(contents)


def _without_build_notes(code: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(code)) as archive:
        wanted = [name for name in archive.namelist() if not (name.endswith(_PIP_NOTES) or name.startswith(_SCRIPTS))]
        contents = {name: archive.read(name) for name in wanted}
    for name, content in contents.items():
        if name.endswith(".dist-info/WHEEL"):
            lines = content.splitlines(keepends=True)
            contents[name] = b"".join(line for line in lines if not line.startswith(b"Generator:"))
    return contents


def _written(contents: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(contents):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system, entry.external_attr = _UNIX, _REGULAR_FILE
            archive.writestr(entry, contents[name])
    return target.getvalue()


def build(folder: Path, project: Path = ROOT) -> Path:
    """Build the package into `folder`, and return its path. Takes about 15 seconds, most of them pip's."""
    target = folder / file_name(project)
    with tempfile.TemporaryDirectory(prefix="package-") as place:
        content = reproducible(build_package(Path(place), project).read_bytes())
    folder.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return target


def write_bill(package: Path, project: Path = ROOT) -> Path:
    """Write the bill of materials of `package` beside it, and return its path."""
    target = package.with_suffix(".cdx.json")
    text = bill(package.read_bytes(), _CODE, type_name(project), version(project))
    target.write_text(text, encoding="utf-8")
    return target


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("build"), help="where to put it (default: %(default)s)")
    try:
        package = build(parser.parse_args().folder)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    for path in (package, write_bill(package)):
        print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path}")  # as sha256sum prints it
    return 0


if __name__ == "__main__":
    sys.exit(main())
