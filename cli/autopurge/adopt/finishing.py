"""The last step, once the user's own template has this type: the deletion policies are restored."""

from __future__ import annotations

from collections.abc import Mapping

from .account import Clients, Json, template_of
from .journal import Entry
from .planning import TYPE, Plan, Reason, finished, markers, repositories_in
from .stack_steps import StackSteps
from .templates import Template


def finish(clients: Clients, stack: Json, earlier: Entry | None, act: bool) -> tuple[Template, Template] | Reason:
    """Restore the deletion policies; if `act` is False, change nothing. Raises StepError.

    Returns the templates before and after, or the reason why nothing can be done.
    """
    live = template_of(clients, stack["StackId"])
    native = repositories_in(live)
    if native:
        return Reason("type", f"{', '.join(native)} is still of AWS::ECR::Repository: adopt the stack first.")
    if not repositories_in(live, TYPE):
        return Reason("type", "The stack has no repository of this type.")
    if not str(stack["StackStatus"]).endswith("_COMPLETE"):
        return Reason("status", f"The stack is in {stack['StackStatus']}. Run it again when the stack is stable.")
    if earlier and earlier.unfinished:
        return Reason("journal", "Its adoption is not done: run adopt with this journal first.")
    after = finished(live, _remembered(earlier))
    if after.same_as(live) or not act:
        return live, after
    steps = StackSteps(clients, _plan_of(stack, after))
    steps.wait()
    steps.update("finished")
    return live, after


def _remembered(earlier: Entry | None) -> Mapping[str, Mapping[str, str]]:
    return markers(earlier.plan.template("adopted")) if earlier else {}


def _plan_of(stack: Json, after: Template) -> Plan:
    return Plan(
        stack_id=stack["StackId"],
        name=stack["StackName"],
        repositories=(),
        custom=(),
        templates={"finished": after.text},
        parameters=tuple(each["ParameterKey"] for each in stack.get("Parameters", [])),
        capabilities=tuple(stack.get("Capabilities", [])),
        tags={},
        outputs={},
    )
