"""What it costs to ask which images are in use before a delete: calls, and seconds, by the size of the account."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.assumptions import Assumptions
from sandbox.ecr import StrictEcr, VirtualClock
from tests.support.strict import ACCOUNT, REGION, Purge, Users

_ELSEWHERE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/other:v1"


@dataclass(frozen=True)
class Account:
    """Who uses images of other repositories, so that the delete has to look at all of them."""

    title: str
    services: str
    fill: Callable[[Users], None] = lambda _: None


def _functions(images: int, zips: int) -> Callable[[Users], None]:
    def fill(users: Users) -> None:
        for number in range(zips):
            users.functions.add(f"zip-{number:05}")
        for number in range(images):
            users.functions.add(f"image-{number:05}", _ELSEWHERE)

    return fill


def _containers(clusters: int, tasks: int, services: int) -> Callable[[Users], None]:
    """So many tasks and services in each cluster; each service has a task definition of its own."""

    def fill(users: Users) -> None:
        for cluster in range(clusters):
            for _ in range(tasks):
                users.containers.add_task(f"cluster-{cluster}", _ELSEWHERE, f"sha256:{'0' * 64}")
            for number in range(services):
                definition = users.containers.add_task_definition(f"family-{cluster}-{number}", _ELSEWHERE)
                users.containers.add_service(f"cluster-{cluster}", f"service-{number}", definition)

    return fill


def _coverage(images: int) -> Callable[[Users], None]:
    def fill(users: Users) -> None:
        users.inspector.cover("app")
        for number in range(images):
            users.inspector.count("app", f"sha256:{number:064x}", 0)

    return fill


ACCOUNTS = (
    Account("nobody asks (the default)", ""),
    Account("LAMBDA: no function", "lambda"),
    Account("LAMBDA: 500 functions, 20 of them from images", "lambda", _functions(20, 480)),
    Account("LAMBDA: 1,000 functions from images", "lambda", _functions(1_000, 0)),
    Account("ECS: no cluster", "ecs"),
    Account("ECS: 3 clusters, each with 50 tasks and 10 services", "ecs", _containers(3, 50, 10)),
    Account("ECS: 20 clusters, each with 200 tasks and 25 services", "ecs", _containers(20, 200, 25)),
    Account("INSPECTOR: a repository of 10,000 images", "inspector", _coverage(10_000)),
)


def measure(assumptions: Assumptions) -> list[dict[str, Any]]:
    """The calls and seconds that each account adds to the delete of a repository with one image."""
    plain = _delete(ACCOUNTS[0], assumptions)
    return [
        {**found, "seconds": round(found["seconds"] - plain["seconds"], 1)}
        for found in (_delete(each, assumptions) for each in ACCOUNTS)
    ]


def _delete(account: Account, assumptions: Assumptions) -> dict[str, Any]:
    clock = VirtualClock()
    ecr, users = StrictEcr(clock=clock, account=ACCOUNT, region=REGION), Users(clock)
    rule = {"awstut:protect-in-use": account.services} if account.services else {}
    mark = " ".join(["on", *(["protect-in-use"] if rule else [])])
    ecr.repository("app", tags={"awstut:auto-purge": mark, **rule}).with_images(1)
    account.fill(users)
    services = (users.functions, users.containers, users.inspector)
    for each in (ecr, *services):
        each.faults.latency = assumptions.latency()
    delete = Purge(ecr, clock, users=users)
    event = delete()
    assert ecr.holds("app") is None, event.message
    calls = {name: count for each in services for name, count in sorted(each.calls.items())}
    return {
        "title": account.title,
        "calls": sum(calls.values()),
        "which": calls,
        "seconds": round(clock.monotonic(), 1),
        "slices": len(delete.events),
    }
