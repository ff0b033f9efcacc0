"""`python -m sandbox`: start the local AWS, print what another terminal needs, run until Ctrl-C."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import socket
import sys
import tempfile
import threading
from pathlib import Path

from sandbox import environment, interpreter

_USUAL_PORT = 4566


def main() -> None:
    arguments = _parse()
    if not interpreter.is_this():
        _run_again()
    try:
        listener = _bind(arguments.port)
    except OSError as error:
        sys.exit(f"Port {arguments.port} of {environment.HOST} can't be used: {error.strerror}. Try another --port.")
    port = listener.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="sandbox-"))
    try:
        environment.isolate(port, folder, arguments.verbose)
        _serve(listener, folder, arguments)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.stdout.flush()
    os._exit(0)  # ministack's daemon threads would otherwise be waited for


def _run_again() -> None:
    """Run this command again with the sandbox's Python, in place of this process."""
    try:
        python = interpreter.find()
    except interpreter.NotSetUpError as error:
        sys.exit(str(error))
    os.execv(python, [python, "-m", "sandbox", *sys.argv[1:]])


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--port", type=int, help=f"default {_USUAL_PORT} if it is free, or else any; 0 for any")
    parser.add_argument("--host", default=environment.HOST, help="only 127.0.0.1 is accepted")
    parser.add_argument("--verbose", action="store_true", help="show what the parts log")
    parser.add_argument("--json", action="store_true", help="print the variables as one line of JSON")
    parser.add_argument("--until-stdin-closes", action="store_true", help="stop, too, when stdin is closed")
    parser.add_argument(
        "--packages",
        type=Path,
        default=os.environ.get("SANDBOX_PACKAGES"),
        help="where packages stay unpacked, for other sandboxes, too; default $SANDBOX_PACKAGES, or a temporary folder",
    )
    arguments = parser.parse_args()
    if arguments.host != environment.HOST:
        parser.error(f"the sandbox has no authentication, so it listens on {environment.HOST} only")
    return arguments


def _bind(port: int | None) -> socket.socket:
    """A socket that listens on `port`. If it is None: on the usual port, or on any port if the usual one is taken."""
    if port is not None:
        return _listen(port)
    try:
        return _listen(_USUAL_PORT)
    except OSError:
        return _listen(0)


def _listen(port: int) -> socket.socket:
    return socket.create_server((environment.HOST, port), backlog=256)


def _serve(listener: socket.socket, folder: Path, arguments: argparse.Namespace) -> None:
    from sandbox.gateway import app  # imports ministack, which reads the environment that was just set
    from sandbox.gateway.cloud import Folders

    url = f"http://{environment.HOST}:{listener.getsockname()[1]}"
    stop = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    if arguments.until_stdin_closes:
        threading.Thread(target=_watch_stdin, args=(stop,), daemon=True).start()
    folders = Folders(folder, (arguments.packages or folder / "packages").resolve())
    app.serve(url, listener, folders, stop, lambda: _announce(url, arguments.json))


def _watch_stdin(stop: threading.Event) -> None:
    while sys.stdin.buffer.read(1024):
        pass
    stop.set()


def _announce(url: str, as_json: bool) -> None:
    variables = environment.exports(url)
    if as_json:
        print(json.dumps(variables), flush=True)
        return
    host, python = url.removeprefix("http://"), ".venv/bin/python"
    print(f"The sandbox is ready at {url}. In another terminal:\n")
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")
    print(f"\nImages are pushed to {host}/<repository>, without a login and by plain HTTP. Once the stack of")
    print("guides/get-started.md has made my-app, these commands push a build of two architectures to it:\n")
    print(f"folder=$(mktemp -d) && {python} -m demo.images $folder 1.0")
    print("skopeo --insecure-policy copy --all --dest-tls-verify=false \\")
    print(f"  oci:$folder:1.0 docker://{host}/my-app:1.0")
    print("\nCtrl-C stops it; nothing is kept.", flush=True)


if __name__ == "__main__":
    main()
