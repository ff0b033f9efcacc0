"""Asks Amazon Inspector which images containers in ECS and EKS use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from ... import inspector as calls
from ...pacing import until_answered
from ...rules.in_use import Address, is_covered, of_coverage
from .. import messages
from .pages import CannotTellError, Page, SparingPacer

_COVERED = "covered"
_BEGINNING = ["", ""]


@dataclass
class CoverageWalk:
    """All that Amazon Inspector knows of a repository; a place is a page's token, and whether a scan was seen."""

    client: calls.Inspector
    pacer: SparingPacer
    repository: Address

    def pages(self, place: list[str]) -> Iterator[Page]:
        """What each page says of use, beginning at a place. Raises OutOfTimeError, and what Inspector raises.

        Raises CannotTellError if Inspector scans nothing of the repository: then it counts no use of it either.
        """
        token, covered = place if len(place) == len(_BEGINNING) else _BEGINNING
        account, name = self.repository.account, self.repository.name
        while True:
            page = until_answered(self.pacer, partial(calls.list_coverage, self.client, account, name, token))
            resources = page.get("coveredResources", ())
            covered = _COVERED if covered or any(map(is_covered, resources)) else ""
            token = page.get("nextToken") or ""
            found = [reference for each in resources for reference in of_coverage(each, self.repository)]
            if not token and not covered and not found:
                raise CannotTellError(messages.not_scanned(name))
            yield Page(found, [token, covered] if token else None)
            if not token:
                return
