"""Asks Lambda which images functions and their published versions use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ... import lambda_functions as calls
from ...pacing import Pool, side_by_side, until_answered
from ...rules.in_use import Reference, of_function
from .pages import Page, SparingPacer


@dataclass
class FunctionWalk:
    """All functions of the account and Region; a place is the marker of a page.

    Lambda tells with the functions whether they are made from an image, but not from which one: that is one more
    request for each of these versions.
    """

    client: calls.Lambda
    lists: SparingPacer
    gets: SparingPacer
    pool: Pool

    def pages(self, place: list[str]) -> Iterator[Page]:
        """What each page of functions uses, beginning at a place. Raises OutOfTimeError, and what Lambda raises."""
        marker: str | None = place[0] if place else ""
        while marker is not None:
            page = until_answered(self.lists, partial(calls.list_functions, self.client, marker))
            marker = page.get("NextMarker") or None
            made_from_images = [each for each in page["Functions"] if each.get("PackageType") == "Image"]
            yield Page(self._references(made_from_images), [marker] if marker else None)

    def _references(self, functions: list[Mapping[str, Any]]) -> list[Reference]:
        found: list[Reference] = []
        side_by_side(
            self.gets,
            self.pool,
            lambda function: (function, calls.get_code(self.client, function)),
            functions,
            lambda answer: found.extend(of_function(*answer)),
        )
        return found
