"""Plans the adoption of one stack: its template after each step, or the reasons not to adopt it. Pure.

The steps, each named after the template that the stack has afterwards:

- *retained*: the repositories, and the custom resources that empty them, have a literal ``DeletionPolicy: Retain``.
- *released*: both are gone from the stack, and each reference to them is replaced by its value.
- *imported*: the repositories are back, with the same logical ids, under this type; nothing else differs.
- *adopted*: the references are back, and ``EmptyOnDelete`` has its final value. ``Retain`` stays.

``--undo`` also has *returned*: imported as AWS::ECR::Repository again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .emptying import NATIVE, Role, custom_resources, emptied_by, leftovers
from .stack_policy import allows
from .templates import Change, Model, Path, Template, TemplateError

TYPE = "Awstut::ECR::AutoPurgeRepository"
MARKER = "AutopurgeAdopt"  # in the Metadata of what is retained
PLACEHOLDER = "AutopurgeAdoptPlaceholder"
LONGEST_BODY = 51_200  # bytes of a template in a request; a longer one comes from S3
_LONGEST = 1_000_000  # bytes of a template in S3
_STABLE = frozenset(
    {
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
        "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_COMPLETE",
    }
)
_ATTRIBUTES = frozenset({"", "Arn", "RepositoryUri", "DependsOn"})
_NONE = "none"
_POLICIES = ("DeletionPolicy", "UpdateReplacePolicy")


@dataclass(frozen=True)
class Reason:
    """Why a stack, or one of its steps, is left alone."""

    rule: str
    message: str


@dataclass(frozen=True)
class StackResource:
    kind: str
    physical_id: str
    status: str


@dataclass(frozen=True)
class StackFacts:
    """What is known of a stack. `drift` names what differs from the template; `outputs` are values by key."""

    stack_id: str
    name: str
    status: str
    template: Template
    resources: Mapping[str, StackResource]
    parameters: tuple[str, ...] = ()
    looked_up: tuple[str, ...] = ()  # parameters whose values come from SSM at each update
    capabilities: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    nested: bool = False
    policy: str | None = None
    drift: tuple[str, ...] = ()

    @property
    def stable(self) -> bool:
        return self.status in _STABLE


@dataclass(frozen=True)
class Place:
    """One repository as ECR describes it."""

    name: str
    arn: str
    uri: str


@dataclass(frozen=True)
class Choices:
    """What the caller says of custom resources, by logical id, and whether there is a bucket for long templates."""

    empties: frozenset[str] = frozenset()
    keeps: frozenset[str] = frozenset()
    bucket: bool = False


@dataclass(frozen=True)
class Repository:
    """One repository of a plan.

    `emptied`: before the adoption, a delete of the stack would empty it. None if a parameter or condition decides.
    """

    logical_id: str
    name: str
    arn: str
    emptied: bool | None


@dataclass(frozen=True)
class Plan:
    """All that the steps need; the journal keeps it. `templates` are texts, by the name of the state."""

    stack_id: str
    name: str
    repositories: tuple[Repository, ...]
    custom: tuple[str, ...]
    templates: Mapping[str, str]
    parameters: tuple[str, ...]
    capabilities: tuple[str, ...]
    tags: Mapping[str, str]
    outputs: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def template(self, state: str) -> Template:
        return Template(self.templates[state])

    def state_of(self, live: Template) -> str | None:
        """The state in which a stack has this template; None if no state of the plan has it."""
        same = (state for state, text in self.templates.items() if Template(text).same_as(live))
        return next(same, None)


def repositories_in(template: Template, kind: str = NATIVE) -> list[str]:
    """The logical ids of a template's repositories."""
    return [name for name, each in template.resources.items() if isinstance(each, dict) and each.get("Type") == kind]


def reasons_against(facts: StackFacts, choices: Choices) -> list[Reason]:
    """Why a stack is not adopted; empty if it is."""
    try:
        first = [*_of_stack(facts), *_of_language(facts.template)]
        return first or [*_of_resources(facts, choices), *_of_policy(facts, choices)]
    except TemplateError as error:
        return [Reason("template", f"The template can't be edited. {error}")]


