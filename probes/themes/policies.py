"""Repository policies and lifecycle policies: which ECR takes, in which form it answers them, and how late."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from probes.belief import Answer, Belief, api, report, user_guide
from probes.clock import AT_ONCE, WITHIN, Seen, distribution, how_late, look_until, not_seen
from probes.place import ACCEPTED, Place, refusal, said
from probes.pushing import image
from probes.registry import probe

_SRC = "src/awstut_ecr_autopurgerepository"
_INVALID = "InvalidParameterException"
_ABSENT = "RepositoryPolicyNotFoundException"
_LIFECYCLE_ABSENT = "LifecyclePolicyNotFoundException"
_DENIED = "AccessDeniedException"
_SERVICES = ("codebuild.amazonaws.com", "lambda.amazonaws.com")
_PUSHES = (
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
    "ecr:PutImage",
    "ecr:BatchImportUpstreamImage",
)
Json = dict[str, Any]

BELIEFS = (
    Belief(
        "form-of-policies",
        "ECR can return a policy in another form than it was set: a list with one element becomes a string, or "
        "principals change their order. So policies are compared by their meaning.",
        ("terraform-provider-aws compares policies by equivalence for that reason",),
        (f"{_SRC}/rules/policy_meaning.py", f"{_SRC}/repository/read.py"),
        {"a list of one action": "a string", "two principals": "in another order"},
        {"a list of one action": ("a list",), "two principals": ("as given",)},
        "faults.policy_form",
    ),
    Belief(
        "invalid-policies",
        "SetRepositoryPolicy fails with InvalidParameterException if the policy is not JSON, has no statement, lacks "
        "an effect, an action or a principal, or has more than 10,240 characters.",
        (api("SetRepositoryPolicy"),),
        (f"{_SRC}/deletion/freeze.py", f"{_SRC}/repository/create.py"),
        {
            "no JSON": _INVALID,
            "no statement": _INVALID,
            "no principal": _INVALID,
            "no action": _INVALID,
            "another effect": _INVALID,
            "10,241 characters": _INVALID,
        },
        enforced_in=(
            "repositories.set_repository_policy InvalidParameterException",
            "repositories._json_object InvalidParameterException",
        ),
    ),
    Belief(
        "no-policy",
        "A call that reads or deletes a missing policy fails with RepositoryPolicyNotFoundException or "
        "LifecyclePolicyNotFoundException.",
        (api("GetRepositoryPolicy"), api("GetLifecyclePolicy")),
        (f"{_SRC}/ecr.py",),
        {
            "GetRepositoryPolicy": _ABSENT,
            "DeleteRepositoryPolicy": _ABSENT,
            "GetLifecyclePolicy": _LIFECYCLE_ABSENT,
            "DeleteLifecyclePolicy": _LIFECYCLE_ABSENT,
        },
        enforced_in=(
            "repositories._policy_answer RepositoryPolicyNotFoundException",
            "repositories._lifecycle_answer LifecyclePolicyNotFoundException",
        ),
    ),
    Belief(
        "policy-with-a-new-role",
        "For up to some minutes after a role is created, a policy that names it is refused: "
        "InvalidParameterException, with 'Principal not found' or 'Invalid repository policy provided'. The same call "
        "succeeds later.",
        (report("hashicorp/terraform-provider-aws", 39064), report("hashicorp/terraform-provider-aws", 38439)),
        (f"{_SRC}/repository/patience.py", f"{_SRC}/repository/create.py"),
        {"the policy is taken by": AT_ONCE, "refused until then with": []},
        {"the policy is taken by": WITHIN, "refused until then with": ([_INVALID],)},
        "lateness.new_role",
        enforced_in=("lateness.check_roles InvalidParameterException",),
    ),
    Belief(
        "changed-policy-is-late",
        "For a while after a change, GetRepositoryPolicy can return the policy from before.",
        ("an eventually consistent service may do so",),
        (f"{_SRC}/deletion/freeze.py",),
        {"a new policy is seen by": AT_ONCE, "a deleted policy is gone by": AT_ONCE},
        {"a new policy is seen by": WITHIN, "a deleted policy is gone by": WITHIN},
        "lateness.changed_policy",
    ),
    Belief(
        "deny-on-pushes",
        "A Deny in the repository policy refuses pushes by the account's own principals, too. It may take effect a "
        "while after it is set.",
        (user_guide("repository-policies"),),
        (f"{_SRC}/rules/push_block.py", f"{_SRC}/deletion/freeze.py"),
        {"PutImage is refused by": AT_ONCE, "with": _DENIED, "PutImage works again by": AT_ONCE},
        {"PutImage is refused by": WITHIN, "PutImage works again by": WITHIN},
        "lateness.enforced_policy",
        enforced_in=("state.check_policy AccessDeniedException",),
    ),
    Belief(
        "deny-on-deletes",
        "A Deny for everybody in the repository policy can prevent the handlers from deleting anything.",
        (user_guide("repository-policies"),),
        (f"{_SRC}/errors.py",),
        unasked="A mistake in the policy would lock out the owner, and the run could not remove the repository.",
    ),
    Belief(
        "deny-on-upstream-imports",
        "A Deny of ecr:BatchImportUpstreamImage stops a pull-through cache. It does not stop replication, which uses "
        "a role of its own.",
        (user_guide("pull-through-cache-iam"), user_guide("replication")),
        (f"{_SRC}/rules/push_block.py",),
        unasked="A pull-through cache and replication are settings of the whole registry.",
    ),
    Belief(
        "invalid-lifecycle-policies",
        "PutLifecyclePolicy fails with InvalidParameterException if the policy is not JSON, has less than 100 "
        "characters or no rules, or has a rule without an action, with an unknown count type, or with the priority of "
        "another rule.",
        (api("PutLifecyclePolicy"), user_guide("lifecycle_policy_parameters")),
        (f"{_SRC}/repository/create.py", f"{_SRC}/repository/update.py"),
        {
            "no JSON": _INVALID,
            "no rules": _INVALID,
            "no action": _INVALID,
            "an unknown count type": _INVALID,
            "one priority twice": _INVALID,
            "99 characters": _INVALID,
            "one that is right": ACCEPTED,
        },
        enforced_in=("lifecycle.check InvalidParameterException", "lifecycle._failure InvalidParameterException"),
    ),
)


def _policy(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _allow(**principal: Any) -> str:
    return _policy(Sid="probe", Effect="Allow", Principal=principal, Action=["ecr:DescribeImages"])


@probe("form-of-policies", "invalid-policies", "no-policy", creates="1 empty repository", seconds=10)
def forms_of_policies(place: Place) -> Mapping[str, Answer]:
    """Set policies, and read them."""
    ecr, name = place.ecr, place.repository("policy")

    def put(text: str) -> str:
        return refusal(ecr.set_repository_policy, repositoryName=name, policyText=text)

    absent = {
        "GetRepositoryPolicy": refusal(ecr.get_repository_policy, repositoryName=name),
        "DeleteRepositoryPolicy": refusal(ecr.delete_repository_policy, repositoryName=name),
        "GetLifecyclePolicy": refusal(ecr.get_lifecycle_policy, repositoryName=name),
        "DeleteLifecyclePolicy": refusal(ecr.delete_lifecycle_policy, repositoryName=name),
    }
    invalid = {
        "no JSON": put("{"),
        "no statement": put(json.dumps({"Version": "2012-10-17", "Statement": []})),
        "no principal": put(_policy(Effect="Allow", Action="ecr:DescribeImages")),
        "no action": put(_policy(Effect="Allow", Principal="*")),
        "another effect": put(_policy(Effect="Perhaps", Principal="*", Action="ecr:DescribeImages")),
        "10,241 characters": put(_allow(Service=_SERVICES[0]) + " " * 10_241),
    }
    ecr.set_repository_policy(repositoryName=name, policyText=_allow(Service=list(_SERVICES)))
    look_until(place.clock, lambda: _policy_of(place, name) is not None, place.patience)
    text = _policy_of(place, name)
    place.details["policy"] = text
    statement = json.loads(text or "{}")["Statement"]
    statement = statement[0] if isinstance(statement, list) else statement
    return {
        "form-of-policies": {
            "a list of one action": "a list" if isinstance(statement["Action"], list) else "a string",
            "two principals": _order(statement["Principal"]),
        },
        "invalid-policies": invalid,
        "no-policy": absent,
    }


def _order(principal: Json) -> str:
    return "as given" if principal.get("Service") == list(_SERVICES) else "in another order"


def _policy_of(place: Place, name: str) -> str | None:
    try:
        text: str = place.ecr.get_repository_policy(repositoryName=name)["policyText"]
    except place.ecr.exceptions.RepositoryPolicyNotFoundException:
        return None
    return text


@probe("changed-policy-is-late", creates="1 empty repository", seconds=30)
def lateness_of_policies(place: Place) -> Mapping[str, Answer]:
    """Set and delete a policy some times, and see how late that shows."""
    name, new, gone = place.repository("late-policy"), list[Seen](), list[Seen]()
    for _ in range(place.tries):
        place.ecr.set_repository_policy(repositoryName=name, policyText=_allow(Service=_SERVICES[0]))
        new.append(look_until(place.clock, lambda: _policy_of(place, name) is not None, place.patience))
        place.ecr.delete_repository_policy(repositoryName=name)
        gone.append(look_until(place.clock, lambda: _policy_of(place, name) is None, place.patience))
        if not_seen(new, gone):
            break
    place.details.update(new=distribution(new), gone=distribution(gone))
    return {
        "changed-policy-is-late": {
            "a new policy is seen by": how_late(new),
            "a deleted policy is gone by": how_late(gone),
        }
    }


@probe("policy-with-a-new-role", creates="1 empty repository, and a role that nobody can use", seconds=60)
def policies_that_name_new_roles(place: Place) -> Mapping[str, Answer]:
    """Make a role, and name it in a policy at once."""
    name = place.repository("role-policy")
    nobody = {"Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = _allow(AWS=place.role("named", nobody, []))
    refused: list[tuple[str, str]] = []

    def put() -> bool:
        answer = said(place.ecr.set_repository_policy, repositoryName=name, policyText=policy)
        if answer[0] != ACCEPTED:
            refused.append(answer)
        return answer[0] == ACCEPTED

    taken = look_until(place.clock, put, place.patience)
    place.details.update(taken=distribution([taken]), messages=sorted({message for _, message in refused}))
    return {
        "policy-with-a-new-role": {
            "the policy is taken by": how_late([taken]),
            "refused until then with": sorted({code for code, _ in refused}),
        }
    }


@probe("deny-on-pushes", creates="1 repository with images", seconds=60)
def deny_on_pushes(place: Place) -> Mapping[str, Answer]:
    """Refuse pushes by a policy, and allow them again."""
    ecr, name = place.ecr, place.repository("deny")
    place.push(name, "before")
    numbers = iter(range(1_000))
    codes: list[str] = []

    def push() -> str:
        manifest = image(f"n{next(numbers)}")
        codes.append(
            refusal(
                ecr.put_image,
                repositoryName=name,
                imageManifest=manifest.text,
                imageManifestMediaType=manifest.media_type,
            )
        )
        return codes[-1]

    ecr.set_repository_policy(
        repositoryName=name, policyText=_policy(Sid="probe", Effect="Deny", Principal="*", Action=list(_PUSHES))
    )
    refused = look_until(place.clock, lambda: push() != ACCEPTED, place.patience)
    code = codes[-1]
    ecr.delete_repository_policy(repositoryName=name)
    allowed = look_until(place.clock, lambda: push() == ACCEPTED, place.patience)
    place.details.update(refused=distribution([refused]), allowed=distribution([allowed]))
    return {
        "deny-on-pushes": {
            "PutImage is refused by": how_late([refused]),
            "with": code,
            "PutImage works again by": how_late([allowed]),
        }
    }


@probe("invalid-lifecycle-policies", creates="1 empty repository", seconds=10)
def lifecycle_policies(place: Place) -> Mapping[str, Answer]:
    """Set lifecycle policies that ECR takes, and others."""
    name = place.repository("lifecycle")
    selection = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 9_999}
    rule: Json = {"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}

    def put(document: Json | str, length: int = 120) -> str:
        text = document if isinstance(document, str) else json.dumps(document)
        return refusal(place.ecr.put_lifecycle_policy, repositoryName=name, lifecyclePolicyText=text.ljust(length))

    def with_selection(**changes: Any) -> Json:
        return {**rule, "selection": {**selection, **changes}}

    return {
        "invalid-lifecycle-policies": {
            "no JSON": put("{"),
            "no rules": put({"rules": []}),
            "no action": put({"rules": [_without(rule, "action")]}),
            "an unknown count type": put({"rules": [with_selection(countType="sinceImageForgotten")]}),
            "one priority twice": put({"rules": [rule, with_selection(countNumber=9_998)]}),
            "99 characters": put("{}", 99),
            "one that is right": put({"rules": [rule]}),
        }
    }


def _without(rule: Json, key: str) -> Json:
    return {name: value for name, value in rule.items() if name != key}
