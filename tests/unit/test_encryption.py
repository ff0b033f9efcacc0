"""EncryptionConfiguration in updates: what the repository has already is no change, however its key is spelled."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.ecr import StrictEcr
from tests.support.samples import NAME
from tests.support.strict import ACCOUNT, REGION, Wire
from tests.support.strict_kms import StrictKms

KEYS = f"arn:aws:kms:{REGION}:{ACCOUNT}:"
KEY_ID, OTHER_ID = "11111111-2222-4333-8444-555555555555", "99999999-2222-4333-8444-555555555555"
KEY, OTHER = f"{KEYS}key/{KEY_ID}", f"{KEYS}key/{OTHER_ID}"
DEFAULT_ID = "00000000-0000-4000-8000-000000000000"
DEFAULTS = {
    "left out": None,
    "by its id": DEFAULT_ID,
    "by its ARN": f"{KEYS}key/{DEFAULT_ID}",
    "by its alias": "alias/aws/ecr",
    "by its alias's ARN": f"{KEYS}alias/aws/ecr",
}
SPELLINGS = {"id": KEY_ID, "ARN": KEY, "alias": "alias/images", "ARN of an alias": f"{KEYS}alias/images"}
ASKED = {"left out", "by its alias", "by its alias's ARN", "alias", "ARN of an alias"}


@pytest.fixture
def ecr(ecr: StrictEcr) -> StrictEcr:
    ecr.kms_keys |= {"alias/images": KEY, "alias/others": OTHER}
    return ecr


def encrypted(key: str | None = None, kind: str = "KMS") -> dict[str, Any]:
    configuration = {"EncryptionType": kind, **({"KmsKey": key} if key else {})}
    return {"RepositoryName": "app", "EncryptionConfiguration": configuration}


def made_by_somebody(ecr: StrictEcr, kind: str = "KMS", key: str | None = KEY) -> None:
    configuration = {"encryptionType": kind, **({"kmsKey": key} if key else {})}
    ecr.call("CreateRepository", {"repositoryName": "app", "encryptionConfiguration": configuration})


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("before", SPELLINGS)
def test_the_same_key_in_another_spelling_is_no_change(wire: Wire, kms: StrictKms, before: str, spelling: str) -> None:
    created = wire.succeed("CREATE", encrypted(SPELLINGS[before]))
    updated = wire.succeed("UPDATE", encrypted(SPELLINGS[spelling]), previous=encrypted(SPELLINGS[before]))
    assert updated == created
    assert kms.calls["DescribeKey"] == (1 if spelling in ASKED and spelling != before else 0)


@pytest.mark.parametrize("spelling", DEFAULTS)
@pytest.mark.parametrize("before", DEFAULTS)
def test_the_key_that_aws_manages_may_be_left_out_or_spelled_out(
    wire: Wire, kms: StrictKms, before: str, spelling: str
) -> None:
    created = wire.succeed("CREATE", encrypted(DEFAULTS[before]))
    updated = wire.succeed("UPDATE", encrypted(DEFAULTS[spelling]), previous=encrypted(DEFAULTS[before]))
    assert updated == created
    assert kms.calls["DescribeKey"] == (1 if spelling in ASKED and spelling != before else 0)


def test_aes256_may_be_spelled_out_and_left_out_again(wire: Wire, kms: StrictKms) -> None:
    created = wire.succeed("CREATE", NAME)
    assert wire.succeed("UPDATE", encrypted(kind="AES256"), previous=NAME) == created
    assert wire.succeed("UPDATE", NAME, previous=encrypted(kind="AES256")) == created
    assert kms.calls["DescribeKey"] == 0


@pytest.mark.parametrize("previous", [NAME, encrypted("alias/images"), None], ids=["without", "the same", "nothing"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_an_import_may_name_the_key_in_any_spelling(
    wire: Wire, ecr: StrictEcr, spelling: str, previous: dict[str, Any] | None
) -> None:
    made_by_somebody(ecr)
    updated = wire.succeed("UPDATE", encrypted(SPELLINGS[spelling]), previous=previous)
    assert updated["EncryptionConfiguration"] == {"EncryptionType": "KMS", "KmsKey": KEY}


def test_an_import_without_encryption_in_the_template_keeps_it(wire: Wire, ecr: StrictEcr, kms: StrictKms) -> None:
    made_by_somebody(ecr)
    for previous in (NAME, encrypted(KEY), None):
        wire.succeed("UPDATE", NAME, previous=previous)
    assert kms.calls["DescribeKey"] == 0


CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any], int]] = {
    "another key by its ARN": (encrypted(KEY), encrypted(OTHER), 0),
    "another key by its id": (encrypted("alias/images"), encrypted(OTHER_ID), 0),
    "another key by its alias": (encrypted(KEY), encrypted("alias/others"), 1),
    "another key by its alias's ARN": (encrypted("alias/images"), encrypted(f"{KEYS}alias/others"), 1),
    "a key for the default one": (encrypted(), encrypted("alias/images"), 1),
    "the default key for another": (encrypted("alias/images"), encrypted(), 1),
    "a key of another Region": (encrypted(KEY), encrypted(KEY.replace(REGION, "us-west-2")), 0),
    "another type": (encrypted("alias/images"), encrypted("alias/images", "KMS_DSSE"), 0),
    "KMS for AES256": (NAME, encrypted("alias/missing"), 0),
    "AES256 for KMS": (encrypted("alias/images"), encrypted(kind="AES256"), 0),
    "no encryption for KMS": (encrypted("alias/images"), NAME, 0),
    "a key for AES256": (encrypted(kind="AES256"), encrypted("alias/images", "AES256"), 0),
}


@pytest.mark.parametrize("case", CHANGES)
def test_another_encryption_is_not_updatable(wire: Wire, kms: StrictKms, case: str) -> None:
    before, after, calls = CHANGES[case]
    created = wire.succeed("CREATE", before)
    code, message = wire.fail("UPDATE", after | {"ImageTagMutability": "IMMUTABLE"}, previous=before)
    assert code == "NotUpdatable"
    assert message.startswith("EncryptionConfiguration of the repository app cannot be changed.")
    assert kms.calls["DescribeKey"] == calls
    assert wire.succeed("READ", NAME) == created


def test_an_alias_that_points_to_another_key_by_now_is_another_key(wire: Wire, ecr: StrictEcr) -> None:
    wire.succeed("CREATE", encrypted("alias/images"))
    ecr.kms_keys["alias/images"] = OTHER
    wanted = encrypted(f"{KEYS}alias/images")
    assert wire.fail("UPDATE", wanted, previous=encrypted("alias/images"))[0] == "NotUpdatable"


def test_an_alias_that_the_template_repeats_is_not_looked_up(wire: Wire, ecr: StrictEcr, kms: StrictKms) -> None:
    wire.succeed("CREATE", encrypted("alias/images"))
    ecr.kms_keys["alias/images"] = OTHER
    wire.succeed("UPDATE", encrypted("alias/images"), previous=encrypted("alias/images"))
    assert kms.calls["DescribeKey"] == 0


def test_another_name_is_not_updatable_and_no_key_is_looked_up(wire: Wire, ecr: StrictEcr, kms: StrictKms) -> None:
    wire.succeed("CREATE", encrypted(KEY))
    ecr.repository("new")
    wanted = encrypted("alias/images") | {"RepositoryName": "new"}
    code, message = wire.fail("UPDATE", wanted, previous=encrypted(KEY))
    assert (code, message.split()[0]) == ("NotUpdatable", "RepositoryName")
    assert kms.calls["DescribeKey"] == 0


@pytest.mark.parametrize("wanted", ["alias/images", "alias/others", "alias/missing"])
def test_a_key_that_may_not_be_looked_up_is_a_denial(wire: Wire, kms: StrictKms, wanted: str) -> None:
    created = wire.succeed("CREATE", encrypted(KEY))
    kms.denied = True
    code, message = wire.fail(
        "UPDATE", encrypted(wanted) | {"ImageTagMutability": "IMMUTABLE"}, previous=encrypted(KEY)
    )
    assert code == "AccessDenied"
    assert message.startswith(f"kms:DescribeKey was denied for {wanted}, so it is not known whether ")
    assert KEY in message
    assert "repository policy" not in message
    assert wire.succeed("READ", NAME) == created


@pytest.mark.parametrize("wanted", ["alias/missing", f"{KEYS}alias/missing", "no-key"])
def test_a_key_that_does_not_exist_is_an_invalid_request(wire: Wire, wanted: str) -> None:
    created = wire.succeed("CREATE", encrypted(KEY))
    code, message = wire.fail(
        "UPDATE", encrypted(wanted) | {"ImageTagMutability": "IMMUTABLE"}, previous=encrypted(KEY)
    )
    assert code == "InvalidRequest"
    assert f"names the KMS key {wanted}, which does not exist" in message
    assert wire.succeed("READ", NAME) == created


@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        ("ThrottlingException", 400, "Throttling"),
        ("KMSInternalException", 500, "ServiceInternalError"),
        ("DependencyTimeoutException", 503, "ServiceInternalError"),
        ("InvalidArnException", 400, "InvalidRequest"),
        ("ExpiredTokenException", 400, "InvalidCredentials"),
    ],
)
def test_any_other_answer_of_kms_is_never_not_updatable(
    wire: Wire, kms: StrictKms, error: str, status: int, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)  # between botocore's attempts
    wire.succeed("CREATE", encrypted(KEY))
    kms.faults.fail_next("DescribeKey", error, "words", status, times=99)  # it is repeated for 40 s
    code, message = wire.fail("UPDATE", encrypted("alias/images"), previous=encrypted(KEY))
    assert code == expected
    assert message == "kms:DescribeKey failed: words"


def test_a_throttled_look_up_is_repeated(wire: Wire, kms: StrictKms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    wire.succeed("CREATE", encrypted(KEY))
    kms.faults.fail_next("DescribeKey", "ThrottlingException", "Rate exceeded", times=2)
    wire.succeed("UPDATE", encrypted("alias/images"), previous=encrypted(KEY))
    assert kms.calls["DescribeKey"] == 3


def test_a_kms_that_is_not_reached_is_a_failure_of_the_network(
    wire: Wire, kms: StrictKms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    wire.succeed("CREATE", encrypted(KEY))
    kms.faults.drop_before("DescribeKey", times=99)
    code, message = wire.fail("UPDATE", encrypted("alias/images"), previous=encrypted(KEY))
    assert code == "NetworkFailure"
    assert message.startswith("KMS could not be called: ")
