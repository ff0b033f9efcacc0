"""The adoption of one stack, step by step, and the way back.

Each step leaves another template in the stack, so the live template tells which step was the last one. A run that was
killed at any point continues after that step, and a repeated step does no harm. If the journal has recorded the stack's
last update, the journal tells the step, and the template is not read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from awstut_ecr_autopurgerepository import ecr as calls
from awstut_ecr_autopurgerepository.rules.reserved_tags import is_reserved

from .account import Clients, Json, snapshot, template_of, updated
from .emptying import NATIVE
from .journal import Entry, Journal, Reached
from .planning import TYPE, Repository
from .snapshots import Comparison, Snapshot, compare, is_on, mark_off, repair
from .stack_steps import StackSteps, StepError

_RELEASE, _IMPORT = "CreateChangeSet, GetTemplate, ExecuteChangeSet", "CreateChangeSet, ExecuteChangeSet"
# The steps and their calls, beyond the looks at whether something is done.
FORWARD = {
    "retain": "UpdateStack",
    "release": _RELEASE,
    "mark": "TagResource for each repository",
    "import": _IMPORT,
    "compare": "reads of ECR alone, and what puts back what is missing",
    "restore references": "UpdateStack",
}
BACKWARD = {
    "mark": FORWARD["mark"],
    "release": _RELEASE,
    "import as AWS::ECR::Repository": _IMPORT,
    "restore what was retained": "UpdateStack",
    "compare": FORWARD["compare"],
    "restore the template": "UpdateStack, and UntagResource for each repository",
}
_CHANGED = (
    "The stack's template is neither the one from before nor that of a step: somebody else updated the stack. "
    "Its repositories are {where}. Bring back the template that the journal has, or see guides/adopt.md."
)


class ForeignTemplateError(StepError):
    """Somebody else updated the stack."""


Told = Callable[[str], None]  # hears the name of a step before it begins


@dataclass(frozen=True)
class Outcome:
    """How the adoption of one stack ended. `notes` tell what else changed during the adoption."""

    status: str
    notes: tuple[str, ...] = ()


class Adoption:
    """One stack whose plan is in the journal."""

    def __init__(self, clients: Clients, journal: Journal, stack_id: str, tell: Told) -> None:
        self._clients = clients
        self._journal = journal
        self._entry: Entry = journal.entries[stack_id]
        self._plan = self._entry.plan
        self._tell = tell
        self._steps = StackSteps(clients, self._plan, journal)

    def run_from_start(self) -> Outcome:
        """Adopt it, with a plan that was just made. Raises StepError."""
        self._steps.wait()
        return self._run_from("before")

    def run(self) -> Outcome:
        """Adopt the stack, or continue an interrupted adoption. Raises StepError."""
        return self._run_from(self._state(self._steps.wait()))

    def _run_from(self, state: str) -> Outcome:
        if state == "returned":
            raise StepError("It is on the way back: finish that with --undo, then adopt it again.")
        if state == "before":
            self._step("retain", lambda: self._steps.update("retained"))
            state = "retained"
        if state == "retained":
            leaving = [*(each.logical_id for each in self._plan.repositories), *self._plan.custom]
            self._step("release", lambda: self._steps.release("released", leaving))
            state = "released"
        if state == "released":
            self._step("mark", self._mark_off)
            self._step("import", lambda: self._steps.bring_in("imported", TYPE, self._plan.repositories))
            state = "imported"
        if state == "imported":
            self._step("compare", self._compare)
            self._step("restore references", self._restore_references)
        return self._end("adopted", self._compare())

    def undo(self) -> Outcome:
        """Restore AWS::ECR::Repository and the template from before the adoption. Raises StepError."""
        state = self._state(self._steps.wait())
        names = [each.logical_id for each in self._plan.repositories]
        if state in ("imported", "adopted"):
            self._step("mark", self._mark_off)
            self._step("release", lambda: self._steps.release("released", names))
            state = "released"
        if state == "released":
            back = self._plan.repositories
            self._step("import as AWS::ECR::Repository", lambda: self._steps.bring_in("returned", NATIVE, back))
            state = "returned"
        if state == "returned":
            # This template has a literal Retain. Without Retain, a rollback would delete the custom resource that this
            # update has just created, and so call its function.
            self._step("restore what was retained", lambda: self._steps.update("retained", new_outputs=True))
        if state != "before":
            self._step("compare", self._compare)
            self._step("restore the template", lambda: self._steps.update("before", new_outputs=True))
        self._remove_reserved_tags()
        return self._end("undone", self._compare())

    def _state(self, stack: Json) -> str:
        reached = self._entry.reached
        if reached and reached.updated == updated(stack):
            return reached.state
        live = template_of(self._clients, self._plan.stack_id)
        state = self._plan.state_of(live)
        if state is None:
            there = any(each.logical_id in live.resources for each in self._plan.repositories)
            where = "in the stack" if there else "in no stack"
            raise ForeignTemplateError(_CHANGED.format(where=where))
        self._journal.reach(self._plan.stack_id, Reached(state, updated(stack)))
        return state

    def _step(self, name: str, act: Callable[[], object]) -> None:
        self._tell(name)
        act()
        self._journal.step(self._plan.stack_id, name)

    def _restore_references(self) -> None:
        if not self._plan.template("adopted").same_as(self._plan.template("imported")):
            self._steps.update("adopted")

    def _mark_off(self) -> None:
        for each in self._plan.repositories:
            live = calls.list_tags(self._clients.ecr, each.arn)
            off = mark_off(live)
            if any(live.get(key) != value for key, value in off.items()):
                calls.tag_repository(self._clients.ecr, each.arn, off)

    def _compare(self) -> Comparison:
        """Put back what an import removed, then compare. Raises StepError where something differs from before."""
        found = [self._compare_one(each) for each in self._plan.repositories]
        lost = [each for one in found for each in one.lost]
        if lost:
            raise StepError(f"Not as before: {'; '.join(lost)}. Its mark stays off, so a delete is refused.")
        return Comparison(notes=tuple(each for one in found for each in one.notes))

    def _compare_one(self, repository: Repository) -> Comparison:
        before = self._entry.before[repository.logical_id]
        after = snapshot(self._clients, repository.name)
        if self._put_back(repository, before, after):
            after = snapshot(self._clients, repository.name)
        found = compare(before, after, self._plan.tags)
        name = repository.name
        return Comparison(tuple(f"{name}: {each}" for each in found.lost), tuple(f"{name}: {e}" for e in found.notes))

    def _put_back(self, repository: Repository, before: Snapshot, after: Snapshot) -> bool:
        missing = repair(before, after)
        ecr, name = self._clients.ecr, repository.name
        if missing.policy is not None:
            calls.put_policy(ecr, name, missing.policy)
        if missing.lifecycle is not None:
            calls.put_lifecycle_policy(ecr, name, missing.lifecycle)
        if missing.tags:
            calls.tag_repository(ecr, repository.arn, missing.tags)
        if missing.mutability is not None:
            calls.put_mutability(ecr, name, missing.mutability)
        if missing.scan_on_push is not None:
            calls.put_scan_on_push(ecr, name, missing.scan_on_push)
        return not missing.empty

    def _remove_reserved_tags(self) -> None:
        """Remove the reserved tags that a repository did not have before. Restore the values of those that it had."""
        for each in self._plan.repositories:
            before = self._entry.before[each.logical_id].tags
            live = calls.list_tags(self._clients.ecr, each.arn)
            had = {key: value for key, value in before.items() if is_reserved(key)}
            added = [key for key in live if is_reserved(key) and key not in had]
            if added:
                calls.untag_repository(self._clients.ecr, each.arn, added)
            if any(live.get(key) != value for key, value in had.items()):
                calls.tag_repository(self._clients.ecr, each.arn, had)

    def _end(self, status: str, comparison: Comparison) -> Outcome:
        if status == "adopted":
            self._check_marks()
        self._journal.end(self._plan.stack_id, status, updated(self._steps.look()))
        return Outcome(status, comparison.notes)

    def _check_marks(self) -> None:
        for each in self._plan.repositories:
            on = is_on(calls.list_tags(self._clients.ecr, each.arn))
            if each.emptied is not None and on != each.emptied:
                said = "on" if on else "off"
                raise StepError(f"{each.name}: EmptyOnDelete is {each.emptied}, and its mark is {said}.")
