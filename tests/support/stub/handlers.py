"""The stub's handlers. The property `Behaviour` tells them what to do, e.g. `slices=3` or `fail=Throttling,times=2`."""

import json
import os
import time
from pathlib import Path
from typing import Any

Json = dict[str, Any]


def resource(event: Json, _context: object) -> Json:
    """The entry point that CloudFormation calls."""
    return _handle(event["action"], event["requestData"], event)


def test_entrypoint(event: Json, _context: object) -> Json:  # noqa: PT019
    """The entry point for `cfn test`."""
    return _handle(event["action"], {"resourceProperties": event["request"]["desiredResourceState"]}, event)


def _handle(action: str, data: Json, event: Json) -> Json:
    model = dict(data.get("resourceProperties") or {})
    model.setdefault("Name", f"generated-{event.get('bearerToken', 'token')[:8]}")
    stored = _load(model["Name"])
    wanted = _behaviour((model if action in ("CREATE", "UPDATE") else stored or {}).get("Behaviour", ""), action)
    early = _misbehave(wanted, action, event, model)
    if early is not None:
        return early
    if action == "LIST":
        return _list(event.get("nextToken"))
    if action == "CREATE":
        return _failed("AlreadyExists", f"{model['Name']} exists") if stored else _store(model, data)
    if stored is None:
        return _failed("NotFound", f"{model['Name']} does not exist")
    if action == "UPDATE":
        return _store(model, data)
    if action == "DELETE":
        _path(model["Name"]).unlink()
        return {"status": "SUCCESS"}
    return {"status": "SUCCESS", "resourceModel": stored}


def _misbehave(wanted: dict[str, str], action: str, event: Json, model: Json) -> Json | None:
    if wanted.get("first-sleeps") and _count(f"{model['Name']}-{action}-sleeps") == 1:
        time.sleep(float(wanted["first-sleeps"]))
    if "crash" in wanted:
        raise RuntimeError("crashed as asked")
    if "exit" in wanted:
        os._exit(3)
    if "answer" in wanted:
        return dict(json.loads(wanted["answer"]))
    if "fail" in wanted and _count(f"{model['Name']}-{action}-{wanted['fail']}") <= int(wanted.get("times", "99")):
        told = {"resourceModel": model} if "model" in wanted else {}
        if told:
            _store(model, {})
        return {**_failed(wanted["fail"], "failed as asked"), **told}
    return _slice(wanted, event, model)


def _slice(wanted: dict[str, str], event: Json, model: Json) -> Json | None:
    done = int((event.get("callbackContext") or {}).get("done", 0)) + 1
    if done >= int(wanted.get("slices", "1")):
        return None
    return {
        "status": "IN_PROGRESS",
        "message": f"slice {done}",
        "resourceModel": model,
        "callbackContext": {"done": done, "filler": "x" * int(wanted.get("filler", "0"))},
        "callbackDelaySeconds": int(wanted.get("delay", "1")),
    }


def _behaviour(text: str, action: str) -> dict[str, str]:
    """`DELETE:fail=Throttling,times=2` applies to deletes only; without an action it applies to creates and updates."""
    actions, _, rest = text.rpartition(":") if not text.startswith("answer") else ("", "", text)
    if action not in (actions.split("|") if actions else ("CREATE", "UPDATE")):
        return {}
    if rest.startswith("answer="):
        return {"answer": rest.removeprefix("answer=")}
    return {part.partition("=")[0]: part.partition("=")[2] for part in rest.split(",") if part}


def _path(name: str) -> Path:
    folder = Path(os.environ["HOME"]) / "things"
    folder.mkdir(exist_ok=True)
    return folder / f"{name}.json"


def _count(name: str) -> int:
    """How often this was called with a name."""
    path = _path(name).with_suffix(".count")
    with path.open("a") as file:
        file.write("x")
    return path.stat().st_size


def _load(name: str) -> Json | None:
    path = _path(name)
    return dict(json.loads(path.read_text())) if path.exists() else None


def _store(model: Json, data: Json) -> Json:
    own = {tag["Key"]: tag["Value"] for tag in model.get("Tags") or []}
    tags = {**(data.get("stackTags") or {}), **own}
    written = {**model, "Arn": f"arn:thing:{model['Name']}", "Inner": {"Count": len(tags)}}
    if tags:
        written["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
    _path(model["Name"]).write_text(json.dumps(written))
    return {"status": "SUCCESS", "resourceModel": written}


def _list(token: str | None) -> Json:
    names = sorted(path.stem for path in _path("x").parent.glob("*.json"))
    start = int(token or 0)
    more = str(start + 2) if start + 2 < len(names) else None
    models = [{"Name": name} for name in names[start : start + 2]]
    return {"status": "SUCCESS", "resourceModels": models, "nextToken": more}


def _failed(code: str, message: str) -> Json:
    return {"status": "FAILED", "errorCode": code, "message": message}
