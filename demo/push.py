"""Pushing: builds with skopeo, as a pipeline does; and many plain images through the registry's HTTP interface.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#push
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import requests
from requests.adapters import HTTPAdapter
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from demo.images import ARCHITECTURES, Blob, make_image, make_manifest, write_layout
from demo.shell import Shell, expect

_WORKERS = 8
_TIMEOUT = 30  # seconds


@dataclass(frozen=True)
class Registry:
    """One repository of a registry that speaks plain HTTP on this machine."""

    host: str
    repository: str
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.session.trust_env = False  # no proxy of the user's for an address on this machine
        self.session.mount("http://", HTTPAdapter(pool_connections=1, pool_maxsize=_WORKERS))

    def reference(self, tag: str) -> str:
        return f"docker://{self.host}/{self.repository}:{tag}"

    def put_blob(self, blob: Blob) -> None:
        started = self.session.post(self._url("blobs/uploads/"), timeout=_TIMEOUT)
        started.raise_for_status()
        location = requests.compat.urljoin(started.url, started.headers["Location"])
        done = self.session.put(location, params={"digest": blob.digest}, data=blob.content, timeout=_TIMEOUT)
        done.raise_for_status()

    def put_manifest(self, manifest: Blob, tag: str) -> None:
        headers = {"Content-Type": manifest.media_type}
        url = self._url(f"manifests/{tag}")
        self.session.put(url, data=manifest.content, headers=headers, timeout=_TIMEOUT).raise_for_status()

    def _url(self, path: str) -> str:
        return f"http://{self.host}/v2/{self.repository}/{path}"


def push_builds(shell: Shell, registry: Registry) -> int:
    """Push multi-architecture builds with skopeo, and return how many images that makes in the repository.

    Two builds are pushed as `latest`, so the first index and its children are left untagged. In a third build, each
    architecture has a tag of its own, beside the tag of the index.
    """
    for version in ("1.0", "1.1", "1.2"):
        layout = shell.folder / "images" / f"app-{version}"
        if not layout.exists():
            write_layout(layout, version)
    for version in ("1.0", "1.1"):
        _skopeo(shell, "--all", f"oci:images/app-{version}:{version}", registry.reference("latest"))
    for architecture in ARCHITECTURES:
        tag = registry.reference(f"1.2-{architecture}")
        shell_arguments = ("--override-os", "linux", "--override-arch", architecture)
        _skopeo(shell, "oci:images/app-1.2:1.2", tag, before=shell_arguments)
    _skopeo(shell, "--all", "oci:images/app-1.2:1.2", registry.reference("1.2"))
    return 3 * (1 + len(ARCHITECTURES))


def push_again(shell: Shell, registry: Registry, tag: str) -> None:
    """Push an earlier build under a tag that another one has."""
    _skopeo(shell, "--all", "oci:images/app-1.0:1.0", registry.reference(tag))


def _skopeo(shell: Shell, *arguments: str, before: tuple[str, ...] = ()) -> None:
    command = ("skopeo", "--insecure-policy", *before, "copy", "--quiet", "--dest-tls-verify=false", *arguments)
    shell.run(*command, folded=True)


def push_many(shell: Shell, registry: Registry, count: int) -> list[str]:
    """Push `count` images with a tag each, side by side, and return the tags."""
    base = make_image("bulk", "amd64")
    registry.put_blob(base.config)
    registry.put_blob(base.layer)
    tags = [f"build-{number:04}" for number in range(1, count + 1)]

    def push(tag: str) -> None:
        registry.put_manifest(make_manifest(base.config, base.layer, build=tag), tag)

    with ThreadPoolExecutor(_WORKERS) as pool:
        _with_progress(shell, pool.map(push, tags), count)
    shell.detail(
        f"Pushed {count:,} more images, build-0001 to build-{count:04}, through the registry's HTTP interface."
    )
    expect(len(set(tags)) == count, "two builds have the same tag")
    return tags


def _with_progress(shell: Shell, steps: Iterable[None], count: int) -> None:
    columns = (TextColumn("pushing"), BarColumn(), MofNCompleteColumn(), TextColumn("images"), TimeElapsedColumn())
    seen = shell.console.is_terminal
    with Progress(*columns, console=shell.console, transient=True, disable=not seen) as progress:
        task = progress.add_task("pushing", total=count)
        for _ in steps:
            progress.advance(task)
