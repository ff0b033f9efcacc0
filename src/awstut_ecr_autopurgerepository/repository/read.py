"""Read and list of repositories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from cloudformation_cli_python_lib import OperationStatus, ProgressEvent

from .. import ecr as calls
from ..errors import not_found, service_code
from ..models import ResourceHandlerRequest
from ..pacing import Clock, OutOfTimeError, Pool
from ..request_fields import required_name
from . import translate
from .requests import Requests
from .translate import Repository

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

_PAUSES = (0.5, 1.0, 0.0)  # seconds, after answers that contradict each other


def read(ecr: ECRClient, request: ResourceHandlerRequest, clock: Clock, pool: Pool) -> ProgressEvent:
    """What ECR says about the repository, in the template's shapes. Raises HandlerError, at the latest after 25 s."""
    wanted = request.desiredResourceState
    name, requests = required_name(wanted), Requests.of_read(ecr, clock, pool)
    try:
        repository = fetch(requests, name)
    except OutOfTimeError as error:
        raise requests.out_of_time(f"the repository {name}") from error
    return ProgressEvent(status=OperationStatus.SUCCESS, resourceModel=translate.model_of(repository, wanted))


def list_page(ecr: ECRClient, request: ResourceHandlerRequest, clock: Clock, pool: Pool) -> ProgressEvent:
    """One page of the Region's repositories, and the token of the next. One call for up to 1,000.

    Raises HandlerError, at the latest after 25 s.
    """
    requests = Requests.of_read(ecr, clock, pool)
    try:
        answer = requests.until_answered(calls.describe_repositories, request.nextToken)
    except OutOfTimeError as error:
        raise requests.out_of_time("the repositories") from error
    return ProgressEvent(
        status=OperationStatus.SUCCESS,
        resourceModels=[translate.model(RepositoryName=each["repositoryName"]) for each in answer["repositories"]],
        nextToken=answer.get("nextToken"),
    )


def fetch(requests: Requests, name: str) -> Repository:
    """All that ECR has about a repository, except its images. Four calls, in the time of two.

    Only the tags have to wait for the description, which has the ARN. Raises HandlerError (NotFound) if the repository
    doesn't exist, what AWS raises, and OutOfTimeError.
    """
    answers = _until_they_agree(requests, name)
    description = answers[0]
    if description is None:  # Whatever the others say: they are asked at the same time.
        raise not_found(name)
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    tags = _tags(requests, description["repositoryArn"])
    return Repository(description=description, tags=tags, policy=answers[1], lifecycle=answers[2])


def _until_they_agree(requests: Requests, name: str) -> list[Any]:
    """The description and the two policies, or errors; asked again where one says that the repository is not there."""
    for pause in _PAUSES:
        answers = requests.side_by_side(name, calls.describe_repository, calls.get_policy, calls.get_lifecycle_policy)
        absent = [answers[0] is None, *map(_says_not_found, answers[1:])]
        if not any(absent) or all(absent[number] or _is_error(answers[number]) for number in range(len(answers))):
            break
        requests.pacer.pause(pause)  # one of these answers is old
    return answers


def _tags(requests: Requests, arn: str) -> dict[str, str]:
    """The tags of a repository that was described just now: an answer that it is not there is asked for again."""
    for pause in _PAUSES[:-1]:
        try:
            return requests.until_answered(calls.list_tags, arn)
        except ClientError as error:
            if not _says_not_found(error):
                raise
        requests.pacer.pause(pause)
    return requests.until_answered(calls.list_tags, arn)


def _is_error(answer: object) -> bool:
    return isinstance(answer, Exception)


def _says_not_found(answer: object) -> bool:
    return isinstance(answer, Exception) and service_code(answer) == "RepositoryNotFoundException"
