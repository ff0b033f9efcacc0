"""RESULTS.md, the plots, and the figures of the comparison: all of them from figures.json. Pure, except for `write`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cases import BURST_CASE, BURSTS, CALLS_OF_ANOTHER_PASS, CASES, FIXED_CALLS
from benchmarks.contenders import CONTENDERS, OUR_DEFAULT, OURS, title
from benchmarks.targets import Figures, all_targets, allowed_seconds, pick, purge

HERE = Path(__file__).resolve().parent
COMPARISON = HERE.parent / "guides" / "comparison.md"
_BLOCK = re.compile(r"(<!-- figures: written by make bench -->\n).*?(<!-- end of figures -->)", re.DOTALL)
_SIZES = {"100 images": 100, "1,000 images": 1_000, "10,000 images": 10_000, "100,000 images": 100_000}
_SHORT = {
    "tutorial": "tutorials",
    "cdk": "CDK",
    "hundreds": "in hundreds",
    "cli": "AWS CLI",
    "force": "force",
    OUR_DEFAULT: "this type",
}


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown; all columns but the first are of numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def render(figures: Figures) -> dict[str, str]:
    """The files beside this one, by name. Only the plots import matplotlib, which takes a second."""
    return {
        "RESULTS.md": results(figures),
        "left.svg": _left_plot(figures),
        "seconds.svg": _seconds_plot(figures),
        "memory.svg": _memory_plot(figures),
    }


def write(figures: Figures) -> None:
    """Write them, and the figures of the comparison."""
    for name, content in render(figures).items():
        (HERE / name).write_text(content)
    COMPARISON.write_text(with_block(COMPARISON.read_text(), figures))


def with_block(guide: str, figures: Figures) -> str:
    """The comparison with these figures in it."""
    return _BLOCK.sub(lambda match: match[1] + comparison_block(figures) + match[2], guide)


def _left_plot(figures: Figures) -> str:
    from benchmarks import plots

    columns = [*CONTENDERS, OUR_DEFAULT]
    rows = {case: [pick(figures, each, case)["left"] for each in columns] for case in CASES}
    return plots.matrix(
        "Images that each way to empty a repository leaves behind", [_SHORT[each] for each in columns], rows
    )


def _seconds_plot(figures: Figures) -> str:
    from benchmarks import plots

    series: dict[str, dict[float, float]] = {
        _SHORT[each]: {size: pick(figures, each, case)["seconds"] for case, size in _SIZES.items()}
        for each in ("hundreds", "cdk", OUR_DEFAULT, "force")
    }
    latency = figures["assumptions"]["seconds_a_call"]
    return plots.lines("Time to empty and delete", f"seconds, at {latency:g} s a call", series, log=True)


def _memory_plot(figures: Figures) -> str:
    from benchmarks import plots

    names = {"hundreds": "in hundreds", "ours": "this type", "cdk": "CDK"}
    sizes = sorted({each["images"] for each in figures["processes"]["purges"]})
    series = {words: {size: purge(figures, name, size)["peak_mb"] for size in sizes} for name, words in names.items()}
    return plots.lines("Peak memory of the process", "MB", series, log=False)


def comparison_block(figures: Figures) -> str:
    """A table in few words."""
    case = "10,000 images"
    rows = [
        [title(each), f"{pick(figures, each, case)['left']:,}", *_time_and_calls(figures, each, case)]
        for each in (*CONTENDERS, OUR_DEFAULT)
    ]
    head = [f"{case}, {figures['assumptions']['seconds_a_call']:g} s a call", "images left", "seconds", "calls"]
    return f"\n{table(head, rows)}\n\n"


def _time_and_calls(figures: Figures, contender: str, case: str) -> list[str]:
    result = pick(figures, contender, case)
    return [f"{result['seconds']:,.1f}", f"{result['calls']:,}"]


def results(figures: Figures) -> str:
    """RESULTS.md."""
    parts = [_head(figures), _targets(figures), _contenders(), _left(figures)]
    parts += [_races(figures, throttled) for throttled in (False, True)]
    parts += [_processes(figures), _handler(figures), _use(figures), _package(figures), _experiments(figures)]
    return "\n\n".join(parts) + "\n"


def _head(figures: Figures) -> str:
    assumed, machine = figures["assumptions"], figures["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in figures["versions"].items())
    return f"""# Results

Written by `make bench` on {figures["date"]}, in {figures["minutes"]:.1f} minutes, on {machine["cpus"]} cores
({machine["cpu"]}), {machine["memory_gb"]} GB, {machine["system"]}; {versions}.
The package, and the times of the handlers, were measured on {figures["handlers_date"]}.

