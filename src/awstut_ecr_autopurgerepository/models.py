# DO NOT modify this file by hand, changes will be overwritten
from dataclasses import dataclass

from cloudformation_cli_python_lib.interface import (
    BaseModel,
    BaseResourceHandlerRequest,
)
from cloudformation_cli_python_lib.recast import recast_object
from cloudformation_cli_python_lib.utils import deserialize_list

import sys
from inspect import getmembers, isclass
from typing import (
    AbstractSet,
    Any,
    Generic,
    Mapping,
    MutableMapping,
    Optional,
    Sequence,
    Type,
    TypeVar,
)

T = TypeVar("T")


def set_or_none(value: Optional[Sequence[T]]) -> Optional[AbstractSet[T]]:
    if value:
        return set(value)
    return None


@dataclass
class ResourceHandlerRequest(BaseResourceHandlerRequest):
    # pylint: disable=invalid-name
    desiredResourceState: Optional["ResourceModel"]
    previousResourceState: Optional["ResourceModel"]
    typeConfiguration: Optional["TypeConfigurationModel"]


@dataclass
class ResourceModel(BaseModel):
    RepositoryName: Optional[str]
    EncryptionConfiguration: Optional["_EncryptionConfiguration"]
    ImageScanningConfiguration: Optional["_ImageScanningConfiguration"]
    ImageTagMutability: Optional[str]
    ImageTagMutabilityExclusionFilters: Optional[Sequence["_ImageTagMutabilityExclusionFilter"]]
    LifecyclePolicy: Optional["_LifecyclePolicy"]
    RepositoryPolicyText: Optional[Any]
    Tags: Optional[Sequence["_Tag"]]
    EmptyOnDelete: Optional[bool]
    DeletionProtection: Optional[bool]
    PurgeProtection: Optional["_PurgeProtection"]
    PurgeReport: Optional["_PurgeReport"]
    FreezeOnDelete: Optional[bool]
    AllowReplicatedDeletes: Optional[bool]
    Arn: Optional[str]
    RepositoryUri: Optional[str]
    RegistryId: Optional[str]

    @classmethod
    def _deserialize(
        cls: Type["_ResourceModel"],
        json_data: Optional[Mapping[str, Any]],
    ) -> Optional["_ResourceModel"]:
        if not json_data:
            return None
        dataclasses = {n: o for n, o in getmembers(sys.modules[__name__]) if isclass(o)}
        recast_object(cls, json_data, dataclasses)
        return cls(
            RepositoryName=json_data.get("RepositoryName"),
            EncryptionConfiguration=EncryptionConfiguration._deserialize(json_data.get("EncryptionConfiguration")),
            ImageScanningConfiguration=ImageScanningConfiguration._deserialize(json_data.get("ImageScanningConfiguration")),
            ImageTagMutability=json_data.get("ImageTagMutability"),
            ImageTagMutabilityExclusionFilters=deserialize_list(json_data.get("ImageTagMutabilityExclusionFilters"), ImageTagMutabilityExclusionFilter),
            LifecyclePolicy=LifecyclePolicy._deserialize(json_data.get("LifecyclePolicy")),
            RepositoryPolicyText=json_data.get("RepositoryPolicyText"),
            Tags=deserialize_list(json_data.get("Tags"), Tag),
            EmptyOnDelete=json_data.get("EmptyOnDelete"),
            DeletionProtection=json_data.get("DeletionProtection"),
            PurgeProtection=PurgeProtection._deserialize(json_data.get("PurgeProtection")),
            PurgeReport=PurgeReport._deserialize(json_data.get("PurgeReport")),
            FreezeOnDelete=json_data.get("FreezeOnDelete"),
            AllowReplicatedDeletes=json_data.get("AllowReplicatedDeletes"),
            Arn=json_data.get("Arn"),
            RepositoryUri=json_data.get("RepositoryUri"),
            RegistryId=json_data.get("RegistryId"),
        )


# work around possible type aliasing issues when variable has same name as a model
_ResourceModel = ResourceModel


@dataclass
class EncryptionConfiguration(BaseModel):
    EncryptionType: Optional[str]
    KmsKey: Optional[str]

    @classmethod
    def _deserialize(
        cls: Type["_EncryptionConfiguration"],
        json_data: Optional[Mapping[str, Any]],
    ) -> Optional["_EncryptionConfiguration"]:
        if not json_data:
            return None
        return cls(
            EncryptionType=json_data.get("EncryptionType"),
            KmsKey=json_data.get("KmsKey"),
        )


# work around possible type aliasing issues when variable has same name as a model
_EncryptionConfiguration = EncryptionConfiguration


@dataclass
class ImageScanningConfiguration(BaseModel):
    ScanOnPush: Optional[bool]

    @classmethod
    def _deserialize(
        cls: Type["_ImageScanningConfiguration"],
        json_data: Optional[Mapping[str, Any]],
    ) -> Optional["_ImageScanningConfiguration"]:
        if not json_data:
            return None
        return cls(
            ScanOnPush=json_data.get("ScanOnPush"),
        )


# work around possible type aliasing issues when variable has same name as a model
_ImageScanningConfiguration = ImageScanningConfiguration


