"""Pages with opaque tokens that survive deletes: a token names the last thing that was shown, not a position."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from sandbox.ecr.errors import invalid

T = TypeVar("T")

LARGEST_PAGE = 1_000
DEFAULT_PAGE = 100


def page_size(parameters: dict[str, Any]) -> int:
    """maxResults, or the default."""
    size = parameters.get("maxResults", DEFAULT_PAGE)
    if not isinstance(size, int) or not 1 <= size <= LARGEST_PAGE:
        raise invalid(
            f"Invalid parameter at 'maxResults' failed to satisfy constraint: 'Member must have value between 1 and "
            f"{LARGEST_PAGE}'"
        )
    return size


def token(scope: str, place: str) -> str:
    """A token for the page after ``place``, the last item that was shown. It is only valid for ``scope``."""
    seal = hashlib.sha256(f"{scope}|{place}".encode()).hexdigest()[:16]
    return base64.urlsafe_b64encode(f"{seal}|{place}".encode()).decode()


def place(scope: str, parameters: dict[str, Any]) -> str | None:
    """The last item that was shown, from the request's token. Refuses a made-up token, or one of another scope."""
    given = parameters.get("nextToken")
    if given is None:
        return None
    try:
        found = base64.urlsafe_b64decode(given.encode()).decode().partition("|")[2]
    except ValueError:
        found = ""
    if not found or token(scope, found) != given:
        raise invalid("Invalid parameter at 'nextToken' failed to satisfy constraint: 'Invalid token'")
    return found


def cut(items: Iterable[T], size: int, scope: str, place_of: Callable[[T], str]) -> tuple[list[T], str | None]:
    """The first ``size`` items, and the token for what follows, if anything does."""
    page: list[T] = []
    for item in items:
        if len(page) == size:
            return page, token(scope, place_of(page[-1]))
        page.append(item)
    return page, None
