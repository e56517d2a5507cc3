from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

from opsconsole.engine.settings import EngineSettings
from opsconsole.server import ServerSettings
from opsconsole.server.reload import look, watched
from tests.engine.models import make_cross_encoder
from tests.server.process import ServerProcess, until

RELOADING = [
    sys.executable,
    "-c",
    "from opsconsole.server import ServerSettings, serve; import os, sys;"
    "sys.exit(serve(ServerSettings.from_env(os.environ), reload=True))",
]


def test_a_look_sees_what_is_new_changed_and_gone(tmp_path: Path) -> None:
    code = tmp_path / "a" / "code.py"
    code.parent.mkdir()
    code.write_text("1")
    (tmp_path / "note.txt").write_text("")
    first = look([(tmp_path, "*.py")])
    assert list(first) == [str(code)]
    os.utime(code, ns=(1, 1))
    assert look([(tmp_path, "*.py")]) == {str(code): 1}
    code.unlink()
    assert look([(tmp_path, "*.py")]) == {}


def test_a_hub_name_is_no_folder_to_watch(tmp_path: Path) -> None:
    assert len(watched(ServerSettings())) == 1
    settings = ServerSettings(engine=EngineSettings(local_path=str(tmp_path)))
    assert watched(settings)[1] == (tmp_path, "*")


def test_a_change_of_the_model_restarts_the_server(tmp_path: Path) -> None:
    folder = make_cross_encoder(tmp_path / "model")
    # Another port each time it starts would do too, but a client wants the same.
    env = {"LOCAL_MODEL_PATH": str(folder)}
    with ServerProcess(env, argv=RELOADING) as server:
        first = server.health()["pid"]
        assert first != server.pid
        config = folder / "config.json"
        shutil.copy(config, tmp_path / "kept")
        config.write_text("{}")

        def said(message: str) -> bool:
            return any(line["message"] == message for line in server.lines())

        until(lambda: said("the server ended; waiting for a change"), "the broken model")
        shutil.copy(tmp_path / "kept", config)
        ready = until(
            lambda: [x for x in server.lines() if x["message"] == "ready"][1:], "the third start"
        )
        assert len(ready) == 1
        server.port = [x for x in server.lines() if x["message"] == "listening"][-1]["port"]
        assert server.health()["pid"] not in (first, server.pid)
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
