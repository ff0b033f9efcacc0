"""Reading: the facts of a stack, and what its repositories hold."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from awstut_ecr_autopurgerepository import ecr as calls

from .planning import Place, StackFacts, StackResource, repositories_in
from .snapshots import Snapshot, pack_images
from .templates import Template, from_answer

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_ecr import ECRClient

Json = dict[str, Any]
Answers = MutableMapping[str, Any]  # JSON, by question
_NAMES_A_CALL = 100  # DescribeRepositories
_IDS_A_DETECTION = 200  # DetectStackDrift
_LOOKED_UP = "AWS::SSM::Parameter::Value<"


@dataclass(frozen=True)
class Clients:
    """What the steps call, and how they wait: `pause` seconds between two looks."""

    cloudformation: CloudFormationClient
    ecr: ECRClient
    s3: Any = None
    bucket: str | None = None
    sleep: Callable[[float], None] = time.sleep
    pause: float = 5


def described(clients: Clients, name: str) -> Json:
    """One stack, by name or id. Raises ClientError where there is none."""
    stack: Json = dict(clients.cloudformation.describe_stacks(StackName=name)["Stacks"][0])
    return stack


def all_stacks(clients: Clients) -> Iterator[Json]:
    """All stacks of the account and Region."""
    for page in clients.cloudformation.get_paginator("describe_stacks").paginate():
        yield from (dict(each) for each in page["Stacks"])


def tags_of(stack: Json) -> dict[str, str]:
    return {each["Key"]: each["Value"] for each in stack.get("Tags", [])}


def outputs_of(stack: Json) -> dict[str, str]:
    return {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}


def updated(stack: Json, status: str | None = None) -> str:
    """A stack's status and the time of its last update, in one string, which differs after every update.

    `status` replaces the current status. It is the status that the stack will have when its running update has ended.
    """
    at = stack.get("LastUpdatedTime") or stack.get("CreationTime")
    return f"{status or stack['StackStatus']} {at.isoformat() if at else ''}"


def template_of(clients: Clients, stack_id: str, stage: Any = "Original") -> Template:
    """Raises TemplateError where it can't be read."""
    answer = clients.cloudformation.get_template(StackName=stack_id, TemplateStage=stage)
    return from_answer(answer["TemplateBody"])


def gather(clients: Clients, stack: Json, template: Template, answers: Answers) -> StackFacts:
    """All that a plan needs of a stack with repositories. Three calls, and a wait for the drift detection.

    What is in `answers` is not asked again; what was asked is put there.
    """
    names = repositories_in(template)
    stack_id = stack["StackId"]
    stable = str(stack["StackStatus"]).endswith("_COMPLETE")
    parameters = template.model.get("Parameters") or {}
    return StackFacts(
        stack_id=stack_id,
        name=stack["StackName"],
        status=stack["StackStatus"],
        template=template,
        resources=_resources(clients, stack_id, answers),
        parameters=tuple(each["ParameterKey"] for each in stack.get("Parameters", [])),
        looked_up=tuple(
            key for key, each in parameters.items() if str((each or {}).get("Type", "")).startswith(_LOOKED_UP)
        ),
        capabilities=tuple(stack.get("Capabilities", [])),
        tags=tags_of(stack),
        outputs=outputs_of(stack),
        nested=bool(stack.get("ParentId")),
        policy=_asked(answers, "stack policy", lambda: _stack_policy(clients, stack_id)),
        drift=_drift(clients, stack, names, answers) if stable else (),
    )


def _asked(answers: Answers, question: str, ask: Callable[[], Any]) -> Any:
    """The kept answer to a question. If there is none, ask, and keep the answer."""
    if question not in answers:
        answers[question] = ask()
    return answers[question]


def _stack_policy(clients: Clients, stack_id: str) -> str | None:
    return clients.cloudformation.get_stack_policy(StackName=stack_id).get("StackPolicyBody")


def _resources(clients: Clients, stack_id: str, answers: Answers) -> dict[str, StackResource]:
    def listed() -> Json:
        pages = clients.cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack_id)
        found = [each for page in pages for each in page["StackResourceSummaries"]]
        return {each["LogicalResourceId"]: asdict(_resource(each)) for each in found}

    return {name: StackResource(**each) for name, each in _asked(answers, "resources", listed).items()}


