"""Results as XML of the query protocol."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

_NAMESPACE = "http://cloudformation.amazonaws.com/doc/2010-05-15/"
Response = tuple[int, dict[str, str], bytes]


def result_xml(action: str, result: Mapping[str, Any]) -> Response:
    """A response of 200; members that are None are left out."""
    metadata = f"<ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata>"
    inner = f"<{action}Result>{_members(result)}</{action}Result>{metadata}"
    return _response(200, f'<{action}Response xmlns="{_NAMESPACE}">{inner}</{action}Response>')


def error_xml(code: str, message: str) -> Response:
    status = 404 if code.endswith("NotFoundException") else 400
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    tail = f"<RequestId>{uuid.uuid4()}</RequestId>"
    return _response(status, f'<ErrorResponse xmlns="{_NAMESPACE}">{error}{tail}</ErrorResponse>')


def _response(status: int, text: str) -> Response:
    return status, {"Content-Type": "text/xml"}, text.encode()


def _members(structure: Mapping[str, Any]) -> str:
    return "".join(f"<{name}>{_value(each)}</{name}>" for name, each in structure.items() if each is not None)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return _members(value)
    if isinstance(value, list):
        return "".join(f"<member>{_value(each)}</member>" for each in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    return escape(str(value))
