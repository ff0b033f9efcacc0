"""Rules for images at work: what ECR still holds, and what the user reads."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from cloudformation_cli_python_lib import HandlerErrorCode, OperationStatus
from hypothesis import given, settings, strategies

from awstut_ecr_autopurgerepository.errors import LONGEST_MESSAGE
from awstut_ecr_autopurgerepository.rules.account import AccountRules
from awstut_ecr_autopurgerepository.rules.reserved_tags import RULE_TAGS, mark
from sandbox.ecr import Image, StrictEcr, VirtualClock
from sandbox.ecr.builder import RepositoryBuilder
from tests.support.samples import put_tag, tags_of
from tests.support.strict import MARKED, STACK, Purge, Wire, run_command_in

DAY = 86_400
STATUSES = ["ACTIVE", "ARCHIVED", "ACTIVATING"]


@pytest.mark.parametrize("status", STATUSES)
def test_one_protected_image_of_any_status_keeps_all(ecr: StrictEcr, delete: Purge, status: str) -> None:
    builder = ecr.repository("app", tags=MARKED | {"awstut:protect-tags": "release-@"})
    builder.with_images(1_500).with_multi_arch(3).with_tagged("release-1", status=status)
    images = ecr.holds("app")
    event = delete()
    assert event.errorCode is HandlerErrorCode.InvalidRequest
    assert "1 image is protected by tag pattern release-*" in event.message
    assert "release-1" in event.message
    assert ecr.holds("app") == images
    assert not ecr.calls["BatchDeleteImage"]
    run_command_in(ecr, event.message)
    assert delete().status is OperationStatus.SUCCESS
    assert ecr.holds("app") is None


def test_a_lately_pulled_image_keeps_all(ecr: StrictEcr, delete: Purge) -> None:
    builder = ecr.repository("app", tags=MARKED | {"awstut:protect-pulled-days": "30"})
    builder.with_images(20, pushed_days_ago=400).with_tagged("used", pushed_days_ago=400, pulled_days_ago=29)
    event = delete()
    assert "1 image is protected by pulled within 30 days" in event.message
    assert ecr.holds("app") == 21
    run_command_in(ecr, event.message)
    assert delete().status is OperationStatus.SUCCESS


def test_an_index_protects_what_it_references(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MARKED | {"awstut:protect-tags": "build-@"}).with_multi_arch(2)
    delete()
    assert ecr.holds("app") == 6


def test_the_account_refuses_too(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MARKED).with_images(3, tag="release-{n}")
    delete.configuration = AccountRules(patterns=("release-*",))
    event = delete()
    assert "3 images are protected by tag pattern release-* (type configuration of the account)" in event.message
    assert "aws cloudformation set-type-configuration" in event.message
    assert ecr.holds("app") == 3


def test_the_account_can_stop_all_deletes(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MARKED)
    delete.configuration = AccountRules(deletion_protection=True)
    event = delete()
    assert event.errorCode is HandlerErrorCode.InvalidRequest
    assert "deletion protection is on in the type configuration of the account" in event.message
    assert ecr.holds("app") == 0


def test_the_account_can_stop_a_purge_that_is_running(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MARKED).with_images(40_000)
    ecr.faults.throttle(operations={"BatchDeleteImage"}, rate=2.0, burst=1)
    slices = delete.slices()
    next(slices)
    left = ecr.holds("app")
    delete.configuration = AccountRules(deletion_protection=True)
    assert "deletion protection is on" in next(slices).message
    assert ecr.holds("app") == left


def test_a_protected_image_that_arrives_in_the_middle_stops_the_purge(ecr: StrictEcr, delete: Purge) -> None:
    builder = ecr.repository("app", tags=MARKED | {"awstut:protect-tags": "release-@"}).with_images(500)
    ecr.before("BatchDeleteImage", lambda _: builder.with_tagged("release-1"), nth=2)
    event = delete()
    assert event.errorCode is HandlerErrorCode.InvalidRequest
    assert "Stopped after deleting 500 of about 501 images in app: 1 image is protected" in event.message
    assert [image.tags for image in ecr.images("app")] == [["release-1"]]


def test_a_rule_that_is_put_on_between_two_slices_counts_at_once(ecr: StrictEcr, delete: Purge) -> None:
    ecr.repository("app", tags=MARKED).with_images(40_000)
    ecr.faults.throttle(operations={"BatchDeleteImage"}, rate=2.0, burst=1)
    slices = delete.slices()
    next(slices)
    left = ecr.holds("app")
    put_tag(ecr, "awstut:protect-tags", "@")
    event = next(slices)
    assert "tag pattern * (tag awstut:protect-tags of the repository)" in event.message
    assert ecr.holds("app") == left


@pytest.mark.parametrize("by", ["repository", "account"])
def test_a_rule_that_is_put_on_between_two_slices_is_checked_against_all_images_before_another_delete(
    ecr: StrictEcr, delete: Purge, by: str
) -> None:
    """The image that it protects is on a page that this slice would not reach otherwise."""
    ecr.repository("app", tags=MARKED).with_images(18_000).with_tagged("release-1")
    ecr.faults.throttle(operations={"BatchDeleteImage"}, rate=1.0, burst=1)
    slices = delete.slices()
    next(slices)
    left = ecr.holds("app")
    ecr.faults.latency = {"DescribeImages": 2.0}
    if by == "repository":
        put_tag(ecr, "awstut:protect-tags", "release-@")
    else:
        delete.configuration = AccountRules(patterns=("release-*",))
    [event] = list(slices)
    assert "1 image is protected by tag pattern release-*" in event.message
    assert ecr.holds("app") == left


def test_an_image_that_gets_a_protected_tag_between_two_slices_stops_the_purge(ecr: StrictEcr, delete: Purge) -> None:
    """It was checked before the first delete, without that tag."""
    ecr.repository("app", tags=MARKED | {"awstut:protect-tags": "release-@"}).with_images(20_000)
    ecr.faults.throttle(operations={"BatchDeleteImage"}, rate=2.0, burst=1)
    slices = delete.slices()
    next(slices)
    left = ecr.repositories["app"].images
    assert 0 < len(left) < 20_000
    image = list(left)[-1]
    left.tag(image, "release-1")
    [*_, event] = slices
    assert event.errorCode is HandlerErrorCode.InvalidRequest
    assert "1 image is protected by tag pattern release-*" in event.message
    assert image in ecr.images("app")


def test_a_check_that_takes_many_slices_refuses_before_the_first_delete(ecr: StrictEcr, delete: Purge) -> None:
    builder = ecr.repository("app", tags=MARKED | {"awstut:protect-tags": "release-@"})
    builder.with_images(70_000).with_tagged("release-1")
    ecr.faults.throttle(operations=None, rate=1.0, burst=1)
    events = list(delete.slices())
    assert len(events) > 1
    assert events[0].message.startswith("Checked ")
    assert "1 image is protected" in events[-1].message
    assert ecr.holds("app") == 70_001


def test_a_check_that_finds_something_early_does_not_look_further(ecr: StrictEcr, delete: Purge) -> None:
    builder = ecr.repository("app", tags=MARKED | {"awstut:protect-tags": "release-@"})
    builder.with_tagged("release-1").with_images(70_000)
    ecr.faults.throttle(operations=None, rate=1.0, burst=1)
    events = list(delete.slices())
    assert len(events) == 1
    assert "at least 1 image is protected" in events[0].message


STRIPPED = [
    ("awstut:protect-tags", None),
    ("awstut:protect-tags-2", None),
    ("awstut:protect-tags", ""),
    ("awstut:protect-tags", "a+b"),
    ("awstut:protect-pulled-days", None),
    ("awstut:protect-pulled-days", "0"),
    ("awstut:protect-pulled-days", "soon"),
    ("awstut:protect-pulled-days", "3651"),
]


@pytest.mark.parametrize(("key", "value"), STRIPPED)
def test_a_rule_that_is_missing_or_unreadable_protects_all(
    wire: Wire, ecr: StrictEcr, delete: Purge, key: str, value: str | None
) -> None:
    protection = {"TagPatterns": [f"{n}{'*' * 63}" for n in range(10)], "PulledWithinDays": 3650}
    wire.stack_id = wire.logical_id = None
    wire.succeed("CREATE", {"RepositoryName": "app", "PurgeProtection": protection})
    ecr.repository("app").with_images(2, pushed_days_ago=5_000)
    if value is None:
        arn = ecr.call("DescribeRepositories", {})["repositories"][0]["repositoryArn"]
        ecr.call("UntagResource", {"resourceArn": arn, "tagKeys": [key]})
    else:
        put_tag(ecr, key, value)
    event = delete()
    assert f"a tag is missing or unreadable, which counts as protection: {key}" in event.message
    assert ecr.holds("app") == 2
    run_command_in(ecr, event.message)
    assert delete().status is OperationStatus.SUCCESS


def test_commands_in_turn_allow_a_delete_where_one_has_no_room_for_all(ecr: StrictEcr, delete: Purge) -> None:
    """The tags of all rules that the mark names were removed, and the names have the greatest length."""
    name = "n" * 256
    tags = {"awstut:auto-purge": mark(True, RULE_TAGS), "awstut:stack-id": STACK, "awstut:logical-id": "Other"}
    ecr.repository(name, tags=tags).with_images(3)
    owner = {"stack_id": STACK.replace("/shop/", f"/{'s' * 128}/"), "logical_id": "L" * 255}
    refusals = 0
    while (event := delete(name, **owner)).status is OperationStatus.FAILED:
        refusals += 1
        assert ecr.holds(name) == 3
        assert refusals < 6
        assert len(event.message) <= LONGEST_MESSAGE
        run_command_in(ecr, event.message)
    assert ecr.holds(name) is None
    assert refusals > 1


LONGEST = {"TagPatterns": [f"{n}{'*a' * 31}b" for n in range(10)], "PulledWithinDays": 3650}


def test_the_longest_rules_are_stored_and_read_back(wire: Wire, ecr: StrictEcr) -> None:
    wanted = {"RepositoryName": "app", "PurgeProtection": LONGEST, "DeletionProtection": True}
    wire.succeed("CREATE", wanted | {"Tags": [{"Key": f"k{n}", "Value": "v"} for n in range(38)]})
    assert wire.succeed("READ", {"RepositoryName": "app"})["PurgeProtection"] == LONGEST
    tags = tags_of(ecr)
    assert all(len(value) <= 256 for value in tags.values())
    assert len(tags) == 48


def test_a_number_of_days_may_come_as_text_as_all_numbers_of_a_template_do(wire: Wire) -> None:
    model = wire.succeed("CREATE", {"RepositoryName": "app", "PurgeProtection": {"PulledWithinDays": "30"}})
    assert model["PurgeProtection"] == {"PulledWithinDays": 30}


def test_a_star_alone_protects_every_image_that_has_a_tag(wire: Wire, ecr: StrictEcr, delete: Purge) -> None:
    wire.stack_id = wire.logical_id = None
    model = wire.succeed("CREATE", {"RepositoryName": "app", "PurgeProtection": {"TagPatterns": ["*"]}})
    assert model["PurgeProtection"] == {"TagPatterns": ["*"]}
    builder = ecr.repository("app").with_images(2, untagged=True).with_images(3)
    assert "3 images are protected by tag pattern * (" in delete().message
    assert ecr.holds("app") == 5
    for image in ecr.images("app"):
        for tag in list(image.tags):
            ecr.call("BatchDeleteImage", {"repositoryName": "app", "imageIds": [{"imageTag": tag}]})
    builder.with_images(1, untagged=True)
    assert delete().status is OperationStatus.SUCCESS


def test_rules_can_be_changed_and_removed(wire: Wire, ecr: StrictEcr) -> None:
    longest = {"RepositoryName": "app", "PurgeProtection": LONGEST}
    short = {"RepositoryName": "app", "PurgeProtection": {"TagPatterns": ["v*"]}}
    wire.succeed("CREATE", longest)
    assert wire.succeed("UPDATE", short, previous=longest)["PurgeProtection"] == {"TagPatterns": ["v*"]}
    assert tags_of(ecr)["awstut:protect-tags"] == "v@"
    assert tags_of(ecr)["awstut:auto-purge"] == "on protect-tags"
    assert "PurgeProtection" not in wire.succeed("UPDATE", {"RepositoryName": "app"}, previous=short)
    assert not [key for key in tags_of(ecr) if key.startswith("awstut:protect")]


BAD = {
    "an empty list": ({"TagPatterns": []}, "must be a list of 1 to 10 patterns"),
    "an empty pattern": ({"TagPatterns": [""]}, "has ''"),
    "a pattern twice": ({"TagPatterns": ["v*", "v*"]}, "has a pattern twice"),
    "a character that no tag has": ({"TagPatterns": ["v/1"]}, "has 'v/1'"),
    "off": ({"TagPatterns": ["off"]}, "and not off"),
    "days in words": ({"PulledWithinDays": "thirty"}, "thirty"),
    "no days": ({"PulledWithinDays": 0}, "a whole number from 1 to 3,650"),
    "days before": ({"PulledWithinDays": -1}, "a whole number from 1 to 3,650"),
    "days beyond": ({"PulledWithinDays": 3651}, "a whole number from 1 to 3,650"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_rule_is_refused(wire: Wire, ecr: StrictEcr, case: str) -> None:
    protection, reason = BAD[case]
    code, message = wire.fail("CREATE", {"RepositoryName": "app", "PurgeProtection": protection})
    assert code == "InvalidRequest"
    assert reason in message
    assert ecr.names() == []


def test_a_malformed_type_configuration_is_refused_with_a_reason(wire: Wire, ecr: StrictEcr) -> None:
    from awstut_ecr_autopurgerepository import handlers

    wire.succeed("CREATE", {"RepositoryName": "app"})
    event = wire.event("DELETE", {"RepositoryName": "app"})
    event["requestData"]["typeConfiguration"] = {"Concurrency": "4"}
    answer = handlers.resource(event, None)
    assert answer["errorCode"] == "InvalidTypeConfiguration"
    assert "Reason: Concurrency must be a whole number, without quotes, but is '4'." in answer["message"]
    assert ecr.holds("app") == 0


def test_the_type_configuration_of_the_request_counts(wire: Wire, ecr: StrictEcr) -> None:
    from awstut_ecr_autopurgerepository import handlers

    wire.succeed("CREATE", {"RepositoryName": "app"})
    event = wire.event("DELETE", {"RepositoryName": "app"})
    event["requestData"]["typeConfiguration"] = {"DeletionProtection": True}
    answer = handlers.resource(event, None)
    assert answer["errorCode"] == "InvalidRequest"
    assert "type configuration of the account" in answer["message"]
    assert ecr.holds("app") == 0


TAG = strategies.sampled_from(["v1", "v2", "release-1", "dev-1", "latest", "eu-prod"])
PATTERN = strategies.sampled_from(["v*", "release-*", "*-prod", "latest", "nothing"])
IMAGE = strategies.fixed_dictionaries(
    {
        "tags": strategies.lists(TAG, max_size=2, unique=True),
        "pushed_days_ago": strategies.sampled_from([0.5, 3, 400]),
        "pulled_days_ago": strategies.sampled_from([None, 0.1, 5, 30, 399]),
        "status": strategies.sampled_from(STATUSES),
        "children": strategies.integers(0, 2),
        "referrers": strategies.sampled_from([0, 0, 1]),
    }
)
RULES = strategies.fixed_dictionaries(
    {
        "patterns": strategies.lists(PATTERN, max_size=2, unique=True),
        "days": strategies.sampled_from([None, 1, 10, 365]),
    }
)


MATCHES = {
    "v*": {"v1", "v2"}, "release-*": {"release-1"}, "*-prod": {"eu-prod"}, "latest": {"latest"}, "nothing": set(),
}  # fmt: skip


def is_protected(image: Image, now: float, rules: list[dict[str, Any]]) -> bool:
    """The rules once more, in the plainest words."""
    pushed = (now - image.pushed_at) / DAY
    pulled = None if image.last_recorded_pull_time is None else (now - image.last_recorded_pull_time) / DAY
    return any(
        any(MATCHES[pattern] & set(image.tags) for pattern in rule["patterns"])
        or (rule["days"] is not None and (pushed <= 1 or (pulled is not None and pulled <= rule["days"] + 1)))
        for rule in rules
    )


def push_with_relatives(
    builder: RepositoryBuilder, tags: list[str], children: int, referrers: int, **image: Any
) -> None:
    """Push an image, or an index whose children have no tags and were never pulled. Then push its referrers."""
    like = {"pushed_days_ago": image["pushed_days_ago"], "status": image["status"]}
    below = tuple(builder.push(**like) for _ in range(children))
    digest = builder.push(tuple(tags), children=below, **image)
    for _ in range(referrers):
        builder.push(subject=digest, **like)


def with_rules(rules: dict[str, Any]) -> dict[str, str]:
    patterns = {"awstut:protect-tags": " ".join(rules["patterns"]).replace("*", "@")} if rules["patterns"] else {}
    days = {"awstut:protect-pulled-days": str(rules["days"])} if rules["days"] else {}
    return MARKED | patterns | days


@settings(max_examples=150)
@given(
    images=strategies.lists(IMAGE, max_size=12),
    arrivals=strategies.lists(strategies.tuples(strategies.integers(1, 4), IMAGE), max_size=4),
    repository=RULES,
    account=RULES,
)
def test_no_protected_image_is_ever_deleted_and_without_one_the_repository_is_always_deleted(
    images: list[dict[str, Any]],
    arrivals: list[tuple[int, dict[str, Any]]],
    repository: dict[str, Any],
    account: dict[str, Any],
) -> None:
    clock = VirtualClock()
    ecr = StrictEcr(clock=clock, account="123456789012", region="eu-west-1")
    builder = ecr.repository("app", tags=with_rules(repository))
    rules = [repository, account]
    seen = False  # whether there ever was a protected image

    def push(image: dict[str, Any]) -> None:
        nonlocal seen
        if ecr.holds("app") is not None:
            push_with_relatives(builder, **image)
            seen = seen or any(is_protected(each, clock.time(), rules) for each in ecr.images("app"))

    def push_after_call(image: dict[str, Any], _parameters: object) -> None:
        push(image)

    def judge(parameters: dict[str, Any]) -> None:
        asked = {each["imageDigest"] for each in parameters["imageIds"]}
        assert not [
            image for image in ecr.images("app") if image.digest in asked and is_protected(image, clock.time(), rules)
        ]

    for image in images:
        push(image)
    from_the_beginning = seen
    for nth, image in arrivals:
        ecr.after("DescribeImages", functools.partial(push_after_call, image), nth=nth)
    ecr.before("BatchDeleteImage", judge, nth=None)
    configuration = AccountRules(patterns=tuple(account["patterns"]), pulled_within_days=account["days"])
    event = Purge(ecr, clock, configuration=configuration)()
    if from_the_beginning:
        assert not ecr.deletion_log
    if seen:
        left = [image for image in ecr.images("app") if is_protected(image, clock.time(), rules)]
        assert (event.status is OperationStatus.FAILED) == bool(left)
    else:
        assert event.status is OperationStatus.SUCCESS, event.message
    assert (ecr.holds("app") is None) == (event.status is OperationStatus.SUCCESS)
