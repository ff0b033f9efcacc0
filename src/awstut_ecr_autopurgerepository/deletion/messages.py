"""The messages of a delete to its user, composed from plain values. Pure.

A message says what was not done, why, and what to do. A refusal ends with the one command that allows the next delete.
"""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from ..errors import LONGEST_MESSAGE, shortened
from ..rules import push_block
from ..rules.images import ACCOUNT_WORDS
from ..rules.reasons import Reason, lift_all
from ..rules.reserved_tags import MARK, RELEASED, TAG_COMMAND, tag_command
from ..rules.settings import Owner

_LONGEST_COMMAND = 700  # characters; leaves room for a sentence
_SHORTEST_SENTENCE = 150  # characters that are left of a failure's own words, if need be
_MOST_DESTINATIONS_NAMED = 5
_LONGEST_USE = 450  # characters; leaves room for other reasons
_MOST_BUCKETS_NAMED = 3

NO_TIME_LEFT = "there was no time left"
NO_MARK = f"it does not have the tag {MARK}, so it does not belong to this resource type"
LOCKED = "its deletion protection is on"
REPORT_ASKED_BY_ACCOUNT = f"The {ACCOUNT_WORDS} asks for it."
LOCKED_BY_ACCOUNT = f"deletion protection is on in the {ACCOUNT_WORDS}"
ARCHIVED_NOTE = "ECR charges archived images for at least 90 days, also those that were deleted earlier."
UNREADABLE_CONTEXT = (
    "This call deleted nothing: its callback context was not written by this version of the resource type. "
    "Delete the resource again."
)

_USERS = {"LAMBDA": "Lambda functions", "ECS": "ECS tasks and services", "INSPECTOR": "containers in ECS and EKS"}
SERVICE_NAMES = {"LAMBDA": "Lambda", "ECS": "ECS", "INSPECTOR": "Amazon Inspector"}
_ASK_ADMINISTRATOR = (
    "An administrator of the account can change it by aws cloudformation set-type-configuration "
    "--configuration-alias default."
)
_OFFER = "To delete it anyway, run this command, then delete again:"
_OFFER_SOME = "This command lifts the reasons that tags can lift:"
_ADVICE = {
    "KmsError": "KmsError: the KMS key is disabled, about to be deleted, or denies ECR; enable it, or fix its policy.",
    "ImageInaccessible": "ImageInaccessible: ECR cannot reach the image at present, for example while it is being "
    "archived or restored; wait until that is done.",
    "Upstream": "The Upstream codes: the registry behind a pull-through cache refuses, throttles or does not answer; "
    "fix its credentials, or remove the pull-through cache rule.",
}


def name_of(arn: str) -> str:
    """The repository's name in its ARN."""
    return arn.split(":repository/", 1)[1]


def image_count(count: int) -> str:
    """So many images, in words."""
    return f"{count:,} image{'' if count == 1 else 's'}"


def owned_by(owner: Owner) -> str:
    """Which stack a repository belongs to."""
    if owner.stack_id is None:
        return "it belongs to no stack"
    stack = f"the stack {_stack_name(owner.stack_id)}"
    if owner.stack_id.startswith(RELEASED):
        return f"{stack} tried to create it although it existed, so it belongs to no stack until it is imported"
    return f"it belongs to the resource {owner.logical_id} of {stack}"


def _stack_name(stack_id: str) -> str:
    return stack_id.split("/")[1] if "/" in stack_id else stack_id


def unreadable(keys: Sequence[str]) -> str:
    """Which tags count as protection because nobody knows what they would say."""
    return f"a tag is missing or unreadable, which counts as protection: {', '.join(keys)}"


# Progress


def checked(name: str, images: int) -> str:
    """How far the check is, before the first image is deleted."""
    return f"Checked {images:,} images in {name} so far. Deletion starts after all images have been checked."


def asking_about_use(name: str, service: str) -> str:
    """What a call was doing when its time was over: it asks who uses images."""
    return f"Asking {SERVICE_NAMES[service]} which images of {name} are in use. Images are deleted only after that."