Every way to empty a repository meets the same strict ECR, which enforces the service's pages, batches, references and
statuses. Times are those of the bench's own clock, and rest on assumptions, as AWS publishes neither: **each call takes
{assumed["seconds_a_call"]:g} s** (`make bench LATENCY=…` takes another), and with throttling
{assumed["calls_a_second"]:g} calls a second get through, {assumed["burst"]} at once after a pause. Memory, CPU, and the
times of the handlers are those of real processes on this machine, with no latency added."""


def _targets(figures: Figures) -> str:
    rows = [
        [
            each.what,
            f"{each.seen:,.4g}{each.unit}",
            f"{'≥' if each.at_least else '≤'} {each.limit:,g}{each.unit}",
            each.by,
        ]
        for each in all_targets(figures)
    ]
    shortest = (
        "A purge learns of a throttle by being refused, and each call of the handler begins with what the last one has "
        "learnt. In a purge that is over after a second, the first refusals are a large part of its time. 100,000 "
        "throttled images take several calls of the handler. Each lists again what it can delete, because the digests "
        "of so many images do not fit into the callback context. What the throttle would allow at best, if it were "
        "known beforehand, is [at the end](#what-would-make-it-faster)."
    )
    return "## Targets\n\n" + table([title(OUR_DEFAULT), "seen", "target", ""], rows) + f"\n\n{shortest}"


def _contenders() -> str:
    lines = [f"- **{each.title}**: {each.what} Source: {each.source}." for each in CONTENDERS.values()]
    lines.append(
        "- **this type**: its delete, slice after slice as CloudFormation calls it (a slice is one call of the "
        f"handler), with up to {', '.join(map(str, OURS.values()))} (the default) deletes in flight. It begins with 8 "
        "at most."
    )
    return "## Who takes part\n\n" + "\n".join(lines)


def _left(figures: Figures) -> str:
    columns = [*CONTENDERS, OUR_DEFAULT]
    rows = [[case, *(f"{pick(figures, each, case)['left']:,}" for each in columns)] for case in CASES]
    return "## Images left\n\n![Images left](left.svg)\n\n" + table(["", *(_SHORT[each] for each in columns)], rows)


def _races(figures: Figures, throttled: bool) -> str:
    assumed = figures["assumptions"]
    words = f"throttled to {assumed['calls_a_second']:g} calls a second" if throttled else "not throttled"
    plot = "" if throttled else "![Time to empty and delete](seconds.svg)\n\n"
    tables = "\n\n".join(f"**{case}**\n\n{_race_table(figures, case, throttled)}" for case in CASES)
    if throttled:
        tables += f"\n\n**{BURST_CASE}, other bursts**\n\n{_burst_table(figures)}"
    note = (
        f"The least calls are the pages of 1,000 there are, the hundreds there are, and {FIXED_CALLS}: what the "
        "repository is, and its tags; both again before images are deleted, because one old answer must not decide "
        "about them, and the registry, because ECR may carry deletions elsewhere; the delete of the repository, and "
        "that it is gone. Above 10,000 images one more shows the progress. Images that arrive after the listing need "
        f"another pass, of {CALLS_OF_ANOTHER_PASS} calls. Who makes fewer leaves some out. What the throttle allows: "
        "the least calls, at its rate after the burst, until the last of them is answered. Time to ours: to that of "
        f"{title(OUR_DEFAULT)}."
    )
    return f"## Calls and time, {words}\n\n{note}\n\n{plot}{tables}"


def _race_table(figures: Figures, case: str, throttled: bool) -> str:
    ours = pick(figures, OUR_DEFAULT, case, throttled)["seconds"]
    head = ["", "images left", "calls", "to the least", "seconds", "to ours", "slices"]
    rows = []
    for each in (*CONTENDERS, *OURS):
        result = pick(figures, each, case, throttled)
        row = [title(each), f"{result['left']:,}", f"{result['calls']:,}", f"{result['calls'] / result['least']:.2f}"]
        row += [f"{result['seconds']:,.1f}", f"{result['seconds'] / ours:.2f}", str(result["slices"])]
        if throttled:
            row[2] += f" ({result['refused']:,} refused)" if result["refused"] else ""
            row.append(f"{result['seconds'] / allowed_seconds(figures, result):.2f}")
        rows.append(row)
    return table([*head, "to what the throttle allows"] if throttled else head, rows)


def _burst_table(figures: Figures) -> str:
    rows = []
    for burst in (*BURSTS, None):
        result = pick(figures, OUR_DEFAULT, BURST_CASE, throttled=True, burst=burst)
        row = [burst or figures["assumptions"]["burst"], f"{result['calls']:,}", f"{result['refused']:,}"]
        row += [f"{result['seconds']:,.1f}", f"{result['seconds'] / allowed_seconds(figures, result):.2f}"]
        rows.append(row)
    return table(["burst", "calls", "refused", "seconds", "to what the throttle allows"], rows)


def _processes(figures: Figures) -> str:
    rows = [
        [
            "this type, by its entry point" if each["contender"] == "ours" else title(each["contender"]),
            f"{each['images']:,}",
            f"{each['left']:,}",
            f"{each['peak_mb']:.1f}",
            f"{each['cpu_seconds']:.2f}",
        ]
        for each in figures["processes"]["purges"]
    ]
    note = (
        "Each is a process of its own that runs the code of the package; the strict ECR is another one, by HTTP on "
        "127.0.0.1. The algorithms of others are in Python here, with boto3, whatever their own language: their memory "
        "and CPU say something of the algorithm, and nothing of their product."
    )
    head = ["", "images", "left", "peak MB", "CPU seconds"]
    return f"## Memory and CPU\n\n{note}\n\n![Peak memory](memory.svg)\n\n{table(head, rows)}"


def _handler(figures: Figures) -> str:
    cold, warm = figures["processes"]["cold"], figures["processes"]["warm_ms"]
    rows = [[name, f"{each['seconds']:.3f}", f"{each['cpu_seconds']:.3f}"] for name, each in cold.items()]
    calls = [[each["title"], each["calls"], each["least"], each["why"]] for each in figures["calls"]]
    return f"""## The handlers

