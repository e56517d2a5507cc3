"""Every run is kept: ``loads/ID/run.bin`` holds all of it, ``summary.json`` what a list shows.

``loads/baselines.json`` says which of them later runs are compared with.
"""

from __future__ import annotations

import contextlib
import errno
import shutil
import zlib
from pathlib import Path

import msgspec

from opsconsole import paths
from opsconsole.errors import OpsError, UsageError
from opsconsole.load.comparable import strata
from opsconsole.load.packing import pack, unpack
from opsconsole.load.records import Run
from opsconsole.load.summary import Summary, sentence, summarize
from opsconsole.profile.problems import nearest
from opsconsole.text import clean_line

_MAGIC = b"opsconsole load 1\n"
_ENDED = {"failed": "failed", "stopped": "was stopped"}


def folder() -> Path:
    """Where the runs are."""
    return paths.state_dir() / "loads"


def save(run: Run) -> Path:
    """Store ``run``; a run of the same id is replaced. Its folder.

    Raises:
        OpsError: the disk is full or the folder cannot be written. Nothing half-written stays.
    """
    place = folder() / run.id
    made = not place.is_dir()
    try:
        data = _MAGIC + pack(run)
        brief = msgspec.json.format(msgspec.json.encode(summarize(run)), indent=1)
    except UnicodeEncodeError:
        raise OpsError(
            "the run cannot be stored: a name in it is no Unicode text", where=str(place)
        ) from None
    try:
        paths.private_dir(place)
        paths.write_atomic(place / "run.bin", data)
        # Last: a folder without it is no run yet.
        paths.write_atomic(place / "summary.json", brief)
    except OSError as error:
        if made:
            shutil.rmtree(place, ignore_errors=True)
        raise _unwritable("the run cannot be stored", error, place) from None
    return place


