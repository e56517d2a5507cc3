"""A load test as it stands in the form: a text a key, and the plan or the mistakes they make."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from opsconsole.errors import OpsError, UsageError
from opsconsole.load.modes import plan_for
from opsconsole.load.plan import MODES, Mode, Phase, Plan
from opsconsole.load.targets import chosen
from opsconsole.profile import Profile, Server
from opsconsole.profile.loads import AbortDoc, LoadDoc, StageDoc, written
from opsconsole.profile.units import format_duration, format_rate, format_ratio
from opsconsole.text import clean_line

_DURATIONS = frozenset(("duration", "warmup", "think", "timeout"))
_RATES = frozenset(("rate", "most"))
_RATIOS = frozenset(("repeat", "check", "tolerance"))
_NUMBERS = frozenset(
    ("confirm", "requests", "concurrency", "top_n", "seed", "max_in_flight", "processes")
)
_LISTS = frozenset(("servers", "thresholds", "stages", "abort_on"))
_HEADER = re.compile(r";\s*(?=[!#$%&'*+.^_`|~0-9A-Za-z-]+\s*:)")
_NEEDED: dict[Mode, str] = {
    "rate": "rate", "replay": "replay", "ramp": "concurrency", "spike": "concurrency",
}  # fmt: skip
"""Where a mistake of the whole stands: at the key that the mode cannot do without."""
_BEGIN: dict[Mode, dict[str, str]] = {
    "rate": {"rate": "10/s"},
    "ramp": {"concurrency": "16"},
    "spike": {"concurrency": "4"},
}
"""What the form offers where a mode has no default of its own."""


class Checked(NamedTuple):
    """What a draft amounts to.

    Attributes:
        plan: None with mistakes.
        errors: Key → what is wrong with it.
    """

    plan: Plan | None
    servers: tuple[Server, ...]
    errors: dict[str, str]


@dataclass
class Draft:
    """A load test of the profile, or a mode, being edited.

    Attributes:
        texts: Key → what stands in its field; no entry, or an empty one: not said.
    """

    name: str
    mode: Mode
    texts: dict[str, str] = field(default_factory=dict)
    _origin: dict[str, tuple[str, Any]] = field(default_factory=dict, repr=False)
    _aimed: str = ""

    @classmethod
    def of(cls, load: LoadDoc) -> Draft:
        """The draft of a load test in a profile."""
        origin = {
            key: (text_of(key, value), value)
            for key, value in written(load).items()
            if key not in ("name", "mode")
        }
        return cls(load.name, load.mode, {key: text for key, (text, _) in origin.items()}, origin)

    @classmethod
    def of_mode(cls, mode: Mode) -> Draft:
        """The draft of a mode."""
        return cls(mode, mode, dict(_BEGIN.get(mode, {})))

    def aim(self, servers: Sequence[str]) -> None:
        """Send it to servers that were chosen on another screen: no change of the test itself."""
        self._aimed = self.texts["servers"] = ", ".join(servers)

    @property
    def changed(self) -> bool:
        """Whether it is no longer what the profile says."""
        before = {key: text for key, (text, _) in self._origin.items() if text}
        now = {key: text for key, text in self.texts.items() if text.strip()}
        if self._aimed and now.get("servers") == self._aimed:
            del now["servers"]
            before.pop("servers", None)
        return before != now

    def check(self, profile: Profile) -> Checked:
        """The plan that it makes for ``profile``, or every mistake in it.

        A replay's file is read from its begin to its end: not for the loop that draws.
        """
        options, errors = self._options()
        base = LoadDoc(name=self.name, mode=self.mode)
        plan: Plan | None = None
        while plan is None:
            try:
                plan = plan_for(self.name, base=base, **options)
            except UsageError as error:
                key = self._place(error)
                errors.setdefault(key, words_of(error))
                if options.pop(key, None) is None:
                    break
        servers: tuple[Server, ...] = ()
        if plan is not None:
            try:
                servers = chosen(plan, profile)
            except UsageError as error:
                errors["servers"] = words_of(error)
            if not profile.servers:
                errors["servers"] = "this profile has no servers"
        return Checked(None if errors else plan, servers, errors)

    def _options(self) -> tuple[dict[str, Any], dict[str, str]]:
        options: dict[str, Any] = {}
        errors: dict[str, str] = {}
        for key, text in self.texts.items():
            before, value = self._origin.get(key, ("", None))
            if not text.strip():
                continue
            if text == before:
                options[key] = value
                continue
            try:
                options[key] = parsed(key, text)
            except ValueError as error:
                errors[key] = str(error)
        return options, errors

    def _place(self, error: UsageError) -> str:
        if error.where in LoadDoc.__struct_fields__:
            return error.where
        return _NEEDED.get(self.mode, "requests") if not error.where else "replay"


def drafts(profile: Profile) -> dict[str, Draft]:
    """A draft of each load test of ``profile``, then of each mode, by a key for each."""
    own = {f"profile {load.name}": Draft.of(load) for load in profile.loads}
    return own | {f"mode {mode}": Draft.of_mode(mode) for mode in MODES}


def parsed(key: str, text: str) -> Any:
    """What is typed, as :func:`~opsconsole.load.modes.plan_for` takes it.

    Raises:
        ValueError: it is no number, or no header.
    """
    text = text.strip()
    if key in _NUMBERS:
        if not text.replace(",", "").isdecimal():
            raise ValueError("expected a whole number, such as 100")
        return int(text.replace(",", ""))
    if key in _LISTS:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if key == "headers":
        pairs = [line.partition(":") for line in _HEADER.split(text)]
        if not all(colon for _, colon, _ in pairs):
            raise ValueError("expected NAME: VALUE; the next after a semicolon")
        return {name.strip(): value.strip() for name, _, value in pairs}
    return text


def text_of(key: str, value: Any) -> str:
    """A value of a profile as a person would type it; clean."""
    form = _FORMS.get(key, str)
    if key in _LISTS:
        return clean_line(", ".join(form(item) for item in value), 2000)
    return clean_line(form(value), 2000)


def _stage(stage: StageDoc) -> str:
    keys = written(stage)
    last = f"..{keys['to']:.10g}" if "to" in keys else ""
    first = f"{keys['rate']:.10g}{last}/s" if "rate" in keys else f"{keys['concurrency']}{last}"
    return f"{first} {format_duration(stage.duration)}"


def stages_of(plan: Plan) -> str:
    """The stages of a plan that is made of them, as they would be typed; empty for another."""
    if plan.mode not in ("ramp", "spike"):
        return ""
    measured = [phase for phase in plan.phases if phase.measured]
    first, last = measured[0], measured[-1]
    if plan.mode == "ramp" and not first.is_open:
        length = sum(phase.duration or 0.0 for phase in measured)
        return f"{first.concurrency}..{last.concurrency} {format_duration(length)}"
    return ", ".join(map(_stage_of, measured))


def _stage_of(phase: Phase) -> str:
    length = format_duration(phase.duration or 0.0)
    if not phase.is_open:
        return f"{phase.concurrency} {length}"
    end = f"..{phase.rate_end:.10g}" if phase.rate_end is not None else ""
    return f"{phase.rate:.10g}{end}/s {length}"


def _abort(abort: AbortDoc) -> str:
    keys = written(abort)
    over = f" over {format_duration(keys['window'])}" if "window" in keys else ""
    after = f" after {keys['after']}" if "after" in keys else ""
    return f"{abort.threshold}{over}{after}"


def _headers(headers: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {value}" for name, value in headers.items())


_FORMS: dict[str, Callable[[Any], str]] = {
    **dict.fromkeys(_DURATIONS, format_duration),
    **dict.fromkeys(_RATIOS, format_ratio),
    **dict.fromkeys(_RATES, format_rate),
    "stages": _stage,
    "abort_on": _abort,
    "headers": _headers,
}


def words_of(error: OpsError) -> str:
    """A mistake as it stands under its field."""
    what = clean_line(error.what, 200).replace("`int`", "a whole number").replace("`str`", "text")
    return f"{what}; {clean_line(error.hint, 200)}" if error.hint else what


def names_of(text: str) -> Sequence[str]:
    """The names in a list that is typed with commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
