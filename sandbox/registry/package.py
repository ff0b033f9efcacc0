"""The zip that `cfn submit` uploads: schema.json, .rpdk-config, and ResourceProvider.zip with the code.

It is made by rpdk.core.project.Project.submit and the plugin's package().
"""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SCHEMA, _SETTINGS, _CODE = "schema.json", ".rpdk-config", "ResourceProvider.zip"


class PackageError(ValueError):
    """The package can't be registered; the message says why."""


@dataclass(frozen=True)
class Package:
    """An unpacked package."""

    schema: dict[str, Any]
    entrypoint: str  # module.function that CloudFormation calls
    test_entrypoint: str  # module.function that `cfn test` may call
    code: Path


def unpack(content: bytes, folder: Path) -> Package:
    """Unpack the code to `folder`, unless it is there already. Raises PackageError."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as outer:
            schema, settings = _load(outer, _SCHEMA), _load(outer, _SETTINGS)
            if not folder.exists():
                _extract(outer.read(_CODE), folder)
    except (zipfile.BadZipFile, KeyError) as error:
        raise PackageError(f"The package is not what `cfn submit` uploads: {error}") from error
    missing = [key for key in ("typeName", "properties", "primaryIdentifier") if key not in schema]
    if missing:
        raise PackageError(f"The schema lacks {', '.join(missing)}.")
    entrypoint = settings.get("entrypoint")
    if not entrypoint:
        raise PackageError(f"{_SETTINGS} in the package has no entrypoint.")
    return Package(schema, entrypoint, settings.get("testEntrypoint", ""), folder)


def _extract(code: bytes, folder: Path) -> None:
    """Create `folder` with all its files in one step, because another sandbox may create it at the same time."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unpacking-") as place:
        whole = Path(place) / "code"
        whole.mkdir()
        with zipfile.ZipFile(io.BytesIO(code)) as archive:
            archive.extractall(whole)
        try:
            whole.rename(folder)
        except OSError:
            if not folder.exists():
                raise


def _load(archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    try:
        loaded = json.loads(archive.read(name))
    except json.JSONDecodeError as error:
        raise PackageError(f"{name} in the package is not JSON: {error}") from error
    if not isinstance(loaded, dict):
        raise PackageError(f"{name} in the package is not an object.")
    return loaded