def _of_stack(facts: StackFacts) -> list[Reason]:
    found = []
    if not facts.stable:
        found.append(Reason("status", f"The stack is in {facts.status}. Run it again when the stack is stable."))
    if facts.nested:
        found.append(Reason("nested", "It is a nested stack: its parent deploys its template, and would undo this."))
    if facts.name.startswith("StackSet-"):
        found.append(Reason("stack-set", "It belongs to a stack set, which deploys its template, and would undo this."))
    if facts.drift:
        listed = ", ".join(facts.drift)
        fix = "Bring the template and the repository in line first: an import writes what the template says."
        found.append(Reason("drift", f"The live repository differs from the template: {listed}. {fix}"))
    return found


def _of_language(template: Template) -> list[Reason]:
    found = []
    model = template.model
    transforms = model.get("Transform")
    if transforms:
        listed = ", ".join(str(each) for each in (transforms if isinstance(transforms, list) else [transforms]))
        how = "SAM deploys its own template" if "Serverless" in listed else "what it makes is not in the template"
        found.append(Reason("transform", f"The template uses a macro ({listed}): {how}. See guides/adopt.md."))
    keys = set(_keys(model))
    if any(key.startswith("Fn::ForEach") for key in keys):
        found.append(Reason("for-each", "The template uses Fn::ForEach: its resources are not in the text."))
    if "Fn::Transform" in keys:
        found.append(Reason("transform", "The template uses Fn::Transform: what it makes is not in the text."))
    kinds = {each.get("Type") for each in template.resources.values() if isinstance(each, dict)}
    if "aws:cdk:path" in keys or "AWS::CDK::Metadata" in kinds:
        way = "The CDK would deploy the old type again. Swap the construct and use cdk import: see guides/adopt.md."
        found.append(Reason("cdk", way))
    return found


def _of_resources(facts: StackFacts, choices: Choices) -> list[Reason]:
    template = facts.template
    names = repositories_in(template)
    custom = custom_resources(template, names)
    empties = emptying_resources(template, choices)
    found = []
    for logical_id, role in custom.items():
        if role is Role.UNKNOWN and logical_id not in choices.empties | choices.keeps:
            say = f"Say --empties {logical_id} or --keeps {logical_id}"
            what = "its function, or the role of that, is not in the template"
            found.append(
                Reason("custom-resource", f"It is not known whether {logical_id} empties a repository: {what}. {say}.")
            )
    for logical_id in (*names, *empties):
        found += _of_resource(facts, logical_id)
    if PLACEHOLDER in template.resources:
        found.append(Reason("template", f"The template has a resource named {PLACEHOLDER} already."))
    found += [
        Reason("reference", f"{_shown(path)} refers to {target}.{attribute}, whose value is not known.")
        for path, (target, attribute) in template.references()
        if (target in names and attribute not in _ATTRIBUTES)
        or (target in empties and attribute not in ("", "DependsOn") and path[1] not in (*names, *empties))
    ]
    return found


def _of_resource(facts: StackFacts, logical_id: str) -> list[Reason]:
    resource = facts.template.resources[logical_id]
    found = []
    if "Condition" in resource:
        found.append(Reason("condition", f"{logical_id} has a condition, so it may come and go with a parameter."))
    if any(not isinstance(resource.get(name, ""), str) for name in _POLICIES):
        found.append(Reason("deletion-policy", f"The DeletionPolicy of {logical_id} is not a literal."))
    if not isinstance(resource.get("Properties") or {}, dict):
        found.append(Reason("template", f"The properties of {logical_id} are not written out."))
    if not isinstance(resource.get("Metadata") or {}, dict) or MARKER in (resource.get("Metadata") or {}):
        found.append(Reason("template", f"{logical_id} has Metadata that an earlier adoption left, or that is no map."))
    live = facts.resources.get(logical_id)
    if live is None or not live.physical_id or not live.status.endswith("_COMPLETE"):
        status = live.status if live else "not in the stack"
        found.append(Reason("status", f"{logical_id} is {status}."))
    return found


