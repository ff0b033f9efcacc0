"""guides/aws.md: one row for each belief. `python -m probes page` writes the part between the marks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from probes.belief import Answer, Belief
from probes.beliefs import SECTIONS, THEMES
from probes.records import Recorded, all_differences, all_recorded, shown

ROOT = Path(__file__).resolve().parent.parent
GUIDE = ROOT / "guides" / "aws.md"
_BEGIN, _END = "<!-- beliefs: written by make beliefs -->", "<!-- end of beliefs -->"
NOT_RUN = "not run yet"


def render(answers: Sequence[Recorded]) -> str:
    """The generated part."""
    asked = [each for theme in THEMES.values() for each in theme if each.answer is not None]
    count = sum(map(len, THEMES.values()))
    others = count - len(asked)
    lines = [
        _BEGIN,
        "",
        f"There are {count} beliefs. Probes ask about {len(asked)}; the other {others} say why not.",
        "",
    ]
    for section, themes in SECTIONS.items():
        lines += [f"## {section}", ""]
        for theme in themes:
            lines += [f"### {theme}", "", *_table(THEMES[theme], answers), ""]
    return "\n".join([*lines, _END])


def _table(beliefs: Sequence[Belief], answers: Sequence[Recorded]) -> list[str]:
    head = ["| belief | source | needed by | the sandbox | AWS |", "|---|---|---|---|---|"]
    return head + [f"| {' | '.join(_row(each, answers))} |" for each in beliefs]


def _row(belief: Belief, answers: Sequence[Recorded]) -> list[str]:
    sentence = f"`{belief.name}`: {belief.sentence}"
    return [
        _plain(sentence),
        _plain("; ".join(belief.sources)),
        "<br>".join(_file(path) for path in belief.needed_by) or "the sandbox only",
        _plain(_sandbox(belief)),
        _plain(_aws(belief, answers)),
    ]


def _file(path: str) -> str:
    shown_path = path.removeprefix("src/awstut_ecr_autopurgerepository/")
    return f"[{shown_path}](../{path})"


def _sandbox(belief: Belief) -> str:
    if belief.answer is None:
        return f"not asked: {belief.unasked}"
    also = f" Switch for other answers: {belief.switch}." if belief.switch else ""
    return f"{_answer(belief.answer)}.{also}"


def _answer(answer: Answer) -> str:
    return "; ".join(f"{question}: {shown(value)}" for question, value in answer.items())


def _aws(belief: Belief, answers: Sequence[Recorded]) -> str:
    """The newest answer of each Region."""
    if belief.answer is None:
        return "not asked"
    newest = {each.region: each for each in answers if belief.name in each.answers}
    if not newest:
        return NOT_RUN
    return "; ".join(f"{each.day}, {region}: {_against(belief, each)}" for region, each in sorted(newest.items()))


def _against(belief: Belief, kept: Recorded) -> str:
    answer = kept.answers[belief.name]
    found = all_differences({belief.name: answer})
    return _answer({each.question: each.aws for each in found}) if found else "the same"


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def with_block(guide: str, block: str) -> str:
    """A guide with its generated part replaced."""
    before, after = guide.split(_BEGIN)[0], guide.split(_END)[1]
    return f"{before}{block}{after}"


def write() -> Path:
    """Write the generated part again, with the answers of AWS that are kept."""
    text = GUIDE.read_text(encoding="utf-8")
    GUIDE.write_text(with_block(text, render(all_recorded())), encoding="utf-8")
    return GUIDE
