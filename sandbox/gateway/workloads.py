"""Who uses images: ministack keeps functions and tasks, and our strict Lambda, ECS and Inspector tell of them.

Functions, tasks and services are created as on AWS, and ministack keeps them. The strict services list and describe
them, with pages, digests and quotas. A function whose image does not exist is refused, as in Lambda.
"""

from __future__ import annotations

import asyncio
import functools
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.connections import ConnectionDroppedError, OverHttp
from sandbox.ecr import EcrError
from sandbox.gateway import enforcement, ministack
from sandbox.gateway.images import DROPPED, Place, Registries, Steps, run_steps
from sandbox.iam.policies import Check
from sandbox.workloads import StrictEcs, StrictInspector, StrictLambda
from sandbox.workloads.containers import Containers
from sandbox.workloads.functions import LATEST, FunctionVersion
from sandbox.workloads.service import Parameters, Workloads
from sandbox.workloads.wire import inspector_call, lambda_call, serve

_ECS_READS = {
    *("ListClusters", "ListTasks", "DescribeTasks", "ListServices", "DescribeServices", "DescribeTaskDefinition"),
}


@dataclass
class _Here:
    """The services of one account and Region, and what ministack does not know of them."""

    functions: StrictLambda
    containers: StrictEcs
    inspector: StrictInspector
    resolved: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)  # function version: URI, with digest
    in_pods: dict[tuple[str, str], int] = field(default_factory=dict)  # repository and digest: containers in EKS


class Users:
    """Who uses images, by account and Region."""

    def __init__(self, registries: Registries) -> None:
        self._registries = registries
        self._places: dict[Place, _Here] = {}
        self._lock = threading.Lock()

    def at(self, place: Place) -> _Here:
        """The services of an account in a Region."""
        with self._lock:
            if place not in self._places:
                self._places[place] = self._new(place)
            return self._places[place]

    def here(self) -> _Here:
        """The services of the account and Region of the request at hand."""
        return self.at((ministack.get_account_id(), ministack.get_region()))

    def _new(self, place: Place) -> _Here:
        account, region = place
        made = _Here(
            StrictLambda(account=account, region=region),
            StrictEcs(account=account, region=region),
            StrictInspector(account=account, region=region),
        )
        made.functions.source = self._versions
        made.containers.source = self._containers
        made.inspector.source = self._coverage
        made.inspector.is_enabled = functools.partial(ministack.scans_ecr, account)
        return made

    def use_in_pods(self, place: Place, repository: str, digest: str, containers: int) -> None:
        """Let so many containers in EKS use an image: ministack has no pods."""
        self.at(place).in_pods[repository, digest] = containers

    def set_faults(self, place: Place, service: str, steps: Steps) -> None:
        """Set attributes of the faults of lambda, ecs or inspector2, or call their methods."""
        here = self.at(place)
        services: dict[str, Workloads] = {
            each.action_prefix: each for each in (here.functions, here.containers, here.inspector)
        }
        if service not in services:
            raise ValueError(f"there is no {service}")
        run_steps(services[service].faults, steps)

    def calls(self, place: Place) -> dict[str, int]:
        """How often each operation was called."""
        here = self.at(place)
        return {**here.functions.calls, **here.containers.calls, **here.inspector.calls}

    def resolve_new(self) -> None:
        """Note the digest of the image of each new function and task: they use that image even if its tag moves."""
        here = self.here()
        for name, versions in ministack.functions().items():
            for each in versions:
                if each.get("PackageType") == "Image":
                    self._resolve(here, name, each["Version"], each["ImageUri"])
        for task in ministack.tasks():
            for container in task.get("containers", ()):
                if "imageDigest" not in container and (digest := self.digest_of(container.get("image", ""))):
                    container["imageDigest"] = digest

    def forget(self, function: str) -> None:
        """Forget the digest of a function's unpublished version, because its code changes."""
        self.here().resolved.pop((function, LATEST), None)

    def _resolve(self, here: _Here, name: str, version: str, uri: str) -> str:
        known = here.resolved.get((name, version))
        if known is None or known[0] != uri:
            latest = here.resolved.get((name, LATEST))
            known = latest if latest and latest[0] == uri else (uri, self._with_digest(uri))
            here.resolved[name, version] = known
        return known[1]

    def _with_digest(self, uri: str) -> str:
        digest = self.digest_of(uri)
        return f"{_split(uri)[0]}@{digest}" if digest else uri

    def digest_of(self, uri: str) -> str | None:
        """The digest of an image in the registry of the request at hand; None where it has no such image."""
        place, image_id = _split(uri)
        registry = self._registries.here()
        name = place.removeprefix(f"{registry.registry_host}/")
        if name == place:
            return image_id.get("imageDigest")
        try:
            found = registry.call("DescribeImages", {"repositoryName": name, "imageIds": [image_id]})["imageDetails"]
        except EcrError:
            return None
        digest: str = found[0]["imageDigest"]
        return digest

    def is_missing(self, uri: str) -> bool:
        """Whether a URI names an image of our registry that is not there."""
        return uri.startswith(f"{self._registries.here().registry_host}/") and self.digest_of(uri) is None

    # What the strict services ask

    def _versions(self) -> list[FunctionVersion]:
        self.resolve_new()
        here = self.here()
        return [
            FunctionVersion(
                name, each["Version"], each.get("ImageUri"), here.resolved.get((name, each["Version"]), ("", ""))[1]
            )
            if each.get("PackageType") == "Image"
            else FunctionVersion(name, each["Version"])
            for name, versions in ministack.functions().items()
            for each in versions
        ]

    def _containers(self) -> Containers:
        self.resolve_new()
        return Containers(**ministack.containers())

    def _coverage(self) -> list[Parameters]:
        here, registry = self.here(), self._registries.here()
        running = [
            each.get("imageDigest")
            for task in self._containers().tasks
            if task["desiredStatus"] == "RUNNING"
            for each in task.get("containers", ())
        ]
        found = []
        for name in registry.names():
            found.append(here.inspector.repository(name))
            for image in registry.images(name):
                count = running.count(image.digest) + here.in_pods.get((name, image.digest), 0)
                found.append(here.inspector.image(name, image.digest, count))
        return found


