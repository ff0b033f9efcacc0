"""What a delete would do can be asked: the library changes nothing, and the delete then does what it said."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError
from cloudformation_cli_python_lib import HandlerErrorCode, OperationStatus

from awstut_ecr_autopurgerepository import ecr as calls
from awstut_ecr_autopurgerepository.deletion.asking import what_would_delete_do
from awstut_ecr_autopurgerepository.deletion.verdict import Answer, Outcome
from awstut_ecr_autopurgerepository.pacing import OutOfTimeError
from awstut_ecr_autopurgerepository.rules.account import AccountRules
from awstut_ecr_autopurgerepository.rules.settings import Owner, ReportPlace
from sandbox.ecr import StrictEcr, VirtualClock
from sandbox.ecr.service import OPERATIONS
from tests.support.direct_client import direct_client
from tests.support.samples import tags_of
from tests.support.strict import ACCOUNT, MARKED, REGION, STACK, Purge, Users, run_command_in
from tests.support.strict_s3 import StrictS3
from tests.support.virtual import VirtualPool

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

READING = frozenset({"DescribeImages", "DescribeRegistry", "DescribeRepositories", "GetRepositoryPolicy"}) | {
    "ListTagsForResource"
}
CLOUD_CONTROL = Owner()
MINE = Owner(STACK, "Repository")
FULL = '{"Version":"2012-10-17","Statement":[{"Sid":"' + "x" * 10_100 + '"}]}'


@dataclass
class World:
    """An ECR and an S3 in which the library may only read."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    ecr: StrictEcr = field(init=False)
    s3: StrictS3 = field(init=False)
    is_asking: bool = False

    def __post_init__(self) -> None:
        self.ecr = StrictEcr(clock=self.clock, account=ACCOUNT, region=REGION)
        self.s3 = StrictS3(clock=self.clock, account=ACCOUNT, region=REGION)
        self.s3.before = self._check_s3
        for operation in OPERATIONS.keys() - READING:
            self.ecr.before(operation, partial(self._deny, operation), nth=None)
        self.client = direct_client(self.ecr)
        self.s3_client = SharedClient(self.s3.client())
        self.users = Users(self.clock)

    def _check_s3(self, operation: str, _key: str) -> None:
        if operation != "ListObjectsV2":
            self._deny(operation)

    def _deny(self, operation: str, _: object = None) -> None:
        assert not self.is_asking, f"the library asked for {operation}"

    def ask(
        self, name: str = "app", requester: Owner = CLOUD_CONTROL, account: AccountRules | None = None, **more: Any
    ) -> Answer:
        self.is_asking = True
        try:
            return what_would_delete_do(
                self.client,
                name,
                requester,
                account or AccountRules(),
                ACCOUNT,
                self.clock,
                VirtualPool(8, self.clock),
                lambda: cast("S3Client", self.s3_client),
                self.users.client,
                **more,
            )
        finally:
            self.is_asking = False

    def delete(self, account: AccountRules | None = None) -> Purge:
        s3 = cast("StrictS3", self.s3_client)
        return Purge(self.ecr, self.clock, configuration=account or AccountRules(), client=self.client, s3=s3)


class SharedClient:
    """One client of S3 for many reports, because making one takes a while. It ignores the hooks of the reports."""

    def __init__(self, made: Any) -> None:
        self._made = made
        self.meta = SimpleNamespace(events=SimpleNamespace(register_first=lambda *_: None))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made, name)

    def client(self, **_: Any) -> Any:
        return self


@pytest.fixture
def world() -> World:
    return World()


def replicate(ecr: StrictEcr, prefix: str = "") -> None:
    rule: dict[str, Any] = {
        "destinations": [{"region": "eu-central-1", "registryId": ACCOUNT}],
        "deleteReplication": {"enabled": True},
    }
    if prefix:
        rule["repositoryFilters"] = [{"filter": prefix, "filterType": "PREFIX_MATCH"}]
    ecr.call("PutReplicationConfiguration", {"replicationConfiguration": {"rules": [rule]}})


def test_a_repository_that_does_not_exist_is_gone(world: World) -> None:
    assert world.ask() == Answer("app", Outcome.GONE)


def test_an_empty_repository_is_deleted(world: World) -> None:
    world.ecr.repository("app", tags=MARKED)
    answer = world.ask()
    assert answer.outcome is Outcome.EMPTY
    assert answer.arn == f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/app"
    assert (answer.images.count, answer.objections, answer.refusal) == (0, (), None)