@dataclass
class ImageTagMutabilityExclusionFilter(BaseModel):
    ImageTagMutabilityExclusionFilterType: Optional[str]
    ImageTagMutabilityExclusionFilterValue: Optional[str]

    @classmethod
    def _deserialize(
        cls: Type["_ImageTagMutabilityExclusionFilter"],
        json_data: Optional[Mapping[str, Any]],
    ) -> Optional["_ImageTagMutabilityExclusionFilter"]:
        if not json_data:
            return None
        return cls(
            ImageTagMutabilityExclusionFilterType=json_data.get("ImageTagMutabilityExclusionFilterType"),
            ImageTagMutabilityExclusionFilterValue=json_data.get("ImageTagMutabilityExclusionFilterValue"),
        )


# work around possible type aliasing issues when variable has same name as a model
_ImageTagMutabilityExclusionFilter = ImageTagMutabilityExclusionFilter


@dataclass
class LifecyclePolicy(BaseModel):
    LifecyclePolicyText: Optional[str]
    RegistryId: Optional[str]

    @classmethod
    def _deserialize(
        cls: Type["_LifecyclePolicy"],
        json_data: Optional[Mapping[str, Any]],
    ) -> Optional["_LifecyclePolicy"]:
        if not json_data:
            return None
        return cls(
            LifecyclePolicyText=json_data.get("LifecyclePolicyText"),
            RegistryId=json_data.get("RegistryId"),
        )


# work around possible type aliasing issues when variable has same name as a model
_LifecyclePolicy = LifecyclePolicy


@dataclass
class Tag(BaseModel):
    Key: Optional[str]
    Value: Optional[str]

    @classmethod
    def _deserialize(
        cls: Type["_Tag"],
        json_data: Optional[Mapping[str, Any]],
    ) -> Optional["_Tag"]:
        if not json_data:
            return None
        return cls(
            Key=json_data.get("Key"),
            Value=json_data.get("Value"),
        )


# work around possible type aliasing issues when variable has same name as a model
_Tag = Tag


@dataclass
class PurgeProtection(BaseModel):
    TagPatterns: Optional[Sequence[str]]
    PulledWithinDays: Optional[int]
    PushedWithinDays: Optional[int]
    InUseBy: Optional[Sequence[str]]

    @classmethod
    def _deserialize(
        cls: Type["_PurgeProtection"],
        json_data: Optional[Mapping[str, Any]],
    ) -> Optional["_PurgeProtection"]:
        if not json_data:
            return None
        return cls(
            TagPatterns=json_data.get("TagPatterns"),
            PulledWithinDays=json_data.get("PulledWithinDays"),
            PushedWithinDays=json_data.get("PushedWithinDays"),
            InUseBy=json_data.get("InUseBy"),
        )


# work around possible type aliasing issues when variable has same name as a model
_PurgeProtection = PurgeProtection


@dataclass
class PurgeReport(BaseModel):
    BucketName: Optional[str]
    Prefix: Optional[str]
    BucketOwner: Optional[str]

    @classmethod
    def _deserialize(
        cls: Type["_PurgeReport"],
        json_data: Optional[Mapping[str, Any]],
    ) -> Optional["_PurgeReport"]:
        if not json_data:
            return None
        return cls(
            BucketName=json_data.get("BucketName"),
            Prefix=json_data.get("Prefix"),
            BucketOwner=json_data.get("BucketOwner"),
        )


# work around possible type aliasing issues when variable has same name as a model
_PurgeReport = PurgeReport


@dataclass
class TypeConfigurationModel(BaseModel):
    DeletionProtection: Optional[bool]
    PurgeProtection: Optional["_PurgeProtection"]
    AllowReplicatedDeletes: Optional[bool]
    PurgeReport: Optional["_AccountPurgeReport"]
    Concurrency: Optional[int]

    @classmethod
    def _deserialize(
        cls: Type["_TypeConfigurationModel"],
        json_data: Optional[Mapping[str, Any]],
    ) -> Optional["_TypeConfigurationModel"]:
        if not json_data:
            return None
        return cls(
            DeletionProtection=json_data.get("DeletionProtection"),
            PurgeProtection=PurgeProtection._deserialize(json_data.get("PurgeProtection")),
            AllowReplicatedDeletes=json_data.get("AllowReplicatedDeletes"),
            PurgeReport=AccountPurgeReport._deserialize(json_data.get("PurgeReport")),
            Concurrency=json_data.get("Concurrency"),
        )


# work around possible type aliasing issues when variable has same name as a model
_TypeConfigurationModel = TypeConfigurationModel


@dataclass
class AccountPurgeReport(BaseModel):
    BucketName: Optional[str]
    Prefix: Optional[str]
    BucketOwner: Optional[str]
    Binding: Optional[bool]
    AllowedBuckets: Optional[Sequence[str]]

    @classmethod
    def _deserialize(
        cls: Type["_AccountPurgeReport"],
        json_data: Optional[Mapping[str, Any]],
    ) -> Optional["_AccountPurgeReport"]:
        if not json_data:
            return None
        return cls(
            BucketName=json_data.get("BucketName"),
            Prefix=json_data.get("Prefix"),
            BucketOwner=json_data.get("BucketOwner"),
            Binding=json_data.get("Binding"),
            AllowedBuckets=json_data.get("AllowedBuckets"),
        )


# work around possible type aliasing issues when variable has same name as a model
_AccountPurgeReport = AccountPurgeReport


