"""The calls that a delete makes, in their order: this order makes the delete safe.

A change of a list needs a reason beside it. ``*3`` means three calls of the same operation in a row. ``|`` means that a
call of the handler ended with IN_PROGRESS. Calls of S3 are listed among those of ECR.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from cloudformation_cli_python_lib import HandlerErrorCode, OperationStatus, ProgressEvent

from sandbox.ecr import StrictEcr, VirtualClock
from tests.support.samples import FREEZE, REPORTED
from tests.support.strict import ACCOUNT, MARKED, OWNED, Killed, Purge
from tests.support.strict_s3 import StrictS3


@dataclass
class World:
    """A repository, and how it is deleted."""

    ecr: StrictEcr
    s3: StrictS3
    clock: VirtualClock
    delete: Purge
    names: list[str]

    def slices(self, **owner: Any) -> ProgressEvent:
        """Delete to the end. Returns the last answer."""
        for event in self.delete.slices(**owner):
            if event.status is OperationStatus.IN_PROGRESS:
                self.names.append("|")
        return event

    def kill_at(self, operation: str, nth: int) -> None:
        """Kill the first call of the handler just before ECR does the nth call of an operation."""

        def kill(_: object) -> None:
            raise Killed

        self.ecr.before(operation, kill, nth=nth)
        with pytest.raises(Killed):
            self.delete.one_slice({})
        self.names.append("killed")

    def recreate(self, tags: dict[str, str]) -> None:
        """Somebody else deletes the repository, and creates another of that name, which has another request's hash."""
        self.ecr.call("DeleteRepository", {"repositoryName": "app", "force": True})
        self.clock.advance(5)
        self.ecr.repository("app", tags=tags | {"awstut:request": "another"}).with_images(7)


def empty(world: World) -> ProgressEvent:
    world.ecr.repository("app", tags=MARKED)
    return world.slices()


def images_101(world: World) -> ProgressEvent:
    world.ecr.repository("app", tags=MARKED).with_images(101)
    return world.slices()


def multi_architecture(world: World) -> ProgressEvent:
    world.ecr.repository("app", tags=MARKED).with_multi_arch(150)
    return world.slices()


def index_of_indexes(world: World) -> ProgressEvent:
    """ECR refuses the inner index and its children while the outer one is there: further passes."""
    world.ecr.repository("app", tags=MARKED).with_index_of_indexes()
    return world.slices()


def frozen(world: World) -> ProgressEvent:
    world.ecr.repository("app", tags=FREEZE).with_images(101)
    return world.slices()


def frozen_and_failed(world: World) -> ProgressEvent:
    """The role may not delete images: pushes are allowed again before the answer."""
    world.ecr.repository("app", tags=FREEZE).with_images(3)
    world.ecr.faults.deny.add("ecr:BatchDeleteImage")
    event = world.slices()
    assert event.errorCode is HandlerErrorCode.AccessDenied
    return event


def leftover_freeze(world: World) -> ProgressEvent:
    """An earlier delete was killed while pushes were refused; FreezeOnDelete has been switched off since."""
    tags = FREEZE | {"awstut:freeze-on-delete": "off"}
    world.ecr.repository("app", tags=FREEZE).with_images(3)
    world.kill_at("BatchDeleteImage", 1)
    world.ecr.repositories["app"].tags = tags
    return world.slices()


def protected(world: World) -> ProgressEvent:
    tags = {"awstut:auto-purge": "on protect-tags", "awstut:protect-tags": "release-@"}
    world.ecr.repository("app", tags=tags).with_images(1_500).with_tagged("release-1")
    return world.slices()


def locked(world: World) -> ProgressEvent:
    world.ecr.repository("app", tags=MARKED | {"awstut:deletion-protection": "on"}).with_images(3)
    return world.slices()


def foreign(world: World) -> ProgressEvent:
    world.ecr.repository("app", tags=OWNED).with_images(3)
    return world.slices(stack_id="arn:aws:cloudformation:eu-west-1:123456789012:stack/other/1", logical_id="Other")


def purge_is_off(world: World) -> ProgressEvent:
    world.ecr.repository("app", tags={"awstut:auto-purge": "off"}).with_images(3)
    return world.slices()


def gone(world: World) -> ProgressEvent:
    return world.slices()


