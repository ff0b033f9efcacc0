"""The bill of materials of a package, in CycloneDX 1.6: which libraries it contains, with version and licence.

It is read from the package itself, from what pip notes of each library, so it cannot differ from what goes to Lambda.
The same package gives the same bytes: there is no time and no random number in it.
Format: https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import uuid
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import BytesParser
from typing import Any

_METADATA = re.compile(r"[^/]+\.dist-info/METADATA")


def bill(package: bytes, code_name: str, name: str, version: str) -> str:
    """The text of the bill of `package`, whose code is the zip `code_name` in it; with its name and version."""
    digest = hashlib.sha256(package).hexdigest()
    own = {
        "type": "application",
        "bom-ref": f"{name}@{version}",
        "name": name,
        "version": version,
        "licenses": [{"license": {"id": "Apache-2.0"}}],
        "hashes": [{"alg": "SHA-256", "content": digest}],
    }
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, digest)}",
        "version": 1,
        "metadata": {"component": own},
        "components": sorted(map(_component, _libraries(package, code_name)), key=lambda each: str(each["bom-ref"])),
    }
    return json.dumps(document, indent=2) + "\n"


def _libraries(package: bytes, code_name: str) -> Iterator[Message]:
    with (
        zipfile.ZipFile(io.BytesIO(package)) as outer,
        outer.open(code_name) as content,
        zipfile.ZipFile(content) as code,
    ):
        for name in code.namelist():
            if _METADATA.fullmatch(name):
                yield BytesParser().parsebytes(code.read(name), headersonly=True)


def _component(library: Message) -> dict[str, Any]:
    name = re.sub(r"[-_.]+", "-", library["Name"]).lower()  # as in a package URL
    url = f"pkg:pypi/{name}@{library['Version']}"
    found = {"type": "library", "bom-ref": url, "name": name, "version": library["Version"], "purl": url}
    return {**found, **_licence(library)}


def _licence(library: Message) -> dict[str, Any]:
    """An SPDX expression if the library has one, otherwise its own words; nothing if it says nothing."""
    if expression := library["License-Expression"]:
        return {"licenses": [{"expression": expression}]}
    if words := (library["License"] or "").strip():
        return {"licenses": [{"license": {"name": words.splitlines()[0]}}]}
    classes = [each for each in library.get_all("Classifier", []) if each.startswith("License ::")]
    return {"licenses": [{"license": {"name": each.rpartition(" :: ")[2]}} for each in classes]} if classes else {}
