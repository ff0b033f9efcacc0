"""A resource type that writes down what CloudFormation asks of it, and nothing else: its things are objects in S3."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

from probes.made import DESCRIPTION

_ACTIONS = ("create", "read", "update", "delete", "list")


def schema(type_name: str, description: str = "") -> dict[str, Any]:
    """The schema under a name."""
    tag = {
        "type": "object",
        "properties": {"Key": {"type": "string"}, "Value": {"type": "string"}},
        "required": ["Key", "Value"],
        "additionalProperties": False,
    }
    permissions = {"permissions": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"]}
    return {
        "typeName": type_name,
        "description": f"{DESCRIPTION} {description}".strip(),
        "definitions": {"Tag": tag},
        "properties": {
            "Name": {"type": "string", "description": "The thing.", "pattern": "^[A-Za-z0-9-]{1,80}$"},
            "Text": {"type": "string", "description": "Anything."},
            "Size": {"type": "integer", "description": "A number."},
            "Colour": {"type": "string", "description": "Create-only under conditions."},
            "Behaviour": {"type": "string", "description": "What the handlers are to do: see handlers.py."},
            "Tags": {"type": "array", "items": {"$ref": "#/definitions/Tag"}, "description": "Tags."},
            "Arn": {"type": "string", "description": "Read-only."},
        },
        "additionalProperties": False,
        "primaryIdentifier": ["/properties/Name"],
        "createOnlyProperties": ["/properties/Name"],
        "conditionalCreateOnlyProperties": ["/properties/Colour"],
        "readOnlyProperties": ["/properties/Arn"],
        "tagging": {
            "taggable": True,
            "tagOnCreate": True,
            "tagUpdatable": True,
            "cloudFormationSystemTags": False,
            "tagProperty": "/properties/Tags",
            "permissions": permissions["permissions"],
        },
        "typeConfiguration": {
            "properties": {"Word": {"type": "string", "description": "Anything."}},
            "additionalProperties": False,
        },
        "handlers": dict.fromkeys(_ACTIONS, permissions),
    }


def package(type_name: str, bucket: str, description: str = "") -> bytes:
    """The zip that RegisterType takes, in the form in which the cfn CLI uploads it; it keeps things in that bucket."""
    settings = {
        "artifact_type": "RESOURCE",
        "typeName": type_name,
        "language": "python312",
        "runtime": "python3.12",
        "entrypoint": "recorder.handlers.resource",
        "testEntrypoint": "recorder.handlers.resource",
        "settings": {"protocolVersion": "2.0.0", "use_docker": False},
    }
    code = (Path(__file__).parent / "handlers.py").read_text(encoding="utf-8")
    inner = _zip({"recorder/__init__.py": "", "recorder/handlers.py": code, "recorder/bucket.txt": bucket})
    return _zip(
        {
            "schema.json": json.dumps(schema(type_name, description), indent=4),
            ".rpdk-config": json.dumps(settings, indent=4),
            "ResourceProvider.zip": inner,
        }
    )


def _zip(files: dict[str, str | bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()