def several_slices(world: World) -> ProgressEvent:
    """9 s for a delete, eight at once: the first call answers early, and the others use all of their time."""
    world.ecr.repository("app", tags=MARKED).with_images(5_000)
    world.ecr.faults.latency = {"BatchDeleteImage": 9.0}
    return world.slices()


def check_of_two_slices(world: World) -> ProgressEvent:
    """Each page takes 9 s. The inventory is checked in two calls of the handler, and then listed from its beginning.

    The first call answers early.
    """
    world.ecr.repository("app", tags=MARKED).with_images(6_500)
    world.ecr.faults.latency = {"DescribeImages": 9.0}
    return world.slices()


def killed_and_resumed(world: World) -> ProgressEvent:
    world.ecr.repository("app", tags=MARKED).with_images(1_001)
    world.kill_at("BatchDeleteImage", 3)
    return world.slices()


def recreated_meanwhile(world: World) -> ProgressEvent:
    """Somebody recreates the repository before the last look that precedes the first delete."""
    world.ecr.repository("app", tags=MARKED).with_images(101)
    world.ecr.before("DescribeImages", lambda _: world.recreate(MARKED))
    event = world.slices()
    assert world.ecr.holds("app") == 7
    return event


def recreated_while_frozen(world: World) -> ProgressEvent:
    """Somebody recreates the repository just before the push block is written. The delete removes the push block."""
    world.ecr.repository("app", tags=FREEZE).with_images(101)
    world.ecr.before("SetRepositoryPolicy", lambda _: world.recreate(FREEZE))
    event = world.slices()
    assert world.ecr.holds("app") == 7
    return event


def deleted_by_somebody_else(world: World) -> ProgressEvent:
    world.ecr.repository("app", tags=MARKED).with_images(101)
    force = {"repositoryName": "app", "force": True}
    world.ecr.before("BatchDeleteImage", lambda _: world.ecr.call("DeleteRepository", force), nth=2)
    return world.slices()


def pushed_meanwhile(world: World) -> ProgressEvent:
    builder = world.ecr.repository("app", tags=MARKED).with_images(101)
    world.ecr.before("DeleteRepository", lambda _: builder.with_tagged("late"))
    return world.slices()


def stale_meanwhile(world: World) -> ProgressEvent:
    """One answer says that the repository is gone; it is there, so the pass begins again."""
    world.ecr.repository("app", tags=MARKED).with_images(101)
    world.ecr.lateness.stale_next("BatchDeleteImage")
    return world.slices()


def late_to_be_empty(world: World) -> ProgressEvent:
    """ECR says for 4 seconds after the last image that the repository is not empty."""
    world.ecr.repository("app", tags=MARKED).with_images(101)
    world.ecr.lateness.emptied_repository = 4
    return world.slices()


def replicated(world: World) -> ProgressEvent:
    """ECR would delete each image in another Region, too."""
    destination = {"region": "eu-central-1", "registryId": ACCOUNT}
    rule = {"destinations": [destination], "deleteReplication": {"enabled": True}}
    world.ecr.call("PutReplicationConfiguration", {"replicationConfiguration": {"rules": [rule]}})
    world.ecr.repository("app", tags=MARKED).with_images(101)
    event = world.slices()
    assert event.errorCode is HandlerErrorCode.InvalidRequest
    return event


def rule_changed_meanwhile(world: World) -> ProgressEvent:
    """A new rule between two calls of the handler: everything is checked again before another image is deleted."""
    world.ecr.repository("app", tags=MARKED).with_images(5_000)
    world.ecr.faults.latency = {"BatchDeleteImage": 9.0}
    events = world.delete.slices()
    assert next(events).status is OperationStatus.IN_PROGRESS
    world.names.append("|")
    world.ecr.repositories["app"].tags["awstut:protect-tags"] = "release-@"
    for event in events:
        if event.status is OperationStatus.IN_PROGRESS:
            world.names.append("|")
    return event


def reported(world: World) -> ProgressEvent:
    world.s3.make_bucket("audit")
    world.ecr.repository("app", tags=REPORTED).with_images(101)
    return world.slices()


def report_impossible(world: World) -> ProgressEvent:
    world.ecr.repository("app", tags=REPORTED).with_images(101)
    return world.slices()


def reported_and_killed(world: World) -> ProgressEvent:
    world.s3.make_bucket("audit")
    world.ecr.repository("app", tags=REPORTED).with_images(101)
    world.kill_at("BatchDeleteImage", 2)
    return world.slices()