def _split(uri: str) -> tuple[str, dict[str, str]]:
    """A URI without tag and digest, and the image that it names."""
    place, _, digest = uri.partition("@")
    folder, slash, last = place.rpartition("/")
    last, _, tag = last.partition(":")
    return f"{folder}{slash}{last}", {"imageDigest": digest} if digest else {"imageTag": tag or "latest"}


def install(users: Users) -> None:
    """Answer the calls that tell which images are in use. ministack answers all other calls."""
    ministack.wrap_lambda(functools.partial(_wrap_lambda, users))
    ministack.wrap_ecs(functools.partial(_wrap_ecs, users))
    ministack.wrap_inspector(functools.partial(_wrap_inspector, users))


def _wrap_lambda(users: Users, original: ministack.RequestHandler) -> ministack.RequestHandler:
    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> ministack.Response:
        call = lambda_call(method, path, query)
        function = _function(call[1].get("FunctionName", "")) if call else ""
        if call and (call[0] == "ListFunctions" or _is_made_from_image(function)):
            parameters = {**call[1], "FunctionName": function}
            return await _strict(users.here().functions, (call[0], parameters), headers)
        code = _code(method, path, body)
        if code and users.is_missing(code["ImageUri"]):
            said = f"Source image {code['ImageUri']} does not exist. Provide a valid source image."
            answer = {"Type": "User", "message": said}
            error = {"Content-Type": "application/json", "x-amzn-errortype": "InvalidParameterValueException"}
            return 400, error, json.dumps(answer).encode()
        if code and method == "PUT":
            users.forget(_function(path.split("/")[3]))
        done = await original(method, path, headers, body, query)
        if method != "GET":
            users.resolve_new()
        return done

    return handle


def _function(name: str) -> str:
    """The name in a name or an ARN of a function."""
    return name.partition(":function:")[2].partition(":")[0] if ":function:" in name else name.partition(":")[0]


def _is_made_from_image(function: str) -> bool:
    versions = ministack.functions().get(function)
    return bool(versions and versions[0].get("PackageType") == "Image")


def _code(method: str, path: str, body: bytes) -> dict[str, str] | None:
    """The image that a request gives to a function; None for any other request."""
    parts = path.strip("/").split("/")
    if (method, len(parts)) == ("POST", 2) and parts[1] == "functions":
        code = json.loads(body or b"{}").get("Code", {})
    elif method == "PUT" and parts[-1] == "code":
        code = json.loads(body or b"{}")
    else:
        return None
    return code if code.get("ImageUri") else None


def _wrap_ecs(users: Users, original: ministack.RequestHandler) -> ministack.RequestHandler:
    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> ministack.Response:
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        if operation in _ECS_READS:
            return await _strict(users.here().containers, (operation, json.loads(body or b"{}")), headers)
        done = await original(method, path, headers, body, query)
        users.resolve_new()
        return done

    return handle


def _wrap_inspector(users: Users, original: ministack.RequestHandler) -> ministack.RequestHandler:
    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> ministack.Response:
        call = inspector_call(method, path, body)
        if call is None:
            return await original(method, path, headers, body, query)
        return await _strict(users.here().inspector, call, headers)

    return handle


async def _strict(service: Workloads, call: tuple[str, Parameters], headers: dict[str, str]) -> ministack.Response:
    def authorize(action: str) -> None:
        said = enforcement.refusal(headers, Check(action, _resource(service, call)))
        if said:
            raise EcrError("AccessDeniedException", said, 403)

    return await asyncio.to_thread(_answer, service, call, authorize)


def _answer(service: Workloads, call: tuple[str, Parameters], authorize: Callable[[str], None]) -> ministack.Response:
    try:
        with service.faults.connection(call[0], OverHttp()):
            return serve(service, *call, authorize)
    except ConnectionDroppedError:
        return DROPPED


def _resource(service: Workloads, call: tuple[str, Parameters]) -> str:
    """What a policy has to allow: a function, or everything."""
    operation, parameters = call
    if operation != "GetFunction":
        return "*"
    return f"arn:aws:lambda:{service.region}:{service.account}:function:{parameters['FunctionName']}"