def test_a_purge_is_told_in_figures(world: World) -> None:
    tags = MARKED | {"awstut:protect-tags": "release-@", "awstut:replicated-deletes": "on"}
    builder = world.ecr.repository("app", tags=tags).with_images(3, size=10, pushed_days_ago=9)
    builder.with_images(2, untagged=True, size=5, pushed_days_ago=4, pulled_days_ago=2)
    builder.with_tagged("old", status="ARCHIVED", size=7)
    replicate(world.ecr)
    answer = world.ask()
    assert answer.outcome is Outcome.PURGE
    found = answer.images
    assert (found.count, found.bytes, found.tagged, found.archived) == (6, 47, 4, 1)
    assert found.newest_push is not None
    assert round(world.clock.time() - found.newest_push.timestamp()) == 4 * 86_400
    assert found.last_pull is not None
    assert round(world.clock.time() - found.last_pull.timestamp()) == 2 * 86_400
    assert answer.archived_note == (
        "ECR charges archived images for at least 90 days, also those that were deleted earlier."
    )
    assert answer.destinations == (f"eu-central-1 (account {ACCOUNT})",)
    assert found.by_rule == {}


def test_a_refusal_has_every_reason_with_the_command_that_lifts_it_alone(world: World) -> None:
    tags = {
        "awstut:auto-purge": "off protect-tags",
        "awstut:protect-tags": "v@ release-@ eu-@",
        "awstut:deletion-protection": "on",
    }
    world.ecr.repository("app", tags=tags).with_tagged("v1", "release-1").with_tagged("v2")
    answer = world.ask(account=AccountRules(pushed_within_days=30))
    assert answer.outcome is Outcome.REFUSE
    assert {rule.brief: count for rule, count in answer.images.by_rule.items()} == {
        "tag pattern v*": 2, "tag pattern release-*": 1, "pushed within 30 days": 2,
    }  # fmt: skip
    found = [(each.rule, (each.command or "").partition(" --tags ")[2]) for each in answer.objections]
    assert found == [
        ("DeletionProtection", "Key=awstut:deletion-protection,Value=off"),
        ("PurgeProtection.TagPatterns", "'Key=awstut:protect-tags,Value=release-@ eu-@'"),
        ("PurgeProtection.TagPatterns", "'Key=awstut:protect-tags,Value=v@ eu-@'"),
        ("PurgeProtection.PushedWithinDays", ""),
        ("EmptyOnDelete", "'Key=awstut:auto-purge,Value=on protect-tags'"),
    ]
    assert answer.objections[0].message == "Its deletion protection is on."
    assert "set-type-configuration" in answer.objections[3].message
    assert answer.command is not None
    assert "Key=awstut:protect-tags,Value=eu-@ " in answer.command
    run_command_in(world.ecr, answer.command)
    assert [each.rule for each in world.ask(account=AccountRules(pushed_within_days=30)).objections] == [
        "PurgeProtection.PushedWithinDays"
    ]


@pytest.mark.parametrize(("requester", "rule"), [(MINE, None), (CLOUD_CONTROL, None), (Owner(STACK, "Other"), "Owner")])
def test_an_answer_depends_on_the_stack_or_cloud_control_that_asks(world: World, requester: Owner, rule: str) -> None:
    tags = MARKED | {"awstut:stack-id": STACK, "awstut:logical-id": "Repository", "awstut:protect-tags": "v@"}
    world.ecr.repository("app", tags=tags).with_tagged("w1")
    answer = world.ask(requester=requester)
    assert [each.rule for each in answer.objections] == ([rule] if rule else [])
    assert answer.images.count == 1
    if rule:
        assert "aws cloudformation delete-stack" in answer.objections[0].message
        assert answer.command is not None
        run_command_in(world.ecr, answer.command)
        assert world.ask(requester=requester).outcome is Outcome.PURGE


def test_a_repository_without_the_mark_is_refused_even_if_it_is_empty(world: World) -> None:
    world.ecr.repository("app")
    assert [each.rule for each in world.ask().objections] == ["Mark"]


