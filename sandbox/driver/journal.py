"""What the driver did: one entry for each call of a handler."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from typing import Any

_MOST_ENTRIES = 10_000


class Journal:
    """Entries are dicts that can be sent as JSON. Fields: see `sandbox.driver.operation.Operation`."""

    def __init__(self) -> None:
        self._entries: deque[dict[str, Any]] = deque(maxlen=_MOST_ENTRIES)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def begin(self, **fields: Any) -> dict[str, Any]:
        """A new entry; the caller completes it when the answer has come."""
        with self._lock:
            entry = {"number": next(self._numbers), **fields}
            self._entries.append(entry)
            return entry

    def entries(self, matching: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """All entries whose fields have the values in `matching`, oldest first."""
        with self._lock:
            entries = list(self._entries)
        return [dict(each) for each in entries if all(each.get(k) == v for k, v in (matching or {}).items())]

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