A new process until its first answer to a read, medians, against the support library with an empty handler that makes
the same client:

{table(["", "seconds", "CPU seconds"], rows)}

A warm read takes {warm["whole"]:.0f} ms with its own session and client, as each call has other credentials. What
botocore has read of its data stays for the next call; the support library's sessions would read it again. With a client
that is there already the read takes {warm["ours"]:.2f} ms, and the same calls without our handler
{warm["straight"]:.2f} ms: our own part is {warm["ours"] - warm["straight"]:.2f} ms.

{table(["API calls", "made", "least", "which are"], calls)}"""


def _use(figures: Figures) -> str:
    rows = [
        [each["title"], each["calls"], f"{each['seconds']:,.1f}", each["slices"], _listed(each["which"])]
        for each in figures["use"]
    ]
    return f"""## Images in use

What `PurgeProtection.InUseBy` adds to the delete of a repository: calls of Lambda, ECS and Amazon Inspector, and
seconds at {figures["assumptions"]["seconds_a_call"]:g} s a call, in an account where nothing uses one of its images.
Most of these seconds are waiting, because others need the account's quotas, too: the delete makes at most 5 calls of
ListFunctions, 25 of GetFunction, 10 of ECS and 5 of Inspector a second. Each image of the repository that is named
costs one more call of ECR.

{table(["", "calls", "seconds", "slices", "which"], rows)}"""


def _listed(calls: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in calls.items())


def _package(figures: Figures) -> str:
    package = figures["package"]
    parts = [[name, f"{size / 1e6:.2f}"] for name, size in package["parts"].items() if size >= 50_000]
    trims = [
        [each["title"], f"{each['bytes'] / 1e6:.1f}", f"{each['compressed'] / 1e6:.1f}", f"{each['seconds']:.3f}"]
        for each in package["trims"]
    ]
    return f"""## The package

{package["bytes"] / 1e6:.1f} MB in {package["files"]:,} files, which the cfn CLI stores without compression:

{table(["part", "MB"], parts)}

What could go, as nothing imports or reads it (each was run without it; seconds are of a new process until its first
answer):

{table(["", "MB", "MB if compressed", "seconds"], trims)}

{_TRIED}"""


_TRIED = """It stays in, because the unmodified `cfn submit` leaves no safe place to take it out. It empties `build/`,
runs `pip install --requirement requirements.txt --target build`, copies `src/`, and zips what is there, without a step
of the project's in between; nor does it compress. What was looked at:

- **setuptools** is required by the support library, which does not import it. requirements.txt has no option that says
  "without dependencies"; pip takes it from the environment only (`PIP_NO_DEPS=1 cfn submit`), and without that variable
  it refuses a list with hashes that lacks setuptools. So the plain command would fail, for a tenth of the size.
- **botocore's data** is in botocore's only wheel. A wheel of our own without it would be a fork to maintain.
- **boto3 of Lambda's runtime** instead: the support library requires boto3, so pip brings it along; and the runtime's
  may be older than ECR's `imageStatus`.
- **Compiled files**: the cfn CLI leaves `*.pyc` out, so that Lambda compiles the sources at each cold start.

What the size costs is an upload when the type is registered."""


def _experiments(figures: Figures) -> str:
    found = figures["experiments"]
    return "\n\n".join(["## What would make it faster", *(_experiment(each) for each in found)])


def _experiment(found: Any) -> str:
    rows = [
        [each["title"], f"{each['seconds']:,.1f}", f"{each['calls']:,}", f"{each['refused']:,}", f"{each['left']:,}"]
        for each in found["runs"]
    ]
    return f"**{found['title']}.** {found['note']}\n\n" + table(["", "seconds", "calls", "refused", "left"], rows)
