"""Create of the repository, and its name where the template has none.

A create is done when the repository is *there*: visible with its tags, and with its policies. Until the repository is
proven to be this create's own, no call answers IN_PROGRESS, because CloudFormation may delete a repository whose name
it has been told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError
from cloudformation_cli_python_lib import HandlerErrorCode, OperationStatus, ProgressEvent

from .. import ecr as calls
from ..errors import AWS_ERRORS, HandlerError, failure, not_found, service_code
from ..models import ResourceHandlerRequest, ResourceModel
from ..pacing import LAST_START_SECONDS, Clock, OutOfTimeError, Pacer, until_answered
from ..request_fields import owner_of
from ..rules import existing, reserved_tags
from ..rules.existing import Whose
from ..rules.policy_meaning import names_principals, same_access_policy, same_lifecycle_policy
from ..rules.settings import Owner
from . import translate, visibility
from .create_state import CreateState
from .patience import GONE, VISIBLE, Patience, Step, patience_with
from .translate import Repository
from .validate import check_model, check_report, check_room_for_tags
from .visibility import Waiting

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecr.type_defs import RepositoryTypeDef

T = TypeVar("T")

CALLBACK_DELAY_SECONDS = 5
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 5.0


def create(ecr: ECRClient, request: ResourceHandlerRequest, context: Mapping[str, Any], clock: Clock) -> ProgressEvent:
    """Create the repository, with mark, rules and tags in one call; wait until it is visible; put its policies.

    The client must make each request once: repeating is done here, so that every call ends within 55 s. Idempotent for
    one request token: the repository that an earlier try of the same request made is taken up where that try stopped.
    If a policy is refused, the new, empty repository is deleted again. Raises HandlerError.
    """
    wanted = request.desiredResourceState or translate.model()
    check_model(wanted, request.awsAccountId)
    check_report(request)
    name = wanted.RepositoryName or translate.repository_name(
        request.stackId, request.logicalResourceIdentifier, request.clientRequestToken
    )
    state, ends = CreateState.from_context(context), clock.monotonic() + LAST_START_SECONDS
    creation = Creation(
        ecr=ecr,
        name=name,
        wanted=wanted,
        tags=_all_tags(request, wanted),
        owner=owner_of(request),
        clock=clock,
        pacer=Pacer(clock, ends),
        state=state,
    )
    return creation.one_call()


def _all_tags(request: ResourceHandlerRequest, wanted: ResourceModel) -> dict[str, str]:
    chosen = translate.settings_of(wanted)
    user = translate.user_tags(wanted, request.desiredResourceTags)
    check_room_for_tags(len(user), chosen)
    return {
        **reserved_tags.write_tags(chosen),
        **reserved_tags.request_tag(request.clientRequestToken),
        **reserved_tags.owner_tags(owner_of(request)),
        **user,
    }


class Deletion(Enum):
    """What became of the repository that an undo deletes."""

    DONE = auto()
    LATER = auto()


@dataclass
class _Pause:
    """Pauses that grow."""

    seconds: float = _FIRST_PAUSE_SECONDS

    def next(self) -> float:
        """The length of the next pause."""
        now = self.seconds
        self.seconds = min(_LONGEST_PAUSE_SECONDS, 2 * now)
        return now


@dataclass
class Creation:
    """One call of a create. ``tags`` are all tags that the repository is created with."""

    ecr: ECRClient
    name: str
    wanted: ResourceModel
    tags: Mapping[str, str]
    owner: Owner
    clock: Clock
    pacer: Pacer
    state: CreateState
    pause: _Pause = field(default_factory=_Pause)
    waits_for: str = ""  # once the repository is proven to be ours
    unclear: str = ""  # before that: why it cannot be told yet

    def one_call(self) -> ProgressEvent:
        """Get as far as one call gets. Raises HandlerError where no repository of this create is left."""
        try:
            if self.state.created is None:
                self._create_or_resume()
            if self.state.failure:
                return self._undo(self.state.failure.error)
            try:
                return self._complete()
            except HandlerError as error:
                self.state.fail_later(error)
                return self._undo(error)
        except OutOfTimeError:
            return self._to_be_continued()

    def _complete(self) -> ProgressEvent:
        """Wait until the repository is visible, put its policies, and answer SUCCESS. Raises HandlerError."""
        description, tags = self._until_visible()
        policy = self._put(
            Step.POLICY, translate.policy_text(self.wanted), calls.put_policy, calls.get_policy, same_access_policy
        )
        lifecycle = self._put(
            Step.LIFECYCLE,
            translate.lifecycle_text(self.wanted),
            calls.put_lifecycle_policy,
            calls.get_lifecycle_policy,
            same_lifecycle_policy,
        )
        if self.state.late:  # then reads may not show the policies yet either
            self._until_shown(calls.get_policy, policy, same_access_policy)
            self._until_shown(calls.get_lifecycle_policy, lifecycle, same_lifecycle_policy)
        model = translate.model_of(Repository(description, tags, policy, lifecycle), self.wanted)
        return ProgressEvent(status=OperationStatus.SUCCESS, resourceModel=model)

    # Until the repository is proven to be ours

    def _create_or_resume(self) -> None:
        """Create the repository, or find the one that an earlier try made. A proven one is never created again."""
        request = translate.create_request(self.wanted, self.name, self.tags)
        while self.state.created is None:
            try:
                made = until_answered(self.pacer, lambda: calls.create_repository(self.ecr, request))
            except AWS_ERRORS as error:
                if service_code(error) != "RepositoryAlreadyExistsException":
                    raise failure(error) from error
                self._look_at_existing()
            else:
                self.state.prove(made["createdAt"].timestamp(), made_here=True)

    def _look_at_existing(self) -> None:
        """Take up the repository that has the name, if it is ours. Raises HandlerError (AlreadyExists) if it is not."""
        found, tags = self._look()
        age = self.clock.time() - found["createdAt"].timestamp() if found else 0.0
        verdict = existing.whose(tags, age, self.tags[reserved_tags.REQUEST])
        if found and verdict is Whose.OURS:
            self.state.prove(found["createdAt"].timestamp(), made_here=self.pacer.unanswered > 0)
        elif found and verdict is Whose.ANOTHERS:
            raise self._refused(found["repositoryArn"], tags)
        else:
            self.unclear = "ECR does not show yet by whom: the repository is new, and its tags are not visible"
            self.pacer.pause(self.pause.next())

    def _refused(self, arn: str, tags: Mapping[str, str]) -> HandlerError:
        """The failure of a create whose name is taken. A repository that its own stack retained is released first."""
        if not existing.is_retained(tags, self.owner):
            return HandlerError(
                HandlerErrorCode.AlreadyExists,
                f"The repository {self.name} already exists, and was left as it is. Choose another RepositoryName, or "
                "bring the repository into the stack by an import, for example by a change set with "
                "ImportExistingResources.",
            )
        self._release(arn)
        return HandlerError(
            HandlerErrorCode.AlreadyExists,
            f"The repository {self.name} already exists: this resource created it earlier, and it was retained. It "
            "keeps its images, and was released from the stack, so that no rollback deletes it. Bring it into the "
            "stack again by an import, for example by a change set with ImportExistingResources.",
        )

    def _release(self, arn: str) -> None:
        """Take the repository from its stack, because CloudFormation may delete it after a create that failed."""
        released = existing.release_tag(str(self.owner.stack_id))
        try:
            until_answered(self.pacer, lambda: calls.tag_repository(self.ecr, arn, released))
            self.unclear = "ECR does not show yet that the repository is released from its stack"
            while not released.items() <= until_answered(self.pacer, lambda: calls.list_tags(self.ecr, arn)).items():
                self.pacer.pause(self.pause.next())
        except AWS_ERRORS as error:
            lock = reserved_tags.tag_command(arn, {reserved_tags.DELETION_PROTECTION: "on"})
            reason = failure(error)
            raise HandlerError(
                reason.code,
                f"The repository {self.name} already exists: this resource created it earlier, and it was retained. It "
                f"could not be released from the stack, so a delete by the stack would purge it. To keep it, run this "
                f"command first: {lock} The reason: {reason.message}",
            ) from error

    # The repository is ours

    def _until_visible(self) -> tuple[RepositoryTypeDef, dict[str, str]]:
        """The repository as soon as it is visible with the tags it was created with. Raises HandlerError."""
        self.waits_for = "ECR shows it with its tags"
        while True:
            found, tags = self._look()
            if found and self._is_ours(found, tags):
                self.state.seen = True
                self.state.end_waiting(Step.LOOK)
                return found, tags
            self.state.note_lateness()
            self._wait(
                Step.LOOK,
                VISIBLE,
                HandlerError(
                    HandlerErrorCode.NotStabilized,
                    f"The repository {self.name} was created, but ECR does not show it with its tags. Perhaps somebody "
                    "deleted it. Create the resource again.",
                ),
            )

    def _look(self) -> tuple[RepositoryTypeDef | None, dict[str, str]]:
        """The repository that has the name, and its tags; none where ECR does not show them."""
        found = until_answered(self.pacer, lambda: calls.describe_repository(self.ecr, self.name))
        if found is None:
            return None, {}
        arn = found["repositoryArn"]
        try:
            return found, until_answered(self.pacer, lambda: calls.list_tags(self.ecr, arn))
        except ClientError as error:
            if service_code(error) == "RepositoryNotFoundException":
                return None, {}
            raise failure(error) from error

    def _is_ours(self, found: RepositoryTypeDef, tags: Mapping[str, str]) -> bool:
        request = self.tags[reserved_tags.REQUEST]
        return self.state.is_the_same(found["createdAt"].timestamp()) and tags.get(reserved_tags.REQUEST) == request

    def _put(
        self,
        step: Step,
        text: str | None,
        put: Callable[[ECRClient, str, str], str],
        get: Callable[[ECRClient, str], str | None],
        same: Callable[[str | None, str | None], bool],
    ) -> str | None:
        """Put a policy; None for none. Returns it as ECR has it.

        A policy that ECR refuses, and yet has, was put by another copy of this create, which may have reported success:
        then this copy must not delete the repository.
        """
        if text is None:
            return None
        self.waits_for = "ECR accepts its policy"
        try:
            put_it = partial(put, self.ecr, self.name, text)
            return self._patiently(step, put_it, names_principals=names_principals(text))
        except HandlerError:
            try:
                live = until_answered(self.pacer, lambda: get(self.ecr, self.name))
            except AWS_ERRORS:
                live = None
            if same(text, live):
                return live
            raise

    def _until_shown(
        self,
        get: Callable[[ECRClient, str], str | None],
        policy: str | None,
        same: Callable[[str | None, str | None], bool],
    ) -> None:
        """Wait until reads show a policy that was put, 20 s at most; later is no failure. None: makes no request."""
        if policy is None:
            return
        self.waits_for = "ECR shows its policy"

        def is_shown() -> bool:
            try:
                return same(until_answered(self.pacer, lambda: get(self.ecr, self.name)), policy)
            except AWS_ERRORS as error:
                return service_code(error) != "RepositoryNotFoundException"  # a role that may not read does not wait

        Waiting(self.pacer, self.clock.time() + visibility.MOST_SECONDS).for_(is_shown)

    def _patiently(self, step: Step, request: Callable[[], T], *, names_principals: bool = False) -> T:
        """Repeat a request while its failure may be due to the repository being new. Raises HandlerError."""
        while True:
            try:
                answer = until_answered(self.pacer, request)
            except AWS_ERRORS as error:
                patience = patience_with(error, names_principals=names_principals)
                if patience is None:
                    raise failure(error) from error
                self._wait(step, patience, failure(error))
            else:
                self.state.end_waiting(step)
                return answer

    def _wait(self, step: Step, patience: Patience, reason: HandlerError) -> None:
        """Pause before the next try. When patience ends, raises the reason, with how long it was tried."""
        waited = self.state.seconds_waited(step, patience, self.clock.time())
        if waited >= patience.seconds:
            raise HandlerError(reason.code, f"{reason.message} This was tried for {waited} seconds.")
        self.pacer.pause(self.pause.next())

    def _undo(self, reason: HandlerError) -> ProgressEvent:
        """Delete the new repository after a failure, and answer the failure.

        Its model comes along, for the rollback, only where a repository of this create is left, or may be left.
        """
        if not self.state.made_here:
            return self._failed(reason, "An earlier call of this create made it, so this call did not delete it.")
        self.waits_for = "it can be deleted again, because the create failed"
        while True:
            try:
                if self._delete() is Deletion.DONE:
                    return ProgressEvent.failed(reason.code, reason.message)
            except HandlerError as error:
                return self._failed(reason, f"It could not be deleted again: {error.message}")

    def _delete(self) -> Deletion:
        """Try once to delete the new repository. Raises HandlerError where it is left."""
        found, tags = self._look()
        if found and not self._is_ours(found, tags) and tags:
            return Deletion.DONE  # it is gone, and another has its name
        if found is None or not tags:
            if self.state.seen:
                return self._after_not_found()
            self._wait(Step.LOOK, VISIBLE, not_found(self.name))
            return Deletion.LATER
        try:
            until_answered(self.pacer, lambda: calls.delete_repository(self.ecr, self.name))
        except AWS_ERRORS as error:
            patience = patience_with(error)
            if patience is None:
                raise failure(error) from error
            self._wait(Step.UNDO, patience, failure(error))
            return Deletion.LATER
        return Deletion.DONE

    def _after_not_found(self) -> Deletion:
        """A repository that was seen and is not found: DONE after GONE.seconds, because a single answer may be old."""
        try:
            self._wait(Step.UNDO, GONE, not_found(self.name))
        except HandlerError:
            return Deletion.DONE
        return Deletion.LATER

    def _failed(self, reason: HandlerError, why_left: str) -> ProgressEvent:
        event = ProgressEvent.failed(
            reason.code, f"{reason.message} The new repository {self.name} was not deleted. {why_left}"
        )
        event.resourceModel = self._model()
        return event

    def _model(self) -> ResourceModel:
        """What was asked for, with the name."""
        return replace(self.wanted, RepositoryName=self.name)

    def _to_be_continued(self) -> ProgressEvent:
        """The answer of a call that ran out of time. Raises HandlerError while the repository is not proven ours."""
        if self.state.created is not None:
            return ProgressEvent(
                status=OperationStatus.IN_PROGRESS,
                message=f"Created the repository {self.name}. Waiting until {self.waits_for}.",
                callbackContext=self.state.to_context(),
                callbackDelaySeconds=CALLBACK_DELAY_SECONDS,
                resourceModel=self._model(),
            )
        if self.pacer.last_error and not self.unclear:
            raise failure(self.pacer.last_error)
        raise HandlerError(
            HandlerErrorCode.ResourceConflict,
            f"The name {self.name} is taken, and {self.unclear}. No image was touched. CloudFormation tries again by "
            "itself; elsewhere, create it again in two minutes.",
        )