def test_whether_a_report_can_be_written_is_not_known_to_who_may_not_list(world: World) -> None:
    world.s3.make_bucket("audit").denied.add("s3:ListBucket")
    world.ecr.repository("app", tags=MARKED | {"awstut:purge-report": "s3://audit/x"}).with_images(1)
    answer = world.ask()
    assert answer.outcome is Outcome.PURGE
    [sentence] = answer.not_known
    assert sentence.startswith(
        "Nobody knows whether the purge report can be written to s3://audit/x: s3:ListBucket was"
    )


def test_whether_pushes_can_be_refused_is_not_known_to_who_may_not_read_the_policy(world: World) -> None:
    world.ecr.faults.deny.add("ecr:GetRepositoryPolicy")
    world.ecr.repository("app", tags=MARKED | {"awstut:freeze-on-delete": "on"}).with_images(1)
    answer = world.ask()
    assert answer.outcome is Outcome.PURGE
    assert answer.not_known[0].startswith("Nobody knows whether pushes can be refused: ")


def test_who_may_not_ask_about_replicas_does_not_know_where_they_are(world: World) -> None:
    world.ecr.faults.deny.add("ecr:DescribeRegistry")
    world.ecr.repository("app", tags=MARKED | {"awstut:replicated-deletes": "on"}).with_images(1)
    answer = world.ask()
    assert (answer.outcome, answer.destinations) == (Outcome.PURGE, None)


@pytest.mark.parametrize("denied", ["DescribeImages", "DescribeRepositories", "ListTagsForResource"])
def test_who_may_not_look_gets_the_error_and_no_answer(world: World, denied: str) -> None:
    world.ecr.repository("app", tags=MARKED).with_images(1)
    world.ecr.faults.deny.add(f"ecr:{denied}")
    with pytest.raises(ClientError, match="AccessDenied"):
        world.ask()


def test_it_gives_up_after_a_while(world: World) -> None:
    world.ecr.repository("app", tags=MARKED).with_images(1)
    world.ecr.faults.fail_next("DescribeImages", "ServerException", "Service Unavailable", 500, times=1_000)
    with pytest.raises(OutOfTimeError):
        world.ask(seconds=30.0)
    assert world.clock.monotonic() < 45


def test_failures_that_pass_are_waited_for(world: World) -> None:
    world.ecr.repository("app", tags=MARKED).with_images(2_500)
    world.ecr.faults.throttle(operations=None, rate=1.0, burst=1)
    assert world.ask().images.count == 2_500


