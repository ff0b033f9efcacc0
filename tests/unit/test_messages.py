"""The messages of a delete: they fit, and the command in them is whole."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import botocore.session
import pytest

from awstut_ecr_autopurgerepository.deletion.look import Repository
from awstut_ecr_autopurgerepository.deletion.verdict import Verdict
from awstut_ecr_autopurgerepository.errors import LONGEST_MESSAGE
from awstut_ecr_autopurgerepository.rules.account import AccountRules
from awstut_ecr_autopurgerepository.rules.reserved_tags import RULE_TAGS, mark, owner_tags, read_tags, write_tags
from awstut_ecr_autopurgerepository.rules.settings import Owner, Settings, Stored
from tests.support.images import NONE, NOW, image
from tests.support.samples import ARN

NOBODY = Owner()


def verdict(
    stored: Stored, account: AccountRules = NONE, deleted: int = 0, arn: str = ARN, requester: Owner = NOBODY
) -> Verdict:
    return Verdict.on(Repository(arn, stored), requester, account, NOW, deleted, 2_000)


def refusal(stored: Stored, images: list[Any], account: AccountRules = NONE, deleted: int = 0) -> str:
    found = verdict(stored, account, deleted)
    found.add(images)
    found.end_of_images()
    found.answer_replicas(())
    return found.refusal(found.reasons())


def test_a_refusal_names_rule_source_number_first_images_and_command() -> None:
    stored = read_tags(write_tags(Settings(patterns=("v*",))))
    message = refusal(stored, [image(f"v{n}", pulled=n or None) for n in range(12)])
    assert message == (
        "The repository app was not deleted, and no image was deleted: 12 images are protected by tag pattern v* "
        "(PurgeProtection in its template). Protected images: "
        + ", ".join(f"v{n} (sha256:0123456789ab, last pull {NOW - timedelta(n):%Y-%m-%d})" for n in range(1, 11))
        + " and 2 more. To delete it anyway, run this command, then delete again: aws ecr "
        f"tag-resource --region eu-west-1 --resource-arn {ARN} --tags Key=awstut:protect-tags,Value=off"
    )


def test_a_refusal_by_the_account_names_who_can_change_it_and_no_tag() -> None:
    stored = read_tags(write_tags(Settings()))
    message = refusal(stored, [image("v1")], AccountRules(patterns=("v*",)))
    assert "aws cloudformation set-type-configuration" in message
    assert "tag-resource" not in message


def test_a_refusal_in_the_middle_says_what_was_deleted() -> None:
    stored = read_tags(write_tags(Settings(patterns=("v*",))))
    message = refusal(stored, [image("v1")], deleted=1_200)
    assert message.startswith("Stopped after deleting 1,200 of about 2,000 images in app: 1 image is protected by")
    assert "No further image is deleted." in message


LONGEST_NAME = "n" * 256
LONGEST_ARN = f"arn:aws-us-gov:ecr:ap-southeast-4:123456789012:repository/{LONGEST_NAME}"
LONGEST_STACK = (
    f"arn:aws-us-gov:cloudformation:ap-southeast-4:123456789012:stack/{'s' * 128}/6f2c1a50-c8a1-11f0-9e1b-0a58a9feac02"
)


def longest_messages() -> list[str]:
    patterns = tuple(f"{n}{'*p' * 31}" for n in range(10))
    settings = Settings(patterns=patterns, pulled_within_days=3650, deletion_protection=True)
    stored = read_tags(write_tags(settings) | owner_tags(Owner(LONGEST_STACK, "L" * 255)))
    off = read_tags(write_tags(Settings(empty_on_delete=False, patterns=patterns)))
    stripped = read_tags({"awstut:auto-purge": mark(True, RULE_TAGS)})
    mine = Owner(LONGEST_STACK.replace("/s", "/m"), "M" * 255)
    locked = AccountRules(deletion_protection=True)
    protected = verdict(stored, deleted=99_000, arn=LONGEST_ARN)
    protected.add([image("t" * 128, f"{number % 10}{'p' * 31}", pulled=1) for number in range(20)])
    full = verdict(off, deleted=99_000, arn=LONGEST_ARN)
    full.add([image()] * 100)
    everything = verdict(stored, locked, 99_000, LONGEST_ARN)
    everything.add([image("t" * 128, f"{number % 10}{'p' * 31}", pulled=1) for number in range(20)])
    everything.answer_replicas(None)
    everything.answer_report("S3 said: " + "no " * 500)
    found = [
        protected,
        full,
        everything,
        verdict(stored, locked, 99_000, LONGEST_ARN, mine),
        verdict(stripped, locked, 0, LONGEST_ARN),
        verdict(read_tags({}), locked, 0, LONGEST_ARN, mine),
    ]
    return [each.refusal(each.reasons()) for each in found]


@pytest.mark.parametrize("number", range(6))
def test_the_longest_message_fits_whole_words_and_a_whole_command(number: int) -> None:
    message = longest_messages()[number]
    assert len(message) <= LONGEST_MESSAGE
    sentence, _, command = message.partition(" aws ecr tag-resource")
    assert f"--resource-arn {LONGEST_ARN} --tags " in command
    assert sentence.endswith((" ...", ":"))


@pytest.mark.parametrize("service", ["cloudformation", "cloudcontrol"])
def test_a_message_fits_into_what_the_services_take(service: str) -> None:
    shape = botocore.session.get_session().get_service_model(service).shape_for("StatusMessage")
    assert shape.metadata["max"] >= LONGEST_MESSAGE
