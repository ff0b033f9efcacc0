"""A resource type for tests of the sandbox itself: Test::Stub::Thing keeps its things in files.

Its handlers are one function without any library, so that a package is made, and a process started, in no time.
"""

from __future__ import annotations

import json
import uuid
import zipfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.server import Sandbox

TYPE_NAME = "Test::Stub::Thing"

SCHEMA: dict[str, Any] = {
    "typeName": TYPE_NAME,
    "description": "A thing.",
    "definitions": {
        "Tag": {
            "type": "object",
            "properties": {"Key": {"type": "string"}, "Value": {"type": "string"}},
            "required": ["Key", "Value"],
            "additionalProperties": False,
        }
    },
    "properties": {
        "Name": {"type": "string", "pattern": "^[a-z0-9-]{2,40}$"},
        "Size": {"type": "integer", "minimum": 1},
        "Flag": {"type": "boolean"},
        "Colour": {"type": "string", "enum": ["red", "green"]},
        "Free": {"type": ["object", "string"]},
        "Behaviour": {"type": "string"},
        "Tags": {"type": "array", "items": {"$ref": "#/definitions/Tag"}},
        "Arn": {"type": "string"},
        "Inner": {
            "type": "object",
            "properties": {"Count": {"type": "integer"}},
            "additionalProperties": False,
        },
    },
    "required": ["Size"],
    "additionalProperties": False,
    "primaryIdentifier": ["/properties/Name"],
    "createOnlyProperties": ["/properties/Name"],
    "conditionalCreateOnlyProperties": ["/properties/Colour"],
    "readOnlyProperties": ["/properties/Arn", "/properties/Inner/Count"],
    "tagging": {"taggable": True, "tagProperty": "/properties/Tags"},
    "typeConfiguration": {
        "properties": {"Limit": {"type": "integer"}},
        "additionalProperties": False,
    },
    "handlers": {action: {"permissions": []} for action in ("create", "read", "update", "delete", "list")},
}


def make_package(schema: dict[str, Any] | None = None, code: str | None = None) -> bytes:
    """A zip as `cfn submit` uploads it, with the stub's handlers or with others."""
    source = code if code is not None else (Path(__file__).parent / "handlers.py").read_text()
    settings = {"entrypoint": "thing.handlers.resource", "testEntrypoint": "thing.handlers.test_entrypoint"}
    inner = _zip({"thing/__init__.py": "", "thing/handlers.py": source})
    outer: dict[str, str | bytes] = {
        "schema.json": json.dumps(schema or SCHEMA),
        ".rpdk-config": json.dumps(settings),
        "ResourceProvider.zip": inner,
    }
    return _zip(outer)


def _zip(files: dict[str, str | bytes]) -> bytes:
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


def register(
    box: Sandbox, package: bytes | None = None, name: str = TYPE_NAME, account: str | None = None, **more: Any
) -> Any:
    """Upload and register a package, with more for RegisterType; returns what DescribeTypeRegistration answers."""
    s3, cloudformation = box.client("s3", account=account), box.client("cloudformation", account=account)
    bucket, key = f"uploads-{account or 'stub'}", str(uuid.uuid4())
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key=key, Body=package or make_package())
    asked = {"Type": "RESOURCE", "TypeName": name, "SchemaHandlerPackage": f"s3://{bucket}/{key}"} | more
    token = cloudformation.register_type(**asked)["RegistrationToken"]
    return cloudformation.describe_type_registration(RegistrationToken=token)
