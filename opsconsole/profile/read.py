"""YAML text → :class:`~opsconsole.profile.document.ProfileDoc`, keeping every mistake's place."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import yaml
from msgspec import Meta, UnsetType
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from opsconsole.profile import loads, units
from opsconsole.profile.document import ProfileDoc
from opsconsole.profile.problems import Problem, ProfileError, nearest
from opsconsole.profile.secret import Secret
from opsconsole.profile.threshold import parse_threshold

Places = dict[tuple[str | int, ...], tuple[int, int]]
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NAMES = {
    "env": (re.compile(r"[A-Za-z_][A-Za-z0-9_]*"), "an environment variable"),
    "headers": (loads.TOKEN, "a header"),
}
_BAD = object()


def read(text: str, file: str, folder: Path) -> tuple[ProfileDoc, Places]:
    """The document and, for later checks, the place of every key.

    Raises:
        ProfileError: with every syntax or type mistake in the file.
    """
    try:
        loader = _SafeLoader(text)
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        message = "not YAML: " + ", ".join(p for p in (error.context, error.problem) if p)
        raise ProfileError(file, [Problem(message, *where)]) from None
    except (yaml.YAMLError, UnicodeError) as error:
        raise ProfileError(file, [Problem(f"not YAML: {error}".splitlines()[0])]) from None
    if root is None:
        raise ProfileError(
            file, [Problem("the file is empty", hint="see `opsconsole profile show local`")]
        )
    builder = _Builder(loader, folder)
    document = builder.build(ProfileDoc, root, ())
    if builder.problems:
        raise ProfileError(file, builder.problems)
    return document, builder.places


class _Builder:
    """Walks YAML nodes and types together, collecting mistakes instead of stopping at the first."""

    def __init__(self, loader: Any, folder: Path) -> None:
        self.loader = loader
        self.folder = folder
        self.problems: list[Problem] = []
        self.places: Places = {}

    def build(self, wanted: Any, node: Node, path: tuple[str | int, ...]) -> Any:
        """The value of type ``wanted`` at ``node``, or ``_BAD`` with a problem noted."""
        self.places[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
        wanted, meta = unwrap(wanted)
        kind = next((m.extra["kind"] for m in meta if m.extra and "kind" in m.extra), None)
        if wanted is loads.AbortDoc and isinstance(node, ScalarNode):
            return self._special("abort", self._plain(node), node, path)
        if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
            return self._struct(wanted, node, path)
        if get_origin(wanted) is tuple:
            return self._sequence(get_args(wanted)[0], node, path)
        if kind in ("env", "headers"):
            return self._names(kind, node, path)
        value = self._plain(node)
        if value is _BAD:
            return self._problem(node, path, "a value is nested too strangely to be read")
        if kind is not None:
            return self._special(kind, value, node, path)
        if get_origin(wanted) is Literal:
            choices = [str(choice) for choice in get_args(wanted)]
            if value not in choices:
                close = difflib.get_close_matches(str(value), choices, n=1)
                return self._problem(
                    node, path, f"{_show(value)} is not one of {', '.join(choices)}",
                    f"did you mean {close[0]!r}?" if close else "",
                )  # fmt: skip
            return value
        try:
            return msgspec.convert(value, Annotated[(wanted, *meta)] if meta else wanted)
        except msgspec.ValidationError as error:
            return self._problem(node, path, f"{str(error)[0].lower()}{str(error)[1:]}")

    def _struct(self, struct: Any, node: Node, path: tuple[str | int, ...]) -> Any:
        if not isinstance(node, MappingNode):
            return self._problem(node, path, f"expected keys and values, got {_kind_of(node)}")
        hints = get_type_hints(struct, include_extras=True)
        self._refuse_duplicates(node, path)
        values: dict[str, Any] = {}
        for key_node, value_node in self._pairs(node):
            key = str(key_node.value) if isinstance(key_node, ScalarNode) else "?"
            if key not in hints:
                self._problem(key_node, (*path, key), "unknown key", nearest(key, hints))
                continue
            values[key] = self.build(hints[key], value_node, (*path, key))
        required = [f.name for f in msgspec.structs.fields(struct) if f.required]
        for name in required:
            if name not in values:
                self._problem(node, path, f"the key {name!r} is missing")
        if _BAD in values.values() or any(name not in values for name in required):
            return _BAD
        return struct(**values)

    def _sequence(self, wanted: Any, node: Node, path: tuple[str | int, ...]) -> Any:
        if not isinstance(node, SequenceNode):
            return self._problem(node, path, f"expected a list, got {_kind_of(node)}")
        items = [self.build(wanted, item, (*path, i)) for i, item in enumerate(node.value)]
        return _BAD if _BAD in items else tuple(items)

    def _names(self, kind: str, node: Node, path: tuple[str | int, ...]) -> Any:
        if not isinstance(node, MappingNode):
            return self._problem(node, path, f"expected names and values, got {_kind_of(node)}")
        pattern, what = _NAMES[kind]
        self._refuse_duplicates(node, path)
        out: dict[str, str] = {}
        for key_node, value_node in self._pairs(node):
            name = str(key_node.value)
            here = (*path, name)
            self.places[here] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if not pattern.fullmatch(name):
                self._problem(key_node, here, f"not the name of {what}")
            elif not isinstance(value_node, ScalarNode):
                self._problem(value_node, here, f"expected one value, got {_kind_of(value_node)}")
            else:
                value = self._plain(value_node)
                # As it is written (4, 0.5, "0010"), but the booleans of YAML as one spelling.
                out[name] = str(value).lower() if isinstance(value, bool) else value_node.value
        return out

    def _pairs(self, node: MappingNode) -> list[tuple[Node, Node]]:
        try:
            self.loader.flatten_mapping(node)  # `<<: *anchor`
        except yaml.YAMLError as error:
            self._problem(node, (), f"not YAML: {error}".splitlines()[0])
        return list(node.value)

    def _refuse_duplicates(self, node: MappingNode, path: tuple[str | int, ...]) -> None:
        seen: dict[str, int] = {}
        for key_node, _ in node.value:
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if key in seen and key != "<<":
                self._problem(key_node, (*path, key), f"the key is already on line {seen[key]}")
            seen.setdefault(key, line)

    def _plain(self, node: Node) -> Any:
        try:
            return self.loader.construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError, TypeError, RecursionError):
            return _BAD

    def _special(self, kind: str, value: Any, node: Node, path: tuple[str | int, ...]) -> Any:
        parsers: dict[str, Callable[[Any], Any]] = {
            "duration": units.parse_duration,
            "ratio": units.parse_ratio,
            "size": units.parse_size,
            "secret": lambda v: Secret.parse(v, self.folder),
            "name": _parse_name,
            "path": lambda v: _parse_path(v, self.folder),
            "rate": units.parse_rate,
            "lengths": loads.parse_lengths,
            "threshold": lambda v: parse_threshold(v).text,
            "abort": loads.parse_abort,
        }
        try:
            return parsers[kind](value)
        except ValueError as error:
            # Never repeat what was written where a secret is expected: it may be the secret.
            # And not the whole of what a message names a part of already.
            said = kind == "secret" or ", got " in str(error)
            got = "" if said else f", got {_show(value)}"
            return self._problem(node, path, f"{error}{got}")

    def _problem(
        self, node: Node, path: tuple[str | int, ...], message: str, hint: str = ""
    ) -> Any:
        mark = node.start_mark
        self.problems.append(Problem(message, mark.line + 1, mark.column + 1, dotted(path), hint))
        return _BAD


def dotted(path: tuple[str | int, ...]) -> str:
    """``("servers", 0, "url")`` → ``servers[0].url``."""
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else part
    return out


def _parse_name(value: Any) -> str:
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    raise ValueError("expected a name of letters, digits, dots, dashes and underscores, at most 64")


def _parse_path(value: Any, folder: Path) -> str:
    """A file, found from the profile's folder."""
    if isinstance(value, str) and value.strip() and "\0" not in value:
        return str(folder.absolute() / Path(value).expanduser())
    raise ValueError("expected the path of a file")


def unwrap(wanted: Any) -> tuple[Any, list[Meta]]:
    """The bare type and its metadata, through Annotated and ``X | UnsetType`` in any order."""
    meta: list[Meta] = []
    while True:
        if get_origin(wanted) is Annotated:
            inner, *notes = get_args(wanted)
            meta += [note for note in notes if isinstance(note, Meta)]
            wanted = inner
        elif get_origin(wanted) in (Union, types.UnionType):
            wanted = next(arm for arm in get_args(wanted) if arm is not UnsetType)
        else:
            return wanted, meta


def _kind_of(node: Node) -> str:
    if isinstance(node, MappingNode):
        return "keys and values"
    if isinstance(node, SequenceNode):
        return "a list"
    return f"{node.value!r}" if node.value else "nothing"


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
