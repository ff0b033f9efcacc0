"""Calls under a role's credentials, over HTTP; and secrets that are found where they leak."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.environment import REGION, SECRET_PREFIX
from sandbox.server import Sandbox, start_sandbox
from tests.support.leaks import leaks
from tests.support.roles import HARDENED, REPORTS, make_role
from tests.support.stack import Stack, one_resource
from tests.support.stub import TYPE_NAME, make_package, register

BUCKET, PREFIX = REPORTS["ReportBucketName"], REPORTS["ReportPrefix"]


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with start_sandbox() as box:
        for bucket in (BUCKET, "other"):
            box.client("s3").create_bucket(Bucket=bucket)
        yield box


@pytest.fixture(scope="module")
def credentials(box: Sandbox) -> dict[str, str]:
    """Of a session of the hardened role."""
    asked = {"RoleArn": make_role(box, HARDENED, **REPORTS), "RoleSessionName": "test"}
    found: dict[str, str] = box.client("sts").assume_role(**asked)["Credentials"]
    return found


def client(box: Sandbox, service: str, credentials: dict[str, str]) -> Any:
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=box.url,
        region_name=REGION,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
        config=Config(proxies={}, retries={"total_max_attempts": 1}),
    )


@pytest.fixture(scope="module")
def ecr(box: Sandbox, credentials: dict[str, str]) -> Iterator[Any]:
    client_of_role = client(box, "ecr", credentials)
    yield client_of_role
    client_of_role.close()


@pytest.fixture(scope="module")
def s3(box: Sandbox, credentials: dict[str, str]) -> Iterator[Any]:
    client_of_role = client(box, "s3", credentials)
    yield client_of_role
    client_of_role.close()


def denied(call: Any, **parameters: Any) -> str:
    """The message of a call that must be denied."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    assert caught.value.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")
    return str(caught.value)


def test_a_role_s_session_may_not_do_what_its_policies_do_not_allow(box: Sandbox, ecr: Any) -> None:
    message = denied(ecr.create_repository, repositoryName="app")
    assert "is not authorized to perform: ecr:CreateRepository on resource: arn:aws:ecr:us-east-1:" in message
    assert "assumed-role/" in message
    assert "app" not in box.control.repositories()


def test_a_role_s_session_may_do_what_its_policies_allow(box: Sandbox, ecr: Any) -> None:
    tags = [{"Key": key, "Value": "on"} for key in ("awstut:auto-purge", "awstut:request")]
    ecr.create_repository(repositoryName="marked", tags=tags)
    ecr.delete_repository(repositoryName="marked")
    assert "marked" not in box.control.repositories()


def test_a_user_may_do_everything(box: Sandbox, ecr: Any) -> None:
    box.client("ecr").create_repository(repositoryName="users")
    denied(ecr.delete_repository, repositoryName="users")
    box.client("ecr").delete_repository(repositoryName="users")


def test_a_role_s_session_writes_to_the_bucket_and_prefix_of_its_policies_only(box: Sandbox, s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key=f"{PREFIX}app/1.gz", Body=b"1", IfNoneMatch="*")
    assert box.client("s3").get_object(Bucket=BUCKET, Key=f"{PREFIX}app/1.gz")["Body"].read() == b"1"
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{PREFIX}app/")["KeyCount"] == 1
    assert s3.get_object(Bucket=BUCKET, Key=f"{PREFIX}app/1.gz")["Body"].read() == b"1"
    assert "s3:PutObject" in denied(s3.put_object, Bucket=BUCKET, Key="app/1.gz", Body=b"1")
    assert "s3:PutObject" in denied(s3.put_object, Bucket="other", Key=f"{PREFIX}app/1.gz", Body=b"1")
    assert "s3:DeleteObject" in denied(s3.delete_object, Bucket=BUCKET, Key=f"{PREFIX}app/1.gz")
    assert "s3:ListBucket" in denied(s3.list_objects_v2, Bucket=BUCKET)
    assert box.client("s3").list_objects_v2(Bucket="other")["KeyCount"] == 0


