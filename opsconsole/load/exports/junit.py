"""A run as JUnit XML: a case a threshold, and one for the run itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from opsconsole.load.measured import seen
from opsconsole.load.records import Judgement, Run
from opsconsole.load.remarks import remarks
from opsconsole.load.summary import failed, nothing_held, sentence, span, verdict
from opsconsole.text import clean_line

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_junit(run: Run) -> str:
    """The file. An INVALID run is an error of the case ``run``, and its thresholds are skipped:
    they were not judged; a run that was stopped, or in which nothing held, is a failure of it."""
    result = run.measured()
    seconds = f"{result.seconds if result else 0.0:.3f}"
    invalid = verdict(run) == "invalid"
    failure = f"stopped: {run.stopped}" if run.stopped else nothing_held(run)
    if failure and run.conclusion is not None:
        failure += f"; {run.conclusion.text}"
    suite = ElementTree.Element(
        "testsuite",
        name=_safe(f"opsconsole load {run.plan.name}"),
        tests=str(1 + len(run.judgements)),
        failures=str(
            int(bool(failure) and not invalid)
            + (0 if invalid else sum(not judged.passed for judged in run.judgements))
        ),
        errors=str(int(invalid)),
        skipped=str(len(run.judgements) if invalid else 0),
        time=seconds,
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in (
        ("id", run.id),
        ("profile", run.profile),
        ("fingerprint", run.fingerprint),
        ("servers", ", ".join(facts.url for facts in run.servers.values())),
        *_found(run),
    ):
        ElementTree.SubElement(properties, "property", name=name, value=_safe(value))
    case = _case(suite, run, "run", seconds)
    if invalid:
        ElementTree.SubElement(case, "error", message=_safe(run.invalid[0])).text = _safe(
            "INVALID\n" + "\n".join(f"- {reason}" for reason in run.invalid)
        )
    elif failure:
        ElementTree.SubElement(case, "failure", message=_safe(failure))
    ElementTree.SubElement(case, "system-out").text = _safe(_facts(run))
    for judged in run.judgements:
        case = _case(suite, run, judged.threshold, "0.000")
        if invalid:
            ElementTree.SubElement(case, "skipped", message="the run is invalid")
        elif judged.passed:
            ElementTree.SubElement(case, "system-out").text = _safe(_seen(judged))
        else:
            ElementTree.SubElement(case, "failure", message=_safe(_seen(judged)))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ElementTree.Element, run: Run, name: str, seconds: str) -> ElementTree.Element:
    return ElementTree.SubElement(
        suite,
        "testcase",
        classname=_safe(f"{run.profile}.{run.plan.name}"),
        name=_safe(name),
        time=seconds,
    )


def _seen(judged: Judgement) -> str:
    if judged.observed is None:
        return f"{judged.threshold}: nothing to measure"
    return f"{judged.metric} was {seen(judged)}"


def _found(run: Run) -> Iterator[tuple[str, str]]:
    """What a search or a stress test found: a rate a second, or clients."""
    found = run.conclusion
    if found is None:
        return
    least, most = found.interval or (None, None)
    for name, number in (
        ("value", found.value),
        ("low", found.low),
        ("high", found.high),
        ("interval.low", least),
        ("interval.high", most),
    ):
        if number is not None:
            yield name, f"{number:.10g}"


def _facts(run: Run) -> str:
    lines = [sentence(run), *remarks(run)]
    if (result := run.measured()) is not None:
        totals = result.all()
        lines[0] += (
            f": {totals.ended:,} request{'s' * (totals.ended != 1)} in {span(result.seconds)}, "
            f"{failed(totals):,} failed"
        )
    if run.conclusion is not None:
        lines.append(run.conclusion.text)
    return "\n".join(lines)


def _safe(text: str) -> str:
    """Clean text of characters that XML 1.0 allows."""
    lines = "\n".join(clean_line(line, 400) for line in text.splitlines())
    return _FORBIDDEN.sub("\ufffd", lines)