def run_length(names: list[str]) -> str:
    groups = [(name, len(list(group))) for name, group in itertools.groupby(names)]
    return " ".join(name if count == 1 else f"{name}*{count}" for name, count in groups)


@pytest.fixture
def world(ecr: StrictEcr, s3: StrictS3, clock: VirtualClock, delete: Purge) -> World:
    names: list[str] = []
    delete.s3 = RecordingS3(s3, names)  # type: ignore[assignment]
    serve = ecr.serve

    def recorded(operation: str, *arguments: Any, **named: Any) -> Any:
        names.append(operation)
        return serve(operation, *arguments, **named)

    ecr.serve = recorded  # type: ignore[method-assign]
    return World(ecr, s3, clock, delete, names)


@dataclass
class RecordingS3:
    """The strict S3, which writes down the operations that its clients are asked for."""

    s3: StrictS3
    names: list[str]

    def client(self, **chosen: Any) -> Any:
        client = self.s3.client(**chosen)

        def note(model: Any, **_: object) -> None:
            self.names.append(f"s3:{model.name}")

        client.meta.events.register("before-call.s3", note)
        return client


# What has changed since the first version of these lists, and why:
# - DescribeRegistry, once in each call of the handler in which images are deleted: ECR may delete them elsewhere, too.
# - The repository counts as gone after DescribeRepositories and ListTagsForResource have said so for 10 s.
# - A policy is read twice before it is written: one answer may be old, and a write based on it would undo a change.
# - Once the push block is written, the images are listed and checked again: one may have arrived since.
# - The second look, just before images are deleted, asks for the tags too: one old answer would hide a new rule. The
#   same look serves as the one after the push block was written.
# - The first call of a long purge answers after about ten seconds, with numbers: here after a page, or a round of
#   deletes, has shown how slow ECR is.
# - TagResource shows the progress beside the first deletes of each call; in a first call only if the purge will last.
# - A refusal names all reasons at once: it looks for an image, and asks where ECR replicates deletes. A refusal because
#   the repository belongs to somebody else asks nothing.
# - A denied delete does not say that the repository is gone: DescribeRepositories and ListTagsForResource are asked.
ORDERS: dict[Callable[[World], ProgressEvent], str] = {
    empty: (
        "DescribeRepositories ListTagsForResource DescribeImages DescribeRepositories ListTagsForResource "
        "DeleteRepository DescribeRepositories"
    ),
    images_101: (
        "DescribeRepositories ListTagsForResource DescribeImages DescribeRegistry DescribeRepositories "
        "ListTagsForResource BatchDeleteImage*2 DeleteRepository DescribeRepositories"
    ),
    multi_architecture: (
        "DescribeRepositories ListTagsForResource DescribeImages DescribeRegistry DescribeRepositories "
        "ListTagsForResource BatchDeleteImage*5 DeleteRepository DescribeRepositories"
    ),
    index_of_indexes: (
        "DescribeRepositories ListTagsForResource DescribeImages DescribeRegistry DescribeRepositories "
        "ListTagsForResource BatchDeleteImage*2 DescribeRepositories ListTagsForResource DescribeImages "
        "DescribeRepositories ListTagsForResource BatchDeleteImage*2 DeleteRepository DescribeRepositories"
    ),
    frozen: (
        "DescribeRepositories ListTagsForResource DescribeImages DescribeRegistry DescribeRepositories "
        "ListTagsForResource GetRepositoryPolicy*2 SetRepositoryPolicy DescribeRepositories "
        "ListTagsForResource DescribeImages DescribeRepositories ListTagsForResource GetRepositoryPolicy "
        "BatchDeleteImage*2 DeleteRepository DescribeRepositories"
    ),
    frozen_and_failed: (
        "DescribeRepositories ListTagsForResource DescribeImages DescribeRegistry DescribeRepositories "
        "ListTagsForResource GetRepositoryPolicy*2 SetRepositoryPolicy DescribeRepositories "
        "ListTagsForResource DescribeImages DescribeRepositories ListTagsForResource GetRepositoryPolicy "
        "BatchDeleteImage DescribeRepositories ListTagsForResource GetRepositoryPolicy*2 "
        "DeleteRepositoryPolicy"
    ),
    leftover_freeze: (
        "DescribeRepositories ListTagsForResource DescribeImages DescribeRegistry DescribeRepositories "
        "ListTagsForResource GetRepositoryPolicy*2 SetRepositoryPolicy DescribeRepositories "
        "ListTagsForResource DescribeImages DescribeRepositories ListTagsForResource GetRepositoryPolicy "
        "BatchDeleteImage killed DescribeRepositories ListTagsForResource DescribeImages DescribeRegistry "
        "DescribeRepositories ListTagsForResource GetRepositoryPolicy*2 DeleteRepositoryPolicy "
        "BatchDeleteImage DeleteRepository DescribeRepositories"
    ),
    protected: "DescribeRepositories ListTagsForResource DescribeImages*2 DescribeRegistry",
    locked: "DescribeRepositories ListTagsForResource DescribeImages DescribeRegistry",
    foreign: "DescribeRepositories ListTagsForResource",
    purge_is_off: "DescribeRepositories ListTagsForResource DescribeImages DescribeRegistry",
    gone: (
        "DescribeRepositories ListTagsForResource DescribeRepositories ListTagsForResource DescribeRepositories "
        "ListTagsForResource DescribeRepositories ListTagsForResource DescribeRepositories ListTagsForResource"
    ),
    several_slices: (
        "DescribeRepositories ListTagsForResource DescribeImages*5 DescribeRegistry DescribeRepositories "
        "ListTagsForResource BatchDeleteImage*8 | DescribeRepositories ListTagsForResource DescribeImages*5 "
        "DescribeRegistry DescribeRepositories ListTagsForResource TagResource BatchDeleteImage*40 | "
        "DescribeRepositories ListTagsForResource DescribeImages DescribeRegistry DescribeRepositories "
        "ListTagsForResource TagResource BatchDeleteImage*2 DeleteRepository DescribeRepositories"
    ),
    check_of_two_slices: (
        "DescribeRepositories ListTagsForResource DescribeImages | DescribeRepositories ListTagsForResource "
        "DescribeImages*5 | DescribeRepositories ListTagsForResource DescribeImages DescribeRepositories "
        "ListTagsForResource DescribeImages*2 DescribeRegistry DescribeRepositories ListTagsForResource TagResource "
        "BatchDeleteImage*20 DescribeRepositories ListTagsForResource DescribeImages DescribeRepositories "
        "ListTagsForResource BatchDeleteImage*10 DescribeRepositories ListTagsForResource DescribeImages | "
        "DescribeRepositories ListTagsForResource DescribeImages*3 DescribeRegistry DescribeRepositories "
        "ListTagsForResource TagResource BatchDeleteImage*30 DescribeRepositories ListTagsForResource DescribeImages "
        "DescribeRepositories ListTagsForResource BatchDeleteImage*5 DescribeRepositories ListTagsForResource "
        "DescribeImages | DescribeRepositories ListTagsForResource DescribeImages DescribeRepositories "
        "ListTagsForResource DeleteRepository DescribeRepositories"
    ),
    killed_and_resumed: (
        "DescribeRepositories ListTagsForResource DescribeImages*2 DescribeRegistry DescribeRepositories "
        "ListTagsForResource BatchDeleteImage*3 killed DescribeRepositories ListTagsForResource "
        "DescribeImages DescribeRegistry DescribeRepositories ListTagsForResource BatchDeleteImage*9 "
        "DeleteRepository DescribeRepositories"
    ),
    recreated_meanwhile: (
        "DescribeRepositories ListTagsForResource DescribeImages DescribeRegistry DescribeRepositories "
        "ListTagsForResource DescribeRepositories ListTagsForResource DescribeRepositories "
        "ListTagsForResource DescribeRepositories ListTagsForResource DescribeRepositories "
        "ListTagsForResource"
    ),
    recreated_while_frozen: (
        "DescribeRepositories ListTagsForResource DescribeImages DescribeRegistry DescribeRepositories "
        "ListTagsForResource GetRepositoryPolicy*2 SetRepositoryPolicy DescribeRepositories "
        "ListTagsForResource DescribeRepositories ListTagsForResource DescribeRepositories "
        "ListTagsForResource DescribeRepositories ListTagsForResource DescribeRepositories "
        "ListTagsForResource GetRepositoryPolicy*2 DeleteRepositoryPolicy"
    ),
    deleted_by_somebody_else: (
        "DescribeRepositories ListTagsForResource DescribeImages DescribeRegistry DescribeRepositories "
        "ListTagsForResource BatchDeleteImage*2 DescribeRepositories ListTagsForResource DescribeRepositories "
        "ListTagsForResource DescribeRepositories ListTagsForResource DescribeRepositories "
        "ListTagsForResource DescribeRepositories ListTagsForResource"
    ),
    pushed_meanwhile: (
        "DescribeRepositories ListTagsForResource DescribeImages DescribeRegistry DescribeRepositories "
        "ListTagsForResource BatchDeleteImage*2 DeleteRepository DescribeRepositories ListTagsForResource "
        "DescribeImages DescribeRepositories ListTagsForResource BatchDeleteImage DeleteRepository "
        "DescribeRepositories"
    ),
    stale_meanwhile: (
        "DescribeRepositories ListTagsForResource DescribeImages DescribeRegistry DescribeRepositories "
        "ListTagsForResource BatchDeleteImage*2 DescribeRepositories ListTagsForResource DescribeRepositories "
        "ListTagsForResource DescribeImages DescribeRepositories ListTagsForResource BatchDeleteImage "
        "DeleteRepository DescribeRepositories"
    ),
    late_to_be_empty: (
        "DescribeRepositories ListTagsForResource DescribeImages DescribeRegistry DescribeRepositories "
        "ListTagsForResource BatchDeleteImage*2 DeleteRepository DescribeRepositories ListTagsForResource "
        "DescribeImages DescribeRepositories ListTagsForResource DeleteRepository DescribeRepositories "
        "ListTagsForResource DescribeImages DescribeRepositories ListTagsForResource DeleteRepository "
        "DescribeRepositories ListTagsForResource DescribeImages DescribeRepositories ListTagsForResource "
        "DeleteRepository DescribeRepositories ListTagsForResource DescribeImages DescribeRepositories "
        "ListTagsForResource DeleteRepository DescribeRepositories"
    ),
    replicated: (
        "DescribeRepositories ListTagsForResource DescribeImages DescribeRegistry DescribeRepositories "
        "ListTagsForResource"
    ),
    rule_changed_meanwhile: (
        "DescribeRepositories ListTagsForResource DescribeImages*5 DescribeRegistry DescribeRepositories "
        "ListTagsForResource BatchDeleteImage*8 | DescribeRepositories ListTagsForResource DescribeImages*5 "
        "DescribeRegistry DescribeRepositories ListTagsForResource TagResource BatchDeleteImage*40 | "
        "DescribeRepositories ListTagsForResource DescribeImages DescribeRegistry DescribeRepositories "
        "ListTagsForResource TagResource BatchDeleteImage*2 DeleteRepository DescribeRepositories"
    ),
    # An announcement is written beside the first intent: a later delete of the same repository finds this report by it.
    # At the end the announcements of earlier deletes are listed. The summary is written before DeleteRepository: nobody
    # may repeat a call that is killed after it. Then the report is listed once more, because a second copy may have
    # written to it after the summary was counted. Before an image without a result is reported as gone, the images are
    # listed once more.
    reported: (
        "DescribeRepositories ListTagsForResource DescribeImages DescribeRegistry DescribeRepositories "
        "ListTagsForResource s3:PutObject*2 BatchDeleteImage*2 s3:PutObject s3:ListObjectsV2*2 s3:PutObject "
        "DeleteRepository DescribeRepositories s3:ListObjectsV2"
    ),
    report_impossible: (
        "DescribeRepositories ListTagsForResource DescribeImages DescribeRegistry DescribeRepositories "
        "ListTagsForResource s3:PutObject*2"
    ),
    reported_and_killed: (
        "DescribeRepositories ListTagsForResource DescribeImages DescribeRegistry DescribeRepositories "
        "ListTagsForResource s3:PutObject*2 BatchDeleteImage*2 killed DescribeRepositories ListTagsForResource "
        "DescribeImages DescribeRegistry DescribeRepositories ListTagsForResource s3:PutObject*2 "
        "BatchDeleteImage s3:PutObject s3:ListObjectsV2*2 DescribeRepositories ListTagsForResource DescribeImages "
        "DescribeRepositories ListTagsForResource s3:ListObjectsV2*2 s3:GetObject*3 s3:PutObject*2 "
        "DeleteRepository DescribeRepositories s3:ListObjectsV2"
    ),
}


@pytest.mark.parametrize("case", ORDERS, ids=lambda case: case.__name__)
def test_delete_makes_these_calls_in_this_order(world: World, case: Callable[[World], ProgressEvent]) -> None:
    event = case(world)
    assert run_length(world.names).split() == ORDERS[case].split(), event.message
