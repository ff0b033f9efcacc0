"""Calls with a role's credentials may do what the role's policies allow. All other callers may do everything.

This is for ECR, S3, KMS's DescribeKey, and the calls that tell which images are in use. A role that does not exist in
the sandbox's IAM (of a type that was registered without one) may do everything.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable
from typing import Any

from sandbox.driver.failures import AssumeRoleError
from sandbox.driver.request import Json
from sandbox.ecr.service import Authorize
from sandbox.environment import SECRET_PREFIX
from sandbox.gateway import ministack
from sandbox.iam.ecr import authorizer
from sandbox.iam.policies import Check, Policies, trusts

SERVICE = "resources.cloudformation.amazonaws.com"

S3Handler = Callable[..., Awaitable[ministack.Response]]


def install() -> None:
    """Check each call of S3 before it runs. The strict ECR checks its calls itself, with `for_ecr`."""
    ministack.install_secrets(SECRET_PREFIX)
    ministack.wrap_s3(_checking_permissions)


def credentials(role_arn: str, type_arn: str) -> Json:
    """Credentials of a type's execution role. `type_arn` is the ARN of the type's version. Raises AssumeRoleError."""
    account, name = role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1]
    role = ministack.role(account, name)
    keys = {"aws:SourceAccount": account, "aws:SourceArn": type_arn}
    if role is not None and not trusts(role[0], SERVICE, keys):
        raise AssumeRoleError(f"The trust policy of {role_arn} does not let {SERVICE} assume it for {type_arn}.")
    return ministack.new_session(role_arn)


def for_ecr(headers: dict[str, str]) -> Authorize | None:
    """The check of permissions for a request to ECR; None if its caller may do everything."""
    caller = _caller(headers)
    return authorizer(*caller) if caller else None


def refusal(headers: dict[str, str], check: Check) -> str | None:
    """The message of a service that refuses a call; None if the policies of the caller allow the call."""
    caller = _caller(headers)
    if caller is None:
        return None
    policies, principal = caller
    decision = policies.decide(check)
    return None if decision.allowed else decision.message(principal, check)


def _caller(headers: dict[str, str]) -> tuple[Policies, str] | None:
    """The policies of the role whose session makes a request, and the session's ARN."""
    principal = ministack.principal_of(ministack.extract_access_key_id(headers))
    if ":assumed-role/" not in principal:
        return None
    role = ministack.role(principal.split(":")[4], principal.split("/")[1])
    return (_policies(*map(_as_json, role[1])), principal) if role else None


@functools.lru_cache
def _policies(*documents: str) -> Policies:
    return Policies(documents)


def _as_json(document: Any) -> str:
    return document if isinstance(document, str) else json.dumps(document)


def _checking_permissions(original: S3Handler) -> S3Handler:
    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]], **more: Any
    ) -> ministack.Response:
        caller = None if more.get("internal") else _caller(headers)
        if caller is not None:
            policies, principal = caller
            keys = {"aws:ResourceAccount": ministack.get_account_id()}  # S3 here has no buckets of other accounts
            for action, resource, context in ministack.s3_questions(method, path, headers, body, query):
                check = Check(action, resource, {**keys, **context})
                decision = policies.decide(check)
                if not decision.allowed:
                    return ministack.s3_denial(action, principal, decision.message(principal, check))
        return await original(method, path, headers, body, query, **more)

    return handle
