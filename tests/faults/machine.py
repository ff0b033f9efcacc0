"""Random sequences of all that can happen to a repository and to a delete of it, against a simple model."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cloudformation_cli_python_lib import HandlerErrorCode, OperationStatus, ProgressEvent
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from awstut_ecr_autopurgerepository.errors import LONGEST_MESSAGE
from awstut_ecr_autopurgerepository.pacing import HARD_LIMIT_SECONDS
from sandbox.ecr import EcrError, StrictEcr, VirtualClock
from sandbox.ecr.builder import RepositoryBuilder
from sandbox.ecr.lateness import Stale
from tests.faults.bucket import ReportBucket
from tests.faults.watch import (
    FREEZE,
    LOCK,
    MARK,
    PATTERNS,
    REPORT,
    SID,
    Operation,
    Watch,
    is_locked,
    is_protected,
    promise,
)
from tests.support.samples import CALLS
from tests.support.strict import ACCOUNT, OWNED, REGION, STACK, Killed, Purge, run_command_in

OPERATIONS = (*CALLS, "GetRepositoryPolicy", "SetRepositoryPolicy", "DeleteRepositoryPolicy")
# All that can be late for a delete. Tags that come with CreateRepository, and new roles, are matters of creates.
DELAYS = (
    *("deleted_images", "deleted_index", "emptied_repository", "deleted_repository", "deleted_name"),
    *("changed_tags", "changed_policy", "new_repository"),
)
STALE = [(operation, Stale.NOT_FOUND) for operation in (*OPERATIONS, "TagResource")]
STALE += [(operation, Stale.EARLIER_REPOSITORY) for operation in OPERATIONS[:3]]
STALE += [("GetRepositoryPolicy", each) for each in (Stale.EARLIER_REPOSITORY, Stale.NO_POLICY, Stale.EARLIER_POLICY)]
STALE += [("ListTagsForResource", each) for each in (Stale.NO_TAGS, Stale.EARLIER_TAGS)]
STALE += [("DescribeImages", each) for each in (Stale.NO_IMAGES, Stale.NO_NEW_IMAGES, Stale.DELETED_IMAGES)]
STALE_APART = 30.0  # seconds between two stale answers: no client can see through many of them in a row
MOST_IMAGES = 400  # that pushes in the background fill a repository with
RETRIABLE = {HandlerErrorCode.Throttling, HandlerErrorCode.ServiceInternalError, HandlerErrorCode.NetworkFailure}
LOCKS = ("are not touched", "its deletion protection is on", "a tag is missing or unreadable")
Action = tuple[str, dict[str, Any]]
REASONS: dict[HandlerErrorCode, tuple[str, ...]] = {
    HandlerErrorCode.NotFound: ("does not exist",),
    HandlerErrorCode.InvalidRequest: (
        "are not touched",
        "its deletion protection is on",
        "a tag is missing or unreadable",
        "No further image is deleted",
        "EmptyOnDelete is false",
        "protected by",
        "pushes cannot be refused",
    ),
    HandlerErrorCode.NotStabilized: (
        "images keep arriving",
        "ECR refuses to delete",
        "yet says that it is not empty",
        "different answers",
        "ECR still lists",
        "has answered no request",
    ),
    HandlerErrorCode.AccessDenied: ("was denied. Allow it to the role",),
    HandlerErrorCode.InvalidCredentials: ("ExpiredTokenException", "has expired"),
    HandlerErrorCode.Throttling: ("Rate exceeded",),
    HandlerErrorCode.ServiceInternalError: ("Service Unavailable",),
    HandlerErrorCode.NetworkFailure: ("could not be called",),
}

counts = st.integers(1, 40)
places = st.floats(0, 1, exclude_max=True)
operations = st.sampled_from(OPERATIONS)
writes = st.sampled_from(["PutObject", "PutObject", "GetObject", "ListObjectsV2"])
contents = st.sampled_from(["images", "untagged", "builds", "nested", "archived", "activating", "latest", "referrers"])
reserved_tags = st.sampled_from(
    [
        *[(MARK, value) for value in ("on", "on", "off", "on protect-tags", None, "nonsense")],
        *[(LOCK, value) for value in ("on", "off", None)],
        *[(PATTERNS, value) for value in ("release-@", "off", None, "v1 latest")],
        *[("awstut:stack-id", value) for value in (STACK, f"{STACK}-other")],
        *[(REPORT, value) for value in ("s3://reports/purged", "s3://reports/purged", "off", "nonsense")],
        *[(FREEZE, value) for value in ("on", "on", "off", None)],
        (MARK, "on freeze-on-delete"),
        ("team", "shop"),
    ]
)


def action(name: str, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Action]:
    return st.fixed_dictionaries(arguments).map(lambda drawn: (name, drawn))


pushes = st.one_of(
    action("push", chosen=contents, count=counts),
    action("push", chosen=contents, count=counts),
    action("keep_pushing", every=st.integers(1, 10), count=st.integers(1, 3)),
)
changes = st.one_of(
    action("retag", tag=st.sampled_from(["latest", "v1", "v2", "release-1", "release-2"]), place=places),
    action("archive_or_restore", place=places, storage=st.sampled_from(["ARCHIVE", "STANDARD"])),
    action("somebody_deletes_images", place=places, count=counts),
    action("somebody_deletes_the_repository", count=counts, is_recreated=st.booleans()),
    action("change_tag", pair=reserved_tags),
    action("change_tag", pair=reserved_tags),
    action("change_policy", actions=st.sampled_from([None, "ecr:GetAuthorizationToken", "ecr:BatchGetImage"])),
    action("jump", seconds=st.sampled_from([-86_400.0, -10.0, 10.0, 86_400.0])),
)
faults = st.one_of(
    action("throttle", rate=st.sampled_from([1, 2, 5, 20, 50])),
    action("take_time", seconds=st.sampled_from([0.05, 0.3, 1.0, 9.0])),
    action("server_errors", nth=st.integers(1, 6), operation=operations),
    action(
        "lose_connection",
        fault=st.sampled_from(["drop_before", "drop_after", "slow"]),
        operation=operations,
        times=st.sampled_from([1, 3]),
    ),
    action("refuse_image", place=places, times=st.sampled_from([1, 2, None])),
    action("deny", operation=operations),
    action("expire", operation=operations),
    action("forget_token"),
    action("server_errors_of_s3", nth=st.integers(1, 4)),
    action("lose_connection_to_s3", fault=st.sampled_from(["drop_before", "drop_after", "slow"]), operation=writes),
    action("deny_s3", operation=writes),
)
late = st.one_of(
    action("be_late", what=st.sampled_from(DELAYS), seconds=st.sampled_from([1.0, 4.0, 12.0, 20.0, 30.0])),
    action("be_stale", pair=st.sampled_from(STALE)),
)
soon = st.one_of(
    pushes,
    changes,
    faults,
    late,
    action("kill"),
    action("kill"),
    action("start_second_copy"),
    action("start_second_copy"),
)


class Deletes(RuleBasedStateMachine):
    """One repository, and deletes of it, one after the other."""

    examples = 0  # of all machines in this process
    ends: dict[str, int] = {}

    def __init__(self) -> None:
        super().__init__()
        type(self).examples += 1
        logging.disable(logging.CRITICAL)
        self.clock = VirtualClock()
        self.ecr = StrictEcr(clock=self.clock, account=ACCOUNT, region=REGION)
        self.bucket = ReportBucket(self.clock)
        self.operations = 0
        self.requests = itertools.count(1)
        self.operation: Operation | None = None
        self.soon: list[tuple[int, Action]] = []  # after so many calls
        self.made = 0  # images
        self.pushing: tuple[int, int] | None = None  # every so many calls, so many images
        self.forgetful = False  # the next page token in a request is replaced by an old one
        self.calls = 0
        self.depth = 0
        self.fresh: set[str] = set()  # images of repositories that were recreated during an operation
        self.retagged: set[str] = set()  # images, during an operation
        self.stale_waits = False  # one is to be given
        self.stale_since: float | None = None  # when the last stale answer was given

    # What happens to the repository

    @initialize(chosen=contents, count=counts, stack=st.booleans(), pair=reserved_tags)
    def create(self, chosen: str, count: int, stack: bool, pair: tuple[str, str | None]) -> None:
        self.stack_id = STACK if stack else None
        self.ecr.faults.latency = {"*": 0.05}
        self.ecr.repository("app", tags=OWNED | {"awstut:request": "request-0"})
        self.newest = self.ecr.repositories["app"].created_at
        self.push(chosen, count)
        self.change_tag(pair)

    @rule(chosen=pushes)
    def images_arrive(self, chosen: Action) -> None:
        self.act(chosen)

    @rule(chosen=changes)
    def something_changes(self, chosen: Action) -> None:
        self.act(chosen)

    @rule(chosen=faults)
    def something_goes_wrong(self, chosen: Action) -> None:
        self.act(chosen)

    @rule(chosen=late)
    def ecr_is_late(self, chosen: Action) -> None:
        self.act(chosen)

    @rule(calls=st.integers(0, 25), chosen=soon)
    def something_happens_soon(self, calls: int, chosen: Action) -> None:
        self.soon.append((calls, chosen))

    @rule()
    def all_is_well(self) -> None:
        self.end_all_faults()

    @rule(slices=st.integers(1, 4))
    def delete(self, slices: int) -> None:
        if self.operation is None and not self.exists:
            while self.ecr.lateness.is_taken("app"):
                self.clock.advance(1)
            self.recreate(20)
        for _ in range(slices):
            if self.one_slice() is not None:
                return

    def act(self, chosen: Action) -> None:
        name, arguments = chosen
        getattr(self, name)(**arguments)

    # What happens to the repository

    @property
    def exists(self) -> bool:
        return self.ecr.holds("app") is not None

    def push(self, chosen: str, count: int) -> None:
        if not self.exists:
            if self.ecr.lateness.is_taken("app"):
                return
            self.recreate(count)
        builder = self.ecr.repository("app")
        PUSHES[chosen](builder, count)
        self.made = max(self.made, self.ecr.holds("app") or 0)

    def keep_pushing(self, every: int, count: int) -> None:
        self.pushing = every, count

    def retag(self, tag: str, place: float) -> None:
        images = self.ecr.images("app")
        if images:
            image = images[int(place * len(images))]
            self.ecr.repositories["app"].images.tag(image, tag)
            self.retagged.add(image.digest)

    def archive_or_restore(self, place: float, storage: str) -> None:
        images = self.ecr.images("app")
        if images:
            image_id = {"imageDigest": images[int(place * len(images))].digest}
            request = {"repositoryName": "app", "imageId": image_id, "targetStorageClass": storage}
            try_call(self.ecr, "UpdateImageStorageClass", request)

    def somebody_deletes_images(self, place: float, count: int) -> None:
        images = self.ecr.images("app")
        first = int(place * len(images))
        ids = [{"imageDigest": each.digest} for each in images[first : first + count]]
        if ids:
            try_call(self.ecr, "BatchDeleteImage", {"repositoryName": "app", "imageIds": ids})

    def change_tag(self, pair: tuple[str, str | None]) -> None:
        if not self.exists:
            return
        (key, value), arn = pair, self.ecr.arn("app")
        if value is None:
            try_call(self.ecr, "UntagResource", {"resourceArn": arn, "tagKeys": [key]})
        else:
            try_call(self.ecr, "TagResource", {"resourceArn": arn, "tags": [{"Key": key, "Value": value}]})

    def change_policy(self, actions: str | None) -> None:
        """Somebody puts a policy, or removes the policy. Either way the push block is gone."""
        if not self.exists:
            return
        if actions is None:
            try_call(self.ecr, "DeleteRepositoryPolicy", {"repositoryName": "app"})
            return
        statement = {"Sid": "pull", "Effect": "Allow", "Principal": "*", "Action": actions}
        text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        try_call(self.ecr, "SetRepositoryPolicy", {"repositoryName": "app", "policyText": text})

    def somebody_deletes_the_repository(self, count: int, is_recreated: bool) -> None:
        try_call(self.ecr, "DeleteRepository", {"repositoryName": "app", "force": True})
        if is_recreated and not self.ecr.lateness.is_taken("app"):
            self.recreate(count)

    def recreate(self, count: int) -> None:
        self.clock.advance(2)  # no repository is made within a second of another one of its name
        builder = self.ecr.repository("app", tags=OWNED | {"awstut:request": f"request-{next(self.requests)}"})
        repository = self.ecr.repositories["app"]
        repository.created_at = max(repository.created_at, round(self.newest + 2, 3))  # also if the clock jumped back
        self.newest = repository.created_at
        self.ecr.lateness.note_created(repository)
        builder.with_images(count)
        if self.operation and self.operation.created is not None:
            self.fresh |= {image.digest for image in self.ecr.images("app")}

    def jump(self, seconds: float) -> None:
        self.clock.jump(seconds)

    # What goes wrong

    def throttle(self, rate: int) -> None:
        self.ecr.faults.throttle(rate=rate, burst=rate)

    def take_time(self, seconds: float) -> None:
        self.ecr.faults.latency = {"*": seconds}

    def server_errors(self, nth: int, operation: str) -> None:
        self.ecr.faults.server_errors(nth, [operation])

    def lose_connection(self, fault: str, operation: str, times: int) -> None:
        getattr(self.ecr.faults, fault)(operation, times=times)

    def refuse_image(self, place: float, times: int | None) -> None:
        images = self.ecr.images("app")
        if images:
            digest = images[int(place * len(images))].digest
            self.ecr.faults.image_failures[digest] = ("KmsError", "The key is disabled.", times)

    def deny(self, operation: str) -> None:
        self.ecr.faults.deny.add(f"ecr:{operation}")

    def expire(self, operation: str) -> None:
        self.ecr.faults.fail_next(operation, "ExpiredTokenException", "The security token included has expired")

    def forget_token(self) -> None:
        self.forgetful = True

    def server_errors_of_s3(self, nth: int) -> None:
        self.bucket.faults.server_errors(nth)

    def lose_connection_to_s3(self, fault: str, operation: str) -> None:
        getattr(self.bucket.faults, fault)(operation)

    def deny_s3(self, operation: str) -> None:
        self.bucket.faults.deny.add(f"ecr:{operation}")

    def be_late(self, what: str, seconds: float) -> None:
        if self.exists:  # What was found once does not give way to what was there before, for ten seconds and more.
            self.ecr.lateness.settle(self.ecr.repositories["app"])
        setattr(self.ecr.lateness, what, seconds)

    def be_stale(self, pair: tuple[str, Stale]) -> None:
        """Give one stale answer at a time. Two in a row, one by each witness, could look like another repository."""
        self.note_stale()
        recent = self.stale_since is not None and self.clock.monotonic() < self.stale_since + STALE_APART
        if not recent and not self.ecr.lateness.is_stale_next:
            self.ecr.lateness.stale_next(*pair)
            self.stale_waits = True

    def note_stale(self) -> None:
        """Note when the stale answer was given."""
        if self.stale_waits and not self.ecr.lateness.is_stale_next:
            self.stale_waits, self.stale_since = False, self.clock.monotonic()

    def kill(self) -> None:
        raise Killed

    def end_all_faults(self) -> None:
        self.ecr.faults.clear()
        self.bucket.faults.clear()
        self.ecr.lateness.clear()
        self.ecr.faults.latency = {"*": 0.05}
        self.pushing, self.forgetful = None, False

    def on_call(self, parameters: dict[str, Any]) -> None:
        self.note_stale()
        if self.forgetful and "nextToken" in parameters:
            self.forgetful, parameters["nextToken"] = False, "an old one"
        due = [chosen for left, chosen in self.soon if left == 0]
        self.soon = [(left - 1, chosen) for left, chosen in self.soon if left > 0]
        for chosen in due:
            self.act(chosen)
        self.calls += 1
        enough = (self.ecr.holds("app") or 0) > MOST_IMAGES
        if self.pushing and self.calls % self.pushing[0] == 0 and self.exists and not enough:
            self.push("images", self.pushing[1])

    # The delete

    def one_slice(self) -> ProgressEvent | None:
        """The answer that ends the operation; None if it goes on."""
        if self.operation is None:
            self.operations += 1
            first_new = self.ecr.repositories["app"].images.next_sequence() if self.exists else 0
            self.operation = Operation(self.stack_id, f"token-{self.operations}", first_new=first_new)
            self.retagged = set()
        operation = self.operation
        before = operation.copy()
        try:
            event = self.run(operation)
        except Killed:
            self.operation = replace(
                before, calls=operation.calls, deleted=operation.deleted, reported=operation.reported
            )
            if before.created is None:
                self.fresh = set()  # after the kill, nobody knows that there was another repository
            return None
        if event.status is OperationStatus.IN_PROGRESS:
            operation.context = json.loads(json.dumps(event.callbackContext))
            self.clock.advance(event.callbackDelaySeconds)
            return None
        self.operation = None
        self.fresh = set()
        return event

    def start_second_copy(self) -> None:
        """CloudFormation starts a handler again that has not answered in time, and takes one of the answers."""
        if self.operation is None or self.depth > 1:
            return
        began = self.clock.monotonic()
        with contextlib.suppress(Killed):
            self.run(self.operation_at_start.copy())
        self.clock.advance(began - self.clock.monotonic())  # it was at work beside the first

    def run(self, operation: Operation) -> ProgressEvent:
        self.depth += 1
        if self.depth == 1:
            self.operation_at_start = operation.copy()
        operation.slices += 1
        watch = Watch(self.ecr, self.bucket, operation, self.on_call, lambda: 1_000 + 20 * self.made, self.retagged)
        purge = Purge(self.ecr, self.clock, client=watch, s3=self.bucket, token=operation.token)  # type: ignore[arg-type]
        existed = self.exists
        try:
            event = purge.one_slice(operation.context, "app", self.stack_id, "Repository" if self.stack_id else None)
        finally:
            self.depth -= 1
        promise(self.depth > 0 or purge.slice_seconds[0] < HARD_LIMIT_SECONDS, f"a slice of {purge.slice_seconds}")
        self.check_answer(event, operation, watch, existed)
        return event

    # What must be true

    def check_answer(self, event: ProgressEvent, operation: Operation, watch: Watch, existed: bool) -> None:
        promise(len(event.message) <= LONGEST_MESSAGE, f"a message of {len(event.message)} characters")
        if event.status is OperationStatus.IN_PROGRESS:
            promise(len(json.dumps(event.callbackContext)) < 4_096, "a callback context of 4 KB")
            promise(event.resourceModel is not None, "IN_PROGRESS without a model")
            pending = (event.callbackContext or {}).get("failure")
            if pending and not operation.context.get("failure"):
                self.check_reasons(pending["message"], watch)
        elif event.status is OperationStatus.SUCCESS:
            self.count("SUCCESS")
            there = self.ecr.repositories["app"].created_at if self.exists else None
            began = operation.created.timestamp() if operation.created else None  # type: ignore[attr-defined]
            promise(there is None or abs(there - began) > 1e-4, "SUCCESS though the repository is still there")
            promise(there is None or there != operation.really_created, "SUCCESS though the real repository is there")
            self.check_report(event, operation)
        else:
            self.count(f"{event.errorCode}")
            self.check_failure(event, operation, watch, existed)

    def check_report(self, event: ProgressEvent, operation: Operation) -> None:
        if not operation.reported or "summary of the purge report could not be written" in event.message:
            return
        missing = operation.reported - self.bucket.digests("results", operation.folder)
        promise(not missing, f"deleted images that the report does not have: {missing}")
        counts = json.loads(self.bucket.objects[f"{operation.folder}summary.json"])["images"]
        promise(counts["deleted"] >= len(operation.reported), f"a summary of {counts}, of {len(operation.reported)}")
        promise(counts["unresolved"] == 0, f"a summary that leaves images open: {counts}")

    def count(self, end: str) -> None:
        self.ends[end] = self.ends.get(end, 0) + 1

    def check_failure(self, event: ProgressEvent, operation: Operation, watch: Watch, existed: bool) -> None:
        code = event.errorCode
        promise(code in REASONS, f"the code {code} with {event.message}")
        assert code is not None
        promise(any(each in event.message for each in REASONS[code]), f"a failure that does not say why: {event}")
        promise(code not in RETRIABLE or operation.slices >= 5, f"given up after {operation.slices} slices: {event}")
        tags = watch.tags or {}
        if not operation.context.get("failure"):  # A failure that waited for the push block was checked before.
            self.check_reasons(event.message, watch)
        if self.depth == 0 and self.exists and SID in (self.ecr.repositories["app"].policy or ""):
            known = FREEZE in tags or "freeze-on-delete" in tags.get(MARK, "")
            mine = MARK in tags and (self.stack_id is None or tags.get("awstut:stack-id") == self.stack_id)
            told = "Pushes to this repository are still refused" in event.message
            promise(told or not (known and mine), f"pushes stay refused without a word: {event.message}")
        if code is HandlerErrorCode.NotFound:
            promise(operation.created is None, "NotFound though it was found before")

    def check_reasons(self, message: str, watch: Watch) -> None:
        """What a refusal says is true, of the tags and images that the delete was shown in the same call."""
        tags = watch.tags or {}
        if any(each in message for each in LOCKS):
            promise(is_locked(tags, self.stack_id), f"a refusal without a reason: {message} {tags}")
        if "EmptyOnDelete is false" in message:
            promise(not tags[MARK].startswith("on"), f"a refusal without a reason: {message} {tags}")
        if "protected by" in message:
            protected = any(is_protected(tags, each) for each in watch.images.values())
            promise(protected, f"a refusal without a reason: {message} {tags}")

    @invariant()
    def a_repository_that_was_recreated_keeps_its_images(self) -> None:
        deleted = {each.digest for each in self.ecr.deletion_log if not each.by_force}
        if self.operation:
            promise(not (deleted & self.fresh & self.operation.deleted), "images of a new repository were deleted")

    def teardown(self) -> None:
        """Without faults the running operation ends, and a delete succeeds after the commands of its refusals."""
        try:
            self.end_all_faults()
            self.soon = []
            for _ in range(12):
                event = self.until_the_end()
                if not self.exists:
                    break  # SUCCESS may mean an earlier repository of that name
                if "aws ecr tag-resource" in event.message:
                    run_command_in(self.ecr, event.message)
            promise(not self.exists, f"no end: {event}")
        finally:
            logging.disable(logging.NOTSET)

    def until_the_end(self) -> ProgressEvent:
        for _ in range(20):
            event = self.one_slice()
            if event is not None:
                return event
        promise(False, "no end though all is well")
        raise AssertionError


def try_call(ecr: StrictEcr, operation: str, parameters: dict[str, Any]) -> None:
    """What somebody else does may fail."""
    try:
        ecr.call(operation, parameters)
    except EcrError:
        return


PUSHES: dict[str, Callable[[RepositoryBuilder, int], object]] = {
    "images": lambda builder, count: builder.with_images(count),
    "untagged": lambda builder, count: builder.with_images(count, untagged=True),
    "builds": lambda builder, count: builder.with_multi_arch(count // 3 + 1),
    "nested": lambda builder, count: builder.with_index_of_indexes(),
    "archived": lambda builder, count: builder.with_archived(count),
    "activating": lambda builder, count: builder.with_activating(count % 5 + 1),
    "latest": lambda builder, count: builder.with_repushed_latest(count % 5 + 1),
    "referrers": lambda builder, count: builder.with_tagged("v1").with_referrers(subject_tag="v1", count=count % 5 + 1),
}