def _resource(summary: Any) -> StackResource:
    return StackResource(summary["ResourceType"], summary.get("PhysicalResourceId", ""), summary["ResourceStatus"])


def _drift(clients: Clients, stack: Json, names: list[str], answers: Answers) -> tuple[str, ...]:
    """What of the repositories differs from the template, in words."""
    cloudformation = clients.cloudformation
    stack_id, status = stack["StackId"], stack["StackStatus"]
    if status.startswith("IMPORT_"):
        return (f"CloudFormation does not look for differences in {status}; update the stack once",)
    some: Any = {"LogicalResourceIds": names} if len(names) <= _IDS_A_DETECTION else {}

    def begin() -> str:
        return cloudformation.detect_stack_drift(StackName=stack_id, **some)["StackDriftDetectionId"]

    begun = _asked(answers, "drift detection", begin)
    while True:
        answer = cloudformation.describe_stack_drift_detection_status(StackDriftDetectionId=begun)
        if answer["DetectionStatus"] != "DETECTION_IN_PROGRESS":
            break
        clients.sleep(clients.pause)
    if answer["DetectionStatus"] == "DETECTION_FAILED":
        return (f"CloudFormation could not look for differences: {answer.get('DetectionStatusReason', 'no reason')}",)
    if answer.get("StackDriftStatus") != "DRIFTED":
        return ()
    found = cloudformation.describe_stack_resource_drifts(StackName=stack_id)["StackResourceDrifts"]
    return tuple(_drift_in_words(each) for each in found if each["LogicalResourceId"] in names and _drifted(each))


def _drifted(drift: Any) -> bool:
    return drift["StackResourceDriftStatus"] in ("MODIFIED", "DELETED")


def _drift_in_words(drift: Any) -> str:
    if drift["StackResourceDriftStatus"] == "DELETED":
        return f"{drift['LogicalResourceId']} is gone"
    paths = [each["PropertyPath"].lstrip("/") for each in drift.get("PropertyDifferences", [])]
    return f"{drift['LogicalResourceId']}: {', '.join(paths)}"


def batched(names: list[str], most: int) -> list[list[str]]:
    """The names in lists of so many at most."""
    return [names[start : start + most] for start in range(0, len(names), most)]


def places(clients: Clients, facts: StackFacts) -> dict[str, Place]:
    """The repositories of a stack as ECR describes them, by logical id, in the order of the template."""
    names = {each: facts.resources[each].physical_id for each in repositories_in(facts.template)}
    found = {}
    for some in batched(list(names.values()), _NAMES_A_CALL):
        for each in clients.ecr.describe_repositories(repositoryNames=some)["repositories"]:
            found[each["repositoryName"]] = each
    return {
        logical_id: Place(name, found[name]["repositoryArn"], found[name]["repositoryUri"])
        for logical_id, name in names.items()
    }


def snapshot(clients: Clients, name: str) -> Snapshot:
    """What a repository holds now. Four calls, and one more for each further 1,000 images."""
    ecr = clients.ecr
    [described_] = ecr.describe_repositories(repositoryNames=[name])["repositories"]
    mutability: Json = {"imageTagMutability": described_["imageTagMutability"]}
    filters = described_.get("imageTagMutabilityExclusionFilters")
    return Snapshot(
        policy=calls.get_policy(ecr, name),
        lifecycle=calls.get_lifecycle_policy(ecr, name),
        tags=calls.list_tags(ecr, described_["repositoryArn"]),
        mutability=mutability | ({"imageTagMutabilityExclusionFilters": filters} if filters else {}),
        scanning=dict(described_.get("imageScanningConfiguration", {})),
        encryption=dict(described_.get("encryptionConfiguration", {})),
        images=pack_images(_images(clients, name)),
    )


def _images(clients: Clients, name: str) -> Iterator[Any]:
    token: str | None = None
    while True:
        page = calls.describe_images(clients.ecr, name, token)
        yield from page["imageDetails"]
        token = page.get("nextToken")
        if token is None:
            return


def snapshots(clients: Clients, names: Iterable[tuple[str, str]]) -> dict[str, Snapshot]:
    """Snapshots by logical id; the names are pairs of logical id and repository."""
    return {logical_id: snapshot(clients, name) for logical_id, name in names}
