"""Which errors a new repository causes, and how long a create repeats a request because of them. Pure.

ECR creates repositories asynchronously: for a while some of its servers do not know a new repository, its tags, or the
role that its policy names. Sources: https://github.com/hashicorp/terraform-provider-aws/issues/3849 (repositories),
/28012 and /27028 (tags, of which conditions of IAM know), /39064 and /38439 (roles).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from botocore.exceptions import ClientError
from cloudformation_cli_python_lib import HandlerErrorCode

from ..errors import handler_code, service_code

_ROLE_IS_NEW = ("Principal not found", "Invalid repository policy provided")


class Step(StrEnum):
    """A step of a create that may have to wait."""

    LOOK = "look"
    POLICY = "policy"
    LIFECYCLE = "lifecycle"
    UNDO = "undo"


@dataclass(frozen=True)
class Patience:
    """For which kind of cause a request is repeated, and how long, in seconds."""

    cause: str
    seconds: int


VISIBLE = Patience("visible", 180)  # the repository is not known everywhere yet
KNOWN_ROLE = Patience("known role", 180)  # IAM does not know a role everywhere yet
SEEN_TAGS = Patience("seen tags", 60)  # IAM does not see the tags yet that the role of this type needs
GONE = Patience("gone", 10)  # after it was seen, a repository that is not found may be gone, or the answer is old


def patience_with(error: Exception, *, names_principals: bool = False) -> Patience | None:
    """How long to repeat a request that failed on a new repository; None if that would change nothing.

    ``names_principals``: the request puts a policy that names roles, users or accounts.
    """
    if service_code(error) == "RepositoryNotFoundException":
        return VISIBLE
    if handler_code(error) is HandlerErrorCode.AccessDenied:
        return SEEN_TAGS
    if names_principals and isinstance(error, ClientError):
        said = error.response.get("Error", {}).get("Message", "")
        if any(words in said for words in _ROLE_IS_NEW):
            return KNOWN_ROLE
    return None
