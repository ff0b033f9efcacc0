"""The registry's own protocol, /v2/: what a client such as skopeo or docker pushes and pulls with, over plain HTTP.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping

from sandbox.ecr.errors import EcrError
from sandbox.ecr.image import Image, digest_of
from sandbox.ecr.pushes import store_manifest
from sandbox.ecr.repository import Repository
from sandbox.ecr.state import RegistryState

Answer = tuple[int, dict[str, str], bytes]
Query = Mapping[str, list[str]]

# A header of all answers, not only of the answer to /v2/: ECR's page shows it in an answer to tags/list.
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html
_PROTOCOL = {"Docker-Distribution-Api-Version": "registry/2.0"}
_PATH = re.compile(r"/v2/(?P<name>.+)/(?P<kind>blobs/uploads|blobs|manifests|tags)(?:/(?P<reference>[^/]*))?/?")
# What ECR's errors are called in the protocol
_CODES = {
    "RepositoryNotFoundException": ("NAME_UNKNOWN", 404),
    "AccessDeniedException": ("DENIED", 403),
    "ImageTagAlreadyExistsException": ("TAG_INVALID", 400),
    "ReferencedImagesNotFoundException": ("MANIFEST_BLOB_UNKNOWN", 404),
}


def handle(ecr: RegistryState, method: str, path: str, headers: Mapping[str, str], body: bytes, query: Query) -> Answer:
    """Answer one request: status, headers, body."""
    status, more, content = _route(ecr, method, path, headers, body, query)
    return status, _PROTOCOL | more, content


def _route(ecr: RegistryState, method: str, path: str, headers: Mapping[str, str], body: bytes, query: Query) -> Answer:
    if path in ("/v2", "/v2/"):
        return 200, {}, b"{}"
    match = _PATH.fullmatch(path)
    if match is None:
        return _error("UNSUPPORTED", f"{path} is not known here", 404)
    try:
        repository = ecr.find({"repositoryName": match["name"]})
        reference = match["reference"] or ""
        if match["kind"] == "blobs/uploads":
            return _upload(ecr, repository, method, reference, body, query)
        if match["kind"] == "blobs":
            return _blob(repository, method, reference)
        if match["kind"] == "manifests" and method == "PUT":
            return _put_manifest(ecr, repository, reference, headers, body)
        if match["kind"] == "manifests":
            return _get_manifest(ecr, repository, method, reference)
        tags = [tag for image in repository.images for tag in image.tags]
        return 200, {"Content-Type": "application/json"}, json.dumps({"name": repository.name, "tags": tags}).encode()
    except EcrError as error:
        code, status = _CODES.get(error.code, ("MANIFEST_INVALID", 400))
        return _error(code, error.message, status)


def _error(code: str, message: str, status: int) -> Answer:
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return status, {"Content-Type": "application/json"}, body


def _upload(ecr: RegistryState, repository: Repository, method: str, session: str, body: bytes, query: Query) -> Answer:
    """A layer or configuration, in one piece or many."""
    wanted = query.get("digest", [""])[0]
    if method == "POST":
        ecr.check_policy(repository, "ecr:InitiateLayerUpload")
        session = secrets.token_hex(16)
        repository.uploads[session] = b""
    if session not in repository.uploads:
        return _error("BLOB_UPLOAD_UNKNOWN", session, 404)
    if method == "DELETE":
        del repository.uploads[session]
        return 204, {}, b""
    if body:
        ecr.check_policy(repository, "ecr:UploadLayerPart")
    if wanted:
        ecr.check_policy(repository, "ecr:CompleteLayerUpload")
    repository.uploads[session] += body
    location = f"/v2/{repository.name}/blobs/uploads/{session}"
    if method == "PATCH" or (method == "POST" and not wanted):
        last = max(0, len(repository.uploads[session]) - 1)
        return 202, {"Location": location, "Docker-Upload-UUID": session, "Range": f"0-{last}"}, b""
    content = repository.uploads.pop(session)
    if digest_of(content) != wanted:
        return _error("DIGEST_INVALID", f"The content has the digest {digest_of(content)}, not {wanted}", 400)
    repository.blobs[wanted] = content
    return 201, {"Location": f"/v2/{repository.name}/blobs/{wanted}", "Docker-Content-Digest": wanted}, b""


def _blob(repository: Repository, method: str, digest: str) -> Answer:
    content = repository.blobs.get(digest)
    if content is None:
        return _error("BLOB_UNKNOWN", digest, 404)
    headers = {"Docker-Content-Digest": digest, "Content-Type": "application/octet-stream"}
    return 200, headers | {"Content-Length": str(len(content))}, b"" if method == "HEAD" else content


def _put_manifest(
    ecr: RegistryState, repository: Repository, reference: str, headers: Mapping[str, str], body: bytes
) -> Answer:
    ecr.check_policy(repository, "ecr:PutImage")
    digest = digest_of(body)
    tag = None if ":" in reference else reference
    if tag is None and reference != digest:
        return _error("DIGEST_INVALID", f"The manifest has the digest {digest}, not {reference}", 400)
    media_type = next((value for key, value in headers.items() if key.lower() == "content-type"), None)
    try:
        ecr.count("PutImage", {"repositoryName": repository.name})
        store_manifest(ecr, repository, body, media_type, tag)
    except EcrError as error:
        if error.code != "ImageAlreadyExistsException":
            raise
    location = f"/v2/{repository.name}/manifests/{digest}"
    return 201, {"Location": location, "Docker-Content-Digest": digest}, b""


def _get_manifest(ecr: RegistryState, repository: Repository, method: str, reference: str) -> Answer:
    images = repository.images
    image: Image | None = images.by_digest(reference) if ":" in reference else images.by_tag(reference)
    if image is None or image.status != "ACTIVE":
        return _error("MANIFEST_UNKNOWN", f"Requested image not found: {reference}", 404)
    if method == "GET":
        image.last_recorded_pull_time = ecr.clock.time()
    headers = {
        "Content-Type": image.media_type,
        "Docker-Content-Digest": image.digest,
        "Content-Length": str(len(image.manifest)),
    }
    return 200, headers, b"" if method == "HEAD" else image.manifest
