"""Python's search for garbage, in the processes of the tests.

Thousands of tests that are collected, and what they import, live until the end. To look at all of them again and again
took an eighth of the time of the unit tests, and a third of that of the random sequences (measured with Python 3.11).
"""

from __future__ import annotations

import gc

_NEW_OBJECTS = 50_000  # between two searches among the youngest; Python's own number is 700
_SEARCHES = 20  # among the younger, before the older are searched, too


def pytest_collection_finish() -> None:
    """Search less often while the tests run."""
    gc.set_threshold(_NEW_OBJECTS, _SEARCHES, _SEARCHES)
