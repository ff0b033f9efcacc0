"""A response's body as botocore reads it, for clients that are answered in process."""

from __future__ import annotations

import io
from typing import Any


class Raw(io.BytesIO):
    """Bytes that are there already."""

    def stream(self, **_: Any) -> Any:
        """All of it at once."""
        yield self.read()
