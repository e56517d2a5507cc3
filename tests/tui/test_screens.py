"""The screens over a recorded fleet, at every size and in every set of symbols."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import structs
from textual.containers import VerticalScroll

from opsconsole.actions import ACTIONS, get
from opsconsole.fleet import Identity, ServerState, Snapshot
from opsconsole.host import Disk, Process
from opsconsole.profile import Profile, Server
from opsconsole.tui.app import ConsoleApp
from opsconsole.tui.screens.help import HelpScreen
from opsconsole.tui.screens.host import HostScreen
from opsconsole.tui.widgets.table import Table
from tests.tui.fleet import fleet, local_profile, recording, replay
from tests.tui.render import screen_lines, screen_text, wait_for

EVIL = "\x1b]52;c;eA==\x07[/x][@click=app.quit]x[/]\u202e[$primary] [on red]"
SIZES = [(80, 24), (40, 12), (200, 60), (160, 45), (20, 5)]


def console(environment: str = "development", **more: object) -> ConsoleApp:
    return ConsoleApp(fleet(environment), source=replay(recording(60, 1e9)), **more)  # type: ignore[arg-type]


def shows(app: ConsoleApp, *words: str) -> Callable[[], bool]:
    return lambda: all(word in screen_text(app) for word in words)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("ascii", [False, True], ids=["unicode", "ascii"])
async def test_every_screen_fits_every_size(size: tuple[int, int], ascii: bool) -> None:
    app = console(ascii=ascii)
    async with app.run_test(size=size) as pilot:
        for mode in ("servers", "logs", "rerank", "host", "servers"):
            app.act(f"console.{mode}")
            await wait_for(pilot, lambda mode=mode: app.current_mode == mode)
            await pilot.pause()
            text = screen_text(app)
            assert max(map(len, text.splitlines())) <= size[0]
            assert text.isascii() or not ascii
        app.act("console.help")
        await pilot.pause()
    assert app.return_code in (0, None)


async def test_the_fleet_at_80_by_24_says_what_is_wrong_and_what_to_do() -> None:
    app = console()
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for(
            pilot, shows(app, "degraded", "reranker-3", "61/64", "down", "box7", "3/5 up")
        )
        await pilot.press("j", "j")
        await wait_for(pilot, shows(app, "why  3 forwards in a row failed", "try  restart it", "R"))


async def test_the_cursor_stays_on_its_server_when_rows_move() -> None:
    app = console()
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_for(pilot, shows(app, "reranker-3"))
        table = app.screen.query_one(Table)
        table.cursor = "reranker-3"
        order = [row.key for row in table.rows]
        await pilot.press("o")
        await wait_for(pilot, lambda: [row.key for row in table.rows] != order)
        assert table.cursor == "reranker-3"
        assert table.rows[0].key == "box7"  # the sort is by state, the worst first


async def test_the_filter_narrows_and_escape_widens() -> None:
    app = console()
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for(pilot, shows(app, "box7"))
        await pilot.press("slash", *"reranker", "enter")
        table = app.screen.query_one(Table)
        await wait_for(pilot, lambda: len([r for r in table.rows if r.selectable]) == 3)
        await pilot.press("escape")
        await wait_for(pilot, lambda: len([r for r in table.rows if r.selectable]) == 5)


async def test_marks_choose_the_targets() -> None:
    app = console()
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for(pilot, shows(app, "box7"))
        await pilot.press("space", "space", "space")
        table = app.screen.query_one(Table)
        assert table.targets() == ["reranker-1", "reranker-2", "reranker-3"]
        await pilot.press("u")
        assert table.targets() == ["tei-a"]


async def test_a_server_of_another_machine_is_not_started() -> None:
    app = console()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_for(pilot, shows(app, "box7"))
        await pilot.press("S")
        await wait_for(pilot, shows(app, "not run by opsconsole"))


async def test_commands_are_completed_and_mistakes_are_named() -> None:
    app = console()
    async with app.run_test(size=(100, 24), notifications=True) as pilot:
        await wait_for(pilot, shows(app, "box7"))
        await pilot.press("colon", *"hos", "tab", "enter")
        await wait_for(pilot, lambda: app.current_mode == "host")
        await pilot.press("colon", *"servrs", "enter")
        await wait_for(pilot, shows(app, "did you mean 'servers'?"))


async def test_help_and_palette_list_what_the_registry_lists() -> None:
    app = console()
    async with app.run_test(size=(120, 50)) as pilot:
        await pilot.press("question_mark")
        await wait_for(pilot, shows(app, "Keys and commands", "Stop the daemon"))
        offered = [command.help for command in app.get_system_commands(app.screen_stack[-2])]
    assert get("server.stop").help in offered
    assert {action.help for action in ACTIONS} >= set(offered)


async def test_words_beside_a_key_are_wrapped_in_their_own_column() -> None:
    app = console()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("question_mark")
        await wait_for(pilot, shows(app, "Keys and commands", "esc close"))
        assert isinstance(app.screen, HelpScreen)
        lines = str(app.screen.body).splitlines()
        assert max(map(len, lines)) <= app.screen.text_width
        (at,) = (i for i, line in enumerate(lines) if ":mouse" in line)
        column = lines[at].index("Give the mouse")
        assert lines[at + 1][:column].strip() == ""
        assert lines[at + 1].strip().endswith("selecting, or take it back")
        await wait_for(pilot, shows(app, *(line.strip() for line in lines[5:9])))


async def test_a_scroll_bar_in_ascii_is_no_text_and_needs_no_colour(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = console(ascii=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("question_mark")
        await wait_for(pilot, shows(app, "Keys and commands", "#", ":"))
        bar = app.screen.query_one(VerticalScroll).vertical_scrollbar.region
        drawn = "".join(line[bar.x] for line in screen_lines(app, strip=False)[bar.y : bar.bottom])
        assert set(drawn) == {"#", ":"}
        assert drawn == drawn.strip(":") + drawn.lstrip("#")  # it is at the top
        await pilot.press("end")
        await wait_for(pilot, lambda: screen_lines(app, strip=False)[bar.bottom - 1][bar.x] == "#")


async def test_every_scope_of_the_registry_is_in_the_help() -> None:
    app = console()
    async with app.run_test(size=(120, 50)) as pilot:
        await pilot.press("question_mark")
        await wait_for(pilot, shows(app, "Keys and commands"))
        assert isinstance(app.screen, HelpScreen)
        text = str(app.screen.body)
    assert all(action.help in text for action in ACTIONS)
    assert "\nLoad\n" in text


async def test_the_daemons_of_this_machine_are_seen_at_80_by_24() -> None:
    app = console()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("5")
        await wait_for(pilot, lambda: isinstance(app.screen, HostScreen))
        screen = app.screen
        assert isinstance(screen, HostScreen)
        await wait_for(pilot, lambda: screen.sample is not None)
        assert screen.sample is not None
        processes = tuple(
            Process(pid=900 + i, name=f"server-{i}", cpu_cores=0.5, resident_bytes=2**28, threads=4)
            for i in range(2)
        )
        disks = tuple(Disk(f"/data{i}", 100, 100 - i) for i in range(6))
        sample = structs.replace(screen.sample, processes=processes, disks=disks, cores=(0.5,) * 16)

        def taken() -> bool:
            screen._take(sample)  # again: the machine itself is read once a second
            return shows(app, "DAEMON", "server-0", "server-1", "/data5")()

        await wait_for(pilot, taken)
        assert "/data1" not in screen_text(app)  # the fullest only


async def test_production_is_loud_and_read_only_until_its_name_is_typed() -> None:
    app = console("production")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_for(pilot, shows(app, "PRODUCTION", "read-only"))
        await pilot.press("R")
        await wait_for(pilot, shows(app, "restart is refused"))
        await pilot.press("U")
        await wait_for(pilot, shows(app, "Unlock production profile gpu-fleet?"))
        await pilot.press("y", *"es", "enter")
        await pilot.pause()
        assert app.read_only
        await pilot.press(*"gpu-fleet", "enter")
        await wait_for(pilot, lambda: not app.read_only)


async def test_read_only_by_flag_cannot_be_unlocked() -> None:
    app = console(read_only=True)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("U")
        await wait_for(pilot, shows(app, "opened with --read-only"))
        assert app.read_only
        refused = [action for action in ACTIONS if action.mutates]
        assert refused
        assert not any(app.can(action, app.screen) for action in refused)


async def test_foreign_strings_are_only_text() -> None:
    profile = Profile(
        name="p", title=EVIL, servers=(Server(name="a", url="http://127.0.0.1:1"),)
    )  # fmt: skip
    snapshot = Snapshot(
        server="a", at=1e9, clock=1e9, state=ServerState.DEGRADED, poll_seconds=0, detail=EVIL,
        identity=Identity(model=EVIL, device=EVIL, backend=EVIL, dtype=EVIL, version=EVIL),
    )  # fmt: skip
    app = ConsoleApp(profile, source=replay([snapshot]))
    async with app.run_test(size=(200, 40), notifications=True) as pilot:
        await wait_for(pilot, shows(app, "degraded"))
        app.say(EVIL)
        await pilot.press("enter")
        await wait_for(pilot, shows(app, "Answers there", "[@click=app.quit]x[/]"))
        text = screen_text(app)
        assert "\x1b" not in text
        assert "\u202e" not in text
        strips = app.screen._compositor.render_strips()
        links = [str(s.style.meta) for strip in strips for s in strip if s.style and s.style.meta]
        assert not any("quit" in link for link in links)


async def test_no_color_keeps_states_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = console()
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for(pilot, shows(app, "● up", "▲ degraded", "× down", "▌"))


async def test_another_profile_can_be_opened_and_a_broken_one_not(tmp_path: Path) -> None:
    local_profile(tmp_path)
    (tmp_path / "broken.yaml").write_text("name: x\nservrs: []\n")
    app = console()
    async with app.run_test(size=(100, 24), notifications=True) as pilot:
        await wait_for(pilot, shows(app, "box7"))
        app.act("console.profile", str(tmp_path / "broken.yaml"))
        await wait_for(pilot, shows(app, "servrs", "gpu-fleet"))
        app.act("console.logs")
        await pilot.pause()
        app.act("console.profile", str(tmp_path / "here.yaml"))
        await wait_for(pilot, lambda: app.profile.name == "here")
        app.act("console.servers")
        await wait_for(pilot, shows(app, "local-0", "stopped"))


async def test_a_model_that_shrinks_and_grows_while_it_is_shown() -> None:
    app = console()
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for(pilot, shows(app, "box7"))
        for size in ((20, 5), (200, 60), (40, 12), (80, 24)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
        await wait_for(pilot, shows(app, "box7", "degraded"))


async def test_ctrl_keys_work_from_within_the_text_fields() -> None:
    app = console()
    async with app.run_test(size=(100, 30)) as pilot:
        app.act("console.rerank")
        await wait_for(pilot, shows(app, "how do I free memory on the GPU?"))
        await pilot.press("ctrl+e")
        await wait_for(pilot, shows(app, "why does the load balancer answer 503?"))


async def test_what_is_ticked_is_told_without_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = console()
    async with app.run_test(size=(100, 30)) as pilot:
        app.act("console.rerank")
        await wait_for(pilot, shows(app, "ranked by"))
        await pilot.press("ctrl+s")
        await wait_for(pilot, shows(app, "Who ranks?"))
        strips = app.screen._compositor.render_strips()
        marks = [s for strip in strips for s in strip if s.text == "X" and s.style]
        seen = [s for s in marks if s.style is not None and s.style.color != s.style.bgcolor]
        assert (len(seen), len(marks)) == (1, 5)  # the embedded engine of five sides


async def test_the_palette_has_no_question_marks_in_ascii() -> None:
    app = console(ascii=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+p")
        await wait_for(pilot, lambda: "Search for commands" in screen_text(app))
        assert screen_text(app).isascii()
        assert "?" not in screen_text(app).split("Search for commands")[0]
        assert "???" not in screen_text(app)
