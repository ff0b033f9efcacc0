"""What the sandbox holds: types, handlers' processes, images, settings."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sandbox.driver.journal import Journal
from sandbox.driver.operation import Driver
from sandbox.driver.request import Caller
from sandbox.driver.settings import Settings
from sandbox.driver.workers import Function, WorkerPool, link_runtime_client
from sandbox.gateway import enforcement, ministack
from sandbox.gateway.images import Registries
from sandbox.gateway.workloads import Users
from sandbox.registry.package import Package, PackageError, unpack
from sandbox.registry.types import Registry, TypeVersion

Place = tuple[str, str]  # account and Region


@dataclass(frozen=True)
class Folders:
    """Where a sandbox has its files. Other sandboxes may use the same `packages`."""

    temporary: Path
    packages: Path


class Cloud:
    """One sandbox. `url` is where its AWS is reached."""

    def __init__(self, url: str, folders: Folders, type_changed: Callable[[str], None]) -> None:
        self.url = url
        self.folders = folders
        self.log = folders.temporary / "handlers.log"
        self.settings = Settings()
        self.journal = Journal()
        self.images = Registries(url.removeprefix("http://"))
        self.users = Users(self.images)
        self.driver = Driver(self.settings, self.journal, enforcement.credentials, self._seed_before_delete)
        self.functions: dict[str, WorkerPool] = {}  # for Lambda's Invoke, by name
        self._runtime_client = link_runtime_client(folders.temporary / "runtime-client")
        self._type_changed = type_changed
        self._registries: dict[Place, Registry] = {}
        self._packages: dict[str, Package] = {}  # by the digest of the zip
        self._lock = threading.Lock()
        self._unpacking = threading.Lock()

    def registry(self, account: str, region: str) -> Registry:
        with self._lock:
            place = (account, region)
            if place not in self._registries:
                self._registries[place] = Registry(account, region, self._type_changed)
            return self._registries[place]

    def registry_here(self) -> Registry:
        """The registry of the account and Region of the request at hand."""
        return self.registry(ministack.get_account_id(), ministack.get_region())

    def versions(self, type_name: str) -> list[TypeVersion]:
        """The default versions of a type, in all accounts and Regions that have it."""
        return [each.types[type_name].default for each in self._registries.values() if type_name in each.types]

    def fetch_package(self, address: str) -> Package:
        """Unpack what lies in S3 at s3://bucket/key. Raises PackageError."""
        parts = urlsplit(address)
        content = ministack.read_object(parts.netloc, parts.path.lstrip("/")) if parts.scheme == "s3" else None
        if content is None:
            raise PackageError(f"There is no package at {address}.")
        return self.unpack(content)

    def unpack(self, content: bytes) -> Package:
        """Unpack a zip, once for all that have its code. Raises PackageError."""
        digest = hashlib.sha256(content).hexdigest()
        with self._unpacking:
            if digest not in self._packages:
                self._packages[digest] = unpack(content, self.folders.packages / digest)
            return self._packages[digest]

    def make_pool(self, package: Package, handler: str | None = None, name: str = "TypeFunction") -> WorkerPool:
        """Processes for one entry point of a package, the first of them already started."""
        region = ministack.get_region()
        variables = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "HOME": str(self.folders.temporary),
            "TMPDIR": str(self.folders.temporary),
        }
        function = Function(name, package.code, handler or package.entrypoint, variables, self.log)
        pool = WorkerPool(function, self._runtime_client)
        pool.warm_up()
        return pool

    def serve_functions(self, content: bytes) -> None:
        """Serve the two functions that `cfn test` may call from a package."""
        package = self.unpack(content)
        entrypoints = {"TypeFunction": package.entrypoint, "TestEntrypoint": package.test_entrypoint}
        for name, handler in entrypoints.items():
            if name in self.functions:
                self.functions[name].close()
            self.functions[name] = self.make_pool(package, handler, name)

    def _seed_before_delete(self, caller: Caller, physical_id: str) -> None:
        if self.settings.seed_before_delete:
            self.images.seed((caller.account, caller.region), physical_id, self.settings.seed_before_delete)

    def close(self) -> None:
        """End all processes."""
        pools = list(self.functions.values())
        closers: list[Any] = [pool.close for pool in pools] + [each.close for each in self._registries.values()]
        threads = [threading.Thread(target=closer) for closer in [*closers, ministack.stop_functions]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