def _of_policy(facts: StackFacts, choices: Choices) -> list[Reason]:
    names = [*repositories_in(facts.template), *emptying_resources(facts.template, choices)]
    needed = {(each, action) for each in names for action in ("Update:Modify", "Update:Delete")}
    needed |= {(each, "Update:Modify") for each in _referring(facts.template, names)}
    kinds = {name: str(each.get("Type")) for name, each in facts.template.resources.items()}
    denied = sorted({each for each, action in needed if not allows(facts.policy, action, each, kinds[each])})
    if not denied:
        return []
    return [Reason("stack-policy", f"The stack policy denies updates of {', '.join(denied)}.")]


def emptying_resources(template: Template, choices: Choices) -> tuple[str, ...]:
    """The custom resources that empty a repository, by logical id."""
    found = custom_resources(template, repositories_in(template))
    chosen = {each for each, role in found.items() if role is Role.EMPTIES} | (choices.empties & set(found))
    return tuple(each for each in found if each in chosen - choices.keeps)


def _referring(template: Template, names: list[str]) -> set[str]:
    return {
        path[1]
        for path, (target, _) in template.references()
        if target in names and path[0] == "Resources" and path[1] not in names
    }


def make_plan(facts: StackFacts, places: Mapping[str, Place], choices: Choices) -> Plan | list[Reason]:
    """The plan of a stack, or why there is none. `places` are the repositories by logical id."""
    try:
        plan = _plan(facts, places, choices)
    except TemplateError as error:
        return [Reason("template", f"The template can't be edited. {error}")]
    longest = max(len(text.encode()) for text in plan.templates.values())
    if longest > _LONGEST or (longest > LONGEST_BODY and not choices.bucket):
        return [Reason("size", f"A template has {longest} bytes. Say --s3-bucket, where longer ones can be put.")]
    return plan


def _plan(facts: StackFacts, places: Mapping[str, Place], choices: Choices) -> Plan:
    template = facts.template
    custom = emptying_resources(template, choices)
    by_custom = {each for name in custom for each in emptied_by(template, name, places)}
    emptied = {each: True if each in by_custom else _emptied_itself(template.resources[each]) for each in places}
    templates = _templates(facts, places, custom, emptied)
    notes = [f"{each} is looked up in SSM again at each update." for each in facts.looked_up]
    if custom:
        notes.append(f"{', '.join(custom)} leaves the stack without being called.")
    left = leftovers(template, custom)
    if left:
        notes.append(f"{', '.join(left)} stays until adopt --finish.")
    return Plan(
        stack_id=facts.stack_id,
        name=facts.name,
        repositories=tuple(Repository(each, place.name, place.arn, emptied[each]) for each, place in places.items()),
        custom=custom,
        templates={state: each.text for state, each in templates.items()},
        parameters=facts.parameters,
        capabilities=facts.capabilities,
        tags=dict(facts.tags),
        outputs=dict(facts.outputs),
        notes=tuple(notes),
    )


def _templates(
    facts: StackFacts, places: Mapping[str, Place], custom: tuple[str, ...], emptied: Mapping[str, bool | None]
) -> dict[str, Template]:
    template = facts.template
    leaving = {*places, *custom}
    inlined = {(each, ""): place.name for each, place in places.items()}
    inlined |= {(each, "Arn"): place.arn for each, place in places.items()}
    inlined |= {(each, "RepositoryUri"): place.uri for each, place in places.items()}
    of_custom = {(each, ""): facts.resources[each].physical_id for each in custom}
    marker = _marker(template, custom)
    retained = {path: value for each in (*places, *custom) for path, value in _retain(template, each, marker).items()}
    kept = {path: value for path, value in retained.items() if path[1] in places}
    placeholder: dict[Path, Model] = {}
    if leaving >= set(template.resources):
        placeholder = {("Resources", PLACEHOLDER): {"Type": "AWS::CloudFormation::WaitConditionHandle"}}
    gone = frozenset(("Resources", each) for each in custom)
    out = frozenset(("Resources", each) for each in leaving)
    bare = inlined | of_custom, frozenset(leaving)
    off = {path: value for each in places for path, value in _empty_on_delete(template, each, False).items()}
    final = {
        path: value
        for each, says in emptied.items()
        if says is not None
        for path, value in _empty_on_delete(template, each, says).items()
    }
    types: dict[Path, Model] = {("Resources", each, "Type"): TYPE for each in places}
    return {
        "before": template,
        "retained": template.edited(Change(put=retained)),
        "released": template.edited(Change(placeholder, out, *bare)),
        "imported": template.edited(Change({**placeholder, **kept, **types, **off}, gone, *bare)),
        "adopted": template.edited(
            Change({**kept, **types, **final}, gone, of_custom, frozenset(custom)),
        ),
        "returned": template.edited(Change({**placeholder, **kept}, gone, *bare)),
    }


