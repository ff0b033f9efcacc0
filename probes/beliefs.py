"""All beliefs and all probes, by theme."""

from __future__ import annotations

from types import ModuleType

from probes.belief import Belief
from probes.registry import PROBES, Probe
from probes.themes import (
    cloud_control,
    deletes,
    imports,
    pages,
    policies,
    pulls,
    pushes,
    replacements,
    replication,
    repositories,
    requests,
    statuses,
    tags,
)

_ECR: dict[str, ModuleType] = {
    "Repositories": repositories,
    "Tags": tags,
    "Policies": policies,
    "Pages": pages,
    "Deletes of images": deletes,
    "Archived images": statuses,
    "Pushes": pushes,
    "Pulls": pulls,
    "Replication": replication,
}
_CLOUDFORMATION: dict[str, ModuleType] = {
    "Requests to handlers": requests,
    "Imports and rollbacks": imports,
    "Updates and deletes of stacks": replacements,
    "Cloud Control and the type configuration": cloud_control,
}
SECTIONS = {"Amazon ECR": tuple(_ECR), "CloudFormation": tuple(_CLOUDFORMATION)}

THEMES: dict[str, tuple[Belief, ...]] = {
    title: tuple(module.BELIEFS) for title, module in {**_ECR, **_CLOUDFORMATION}.items()
}
BELIEFS: dict[str, Belief] = {belief.name: belief for theme in THEMES.values() for belief in theme}


def probe_of(belief: str) -> Probe | None:
    """The probe that asks about a belief; None if none does."""
    return next((each for each in PROBES.values() if belief in each.beliefs), None)


def chosen(only: str = "", flags: frozenset[str] = frozenset()) -> list[Probe]:
    """The probes that a run is to ask: all, or those whose name or beliefs are named, separated by commas.

    A probe with a flag is asked only if the flag is given. Raises KeyError for a name that is none.
    """
    names = [name.strip() for name in only.split(",") if name.strip()]
    known = {*PROBES, *BELIEFS}
    for name in names:
        if name not in known:
            raise KeyError(name)
    return [
        each
        for each in PROBES.values()
        if (not each.flag or each.flag in flags) and (not names or {each.name, *each.beliefs} & set(names))
    ]
