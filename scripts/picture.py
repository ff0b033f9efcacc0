"""Make the pictures of the README: of decisive parts of the demo, and of `autopurge plan` and `autopurge watch`.

With the argument `autopurge`, only the second one, which takes seconds: its repositories are in the strict ECR, in
virtual time.
"""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from click.testing import CliRunner
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src"), str(ROOT / "cli")]

from autopurge.app import app  # noqa: E402
from autopurge.aws import Aws, MakeClient  # noqa: E402
from autopurge.command import Surroundings  # noqa: E402
from autopurge.watch.bars import Bars  # noqa: E402
from autopurge.watch.look import Looker  # noqa: E402
from autopurge.watch.story import Story  # noqa: E402
from demo.__main__ import run  # noqa: E402
from sandbox.ecr import StrictEcr, VirtualClock  # noqa: E402
from tests.support.strict import ACCOUNT, OWNED, REGION, STACK, Purge  # noqa: E402
from tests.support.strict_cloudformation import StrictCloudFormation  # noqa: E402

IMAGES = ROOT / "guides" / "images"
WIDTH = 110  # characters
WANTED = ("Protect", "Delete the stack", "The same images")  # the chapters, by the beginnings of their headings
END = "What is left to do manually"
_HEADING = re.compile(r"^\d+\. (.*) ─{3}")
# Without a web font, so that a browser requests nothing else to show the picture.
_FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {{width}} {{height}}" xmlns="http://www.w3.org/2000/svg">
<title>{title}</title>
<style>
.{{unique_id}}-matrix {{{{ font-family: ui-monospace, Menlo, Consolas, monospace; font-size: {{char_height}}px;
line-height: {{line_height}}px; }}}}
{{styles}}
</style>
<defs><clipPath id="{{unique_id}}-clip-terminal">
<rect x="0" y="0" width="{{terminal_width}}" height="{{terminal_height}}"/></clipPath>{{lines}}</defs>
{{chrome}}
<g transform="translate({{terminal_x}}, {{terminal_y}})" clip-path="url(#{{unique_id}}-clip-terminal)">
{{backgrounds}}<g class="{{unique_id}}-matrix" xml:space="preserve">{{matrix}}</g></g>
</svg>
"""


def decisive(recorded: str) -> str:
    """The wanted chapters of all that the demo printed, as ANSI text."""
    shown, wanted = [], False
    for line in recorded.splitlines():
        plain = Text.from_ansi(line).plain
        heading = _HEADING.match(plain)
        if heading:
            wanted = heading[1].startswith(WANTED)
        if plain.startswith(END):
            wanted = False
        if wanted:
            shown.append(line.rstrip())
    return "\n".join(shown).strip("\n")


def picture(recorded: str, name: str, command: str, title: str) -> str:
    """An SVG of text with ANSI colours, in a window that is named after a command."""
    canvas = Console(record=True, width=WIDTH, file=io.StringIO(), highlight=False)
    canvas.print(Text.from_ansi(recorded), no_wrap=False)
    return canvas.export_svg(title=command, theme=MONOKAI, code_format=_FORMAT.format(title=title), unique_id=name)


def filled(clock: VirtualClock) -> StrictEcr:
    """Three repositories of one stack, one of which has releases."""
    ecr = StrictEcr(clock=clock, account=ACCOUNT, region=REGION)
    for number, (name, images) in enumerate({"shop/base": 40, "shop/checkout": 12_480, "shop/web": 3_150}.items()):
        tags = {**OWNED, "awstut:logical-id": f"Repository{number}"}
        ecr.repository(name, tags=tags).with_images(images, tag="build-{n}", size=31_000_000 + 700_000 * number)
    ecr.repository("shop/base", tags={"awstut:protect-tags": "release-@"}).with_tagged("release-7", pulled_days_ago=2)
    return ecr


def plan_and_watch() -> str:
    """What `plan` prints, and the bars of `watch` amid two deletes, as ANSI text."""
    clock = VirtualClock()
    ecr, cloudformation = filled(clock), StrictCloudFormation(ACCOUNT, REGION)
    stack = cloudformation.stack("shop", stack_id=STACK)
    for number, name in enumerate(sorted(ecr.repositories)):
        stack.add(f"Repository{number}", name)
    identity = SimpleNamespace(get_caller_identity=lambda: {"Account": ACCOUNT})
    requests = SimpleNamespace(list_resource_requests=lambda **_: {"ResourceRequestStatusSummaries": []})
    clients: dict[str, Any] = {"ecr": ecr.client(), "cloudformation": cloudformation.client()}
    clients |= {"sts": identity, "cloudcontrol": requests}

    def make(service: str, config: object = None, /) -> Any:
        del config
        return clients[service]

    os.environ |= {"FORCE_COLOR": "1", "COLUMNS": str(WIDTH)}
    around = Surroundings(lambda _: make, clock)
    planned = CliRunner().invoke(app, ["plan", "--stack", "shop"], obj=around, color=True).output
    stack.becomes("Repository0", "DELETE_FAILED", "An image is protected.")
    prompt = "\x1b[1;36m$ {}\x1b[0m\n"
    asked, watched = prompt.format("autopurge plan --stack shop"), prompt.format("autopurge watch --stack shop")
    return f"{asked}{planned}\n{watched}{watching(ecr, clock, make)}"


def watching(ecr: StrictEcr, clock: VirtualClock, make: MakeClient) -> str:
    """The bars when one delete was refused, one has ended, and one runs."""
    looker = Looker(Aws(make, clock), sorted(ecr.repositories), since=clock.time())
    stories = [Story(name) for name in looker.names]
    terminal: Any = {"force_terminal": True, "color_system": "truecolor"}
    console = Console(record=True, width=WIDTH, file=io.StringIO(), highlight=False, **terminal)
    bars = Bars(console, stories)
    ecr.faults.throttle(operations={"BatchDeleteImage"}, rate=0.7, burst=1)

    def look(**throttled: int) -> None:
        seen = looker.look()
        for story in stories:
            story.throttled = throttled.get(story.name.rpartition("/")[2], story.throttled)
            story.add(seen[story.name], clock.time())
            bars.show(story, clock.time())

    look()
    for name, calls in (("shop/web", 200), ("shop/checkout", 2)):
        slices = Purge(ecr, clock).slices(
            name, stack_id=STACK, logical_id=f"Repository{sorted(ecr.repositories).index(name)}"
        )
        for _, _event in zip(range(calls), slices, strict=False):
            look(web=61, checkout=48)
    clock.sleep(9)
    look()
    console.print(bars.renderable)
    return console.export_text(styles=True)


def make_picture_of_commands() -> None:
    """Write the picture of plan and watch."""
    title = "What a delete would do, with the reasons against it, and the bars of two deletes"
    (IMAGES / "autopurge.svg").write_text(picture(plan_and_watch(), "autopurge", "autopurge", title), encoding="utf-8")


def main() -> int:
    make_picture_of_commands()
    if sys.argv[1:] == ["autopurge"]:
        return 0
    console = Console(highlight=False, width=WIDTH, record=True)
    code = run(console)
    if code == 0:
        title = "A delete that is refused, one that succeeds, and one that the usual custom resource cannot finish"
        shown = picture(decisive(console.export_text(styles=True)), "demo", "make demo", title)
        (IMAGES / "demo.svg").write_text(shown, encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
