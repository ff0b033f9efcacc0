"""What an answer of AWS teaches: `make learn FILE=verification.json`."""

from __future__ import annotations

from pathlib import Path

from probes import page, records


def learn(path: Path, folder: Path = records.RECORDED) -> list[str]:
    """Keep the answers of a verification as a fixture, and write the page again. What differs, as sentences.

    Raises records.VerificationError.
    """
    document = records.load(path)
    kept = records.keep(document, folder)
    if folder == records.RECORDED:
        page.write()
    found = records.all_differences(records.recorded(document).answers)
    count = len(records.recorded(document).answers)
    lines = [f"{count} answers are kept in {kept.name}; {len(found)} differ from the sandbox's."]
    lines += [records.told(each) for each in found]
    failed = [name for name, entry in document["answers"].items() if entry.get("error")]
    return lines + ([f"Not asked, for an error: {', '.join(failed)}."] if failed else [])
