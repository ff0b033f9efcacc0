"""Imports, and what is called after a create that failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from probes.belief import Answer, Belief, cloudformation, report
from probes.place import Place
from probes.recorder.use import Recorder, recorder
from probes.registry import probe
from probes.stacks import new_stack, one

_SRC = "src/awstut_ecr_autopurgerepository"
_ROADMAP = "aws-cloudformation/cloudformation-coverage-roadmap"

BELIEFS = (
    Belief(
        "previous-state-of-an-import",
        "A resource import calls UPDATE with the template's properties. Which previous state it sends is not known: "
        "the template's, what READ answered, or nothing.",
        (report(_ROADMAP, 1497), report(_ROADMAP, 2493)),
        (f"{_SRC}/repository/update.py", f"{_SRC}/rules/existing.py", "guides/import.md"),
        {"UPDATE is called": True, "previous state": "the template"},
        {"previous state": ("what READ answered", "nothing")},
        "settings(import_previous=...)",
    ),
    Belief(
        "already-exists-and-the-rollback",
        "After a create fails with AlreadyExists, the rollback may or may not call delete with the identifier of the "
        "resource that exists.",
        (
            report(_ROADMAP, 1493),
            report("aws-cloudformation/cloudformation-cli-python-plugin", 61),
            report("aws-cloudformation/aws-cloudformation-resource-providers-ecr", 14),
        ),
        (f"{_SRC}/repository/create.py", f"{_SRC}/deletion/look.py"),
        {"after an answer without a model": "kept"},
        {"after an answer without a model": ("deleted",)},
        "settings(delete_after_already_exists=True)",
    ),
    Belief(
        "failed-create-with-a-model",
        "If a create fails and its answer has a model, CloudFormation deletes what the model names.",
        (report(_ROADMAP, 1493),),
        (f"{_SRC}/repository/create.py",),
        {"after an answer with a model": "DELETE is called"},
    ),
    Belief(
        "imports-by-change-set",
        "CreateChangeSet with ImportExistingResources imports existing resources that have a custom name. The change "
        "set does not need the type IMPORT.",
        (cloudformation("APIReference/API_CreateChangeSet"),),
        ("guides/import.md",),
        unasked="The sandbox has no ImportExistingResources, so an answer could not be compared.",
    ),
    Belief(
        "stack-refactoring",
        "A stack refactoring moves a resource to another stack or logical id without calling a handler that changes "
        "anything. So the repository's tags awstut:stack-id and awstut:logical-id still name the old ones.",
        (cloudformation("UserGuide/stack-refactoring"),),
        (f"{_SRC}/deletion/look.py", "guides/protection.md"),
        unasked="The sandbox has no stack refactoring, so an answer could not be compared.",
    ),
)


@probe("previous-state-of-an-import", creates="1 stack, into which a thing is imported", seconds=60, operations=3)
def imports(place: Place) -> Mapping[str, Answer]:
    """Import a thing whose live state is another than the template's."""
    log, stack, name = recorder(place), new_stack(place, "import"), place.name("thing")
    log.put(name, Text="live", Colour="only live")
    template = one(log.type_name, {"Name": name, "Text": "template"}, DeletionPolicy="Delete")
    stack.import_thing(template, log.type_name, {"Name": name})
    place.details["calls"] = log.actions(name)
    updates = log.requests(name, "UPDATE")
    return {
        "previous-state-of-an-import": {
            "UPDATE is called": bool(updates),
            "previous state": _whose(updates[0]["requestData"].get("previousResourceProperties"))
            if updates
            else "none",
        }
    }


def _whose(previous: dict[str, Any] | None) -> str:
    """Where the previous state comes from: the live thing has properties that the template has not."""
    if not previous:
        return "nothing"
    texts = {"live": "what READ answered", "template": "the template"}
    return texts.get(str(previous.get("Text")), "something else")


@probe(
    "already-exists-and-the-rollback",
    "failed-create-with-a-model",
    creates="2 stacks that fail",
    seconds=90,
    operations=5,
)
def rollbacks_of_creates(place: Place) -> Mapping[str, Answer]:
    """Create what exists already, and fail with a model."""
    log, name = recorder(place), place.name("thing")
    log.put(name, Text="of somebody else")
    new_stack(place, "exists").create(one(log.type_name, {"Name": name}))
    made = place.name("thing")
    new_stack(place, "model").create(one(log.type_name, {"Name": made, "Behaviour": "CREATE=InvalidRequest+model"}))
    called = "DELETE is called" if log.requests(made, "DELETE") else "DELETE is not called"
    return {
        "already-exists-and-the-rollback": {"after an answer without a model": _state(log, name)},
        "failed-create-with-a-model": {"after an answer with a model": called},
    }


def _state(log: Recorder, name: str) -> str:
    return "kept" if log.thing(name) else "deleted"
