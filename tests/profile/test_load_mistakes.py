"""A plan file with any kind of mistake says where, what and what to do, and never falls over."""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from opsconsole import profile as profiles
from opsconsole.errors import UsageError
from opsconsole.load.modes import NUMBERS, plan_for
from opsconsole.load.plan import Plan
from opsconsole.load_words import ARRIVALS, DIALECTS, MODES
from opsconsole.profile import Problem, ProfileError
from opsconsole.profile.loads import AbortDoc, LoadDoc, StageDoc
from tests.profile.test_loads import ALL, HEAD

KEYS = sorted({*LoadDoc.__struct_fields__, *StageDoc.__struct_fields__,
               *AbortDoc.__struct_fields__})  # fmt: skip
WORDS = [
    *MODES, *DIALECTS, *ARRIVALS, "30s", "0s", "10ms", "5/s", "600/m", "50%", "4..16", "9..4",
    "lognormal(70, 0.5)", "p95 < 1s", "p95 < 1s over 5s on one", "goodput > 1/s", "one", "two",
    "/health", "GET", "X-A", "x.jsonl", "",
]  # fmt: skip
SCALARS = (
    st.sampled_from(WORDS)
    | st.integers(-2, 10**12)
    | st.floats()
    | st.booleans()
    | st.none()
    | st.dates()
    | st.text(string.printable, max_size=12)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
LOADS = st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=6), VALUES, max_size=6)
QUICK = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def told(folder: Path, text: str) -> list[str]:
    """The mistakes of a profile; every one has its place and a sentence."""
    path = folder / "p.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    problems: list[Problem] = []
    lines: list[str] = []
    try:
        profiles.load_file(path)
    except ProfileError as error:
        problems, lines = error.problems, str(error).splitlines()
    for problem in problems:
        assert problem.message
        assert problem.line <= text.count("\n") + 2
    return lines


@QUICK
@given(st.lists(LOADS, max_size=3))
def test_any_load_test_is_read_or_refused_with_its_place(
    tmp_path: Path, loads: list[dict[str, Any]]
) -> None:
    told(tmp_path, HEAD + yaml.safe_dump({"loads": loads}, allow_unicode=True))


@QUICK
@given(
    st.integers(0, len(ALL)),
    st.integers(0, 30),
    st.text(st.sampled_from("{}[]:,-&*!|>'\"%#?<= \n\tab0") | st.characters(), max_size=8),
)
@example(0, 0, "&a [*a]")
@example(len(ALL), 0, "\n<<: 5")
def test_any_damage_to_a_plan_file_is_told(tmp_path: Path, at: int, cut: int, put: str) -> None:
    told(tmp_path, HEAD + ALL[:at] + put + ALL[at + cut :])


@QUICK
@given(
    st.sampled_from(MODES),
    st.lists(st.floats(-1, 1e6), max_size=3),
    st.dictionaries(st.sampled_from(LoadDoc.__struct_fields__[2:]), SCALARS, max_size=4),
)
def test_any_command_line_is_a_plan_or_a_usage_error(
    mode: str, numbers: list[float], options: dict[str, Any]
) -> None:
    lists = ("servers", "stages", "thresholds", "abort_on")
    values = {key: (str(value),) if key in lists else value for key, value in options.items()}
    plan: Plan | None = None
    complaint = ""
    try:
        plan = plan_for(mode, numbers=numbers, **values)
    except UsageError as error:
        complaint = error.what
    assert (plan is None) == bool(complaint)
    assert plan is None or len(numbers) <= len(NUMBERS[plan.mode])


MANY = """\
loads:
  - name: a
    mode: lod
  - name: b
    mode: rate
    rate: fast
    duration: 30
    thresholds:
      - p59 < 1s
      - p95 < 500
      - p95 > 1s
      - p95 < 1s over 5
  - name: c
    mode: load
    request: 5
    documents: few
    repeat: 7
    headers: {A B: x}
    headers: {X: y}
    abort_on: [p95 < 1s, p95 > 1s]
"""


def test_a_file_with_many_mistakes_tells_all_of_them_with_hints(tmp_path: Path) -> None:
    lines = told(tmp_path, HEAD + MANY)
    places = [int(found[1]) - 2 for line in lines if (found := re.search(r"p\.yaml:(\d+)", line))]
    assert places == [3, 6, 7, 9, 10, 11, 12, 15, 16, 17, 18, 19, 20]
    text = "\n".join(lines)
    for part in (
        "did you mean 'load'?", "such as 50/s", "a duration needs a unit, such as 30s",
        "did you mean 'p9", "did you mean p95 < 1s?", "over: expected a duration",
        "did you mean 'requests'?", "such as 4..16", "expected a share", "not the name of a header",
        "already on line", "p95 > 1s asks for the worse",
    ):  # fmt: skip
        assert part in text, part