def purged(name: str, deleted: int, known: int, number: int, rate: float) -> str:
    """How far the purge is, in which pass, how many images a second it deletes, and how long it takes at that rate."""
    sentence = f"Purged {deleted:,} of about {known:,} images from {name}, pass {number}, {rate:,.0f} a second"
    return f"{sentence}, about {_time_in_words((known - deleted) / rate)} left." if rate > 0 else f"{sentence}."


def _time_in_words(seconds: float) -> str:
    """A length of time, in its largest unit."""
    for unit, length in (("hour", 3_600), ("minute", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}s"
    return f"{seconds:.0f} seconds"


def progress_tag(deleted: int, known: int, number: int, now: datetime, rate: float) -> str:
    """How far the purge is, for a tag, which may have letters, digits, spaces and + - = . _ : / @ only.

    ``rate`` is the purge's so far, in images a second. Without it, nobody knows how long the purge takes.
    """
    value = f"{deleted}/{known} pass {number} at {now:%Y-%m-%dT%H:%M:%SZ}"
    if not rate:
        return value
    minutes, seconds = divmod(math.ceil((known - deleted) / rate), 60)
    return f"{value} rate {rate:.1f}/s left {minutes // 60}:{minutes % 60:02}:{seconds:02}"


def removing_push_block(name: str, failure: str) -> str:
    """What the next call does before it answers a failure."""
    return shortened(f"Removing the push block from {name} before reporting the failure: {failure}")


# Reasons: clauses that can follow a colon, and what else allows the delete


def of_images(images: int, words: str, *, all_known: bool) -> str:
    """How many images a rule protects. ``all_known`` is False if there may be more."""
    number = ("" if all_known else "at least ") + image_count(images)
    return f"{number} {'is' if images == 1 else 'are'} protected by {words}"


def not_empty(images: int, *, all_known: bool) -> str:
    """Why a repository that has images is not deleted, where the mark does not allow a purge."""
    return f"it has {'' if all_known else 'at least '}{image_count(images)}, and EmptyOnDelete is false"


# Those that are long have a brief form for a message with many reasons.
def replicated(destinations: Sequence[str] | None) -> tuple[str, str, str]:
    """Why no image is deleted where ECR would delete it elsewhere, too; advice; why in brief.

    ``destinations`` is None if nobody knows where.
    """
    if destinations is None:
        why = (
            "ecr:DescribeRegistry was denied, so nobody knows whether ECR would delete the images in other Regions and "
            "accounts, too"
        )
        advice = "Allow ecr:DescribeRegistry to the role that runs this resource type."
        return why, advice, "ecr:DescribeRegistry was denied"
    there = _first_ones(destinations, _MOST_DESTINATIONS_NAMED)
    why = f"a replication rule of the registry would delete each image in {there}, too"
    return (
        why,
        "The registry's delete replication can be switched off instead.",
        f"ECR would delete them in {there}, too",
    )


def report_not_allowed(bucket: str, allowed: Sequence[str]) -> tuple[str, str, str]:
    """Why images are not deleted where the account does not allow the bucket of the report; advice; why in brief."""
    why = (
        f"its purge report would be written to the bucket {bucket}, and the {ACCOUNT_WORDS} allows only "
        f"{_first_ones(allowed, _MOST_BUCKETS_NAMED)}"
    )
    brief = f"its purge report would be written to the bucket {bucket}"
    return why, "PurgeReport can name one of the allowed buckets instead.", brief


def report_impossible(place: str, reason: str) -> str:
    """Why no image is deleted where the purge report can't be written."""
    return f"its purge report cannot be written to {place}: {reason.rstrip('.')}"


def report_impossible_brief(reason: str) -> str:
    """The same in brief."""
    return f"no purge report: {reason.rstrip('.')}"


def report_not_known(place: str, reason: str) -> str:
    """What only the delete finds out: a sentence."""
    return f"Nobody knows whether the purge report can be written to {place}: {reason.rstrip('.')}."


def push_block_not_known(reason: str) -> str:
    """What only the delete finds out: a sentence."""
    return f"Nobody knows whether pushes can be refused: {reason.rstrip('.')}."


def freeze_impossible(reason: str) -> tuple[str, str, str]:
    """Why a repository is not deleted where pushes must be refused meanwhile, and can't be; advice; why in brief."""
    why = f"FreezeOnDelete is on, but pushes cannot be refused because {reason}"
    return why, "Instead, you can shorten or correct the repository policy.", "pushes cannot be refused"


# Refusals


def retain(requester: Owner) -> str:
    """How a stack is deleted without its repository; empty if no stack asks."""
    if requester.stack_id is None:
        return ""
    stack = _stack_name(requester.stack_id)
    keep = f"aws cloudformation delete-stack --stack-name {stack} --retain-resources {requester.logical_id}"
    return f"To delete the stack without it: {keep}."


def not_ours(arn: str, reason: Reason, deleted: int, known: int) -> str:
    """Why a request does not touch what belongs to nobody, or to another stack. The message gives no other reason.

    First the way that keeps the repository; then the command that makes it the requester's. ``deleted`` of about
    ``known`` images were deleted before.
    """
    name = name_of(arn)
    if deleted:
        sentence = f"{_stopped(deleted, known)} in {name}: {reason.why}. No further image is deleted."
    else:
        sentence = f"The repository {name} and its images are not touched: {reason.why}."
    take = "To make it this stack's, run this command, then delete again:" if reason.rule == "Owner" else _OFFER
    return _with_command(" ".join(filter(None, (sentence, reason.advice, take))), arn, reason.lift)


def refused(
    arn: str, reasons: Sequence[Reason], samples: Sequence[str], protected: int, deleted: int, known: int, *, more: bool
) -> str:
    """One refusal for all reasons, the most important first, with the one command that lifts what tags can lift.

    It has as many reasons as there is room for, and counts the others. ``samples`` are some of the ``protected``
    images. ``deleted`` of about ``known`` images were deleted before. ``more`` is True if there may be reasons that
    were not found in time.
    """
    name = name_of(arn)
    opening = f"The repository {name} was not deleted, and no image was deleted"
    end = f" {_ASK_ADMINISTRATOR}" if any(each.by_account for each in reasons) else ""
    if deleted:
        opening, end = f"{_stopped(deleted, known)} in {name}", f" No further image is deleted.{end}"
    in_brief = [replace(each, why=each.brief or each.why) for each in reasons]
    shortest = len(f"{opening}{_listed(in_brief, 1, more=more)}{end}")
    # The words of a single reason may be cut: the command comes first, or it would take many refusals to get all tags.
    command = _offered(arn, reasons, LONGEST_MESSAGE - shortest if len(reasons) > 1 else LONGEST_MESSAGE)
    room, shown = LONGEST_MESSAGE - len(command), len(reasons)
    sentence = f"{opening}{_listed(reasons, shown, more=more)}{end}"
    advice = [*dict.fromkeys(each.advice for each in reasons)]
    if len(sentence) > room and shown > 1:
        advice = []
        while len(sentence := f"{opening}{_listed(in_brief, shown, more=more)}{end}") > room and shown > 1:
            shown -= 1
    for extra in filter(None, [_samples(samples, protected, room - len(sentence) - 1), *advice]):
        if len(sentence) + 1 + len(extra) <= room:
            sentence += f" {extra}"
    return shortened(sentence, room) + command


def _offered(arn: str, reasons: Sequence[Reason], room: int) -> str:
    """The command that lifts what tags can lift, and what it does; empty if no tag can lift anything."""
    lift = lift_all(reasons)
    if not lift:
        return ""
    offer = _OFFER if all(each.lift for each in reasons) else _OFFER_SOME
    return f" {offer} {tag_command(arn, _first_tags(arn, lift, room - len(offer) - 2))}"


def _listed(reasons: Sequence[Reason], shown: int, *, more: bool) -> str:
    """What follows the opening of a refusal: the only reason, or the first ones and how many others there are."""
    perhaps = "; and perhaps more" if more else ""
    if len(reasons) == 1:
        return f": {reasons[0].why}{perhaps}."
    clauses = [f"({number}) {each.why}" for number, each in enumerate(reasons[:shown], 1)]
    if shown < len(reasons):
        clauses.append(f"and {len(reasons) - shown} more, which the log of the resource type names")
    return f", for {len(reasons)} reasons: {'; '.join(clauses)}{perhaps}."


def in_full(arn: str, reasons: Sequence[Reason], *, more: bool) -> str:
    """All reasons against a delete, however long, for the log."""
    sentence = f"Every reason against deleting {name_of(arn)}{_listed(reasons, len(reasons), more=more)}"
    return " ".join([sentence, *dict.fromkeys(each.advice for each in reasons if each.advice)])


def alone(reason: Reason) -> str:
    """A reason as whole sentences."""
    sentence = f"{reason.why[:1].upper()}{reason.why[1:]}."
    return " ".join(filter(None, (sentence, reason.advice, _ASK_ADMINISTRATOR if reason.by_account else "")))


def in_use(samples: Sequence[str], *, by_account: bool, brief: bool = False) -> str:
    """How many images are in use, and as many of them as there is room for, with their users; ``brief``: one."""
    most = 1 if brief else len(samples)
    shown = next((n for n in range(most, 1, -1) if len("; ".join(samples[:n])) <= _LONGEST_USE), 1)
    more = len(samples) - shown
    named = "; ".join(samples[:shown]) + (f" and {more:,} more" if more else "")
    source = f" ({ACCOUNT_WORDS})" if by_account else ""
    return f"{image_count(len(samples))} {'is' if len(samples) == 1 else 'are'} in use{source}: {named}"


def use_unknown(service: str, failure: str, *, by_account: bool) -> str:
    """Why images count as in use: a service could not be asked."""
    source = f" ({ACCOUNT_WORDS})" if by_account else ""
    return f"nobody knows which images {_USERS[service]} use, so all count as in use{source}: {failure}"


def use_denied(action: str) -> str:
    """Why it is not known which images a service uses: the role may not ask it."""
    return f"{action} was denied to the role that runs this resource type"


def inspector_refuses(action: str, said: str) -> str:
    """Why it is not known what Amazon Inspector counts: it refuses to answer, and names no permission."""
    return f"Amazon Inspector is off in this account and Region, or {action} was denied: {said}"


def use_not_asked(service: str, said: str) -> str:
    """Why it is not known which images a service uses: it fails, with these words."""
    return f"{SERVICE_NAMES[service]} could not be asked: {said}"


def use_not_answered(service: str) -> str:
    """Why it is not known which images a service uses: it is too slow."""
    return f"{SERVICE_NAMES[service]} does not answer in time"


def use_list_too_long(service: str) -> str:
    """Why it is not known which images a service uses, where its pages have too long tokens."""
    return f"the list of {SERVICE_NAMES[service]} cannot be continued in another call, because its token is too long"


def _with_command(sentence: str, arn: str, tags: Mapping[str, str]) -> str:
    """A message that fits, whole words only, with the whole command that puts the tags on the repository."""
    command = tag_command(arn, _first_tags(arn, tags))
    return f"{shortened(sentence, LONGEST_MESSAGE - len(command) - 1)} {command}"


def _first_tags(arn: str, tags: Mapping[str, str], room: int = _LONGEST_COMMAND) -> dict[str, str]:
    """As many tags as the command has room for, if names are so long; the next refusal has the others."""
    shown = dict(tags)
    while len(tag_command(arn, shown)) > min(room, _LONGEST_COMMAND) and len(shown) > 1:
        shown.popitem()
    return shown


def _first_ones(words: Sequence[str], most: int) -> str:
    """The first ones, and how many more there are."""
    more = len(words) - most
    return ", ".join(words[:most]) + (f" and {more} more" if more > 0 else "")


def _samples(samples: Sequence[str], protected: int, room: int) -> str:
    """As many protected images as there is room for."""
    for shown in range(len(samples), 0, -1):
        rest = f" and {protected - shown:,} more" if protected > shown else ""
        sentence = f"Protected images: {', '.join(samples[:shown])}{rest}."
        if len(sentence) <= room:
            return sentence
    return ""


# Failures


def stopped(deleted: int, known: int, message: str) -> str:
    """A failure, which names the repository, with what was deleted before it."""
    return f"{_stopped(deleted, known)}. {message}" if deleted else message


def _stopped(deleted: int, known: int) -> str:
    return f"Stopped after deleting {deleted:,} of about {known:,} images"


def doubtful(name: str) -> str:
    """Why a delete ends although nobody knows whether the repository is still there."""
    return (
        f"ECR gives different answers about the repository {name}: it may be gone, or replaced by another one. Nothing "
        "more was deleted. Delete it again."
    )


def no_answer(name: str, service: str, minutes: int, reason: str | None) -> str:
    """Why a delete gives up that was not answered for so many minutes. ``reason`` is the last error; None: none."""
    why = reason or f"{service} answers too slowly for a call to get further."
    return (
        f"For {minutes} minutes, {service} has answered no request that checks or deletes images of {name}, not even "
        f"with a throttling error. {why} Delete it again once {service} answers."
    )


def stuck(name: str, images: int, missing: int, failures: Mapping[str, int], samples: Sequence[str]) -> str:
    """Why images are left after two minutes in which nothing could be deleted.

    ``failures`` counts by ECR's codes; ``missing`` of the listed images were not found when they were to be deleted.
    """
    if not failures and missing:
        return (
            f"ECR still lists {image_count(images)} in the repository {name}, and says that they do not exist. Delete "
            "it again."
        )
    if not failures:
        return f"ECR lists no image in the repository {name}, and yet says that it is not empty. Delete it again."
    counts = ", ".join(f"{code} ({count:,})" for code, count in sorted(failures.items()))
    advice = [words for code, words in _ADVICE.items() if any(each.startswith(code) for each in failures)]
    sentence = (
        f"ECR refuses to delete {image_count(images)} in the repository {name}: {counts}; "
        f"among them {', '.join(samples)}. Remove the cause, and delete again."
    )
    return " ".join([sentence, *advice])


def filling_up(name: str, passes: int, since: datetime, *, frozen: bool = False) -> str:
    """Why a purge gives up: ``since`` that time, so many passes in a row have found no fewer images.

    ``frozen`` is True if pushes were refused meanwhile.
    """
    sentence = (
        f"The repository {name} is not becoming empty because images keep arriving: since {since:%Y-%m-%d %H:%M:%S} "
        f"UTC, {passes} passes in a row have found no fewer images. "
    )
    if frozen:
        return (
            f"{sentence}Pushes were refused meanwhile, so a replication or a pull-through cache brings them. Stop it, "
            "and delete again."
        )
    statement = json.dumps(push_block.deny_pushes("StopPushes"))
    return (
        f"{sentence}Stop what pushes or replicates to it, and delete again. To refuse all pushes, add this statement "
        f"to its repository policy: {statement} FreezeOnDelete: true does so while a delete runs."
    )


def still_blocked(message: str, region: str, name: str, reason: str, *, alone: bool) -> str:
    """The message of a failure after which pushes are still refused, with the command that allows them.

    It is at most LONGEST_MESSAGE long. A command at the end of ``message`` stays whole; if there is no room for both
    commands, the one that allows pushes is left out. ``alone`` is True if the policy has nothing but the push block.
    """
    sentence, separator, rest = message.partition(TAG_COMMAND)
    own = separator + rest
    whole = (
        f"Pushes to this repository are still refused because the statement {push_block.SID} could not be removed from "
        f"its repository policy: {reason}. The next update or delete tries again. To remove it yourself: "
        f"`{_removal_command(region, name, alone=alone)}`"
    )
    short = f"Pushes to this repository are still refused: remove the statement {push_block.SID} from its policy."
    room = LONGEST_MESSAGE - len(own) - 2
    notice = whole if room - len(whole) >= min(_SHORTEST_SENTENCE, len(sentence)) else short
    sentence = textwrap.shorten(sentence, room - len(notice), placeholder=" ...")
    return f"{notice} {sentence} {own}" if own else f"{sentence} {notice}"


def _removal_command(region: str, name: str, *, alone: bool) -> str:
    """The command that removes the push block from the policy, ready for a shell with jq."""
    place = f"--region {region} --repository-name {name}"
    if alone:
        return f"aws ecr delete-repository-policy {place}"
    return (
        f'aws ecr set-repository-policy {place} --policy-text "$(aws ecr get-repository-policy {place} '
        f"""--query policyText --output text | jq -c '.Statement|=map(select(.Sid!="{push_block.SID}"))')\""""
    )


# Why something could not be done, as a part of a sentence

S3_SILENT = "S3 did not answer"


def request_failed(operation: str, code: str) -> str:
    """ECR refused a request, or failed. ``code`` is ECR's."""
    return f"ecr:{operation} failed with {code}"


def no_request_possible(code: str) -> str:
    """No request reached ECR. ``code`` is CloudFormation's."""
    return f"ECR could not be called ({code})"


def not_scanned(name: str) -> str:
    """Amazon Inspector cannot tell of use, because it knows nothing of the repository."""
    return f"Amazon Inspector does not scan the repository {name}, or is off in this account and Region"


def no_bucket(bucket: str) -> str:
    """The bucket of the report does not exist."""
    return f"there is no bucket {bucket}"


def bucket_denied(action: str, owner: str, said: str) -> str:
    """The role may not do something in the report's bucket. ``owner`` is the account that has to own the bucket."""
    return (
        f"{action} was denied. Allow it to the role that runs this resource type, look for a Deny in the policies of "
        f"the bucket and of its key, and make sure that the bucket belongs to account {owner}. S3 said: "
        f"{said.rstrip('.')}"
    )


def unreadable_object(key: str) -> str:
    """Somebody else has written an object of the report, or changed it."""
    return f"{key} is not as this delete has written it, and cannot be read"


def too_many_reports(most: int) -> str:
    """Why the report of an earlier delete is not completed: there are more than can be read at the end of a delete."""
    return f"more than {most} deletes of this repository have reports"


def too_many_objects(most: int) -> str:
    """Why the report of an earlier delete is not completed: together they are too large."""
    return f"the reports have more than {most:,} objects"


# The end of a report


def summary_not_written(name: str, reason: str) -> str:
    """The line in the log about a report without a summary."""
    return f"The summary of the purge report of {name} could not be written: {reason}."


def report_written(place: str, lacking: str) -> str:
    """Where the report is, and what it lacks."""
    return f"The purge report is {place}. {lacking}".strip()


def summary_missing(reason: str, missing: int | None) -> str:
    """A delete that succeeded, with a report that has no summary.

    ``missing`` is how many deleted images have no line in the results at most; None if nobody knows.
    """
    sentence = f"The repository is gone. The summary of the purge report could not be written: {reason.rstrip('.')}."
    if missing is None:
        return f"{sentence} Images that are in an intent and not in the results were deleted, too."
    if missing:
        return (
            f"{sentence} The results lack up to {image_count(missing)} that this delete removed: they are in an intent "
            "and not in the results."
        )
    return sentence


def completed_by(operation: str) -> str:
    """The message of a summary that a later delete has written."""
    return f"This delete was interrupted. The delete {operation} of the same repository completed its report."


def earlier_reports(completed: Sequence[str], impossible: Mapping[str, str]) -> str:
    """What was done for the reports of earlier deletes of the repository; empty if there was nothing to do.

    ``impossible`` has the reason by operation; the operation is empty if nobody could look for the reports.
    """
    sentences = []
    if completed:
        sentences.append(f"It also completed the report of earlier deletes of this repository: {', '.join(completed)}.")
    for operation, reason in list(impossible.items())[:1]:
        which = f"The report of the earlier delete {operation}" if operation else "Reports of earlier deletes"
        sentences.append(f"{which} may lack images: {reason.rstrip('.')}.")
    return " ".join(sentences)


def not_in_report(images: int) -> str:
    """A sentence about deleted images that the report lacks because PurgeReport changed; empty if there are none."""
    if images <= 0:
        return ""
    return (
        f"{image_count(images)} that this delete removed are not in this report: PurgeReport named another bucket "
        "or prefix, or none, when they were deleted."
    )
