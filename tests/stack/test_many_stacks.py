"""Many stacks at once: each delete purges its own repository, and no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sandbox.server import Sandbox
from tests.stack.support import Template, holds
from tests.support.stack import Stack, unique_name

Named = tuple[str, Stack]


def batched(items: Iterable[Named], size: int) -> list[list[Named]]:
    listed = list(items)
    return [listed[start : start + size] for start in range(0, len(listed), size)]


def ended(stack: Stack) -> str:
    """Its status when it is done, and where it is not complete, what happened to its repository."""
    status = stack.wait()
    return status if status in ("CREATE_COMPLETE", "DELETE_COMPLETE") else f"{status}: {stack.events()}"


def test_50_stacks_that_are_deleted_at_once(box: Sandbox, make_stack: Callable[[], Stack], template: Template) -> None:
    box.control.settings(call_seconds=300, read_seconds=300)  # fifty processes start at once, on few cores
    stacks = {unique_name("many/app"): make_stack() for _ in range(50)}
    for some in batched(stacks.items(), 5):
        for name, stack in some:
            stack.create(template({"RepositoryName": name}), wait=False)
        assert {ended(stack) for _, stack in some} == {"CREATE_COMPLETE"}
    for name in stacks:
        box.control.seed(name, ("with_images", {"count": 110}), ("with_multi_arch", {"count": 3}))
    bystander = unique_name("many/bystander")
    box.control.seed(bystander, ("with_images", {"count": 5}))
    for stack in stacks.values():
        stack.delete(wait=False)
    assert {ended(stack) for stack in stacks.values()} == {"DELETE_COMPLETE"}
    assert [holds(box, name) for name in stacks] == [None] * 50
    assert holds(box, bystander) == 5
    deleted = [each for each in box.control.deletions() if each["repository"] in stacks]
    assert len(deleted) == 50 * 119
    assert not any(each["by_force"] for each in deleted)
