"""Images of a few bytes, pushed by the registry's own protocol.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#push
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
_EMPTY_TAR = bytes(1024)

Headers = Mapping[str, str]
# method, path or URL, headers, body -> status, headers in lower case, body
Send = Callable[[str, str, Headers, bytes], tuple[int, Headers, bytes]]


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(frozen=True)
class Manifest:
    """What PutImage stores."""

    media_type: str
    content: bytes

    @property
    def digest(self) -> str:
        return digest_of(self.content)

    @property
    def text(self) -> str:
        return self.content.decode()

    def descriptor(self, **more: Any) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.content), **more}


_LAYER = gzip.compress(_EMPTY_TAR, mtime=0)
_CONFIG = json.dumps(
    {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(_EMPTY_TAR)]},
    }
).encode()
LAYERS = (_CONFIG, _LAYER)  # what all images share


def image(note: str, subject: Manifest | None = None, artifact_type: str = "") -> Manifest:
    """An image. Another note gives an image with another digest."""
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": _CONFIG_TYPE, "digest": digest_of(_CONFIG), "size": len(_CONFIG)},
        "layers": [{"mediaType": _LAYER_TYPE, "digest": digest_of(_LAYER), "size": len(_LAYER)}],
        "annotations": {"note": note},
    }
    if artifact_type:
        document["artifactType"] = artifact_type
    if subject is not None:
        document["subject"] = subject.descriptor()
    return Manifest(MANIFEST_TYPE, json.dumps(document).encode())


def index(*children: Manifest, note: str = "") -> Manifest:
    """An index of images, or of indexes."""
    manifests = [
        each.descriptor(platform={"os": "linux", "architecture": ("amd64", "arm64")[number % 2]})
        for number, each in enumerate(children)
    ]
    document = {
        "schemaVersion": 2,
        "mediaType": INDEX_TYPE,
        "manifests": manifests,
        "annotations": {"note": note},
    }
    return Manifest(INDEX_TYPE, json.dumps(document).encode())


class PushError(RuntimeError):
    """The registry refused a push; the text is its answer."""


@dataclass(frozen=True)
class Repository:
    """One repository, as the registry's protocol knows it."""

    send: Send
    name: str

    def put_layers(self) -> None:
        """The configuration and the layer that all images share."""
        for content in LAYERS:
            status, headers, body = self.send("POST", f"/v2/{self.name}/blobs/uploads/", {}, b"")
            self._expect_success(status, body)
            kind = {"Content-Type": "application/octet-stream"}
            status, headers, body = self.send("PATCH", headers["location"], kind, content)
            self._expect_success(status, body)
            location = headers["location"]
            complete = f"{location}{'&' if '?' in location else '?'}digest={digest_of(content)}"
            status, headers, body = self.send("PUT", complete, {"Content-Type": "application/octet-stream"}, b"")
            self._expect_success(status, body)

    def put_manifest(self, manifest: Manifest, reference: str = "") -> None:
        """With a tag, or by its digest."""
        status, body = self.try_manifest(manifest, reference or manifest.digest)
        self._expect_success(status, body)

    def try_manifest(self, manifest: Manifest, reference: str) -> tuple[int, bytes]:
        """The status and the body of the answer."""
        path = f"/v2/{self.name}/manifests/{reference}"
        status, _, body = self.send("PUT", path, {"Content-Type": manifest.media_type}, manifest.content)
        return status, body

    def status_of(self, method: str, path: str) -> int:
        """The status of a request without a body, to a path below the repository."""
        return self.send(method, f"/v2/{self.name}/{path}", {}, b"")[0]

    def _expect_success(self, status: int, body: bytes) -> None:
        """Registries differ in which one they answer."""
        if status not in (201, 202, 204):
            raise PushError(f"A push to {self.name} was answered with {status}: {body.decode(errors='replace')}")
