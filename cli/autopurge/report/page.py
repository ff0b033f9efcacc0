"""The page: one file of HTML that needs no other, in light and dark, and prints. Pure but for its template."""

from __future__ import annotations

from datetime import datetime, timedelta
from importlib.metadata import version

from jinja2 import Environment, PackageLoader, StrictUndefined

from ..output import moment, size
from .contents import Contents
from .plots import bars

_MOST_BIGGEST = 20
_MINIMUM_CHARGE = timedelta(days=90)


def page(contents: Contents, location: str, now: datetime) -> str:
    """The page of some reports. Whatever comes from a repository is escaped."""
    environment = Environment(
        loader=PackageLoader("autopurge.report", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    deletes = contents.in_order()
    ends = sorted(each.ended for each in deletes if each.ended)
    biggest = sorted(contents.images.values(), key=lambda each: (-each["sizeInBytes"], each["digest"]))
    archived_ends = [each.ended for each in deletes if each.archived and each.ended]
    return environment.get_template("page.html").render(
        location=location,
        deletes=deletes,
        first=moment(ends[0]) if ends else None,
        last=moment(ends[-1]) if ends else None,
        version=version("autopurge"),
        now=f"{now:%Y-%m-%d %H:%M} UTC",
        images=len(contents.images),
        bytes=contents.total_bytes,
        outcomes=contents.outcomes,
        failed=sum(each.status in ("FAILED", "INTERRUPTED") for each in deletes),
        archived=sum(each.archived for each in deletes),
        archived_bytes=sum(each.archived_bytes for each in deletes),
        charged_until=charged_until(archived_ends),
        unresolved=sum(each.unresolved for each in deletes),
        plots=[(name, bars(name, counts)) for name, counts in contents.spread().items()],
        biggest=biggest[:_MOST_BIGGEST],
        size=size,
        moment=moment,
    )


def charged_until(ends: list[str]) -> str:
    """The last day on which ECR can charge for deleted archived images. Their deletes ended at the times ``ends``."""
    return f"{datetime.fromisoformat(max(ends)) + _MINIMUM_CHARGE:%Y-%m-%d}" if ends else ""