def runs() -> list[Summary]:
    """The stored runs, oldest first; folders that hold no readable summary are left out."""
    try:
        places = list(folder().iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise OpsError(
            f"the stored runs cannot be read: {error.strerror}", where=str(folder())
        ) from None
    found = []
    for place in places:
        with contextlib.suppress(OSError, msgspec.DecodeError):
            summary = _summaries.decode((place / "summary.json").read_bytes())
            if summary.id == place.name:
                found.append(summary)
    return sorted(found, key=_moment)


def _moment(summary: Summary) -> tuple[float, str]:
    return summary.at, summary.id


def look_up(word: str, *, profile: str | None = None) -> Summary:
    """The summary of the run that ``word`` means: ``latest``, an id, the beginning of one, or the
    name of a plan (its newest run). ``profile`` limits ``latest`` and plans to its runs.

    Raises:
        UsageError: there is none, or several ids begin so.
    """
    known = runs()
    if not known:
        raise UsageError("no load test is stored", where=str(folder()), hint="opsconsole load")
    for summary in known:
        if summary.id == word:
            return summary
    here = [summary for summary in known if profile is None or summary.profile == profile]
    if word == "latest" and here:
        return here[-1]
    of_plan = [summary for summary in here if summary.plan == word]
    if of_plan:
        return of_plan[-1]
    begun = [summary for summary in known if word and summary.id.startswith(word)]
    if len(begun) == 1:
        return begun[0]
    if begun:
        shown = ", ".join(summary.id for summary in begun[-3:])
        raise UsageError(
            f"{len(begun)} runs begin with {word!r}", hint=f"give more of it, such as {shown}"
        )
    plans = sorted({summary.plan for summary in known})
    raise UsageError(
        f"there is no run {clean_line(word, 80)!r}",
        hint=nearest(word, [*plans, "latest"]) or "opsconsole load list",
    )


def find(word: str, *, profile: str | None = None) -> Run:
    """The run that ``word`` means; see :func:`look_up`.

    Raises:
        UsageError: there is none, or several.
        OpsError: its file cannot be read.
    """
    return read(look_up(word, profile=profile).id)


def side(words: str, *, last: int = 1, profile: str | None = None) -> list[Summary]:
    """The runs that one side of a comparison consists of, oldest first.

    Args:
        words: Runs with commas between them, each as in :func:`look_up`. One that is one of
            several repetitions stands for all of them.
        last: With one word: so many runs of its plan, the newest of them that which is meant.
            Those that are invalid, were stopped, changed by hand or run with another plan are left
            out.

    Raises:
        UsageError: there is no such run, several runs are meant, or there are fewer than ``last``.
    """
    known = runs()
    found = [look_up(word.strip(), profile=profile) for word in words.split(",")]
    if len(found) > 1:
        return list({summary.id: summary for summary in found}.values())
    [meant] = found
    like = [
        summary
        for summary in known
        if (summary.profile, summary.fingerprint) == (meant.profile, meant.fingerprint)
        and (
            summary.id == meant.id
            or (summary.verdict not in ("invalid", "stopped") and not summary.by_hand)
        )
    ]
    if last > 1:
        upto = [summary for summary in like if _moment(summary) <= _moment(meant)][-last:]
        if len(upto) < last:
            raise UsageError(
                f"of the last {last} runs up to {meant.id} there are {len(upto)}",
                hint="opsconsole load list",
            )
        return upto
    return [summary for summary in like if meant.series and summary.series == meant.series] or [
        meant
    ]


def read(run_id: str) -> Run:
    """The stored run of this id.

    Raises:
        OpsError: its file is gone, damaged, or of another version of opsconsole.
    """
    path = folder() / run_id / "run.bin"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise OpsError(f"the run cannot be read: {error.strerror}", where=str(path)) from None
    if not data.startswith(_MAGIC):
        raise OpsError("this is no run that this version of opsconsole reads", where=str(path))
    try:
        return unpack(data[len(_MAGIC) :])
    except (zlib.error, msgspec.MsgspecError, ValueError):
        raise OpsError("the stored run is damaged", where=str(path)) from None


def set_baseline(word: str, *, profile: str | None = None, force: bool = False) -> Summary:
    """Make a run the one that later runs of its plan and profile are compared with.

    Args:
        force: Even one that failed or was stopped.

    Raises:
        UsageError: there is no such run; it is invalid, was changed by hand, or is too short: no
            run could be compared with it; or without ``force``: it failed or was stopped.
        OpsError: it cannot be read or noted, or what is noted of other plans cannot be read.
    """
    summary = look_up(word, profile=profile)
    if summary.verdict == "invalid":
        raise UsageError(
            f"run {summary.id} is invalid and can be no baseline", hint=summary.headline
        )
    if summary.by_hand:
        raise UsageError(
            f"run {summary.id} was changed by hand while it ran and can be no baseline",
            hint=summary.by_hand,
        )
    run = read(summary.id)
    if not run.series:  # repetitions are compared as wholes, however short they are
        try:
            strata(run, run)
        except UsageError as error:
            raise UsageError(f"no baseline: {error.what}", hint=error.hint) from None
    if summary.verdict in ("failed", "stopped") and not force:
        why = run.stopped if summary.verdict == "stopped" else sentence(run).partition(": ")[2]
        raise UsageError(
            f"run {summary.id} {_ENDED[summary.verdict]}: {clean_line(why, 200)}",
            hint=f"later runs would be held against that; if it is meant: opsconsole load "
            f"baseline {summary.id} --force",
        )
    noted = _baselines()
    noted.setdefault(summary.profile, {})[summary.plan] = summary.id
    _note(noted)
    return summary


def baseline(plan: str, profile: str) -> Run | None:
    """The run that runs of this plan are compared with; None when none was chosen or it is gone.

    Raises:
        OpsError: which one it is, or the run itself, cannot be read.
    """
    run_id = _baselines().get(profile, {}).get(plan)
    if run_id is None or not (folder() / run_id / "summary.json").is_file():
        return None
    return read(run_id)


def baselines() -> frozenset[str]:
    """The ids of the runs that are baselines; none where they cannot be read."""
    with contextlib.suppress(OpsError):
        return _ids(_baselines())
    return frozenset()


def delete(run_id: str, *, force: bool = False) -> None:
    """Delete the stored run of exactly this id, whether its files can still be read or not.

    A link in place of a run is refused, and links in a run's folder are not followed.

    Args:
        force: Even a baseline, which then is none any more.

    Raises:
        UsageError: there is no such run, or it is a baseline.
        OpsError: it cannot be deleted, or is a link to somewhere else; or without ``force``:
            whether it is a baseline cannot be read.
    """
    place = folder() / run_id
    if run_id in ("", ".", "..") or place.parent != folder() or "\0" in run_id:
        raise UsageError(f"{clean_line(run_id, 80)!r} is no run's id", hint="opsconsole load list")
    if place.is_symlink():
        raise OpsError(
            "the run is a link to somewhere else", where=str(place), hint="remove the link"
        )
    if not place.is_dir():
        raise UsageError(f"there is no run {clean_line(run_id, 80)!r}", where=str(folder()))
    if not force and run_id in _ids(_baselines()):
        raise UsageError(
            f"run {run_id} is a baseline", hint="make another one the baseline, or insist (--force)"
        )
    try:
        # First: a folder without it is no run any more, however far the rest comes.
        (place / "summary.json").unlink(missing_ok=True)
        shutil.rmtree(place)
    except OSError as error:
        raise OpsError(
            f"the run cannot be deleted: {error.strerror or error}", where=str(place)
        ) from None
    _forget(run_id)


def _forget(run_id: str) -> None:
    """Take a deleted run out of the baselines; where that cannot be written, its id means none."""
    try:
        noted = _baselines()
    except OpsError:
        return
    kept = {
        profile: {plan: noted_id for plan, noted_id in plans.items() if noted_id != run_id}
        for profile, plans in noted.items()
    }
    if kept != noted:
        with contextlib.suppress(OpsError):
            _note(kept)


def _note(noted: dict[str, dict[str, str]]) -> None:
    path = folder() / "baselines.json"
    try:
        paths.write_atomic(path, msgspec.json.format(msgspec.json.encode(noted), indent=1))
    except OSError as error:
        raise _unwritable("the baseline cannot be noted", error, path) from None


def _baselines() -> dict[str, dict[str, str]]:
    path = folder() / "baselines.json"
    hint = "mend it, or remove it to choose baselines anew"
    try:
        return _notes.decode(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        why = error.strerror or str(error)
        raise OpsError(f"the baselines cannot be read: {why}", where=str(path), hint=hint) from None
    except ValueError:  # msgspec's errors are some, and so is what is no UTF-8
        raise OpsError("the baselines cannot be read", where=str(path), hint=hint) from None


def _ids(noted: dict[str, dict[str, str]]) -> frozenset[str]:
    return frozenset(run_id for plans in noted.values() for run_id in plans.values())


def _unwritable(what: str, error: OSError, place: Path) -> OpsError:
    hint = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
    return OpsError(f"{what}: {error.strerror}", where=str(place), hint=hint)


_summaries = msgspec.json.Decoder(Summary)
_notes = msgspec.json.Decoder(dict[str, dict[str, str]])
