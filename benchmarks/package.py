"""What `cfn submit` uploads: its size, what it is made of, and what it could do without."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.processes import first_answers
from sandbox.build import build_package

# Services whose clients the handlers and the support library make.
_SERVICES = {"cloudwatch", "ecr", "logs", "sts"}
_UNUSED = ("setuptools", "_distutils_hack", "distutils-precedence.pth", "pkg_resources")


def _is_setuptools(name: str) -> bool:
    return name.startswith(_UNUSED)


def _is_another_service(name: str) -> bool:
    parts = name.split("/")
    in_data = parts[:2] == ["botocore", "data"] and len(parts) > 3
    return in_data and parts[2] not in _SERVICES


TRIMS: dict[str, Callable[[str], bool]] = {
    "as `cfn submit` builds it": lambda _: False,
    "without setuptools": _is_setuptools,
    "without botocore's data of other services": _is_another_service,
    "without both": lambda name: _is_setuptools(name) or _is_another_service(name),
}


def build(folder: Path) -> tuple[Path, zipfile.ZipFile]:
    """The folder with the unpacked code, and the archive that Lambda would get."""
    with zipfile.ZipFile(build_package(folder)) as package:
        code = zipfile.ZipFile(io.BytesIO(package.read("ResourceProvider.zip")))
    code.extractall(folder / "code")
    return folder / "code", code


def measure(folder: Path, code: zipfile.ZipFile) -> dict[str, Any]:
    """Sizes in bytes, by what is in it; for each way to trim it, the size and the first answer of a cold process."""
    parts: Counter[str] = Counter()
    for each in code.infolist():
        parts[_part(each.filename)] += each.file_size
    trims: list[dict[str, Any]] = []
    targets: list[Path] = []
    for number, (title, unwanted) in enumerate(TRIMS.items()):
        names = [name for name in code.namelist() if not unwanted(name)]
        targets.append(folder / f"trimmed-{number}")
        code.extractall(targets[-1], names)
        size = sum(code.getinfo(name).file_size for name in names)
        trims.append({"title": title, "bytes": size, "compressed": _compressed(code, names)})
    for trim, seen in zip(trims, first_answers(targets), strict=True):
        trim.update(seen)
    files = len(code.namelist())
    return {"bytes": sum(parts.values()), "files": files, "parts": dict(parts.most_common()), "trims": trims}


def _part(name: str) -> str:
    first, _, rest = name.partition("/")
    if first == "botocore" and rest.startswith("data/"):
        return "botocore's data, other services" if _is_another_service(name) else "botocore's data, needed"
    if _is_setuptools(name):
        return "setuptools"
    return first.removesuffix(".py").partition("-")[0] if first.endswith(".dist-info") else first.removesuffix(".py")


def _compressed(code: zipfile.ZipFile, names: list[str]) -> int:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as smaller:
        for name in names:
            smaller.writestr(name, code.read(name))
    return buffer.tell()
