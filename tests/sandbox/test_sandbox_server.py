"""Start and stop of the sandbox: what it listens on, and what it leaves behind."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.control import Control, ControlError
from sandbox.server import Sandbox, start_sandbox
from tests.support.project_copy import ROOT
from tests.support.stub import TYPE_NAME, make_package, register

COMMAND = [sys.executable, "-m", "sandbox"]


def children_of(process_id: int) -> list[int]:
    """The processes below one, by Linux's own list."""
    direct = [int(each) for each in Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()]
    for thread in Path(f"/proc/{process_id}/task").iterdir():
        direct += [int(each) for each in (thread / "children").read_text().split()]
    return sorted({*direct, *(each for child in direct for each in children_of(child))})


def runs(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """All temporary files of the test go here."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield folder
    monkeypatch.undo()
    tempfile.tempdir = None
    shutil.rmtree(folder)


def use(box: Sandbox) -> list[int]:
    """Register a type, whose handlers then run in a process; return the processes below the sandbox."""
    register(box)
    return children_of(box.process_id)


def test_it_starts_in_less_than_three_seconds_of_a_core() -> None:
    with start_sandbox() as box:
        fields = Path(f"/proc/{box.process_id}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        used = sum(int(each) for each in fields[11:13]) / os.sysconf("SC_CLK_TCK")  # user and system time
        assert 0 < used < 3  # of its own: a busy machine takes longer
        assert box.client("sts").get_caller_identity()["Account"] == "123456789012"


def test_stopping_leaves_no_process_and_no_file(temporary: Path) -> None:
    with start_sandbox() as box:
        processes = [box.process_id, *use(box)]
        assert len(processes) == 2
        assert list(temporary.iterdir())
    assert not [each for each in processes if runs(each)]
    assert list(temporary.iterdir()) == []


def test_packages_are_unpacked_once_for_all_sandboxes_that_share_a_folder(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SANDBOX_PACKAGES", str(tmp_path / "packages"))
    package, unpacked = make_package(), []
    for _ in range(2):
        with start_sandbox() as box:
            register(box, package)
            assert not list(temporary.rglob("packages"))
        unpacked.append([(each, each.stat().st_ino) for each in (tmp_path / "packages").iterdir()])
    assert len(unpacked[0]) == 1
    assert unpacked[0] == unpacked[1]


def test_it_stops_when_who_started_it_is_gone(temporary: Path) -> None:
    lines = (
        "import os",
        "from sandbox.server import start_sandbox",
        "manager = start_sandbox()",
        "print(manager.__enter__().process_id, flush=True)",
        "os.kill(os.getpid(), 9)",
    )
    script = "\n".join(lines)
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    process_id = int(done.stdout)
    until = time.monotonic() + 60
    while runs(process_id) and time.monotonic() < until:
        time.sleep(0.02)
    assert not runs(process_id)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it(temporary: Path, how: signal.Signals) -> None:
    with subprocess.Popen([*COMMAND, "--port", "0"], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(how)
        rest = process.stdout.read()
        assert process.wait(60) == 0
    assert first.startswith("The sandbox is ready at http://127.0.0.1:")
    assert "export AWS_ENDPOINT_URL=http://127.0.0.1:" in rest
    assert "export AWS_PAGER=''" in rest
    assert list(temporary.iterdir()) == []


def test_the_printed_example_pushes_an_image_without_a_network(temporary: Path) -> None:
    with subprocess.Popen([*COMMAND, "--port", "0"], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = list(itertools.takewhile(lambda line: "Ctrl-C stops it" not in line, process.stdout))
        url = lines[0].partition(" at ")[2].partition(". In")[0]
        control = Control(url)
        control.seed("my-app")
        example = "".join(lines[next(n for n, line in enumerate(lines) if line.startswith("folder=")) :])
        try:
            subprocess.run(["bash", "-ec", example], cwd=ROOT, check=True, capture_output=True)
            held = control.repository("my-app")
        finally:
            process.send_signal(signal.SIGINT)
    assert held is not None
    assert held["images"] == 3


def test_shut_down_by_the_control_endpoint() -> None:
    with start_sandbox() as box:
        box.control.shut_down()
        until = time.monotonic() + 60
        while runs(box.process_id) and time.monotonic() < until:
            time.sleep(0.02)
        assert not runs(box.process_id)


def test_it_listens_on_127_0_0_1_only() -> None:
    with start_sandbox() as box:
        use(box)
        inodes = {os.readlink(each) for each in Path(f"/proc/{box.process_id}/fd").iterdir() if each.is_symlink()}
        listening = []
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/{box.process_id}/net/{table}").read_text().splitlines()[1:]:
                address, state, inode = (line.split()[number] for number in (1, 3, 9))
                if state == "0A" and f"socket:[{inode}]" in inodes:
                    listening.append(address.split(":")[0])
    assert len(listening) == 2  # its own, and that of the handlers' process
    assert set(listening) == {"0100007F"}


@pytest.mark.parametrize("host", ["0.0.0.0", "::1", "192.168.0.1"])
def test_it_refuses_another_address(host: str) -> None:
    done = subprocess.run([*COMMAND, "--host", host], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "listens on 127.0.0.1 only" in done.stderr


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run([*COMMAND, "--port", port], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"Port {port} of 127.0.0.1 can't be used" in done.stderr


def test_without_its_environment_it_says_what_to_type(tmp_path: Path) -> None:
    script = f"import runpy, sys; sys.prefix = {str(tmp_path)!r}; runpy.run_module('sandbox', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Run `make setup`, and use .venv/bin/python." in done.stderr


def test_two_sandboxes_know_nothing_of_each_other() -> None:
    with start_sandbox() as one, start_sandbox() as two:
        one.control.seed("app", ("with_images", {"count": 2}))
        assert (one.control.repositories(), two.control.repositories()) == (["app"], [])


def test_nothing_of_the_users_settings_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:1")
    with start_sandbox() as box:
        assert "AWS_PROFILE" not in box.environment
        asked = ["aws", "sts", "get-caller-identity"]
        done = subprocess.run(asked, env=box.environment, capture_output=True, check=False, text=True)
        assert json.loads(done.stdout)["Account"] == "123456789012"


def test_the_control_endpoint_takes_json_posts_only() -> None:
    with start_sandbox() as box, socket.create_connection(("127.0.0.1", int(box.url.rsplit(":", 1)[1]))) as connection:
        connection.sendall(b"GET /_sandbox/health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 405 ")
        with pytest.raises(ControlError, match="There is no command nothing"):
            box.control.send("nothing")


def test_stopping_ends_handlers_that_are_at_work(temporary: Path) -> None:
    with start_sandbox() as box:
        use(box)
        state = json.dumps({"Name": "slow", "Size": 1, "Behaviour": "first-sleeps=60"})
        box.client("cloudcontrol").create_resource(TypeName=TYPE_NAME, DesiredState=state)
        while not box.control.invocations(action="CREATE"):
            time.sleep(0.01)
        processes = [box.process_id, *children_of(box.process_id)]
        started = time.monotonic()
    assert time.monotonic() - started < 50  # the handler would sleep for longer
    assert not [each for each in processes if runs(each)]
    assert list(temporary.iterdir()) == []