def test_a_role_s_session_may_describe_keys_by_any_name_and_do_no_more(
    box: Sandbox, credentials: dict[str, str]
) -> None:
    admin = box.client("kms")
    key = admin.create_key()["KeyMetadata"]
    admin.create_alias(AliasName="alias/images", TargetKeyId=key["KeyId"])
    kms = client(box, "kms", credentials)
    alias_arn = key["Arn"].replace(f"key/{key['KeyId']}", "alias/images")
    for spelling in (key["KeyId"], key["Arn"], "alias/images", alias_arn):
        assert kms.describe_key(KeyId=spelling)["KeyMetadata"]["Arn"] == key["Arn"]
    managed = kms.describe_key(KeyId="alias/aws/ecr")["KeyMetadata"]["Arn"]
    encryption = {"encryptionType": "KMS"}
    made = box.client("ecr").create_repository(repositoryName="encrypted", encryptionConfiguration=encryption)
    assert made["repository"]["encryptionConfiguration"] == {**encryption, "kmsKey": managed}
    with pytest.raises(ClientError, match="NotFoundException"):
        kms.describe_key(KeyId="alias/missing")
    kms.close()


def test_a_role_s_session_that_may_not_describe_a_key_is_denied(box: Sandbox) -> None:
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}]}
    made = box.client("iam").create_role(RoleName="keyless", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    session = box.client("sts").assume_role(RoleArn=made["Arn"], RoleSessionName="test")["Credentials"]
    kms = client(box, "kms", session)
    assert "kms:DescribeKey" in denied(kms.describe_key, KeyId="alias/aws/ecr")
    kms.close()


def test_a_policy_that_is_not_evaluated_here_is_no_permission(box: Sandbox) -> None:
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}]}
    made = box.client("iam").create_role(RoleName="strange", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    everything_else = {"Statement": [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}]}
    document = json.dumps({"Version": "2012-10-17", **everything_else})
    box.client("iam").put_role_policy(RoleName="strange", PolicyName="P", PolicyDocument=document)
    session = box.client("sts").assume_role(RoleArn=made["Arn"], RoleSessionName="test")["Credentials"]
    strange = client(box, "ecr", session)
    with pytest.raises(ClientError):
        strange.describe_repositories()
    strange.close()


TELLS_ALL = """
import json

def resource(event, _context):
    print(json.dumps(event))
    key = event["requestData"]["callerCredentials"]["sessionToken"]
    return {"status": "FAILED", "errorCode": "InternalFailure", "message": f"Called with {key}"}

test_entrypoint = resource
"""


def test_secrets_begin_as_they_are_looked_for(credentials: dict[str, str]) -> None:
    assert credentials["SecretAccessKey"].startswith(SECRET_PREFIX)
    assert credentials["SessionToken"].startswith(SECRET_PREFIX)


def test_secrets_that_handlers_let_out_are_found() -> None:
    with start_sandbox() as box:
        register(box, make_package(code=TELLS_ALL))
        assert leaks(box) == []
        stack = Stack(box, logical_id="Thing")
        stack.create(one_resource(TYPE_NAME, {"Name": "thing", "Size": 1}, logical_id="Thing"))
        place = {"logGroupName": "group", "logStreamName": "stream"}
        box.client("logs").create_log_group(logGroupName="group")
        box.client("logs").create_log_stream(**place)
        event = {"timestamp": 1_790_000_000_000, "message": f"token {SECRET_PREFIX}abc"}
        box.client("logs").put_log_events(**place, logEvents=[event])
        found = leaks(box)
    assert "the output of the handlers' processes" in found
    assert "log group group, stream stream" in found
    assert f"an event of the stack {stack.name}" in found
    assert any(place.startswith("call ") for place in found)