def _retain(template: Template, logical_id: str, marker: dict[str, str]) -> dict[Path, Model]:
    resource = template.resources[logical_id]
    path = ("Resources", logical_id)
    before = {name: str(resource.get(name, _NONE)) for name in _POLICIES}
    value = {**before, **marker}
    put: dict[Path, Model] = {(*path, name): "Retain" for name in _POLICIES}
    if resource.get("Metadata"):
        put[(*path, "Metadata", MARKER)] = value
    else:
        put[(*path, "Metadata")] = {MARKER: value}
    return put


def _marker(template: Template, custom: tuple[str, ...]) -> dict[str, str]:
    left = leftovers(template, custom)
    return {"Leftovers": " ".join(left)} if left else {}


def _empty_on_delete(template: Template, logical_id: str, value: bool) -> dict[Path, Model]:
    path = ("Resources", logical_id, "Properties")
    if not template.resources[logical_id].get("Properties"):
        return {path: {"EmptyOnDelete": value}}
    return {(*path, "EmptyOnDelete"): value}


def _emptied_itself(resource: Mapping[str, Model]) -> bool | None:
    """The value of EmptyOnDelete; None if an intrinsic function decides it."""
    value = (resource.get("Properties") or {}).get("EmptyOnDelete", "false")
    return None if isinstance(value, dict) else str(value).lower() == "true"


def _keys(value: Model) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(key for each in value.values() for key in _keys(each))]
    return [key for each in value for key in _keys(each)] if isinstance(value, list) else []


def _shown(path: Path) -> str:
    return ".".join(path[:2])


def finished(template: Template, remembered: Mapping[str, Mapping[str, str]]) -> Template:
    """The template after `--finish`: it has the deletion policies from before, no marker, and no leftovers.

    `remembered` has the markers that the journal knows, for repositories whose marker is gone from the template.
    """
    put: dict[Path, Model] = {}
    removed: set[Path] = set()
    left: set[str] = set()
    for logical_id in repositories_in(template, TYPE):
        metadata = template.resources[logical_id].get("Metadata") or {}
        marker = metadata.get(MARKER) or remembered.get(logical_id)
        if marker is None:
            continue
        path = ("Resources", logical_id)
        left |= set(marker.get("Leftovers", "").split())
        if MARKER in metadata:
            removed.add((*path, "Metadata", MARKER) if len(metadata) > 1 else (*path, "Metadata"))
        for name in _POLICIES:
            if template.resources[logical_id].get(name) != "Retain" or marker[name] == "Retain":
                continue
            if marker[name] == _NONE:
                removed.add((*path, name))
            else:
                put[(*path, name)] = marker[name]
    still = left & set(template.resources)
    referring = {path[1] for path, (target, _) in template.references() if target in still and path[0] == "Resources"}
    outside = [path for path, (target, _) in template.references() if target in still and path[0] != "Resources"]
    if referring <= still and not outside:
        removed |= {("Resources", each) for each in still}
    return template.edited(Change(put=put, removed=frozenset(removed)))


def markers(template: Template) -> dict[str, dict[str, str]]:
    """What the markers of a template's repositories remember, by logical id."""
    found = {name: (each.get("Metadata") or {}).get(MARKER) for name, each in template.resources.items()}
    return {name: value for name, value in found.items() if value}
