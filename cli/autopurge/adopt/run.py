"""Many stacks, one after the other: what is adopted, what is not and why, and how it went."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from botocore.exceptions import ClientError

from awstut_ecr_autopurgerepository.errors import service_message

from ..output import plural
from .account import (
    Clients,
    Json,
    all_stacks,
    described,
    gather,
    places,
    snapshots,
    tags_of,
    template_of,
    updated,
)
from .adoption import Adoption, ForeignTemplateError, Outcome
from .finishing import finish
from .journal import Entry, Journal
from .planning import (
    TYPE,
    Choices,
    Plan,
    Reason,
    make_plan,
    reasons_against,
    repositories_in,
)
from .stack_steps import StepError
from .templates import Template, TemplateError


@dataclass(frozen=True)
class Result:
    """What is to be said of a stack. `status`: planned, adopted, undone, finished, refused, failed, or nothing."""

    stack: str
    status: str
    plan: Plan | None = None
    reasons: tuple[Reason, ...] = ()
    notes: tuple[str, ...] = ()
    difference: str = ""
    template: Template | None = field(default=None, repr=False)

    def as_json(self) -> Json:
        repositories = self.plan.repositories if self.plan else ()
        return {
            "stack": self.stack,
            "status": self.status,
            "repositories": [
                {"logicalId": each.logical_id, "name": each.name, "emptyOnDelete": each.emptied}
                for each in repositories
            ],
            "reasons": [{"rule": each.rule, "message": each.message} for each in self.reasons],
            "notes": list(self.notes),
            "difference": self.difference,
        }


@dataclass(frozen=True)
class Selection:
    """Which stacks: by name, or all that have these tags."""

    names: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    def stacks(self, clients: Clients, unfinished: Iterable[str]) -> Iterator[Json | Result]:
        """The stacks as CloudFormation describes them. Of all stacks, those that an earlier run began come first."""
        if self.names:
            for name in dict.fromkeys(self.names):
                try:
                    yield described(clients, name)
                except ClientError as error:
                    reason = Reason("stack", f"There is no such stack to look at: {service_message(error)}")
                    yield Result(name, "failed", reasons=(reason,))
            return
        found = [each for each in all_stacks(clients) if self.tags.items() <= tags_of(each).items()]
        begun = set(unfinished)
        yield from sorted(found, key=lambda each: each["StackId"] not in begun)


Tell = Callable[[str, str], None]  # hears the stack's name and the step that begins


class Run:
    """Adopts, undoes or finishes stacks. Without a journal nothing is changed."""

    def __init__(
        self, clients: Clients, journal: Journal | None, choices: Choices, tell: Tell, entries: Mapping[str, Entry]
    ) -> None:
        self._clients = clients
        self._begun = [stack_id for stack_id, each in entries.items() if each.unfinished]
        self._journal = journal
        self._choices = choices
        self._tell = tell

    def selected(self, selection: Selection) -> list[Json | Result]:
        """The selected stacks. A name of no stack is a failed result instead."""
        return list(selection.stacks(self._clients, self._begun))

    def adopt(self, stack: Json, earlier: Entry | None = None) -> Result:
        """Plan a stack and, with a journal, adopt it, or go on with that. `earlier` is what a journal has of it."""
        name = stack["StackName"]
        if earlier and earlier.ended == "adopted" and earlier.updated == updated(stack):
            return Result(name, "adopted", earlier.plan, notes=("It was adopted before.",))
        result = self._told(name, lambda: self._adopt(stack, earlier))
        if self._journal and result.status != "adopted":
            self._journal.forget(stack["StackId"])
        return result

    def _adopt(self, stack: Json, earlier: Entry | None) -> Result:
        journal = self._journal
        if earlier and earlier.unfinished and journal:
            try:
                return self._act(journal, earlier.plan, Adoption.run)
            except ForeignTemplateError:
                if earlier.steps:
                    raise
        if earlier and earlier.unfinished and earlier.steps and not journal:
            return _interrupted(earlier)
        planned = self._planned(stack)
        if planned.status != "planned" or journal is None or planned.plan is None:
            return planned
        plan = planned.plan
        names = [(each.logical_id, each.name) for each in plan.repositories]
        journal.plan(plan, snapshots(self._clients, names), updated(stack))
        return self._act(journal, plan, Adoption.run_from_start, planned)

    def _planned(self, stack: Json) -> Result:
        name, stack_id = stack["StackName"], stack["StackId"]
        answers = self._journal.answers(stack_id, updated(stack)) if self._journal else {}
        template = Template(answers["template"]) if "template" in answers else template_of(self._clients, stack_id)
        if not repositories_in(template):
            return Result(name, "nothing", notes=(of_no_native_type(template),))
        answers["template"] = template.text
        facts = gather(self._clients, stack, template, answers)
        reasons = reasons_against(facts, self._choices)
        plan = reasons or make_plan(facts, places(self._clients, facts), self._choices)
        if not isinstance(plan, Plan):
            return Result(name, "refused", reasons=tuple(plan))
        adopted = plan.template("adopted")
        return Result(name, "planned", plan, (), plan.notes, difference(template, adopted), adopted)

    def _act(
        self, journal: Journal, plan: Plan, act: Callable[[Adoption], Outcome], planned: Result | None = None
    ) -> Result:
        adoption = Adoption(self._clients, journal, plan.stack_id, lambda step: self._tell(plan.name, step))
        outcome = act(adoption)
        adopted = plan.template("adopted")
        shown = planned.difference if planned else difference(plan.template("before"), adopted)
        return Result(plan.name, outcome.status, plan, (), (*plan.notes, *outcome.notes), shown, adopted)

    def undo(self, stack: Json, earlier: Entry | None) -> Result:
        """Undo the adoption of a stack. Without a journal, only tell whether that is possible."""
        name = stack["StackName"]
        if earlier is None:
            return Result(name, "refused", reasons=(Reason("journal", "The journal has nothing of this stack."),))
        if earlier.ended in ("finished", "undone"):
            why = f"Its adoption is {earlier.ended}: there is no way back."
            return Result(name, "refused", reasons=(Reason("journal", why),))
        journal = self._journal
        if journal is None:
            shown = difference(earlier.plan.template("adopted"), earlier.plan.template("before"))
            return Result(name, "planned", earlier.plan, notes=_of_undo(earlier.plan), difference=shown)
        return self._told(name, lambda: self._act(journal, earlier.plan, Adoption.undo))

    def finish(self, stack: Json, earlier: Entry | None) -> Result:
        """Restore the deletion policies of a stack, and remove what the custom resource left."""
        return self._told(stack["StackName"], lambda: self._finish(stack, earlier))

    def _finish(self, stack: Json, earlier: Entry | None) -> Result:
        name = stack["StackName"]
        done = finish(self._clients, stack, earlier, act=self._journal is not None)
        if isinstance(done, Reason):
            return Result(name, "refused", reasons=(done,))
        before, after = done
        if self._journal and earlier:
            self._journal.end(stack["StackId"], "finished", updated(described(self._clients, stack["StackId"])))
        status = "nothing" if before.same_as(after) else "finished" if self._journal else "planned"
        return Result(name, status, difference=difference(before, after), template=after)

    def _told(self, name: str, act: Callable[[], Result]) -> Result:
        """The result, or the error in words: the other stacks go on."""
        try:
            return act()
        except StepError as error:
            return Result(name, "failed", reasons=(Reason("step", str(error)),))
        except TemplateError as error:
            return Result(name, "refused", reasons=(Reason("template", str(error)),))
        except ClientError as error:
            operation = error.operation_name
            return Result(name, "failed", reasons=(Reason("aws", f"{operation} failed: {service_message(error)}"),))


def of_no_native_type(template: Template) -> str:
    """What is said of a stack that has nothing to adopt."""
    count = len(repositories_in(template, TYPE))
    return f"It has {plural(count, 'repository', 'repositories')} of this type, and none of AWS::ECR::Repository."


def _interrupted(earlier: Entry) -> Result:
    """What is shown of a stack that an earlier run began."""
    plan = earlier.plan
    note = f"It was interrupted after the step {earlier.steps[-1]}: --yes goes on, --undo --yes leads back."
    adopted = plan.template("adopted")
    return Result(plan.name, "planned", plan, (), (note,), difference(plan.template("before"), adopted), adopted)


def _of_undo(plan: Plan) -> tuple[str, ...]:
    if not plan.custom:
        return ()
    listed = ", ".join(plan.custom)
    return (f"{listed} can't be imported: it is created again, so its function is called with Create.",)


def difference(before: Template, after: Template) -> str:
    """Two templates, line by line, as diff shows it."""
    lines: tuple[list[str], list[str]] = (before.text.splitlines(), after.text.splitlines())
    return "\n".join(difflib.unified_diff(*lines, "before", "after", lineterm="", n=2))