@pytest.mark.parametrize("images", [0, 1, 20_001])
def test_a_question_takes_a_call_for_each_page_and_at_most_six_more(world: World, images: int) -> None:
    tags = MARKED | {"awstut:purge-report": "s3://audit/x", "awstut:freeze-on-delete": "on"}
    world.s3.make_bucket("audit")
    world.ecr.repository("app", tags=tags).with_images(images, untagged=True)
    assert world.ask().images.count == images
    pages = max(1, -(-images // 1_000))
    assert world.ecr.calls["DescribeImages"] == pages
    assert sum(world.ecr.calls.values()) + sum(world.s3.calls.values()) - pages <= 6


TAGS = ["v1", "v2", "release-1", "latest", "eu-prod"]
PATTERNS = ["v@", "release-@", "@-prod", "latest", "nothing"]
OWNERS = [{}, {"awstut:stack-id": STACK, "awstut:logical-id": "Repository"}]
REPOSITORIES = 1_000


def some(draw: random.Random, likely: float) -> bool:
    return draw.random() < likely


def drawn_tags(draw: random.Random) -> dict[str, str]:
    """Tags of a repository; now and then without the mark, or with a rule that nobody can read."""
    rules: dict[str, str] = {}
    if some(draw, 0.2):
        rules["deletion-protection"] = draw.choice(["on", "off", "on", "?"])
    if some(draw, 0.4):
        rules["protect-tags"] = " ".join(draw.sample(PATTERNS, draw.randint(1, 3)))
    if some(draw, 0.2):
        rules["protect-tags-2"] = draw.choice(PATTERNS)
    for rule in ("protect-pulled-days", "protect-pushed-days"):
        if some(draw, 0.2):
            rules[rule] = draw.choice(["1", "30", "off"])
    if some(draw, 0.3):
        rules["purge-report"] = draw.choice(["s3://audit", "s3://missing/x", "off"])
    if some(draw, 0.2):
        rules["freeze-on-delete"] = "on"
    named = [rule for rule in RULES if rule in rules and some(draw, 0.7)]
    found = {"awstut:auto-purge": " ".join([draw.choice(["on", "on", "on", "off"]), *named])}
    found |= {f"awstut:{rule}": value for rule, value in rules.items() if some(draw, 0.98)}
    if some(draw, 0.3):
        found["awstut:replicated-deletes"] = "on"
    if some(draw, 0.05):
        del found["awstut:auto-purge"]
    return found | draw.choice(OWNERS)


RULES = [
    "deletion-protection", "protect-tags", "protect-tags-2", "protect-pulled-days", "protect-pushed-days",
    "purge-report", "freeze-on-delete",
]  # fmt: skip
ACCOUNTS = [
    *[AccountRules()] * 6,
    AccountRules(deletion_protection=True),
    AccountRules(patterns=("v*",), pulled_within_days=5),
    AccountRules(replicated_deletes=True, report=ReportPlace("audit"), binding=True),
    AccountRules(report=ReportPlace("central"), report_buckets=("audit",)),
]


def draw_repository(world: World, draw: random.Random, name: str) -> None:
    builder = world.ecr.repository(name, tags=drawn_tags(draw))
    for _ in range(draw.choice([0, 1, 3, 8])):
        children = tuple(builder.push(pushed_days_ago=40) for _ in range(draw.choice([0, 0, 0, 2])))
        builder.push(
            tuple(draw.sample(TAGS, draw.choice([0, 0, 1]))),
            children=children,
            status=draw.choice(["ACTIVE", "ACTIVE", "ARCHIVED"]),
            pushed_days_ago=draw.choice([0.5, 20, 400]),
            pulled_days_ago=draw.choice([None, None, 3, 100]),
        )
    if some(draw, 0.2):
        world.ecr.repositories[name].policy = FULL


def test_what_is_said_and_what_the_delete_then_does_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """The repositories, requesters and accounts are random. Pages are short, so that a listing has several."""
    monkeypatch.setattr(calls, "IMAGES_PER_PAGE", 4)
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed: {seed}")
    draw, world = random.Random(seed), World()
    world.s3.make_bucket("audit")
    replicate(world.ecr, "repository-1")
    outcomes = dict.fromkeys(Outcome, 0)
    for number in range(REPOSITORIES):
        name, requester, account = f"repository-{number}", draw.choice([CLOUD_CONTROL, MINE]), draw.choice(ACCOUNTS)
        if some(draw, 0.97):
            draw_repository(world, draw, name)
        check_one(world, name, requester, account, outcomes)
    assert min(outcomes.values()) > 10, outcomes


def check_one(world: World, name: str, requester: Owner, account: AccountRules, outcomes: dict[Outcome, int]) -> None:
    """Ask, delete, and compare. After a refusal, run its command: it lifts every reason that tags can lift."""
    answer, held = world.ask(name, requester, account), world.ecr.holds(name)
    outcomes[answer.outcome] += 1
    delete = world.delete(account)
    owner = {"stack_id": requester.stack_id, "logical_id": requester.logical_id}
    event = delete(name, **owner)
    if answer.outcome is Outcome.GONE:
        assert event.errorCode is HandlerErrorCode.NotFound
    elif answer.outcome is Outcome.REFUSE:
        assert event.message == answer.refusal
        assert event.errorCode is HandlerErrorCode.InvalidRequest
        assert world.ecr.holds(name) == held
        check_command(world, name, requester, account, answer)
    else:
        assert event.status is OperationStatus.SUCCESS, event.message
        assert world.ecr.holds(name) is None
        assert (answer.outcome is Outcome.EMPTY) == (held == 0)
        assert answer.images.count == held


def check_command(world: World, name: str, requester: Owner, account: AccountRules, answer: Answer) -> None:
    if answer.command is None:
        assert all(each.command is None for each in answer.objections)
        return
    rules_before = tags_of(world.ecr, name)
    run_command_in(world.ecr, answer.command)
    again = world.ask(name, requester, account)
    was_alone = answer.objections[0].rule in ("Mark", "Owner")
    assert was_alone or all(each.command is None for each in again.objections), (answer, again)
    refused = {each.rule for each in answer.objections}
    if refused <= {"DeletionProtection", "EmptyOnDelete", "PurgeReport"}:
        kept = [key for key in rules_before if key.startswith("awstut:protect-")]
        assert [tags_of(world.ecr, name)[key] for key in kept] == [rules_before[key] for key in kept]
