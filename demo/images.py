"""Images as a build leaves them on disk (OCI image layout), and bare manifests for pushing in bulk.

`python -m demo.images FOLDER VERSION` writes a build of two architectures into a folder, for skopeo to push.

https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
ARCHITECTURES = ("amd64", "arm64")


@dataclass(frozen=True)
class Blob:
    media_type: str
    content: bytes

    @property
    def digest(self) -> str:
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"

    def descriptor(self, **more: Any) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.content), **more}


@dataclass(frozen=True)
class Image:
    """A single-platform image: what it references, and its manifest."""

    config: Blob
    layer: Blob
    manifest: Blob


def _as_json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=2).encode()


def make_manifest(config: Blob, layer: Blob, **annotations: str) -> Blob:
    """A manifest; other annotations make it another image, with another digest."""
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": config.descriptor(),
        "layers": [layer.descriptor()],
    }
    if annotations:
        document["annotations"] = annotations
    return Blob(MANIFEST_TYPE, _as_json(document))


def _layer(text: str) -> tuple[Blob, str]:
    """A layer with one file, and the digest of its uncompressed tar."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("app/version.txt")
        entry.size = len(text.encode())
        tar.addfile(entry, io.BytesIO(text.encode()))
    content = archive.getvalue()
    return Blob(LAYER_TYPE, gzip.compress(content, mtime=0)), f"sha256:{hashlib.sha256(content).hexdigest()}"


def make_image(version: str, architecture: str) -> Image:
    layer, uncompressed = _layer(f"{version} for {architecture}\n")
    config = Blob(
        CONFIG_TYPE,
        _as_json(
            {
                "architecture": architecture,
                "os": "linux",
                "config": {"Labels": {"version": version}},
                "rootfs": {"type": "layers", "diff_ids": [uncompressed]},
            }
        ),
    )
    return Image(config, layer, make_manifest(config, layer))


def write_layout(folder: Path, version: str) -> None:
    """Write one build, an index of an image for each architecture, into `folder`."""
    images = {architecture: make_image(version, architecture) for architecture in ARCHITECTURES}
    manifests = [
        image.manifest.descriptor(platform={"os": "linux", "architecture": architecture})
        for architecture, image in images.items()
    ]
    index = Blob(INDEX_TYPE, _as_json({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": manifests}))

    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for blob in [index, *(part for image in images.values() for part in (image.config, image.layer, image.manifest))]:
        (blobs / blob.digest.removeprefix("sha256:")).write_bytes(blob.content)
    named = index.descriptor(annotations={"org.opencontainers.image.ref.name": version})
    (folder / "index.json").write_bytes(_as_json({"schemaVersion": 2, "manifests": [named]}))
    (folder / "oci-layout").write_bytes(_as_json({"imageLayoutVersion": "1.0.0"}))


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("Give a folder and a version: python -m demo.images FOLDER VERSION")
    folder = Path(sys.argv[1])
    try:
        write_layout(folder, sys.argv[2])
    except FileExistsError:
        sys.exit(f"There is a build in {folder} already. Give another folder.")


if __name__ == "__main__":
    main()
