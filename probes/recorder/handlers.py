"""The handlers of the recorder. They run in Lambda, with nothing but Python's own library.

The property `Behaviour` tells them what to do, in words such as `CREATE=AlreadyExists` (fail with that code),
`UPDATE=Throttling:1` (the first time only), and `CREATE=slices:3` (answer in three calls). With
`CREATE=NotStabilized+model`, the answer also has the model. CREATE and UPDATE obey the `Behaviour` in the request, the
other actions that of the stored thing.
"""

import hashlib
import hmac
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

Json = dict[str, Any]
_SECRET = ("callerCredentials", "providerCredentials")


def resource(event: Json, _context: object) -> Json:
    """The entry point."""
    data, action = event["requestData"], event["action"]
    store = Store(data["callerCredentials"], event["region"])
    model = dict(data.get("resourceProperties") or {})
    if action == "CREATE":
        model.setdefault("Name", "named-" + hashlib.sha256(event["bearerToken"].encode()).hexdigest()[:12])
    name = model.get("Name", "none")
    calls = store.record(name, action, event)
    stored = store.get(f"things/{name}")
    behaviour = (model if action in ("CREATE", "UPDATE") else stored or {}).get("Behaviour", "")
    told = _as_told(behaviour, action, calls, event, model)
    return told or _handle(store, action, model, stored, data)


def _as_told(behaviour: str, action: str, calls: int, event: Json, model: Json) -> Json | None:
    """An answer that `Behaviour` asks for."""
    words = dict(word.partition("=")[::2] for word in behaviour.split())
    wanted, _, number = words.get(action, "").partition(":")
    if wanted == "slices":
        done = int((event.get("callbackContext") or {}).get("done", 0)) + 1
        return _in_progress(done, model) if done < int(number) else None
    if wanted and calls <= int(number or 1_000):
        answer = _failed(wanted.removesuffix("+model"), "failed as the probe asked")
        return {**answer, "resourceModel": model} if wanted.endswith("+model") else answer
    return None


def _handle(store: "Store", action: str, model: Json, stored: Json | None, data: Json) -> Json:
    name = model.get("Name", "none")
    if action == "LIST":
        return {"status": "SUCCESS", "resourceModels": [{"Name": each} for each in store.names()]}
    if action == "CREATE":
        return _failed("AlreadyExists", f"{name} exists") if stored else _store(store, model, data)
    if stored is None:
        return _failed("NotFound", f"{name} does not exist")
    if action == "UPDATE":
        return _store(store, model, data)
    if action == "DELETE":
        store.remove(f"things/{name}")
        return {"status": "SUCCESS"}
    return {"status": "SUCCESS", "resourceModel": stored}


def _store(store: "Store", model: Json, data: Json) -> Json:
    tags = {**(data.get("stackTags") or {}), **{tag["Key"]: tag["Value"] for tag in model.get("Tags") or []}}
    written = {**model, "Arn": f"arn:recorder:{model['Name']}"}
    if tags:
        written["Tags"] = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
    if "Size" in written:
        written["Size"] = int(written["Size"])
    store.put(f"things/{model['Name']}", written)
    return {"status": "SUCCESS", "resourceModel": written}


def _in_progress(done: int, model: Json) -> Json:
    return {
        "status": "IN_PROGRESS",
        "message": f"slice {done} of the recorder",
        "resourceModel": model,
        "callbackContext": {"done": done},
        "callbackDelaySeconds": 1,
    }


def _failed(code: str, message: str) -> Json:
    return {"status": "FAILED", "errorCode": code, "message": message}


class Store:
    """Objects in the bucket that the package names: things/NAME, and requests/NAME/TIME-ACTION.

    Signed with the credentials of the call.
    https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
    """

    def __init__(self, credentials: Json, region: str) -> None:
        self._credentials = credentials
        self._region = region
        bucket = (Path(__file__).parent / "bucket.txt").read_text()
        local = os.environ.get("AWS_ENDPOINT_URL")
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        self._base = f"{local}/{bucket}" if local else f"https://{bucket}.s3.{region}.{suffix}"

    def record(self, name: str, action: str, event: Json) -> int:
        """Write a request down without its credentials; returns how often this was called for the thing so far."""
        data = {key: value for key, value in event["requestData"].items() if key not in _SECRET}
        key = hashlib.sha256(event["requestData"]["callerCredentials"]["accessKeyId"].encode()).hexdigest()[:12]
        self.put(f"requests/{name}/{time.time_ns()}-{action}", {**event, "requestData": data, "key": key})
        return sum(each.endswith(f"-{action}") for each in self._keys(f"requests/{name}/"))

    def names(self) -> list[str]:
        return [key.removeprefix("things/") for key in self._keys("things/")]

    def get(self, key: str) -> Json | None:
        try:
            return dict(json.loads(self._request("GET", f"/{key}")))
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return None

    def put(self, key: str, document: Json) -> None:
        self._request("PUT", f"/{key}", json.dumps(document).encode())

    def remove(self, key: str) -> None:
        self._request("DELETE", f"/{key}")

    def _keys(self, prefix: str) -> list[str]:
        query = urllib.parse.urlencode({"list-type": "2", "prefix": prefix}, quote_via=urllib.parse.quote, safe="")
        text = self._request("GET", "/", query=query).decode()
        return [part.partition("</Key>")[0] for part in text.split("<Key>")[1:]]

    def _request(self, method: str, path: str, body: bytes = b"", query: str = "") -> bytes:
        url = f"{self._base}{path}" + (f"?{query}" if query else "")
        request = urllib.request.Request(url, body or None, self._headers(method, url, body), method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=20) as answer:
            content: bytes = answer.read()
            return content

    def _headers(self, method: str, url: str, body: bytes) -> dict[str, str]:
        """The request's signature, version 4."""
        parts = urllib.parse.urlsplit(url)
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        headers = {
            "host": parts.netloc,
            "x-amz-content-sha256": hashlib.sha256(body).hexdigest(),
            "x-amz-date": now,
            "x-amz-security-token": self._credentials["sessionToken"],
            **({"content-type": "application/json"} if body else {}),
        }
        signed = ";".join(sorted(headers))
        lines = [f"{name}:{headers[name]}" for name in sorted(headers)]
        canonical = "\n".join([method, parts.path, parts.query, *lines, "", signed, headers["x-amz-content-sha256"]])
        scope = f"{now[:8]}/{self._region}/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = ("AWS4" + self._credentials["secretAccessKey"]).encode()
        for step in (now[:8], self._region, "s3", "aws4_request"):
            key = hmac.new(key, step.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        who = f"Credential={self._credentials['accessKeyId']}/{scope}"
        authorization = f"AWS4-HMAC-SHA256 {who}, SignedHeaders={signed}, Signature={signature}"
        return {**headers, "Authorization": authorization}
