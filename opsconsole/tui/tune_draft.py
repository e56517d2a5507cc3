"""A tuning as it stands in the form: its fields, and the request or the mistakes they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from msgspec import structs

from opsconsole.errors import OpsError, UsageError
from opsconsole.load import plan_for, plans
from opsconsole.load.plan import Work
from opsconsole.profile import Profile, Server
from opsconsole.profile.problems import nearest
from opsconsole.profile.units import format_duration, format_ratio, parse_duration
from opsconsole.tui.load_draft import names_of, parsed, words_of
from opsconsole.tui.load_fields import Field
from opsconsole.tuning import BUDGET, CLIENTS, PRESETS, REPEAT, Request, Tuning
from opsconsole.tuning.space import SWEPT, read_values

SWEEP = "all settings"
MADE = "made up"
FIELDS: tuple[Field, ...] = (
    Field("preset", "what", "a sweep, or one step of the checklist", SWEEP, (SWEEP, *PRESETS)),
    Field("only", "settings", "those that are varied", "all of them", SWEPT, many=True),
    Field("goal", "goal", "most good requests a second, or lowest p95", "throughput",
          ("throughput", "latency")),
    Field("limit", "p95 at most", "a limit that is kept, such as 300ms", "no limit"),
    Field("budget", "time", "ends by itself by then, such as 10m", format_duration(BUDGET)),
    Field("clients", "clients", "each waits for its answer", str(CLIENTS)),
    Field("load", "load", "what is sent: made up, or a load test's", MADE, (MADE,)),
    Field("documents", "documents", "each request: 10, 5..20, lognormal(9, 0.5)", "10"),
    Field("document_tokens", "words each", "such as 70, 20..90 or lognormal(70, 0.5)",
          "lognormal(70, 0.5)"),
    Field("repeat", "repeated", "pairs that were sent before, such as 30%", format_ratio(REPEAT)),
    Field("values", "values", "BATCH_SIZE=8,16; DTYPE=int8,float32", "the usual ones", more=True),
)  # fmt: skip
"""In their order on the screen."""
_MADE = ("documents", "document_tokens", "repeat")
_OF_A_SWEEP = frozenset(("only", "goal"))
_OPTIONS = {"--set": "values", "--budget": "budget", "--preset": "preset", "--only": "only"}


class Checked(NamedTuple):
    """What a draft amounts to. ``request``: None with mistakes; ``errors``: by key."""

    request: Request | None
    errors: dict[str, str]


@dataclass
class TuneDraft:
    """A tuning being edited.

    Attributes:
        texts: Key → what stands in its field; no entry, or an empty one: not said.
    """

    profile: Profile
    server: Server
    texts: dict[str, str] = field(default_factory=dict)

    def said(self, key: str) -> str:
        """What is typed; empty where nothing is."""
        return self.texts.get(key, "").strip()

    @property
    def preset(self) -> str:
        """The step of the checklist; empty for a sweep."""
        return self.said("preset").replace(SWEEP, "")

    def fields(self) -> list[Field]:
        """The fields that there are, with what holds where nothing is said."""
        preset = PRESETS.get(self.preset)
        level = self.server.service_level.p95
        defaults: dict[str, str] = {}
        if level is not None:
            defaults["limit"] = f"{format_duration(level)}, the service level"
        if preset is not None:
            defaults["clients"] = str(preset.clients)
            defaults["repeat"] = format_ratio(0.0)
            defaults["values"] = f"{preset.setting}={preset.value}, or the next larger"
        hidden = set(_OF_A_SWEEP) if preset is not None else set()
        if self.said("load"):
            hidden |= set(_MADE)
        if preset is not None and preset.name != "queue":
            hidden.add("limit")
        if not preset and self.said("goal") == "latency":
            hidden.add("limit")
        shown = [each for each in FIELDS if each.key not in hidden or self.said(each.key)]
        return [self._for(each, defaults) for each in shown]

    def _for(self, each: Field, defaults: Mapping[str, str]) -> Field:
        choices = each.choices
        if each.key == "load":
            loads = (load.name for load in self.profile.loads if load.dialect != "http")
            choices = (*choices, *loads)
        return each._replace(choices=choices, default=defaults.get(each.key, each.default))

    def check(self) -> Checked:
        """The request that it makes, or every mistake in it.

        A replay's file is read from its begin to its end: not for the loop that draws.
        """
        errors: dict[str, str] = {}

        def take(key: str, make: Any, otherwise: Any = None) -> Any:
            try:
                return make(self.said(key)) if self.said(key) else otherwise
            except (ValueError, OpsError) as error:
                errors[key] = words_of(error) if isinstance(error, OpsError) else str(error)
                return otherwise

        found: dict[str, Any] = {
            "preset": self.preset,
            "goal": self.said("goal") or "throughput",
            "limit": take("limit", parse_duration),
            "budget": take("budget", parse_duration, BUDGET),
            "clients": take("clients", _clients),
            "only": take("only", _settings, ()),
            "values": take("values", lambda text: read_values(text.split(";")), {}),
            "work": self._work(errors),
        }
        self._cross(found, errors)
        if errors:
            return Checked(None, errors)
        request = Request(**found)
        try:
            Tuning(self.profile, self.server, request)  # says what is wrong with the whole
        except UsageError as error:
            key = _OPTIONS.get(error.where, error.where)
            known = {each.key for each in FIELDS}
            return Checked(None, {key if key in known else "clients": words_of(error)})
        return Checked(request, {})

    def _work(self, errors: dict[str, str]) -> Work:
        """What is sent: made up, or as a load test of the profile has it."""
        given: dict[str, Any] = {key: self.said(key) for key in _MADE if self.said(key)}
        name = self.said("load")
        try:
            plan = plans.find(self.profile, name, **given) if name else plan_for("load", **given)
        except UsageError as error:
            errors[error.where if error.where in _MADE else "load"] = words_of(error)
            return Work()
        if plan is None:
            errors["load"] = f"there is no load test {name}"
            return Work()
        if plan.work.dialect == "http":
            errors["load"] = "it sends no pairs to be ranked"
        if name or self.preset or "repeat" in given:
            return plan.work
        return structs.replace(plan.work, repeat=REPEAT)

    def _cross(self, found: Mapping[str, Any], errors: dict[str, str]) -> None:
        """What contradicts the rest."""
        preset = PRESETS.get(found["preset"])
        if preset is None and found["preset"]:
            errors["preset"] = "there is no such step"
        elif preset is not None and found["values"].keys() - {preset.setting}:
            errors["values"] = f"this step changes {preset.setting} alone"
        elif found["only"] and (left := found["values"].keys() - set(found["only"])):
            errors["values"] = f"{', '.join(sorted(left))}: not among the settings above"


def _clients(text: str) -> int:
    if (number := int(parsed("concurrency", text))) < 1:
        raise ValueError("expected a whole number >= 1")
    return number


def _settings(text: str) -> tuple[str, ...]:
    found = tuple(name.upper() for name in names_of(text))
    for name in found:
        if name not in SWEPT:
            raise ValueError(f"{name} is not tuned; {nearest(name, SWEPT)}")
    return found


def in_words(request: Request, server: Server) -> tuple[str, str]:
    """What would be tuned, and by which load, in two sentences."""
    preset = PRESETS.get(request.preset)
    if preset is not None:
        what = f"{preset.title}: {preset.setting} against what is there, passed or not"
    else:
        settings = ", ".join(request.only) or SWEEP
        goal = "the most good requests a second"
        limit = request.limit if request.limit is not None else server.service_level.p95
        if request.goal == "latency":
            goal = "the lowest p95"
        elif limit is not None:
            goal += f" with p95 at most {format_duration(limit)}"
        what = f"{settings} for {goal}"
    clients = request.clients or (preset.clients if preset is not None else CLIENTS)
    return what, structs.replace(request, clients=clients).load_words
