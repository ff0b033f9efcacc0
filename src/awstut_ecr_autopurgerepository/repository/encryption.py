"""Whether a template's EncryptionConfiguration is what a repository has already, however its key is spelled.

A key has four spellings: https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id
KMS is asked only where the spellings alone do not tell: CloudFormation replaces a repository whose update is
NotUpdatable, so a guess could cost the images of the old one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from cloudformation_cli_python_lib import HandlerErrorCode

from ..errors import AWS_ERRORS, HandlerError, failure, service_code, service_message
from ..models import ResourceModel
from ..pacing import OutOfTimeError, Pacer, until_answered
from . import translate
from .translate import Repository

DEFAULT_KEY = "alias/aws/ecr"  # the key that AWS manages for ECR, used where a template names none

_KEY_ARN = re.compile(r"arn:[a-z0-9-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[a-z0-9-]+")
_KEY_ID = re.compile(r"mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Kms(Protocol):
    """The one call of a KMS client that is used here."""

    def describe_key(self, **request: str) -> Mapping[str, Any]:
        """The metadata of a key."""


def is_changed(
    wanted: ResourceModel, previous: ResourceModel, live: Repository, pacer: Pacer, make_kms: Callable[[], Kms]
) -> bool:
    """Whether an update asks for another encryption than the repository has.

    What a template repeats unchanged is no change, and nothing is asked about it. Raises HandlerError, never with
    NotUpdatable, where KMS cannot tell which key is meant, and OutOfTimeError where KMS does not answer in time.
    """
    if wanted.EncryptionConfiguration is None and previous.EncryptionConfiguration is None:
        return False
    asked, has = translate.encryption_request(wanted), translate.encryption_request(translate.model_of(live))
    if previous.EncryptionConfiguration and asked == translate.encryption_request(previous):
        return False
    if asked == has:
        return False
    if asked["encryptionType"] != has["encryptionType"] or "kmsKey" not in has:
        return True
    key = asked.get("kmsKey", DEFAULT_KEY)
    return _key_arn(key, live, pacer, make_kms) != _key_arn(has["kmsKey"], live, pacer, make_kms)


def _key_arn(key: str, live: Repository, pacer: Pacer, make_kms: Callable[[], Kms]) -> str:
    """The ARN of a key, however it is spelled. KMS is asked for an alias only. Raises HandlerError.

    An id is that of a key in the account and Region of the repository.
    """
    if _KEY_ARN.fullmatch(key):
        return key
    if _KEY_ID.fullmatch(key):
        _, partition, _, region, account, _ = live.arn.split(":", 5)
        return f"arn:{partition}:kms:{region}:{account}:key/{key}"
    own = Pacer(pacer.clock, pacer.ends)  # throttling by KMS says nothing about ECR
    try:
        kms = make_kms()
        return str(until_answered(own, lambda: kms.describe_key(KeyId=key))["KeyMetadata"]["Arn"])
    except OutOfTimeError:
        if own.last_error is None:
            raise
        raise _unresolved(key, live, own.last_error) from own.last_error
    except AWS_ERRORS as error:
        raise _unresolved(key, live, error) from error


def _unresolved(key: str, live: Repository, error: Exception) -> HandlerError:
    name, reason = live.description["repositoryName"], failure(error, "KMS")
    if service_code(error) == "NotFoundException":
        return HandlerError(
            reason.code,
            f"EncryptionConfiguration of the repository {name} names the KMS key {key}, which does not exist in this "
            f"account and Region. Nothing was changed. Correct KmsKey. {reason.message}",
        )
    if reason.code is HandlerErrorCode.AccessDenied:
        has = live.description["encryptionConfiguration"].get("kmsKey")
        return HandlerError(
            reason.code,
            f"kms:DescribeKey was denied for {key}, so it is not known whether that is the KMS key of the repository "
            f"{name}, {has}. Nothing was changed. Give the ARN of the key as KmsKey, or allow kms:DescribeKey, without "
            "the condition kms:ViaService, to the role that runs this resource type. KMS said: "
            f"{service_message(error)}",
        )
    return reason
