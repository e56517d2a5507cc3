"""A verdict as text for people, JSON and JUnit for CI, and one line for Nagios."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from xml.etree import ElementTree

import msgspec

from opsconsole.checks.result import CheckResult, CheckState, exit_code, worst
from opsconsole.text import clean_line

Format = Callable[[str, Sequence[CheckResult]], str]

GLYPHS = {
    CheckState.PASS: "●",
    CheckState.WARN: "▲",
    CheckState.FAIL: "×",
    CheckState.UNKNOWN: "?",
}
ASCII_GLYPHS = {
    CheckState.PASS: "+",
    CheckState.WARN: "!",
    CheckState.FAIL: "x",
    CheckState.UNKNOWN: "?",
}
_NAGIOS = {
    CheckState.PASS: "OK",
    CheckState.WARN: "WARNING",
    CheckState.FAIL: "CRITICAL",
    CheckState.UNKNOWN: "UNKNOWN",
}


def as_text(profile: str, results: Sequence[CheckResult], *, unicode: bool = True) -> str:
    """Aligned lines, one a check; problems with what was expected and what to do."""
    glyphs = GLYPHS if unicode else ASCII_GLYPHS
    if not results:
        return f"{glyphs[CheckState.UNKNOWN]} unknown  nothing was checked in profile {profile}"
    width = max(len(result.server) for result in results)
    lines = []
    for result in results:
        lines.append(
            f"{glyphs[result.state]} {result.state:<7}  {result.server:<{width}}  "
            f"{result.check:<8} {clean_line(result.observed, 300)}"
        )
        if result.state in (CheckState.WARN, CheckState.FAIL) and result.expected:
            lines.append(f"{'':{width + 21}}expected {clean_line(result.expected, 200)}")
        if result.state is not CheckState.PASS and result.hint:
            lines.append(f"{'':{width + 21}}try {clean_line(result.hint, 200)}")
    state = worst(result.state for result in results)
    counts = ", ".join(
        f"{sum(1 for r in results if r.state is s)} {s}"
        for s in CheckState
        if any(r.state is s for r in results)
    )
    servers = len({result.server for result in results})
    lines.append(f"{glyphs[state]} {state}: profile {profile}, {servers} servers, {counts}")
    text = "\n".join(lines)
    return text if unicode else text.encode("ascii", "replace").decode()


def as_json(profile: str, results: Sequence[CheckResult]) -> str:
    """One object: profile, verdict, exit_code, checks. The keys are an interface."""
    return msgspec.json.format(
        msgspec.json.encode(
            {
                "profile": profile,
                "verdict": worst(result.state for result in results),
                "exit_code": int(exit_code(results)),
                "checks": results,
            }
        ),
        indent=2,
    ).decode()


def as_junit(profile: str, results: Sequence[CheckResult]) -> str:
    """JUnit XML: a test case a check. A warning passes and says so; unknown is an error."""
    suite = ElementTree.Element(
        "testsuite",
        name=f"opsconsole {profile}",
        tests=str(max(1, len(results))),
        failures=str(sum(r.state is CheckState.FAIL for r in results)),
        errors=str(sum(r.state is CheckState.UNKNOWN for r in results) or int(not results)),
        time=f"{sum(r.seconds for r in results):.3f}",
    )
    for result in results:
        case = ElementTree.SubElement(
            suite, "testcase", classname=result.server, name=result.check,
            time=f"{result.seconds:.3f}",
        )  # fmt: skip
        observed, details = clean_line(result.observed, 300), _details(result)
        if result.state is CheckState.FAIL:
            ElementTree.SubElement(case, "failure", message=observed).text = details
        elif result.state is CheckState.UNKNOWN:
            ElementTree.SubElement(case, "error", message=observed).text = details
        else:
            ElementTree.SubElement(case, "system-out").text = f"{result.state}: {details}"
    if not results:
        case = ElementTree.SubElement(suite, "testcase", classname=profile, name="verdict")
        ElementTree.SubElement(case, "error", message="nothing was checked")
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


def as_nagios(profile: str, results: Sequence[CheckResult]) -> str:
    """``SERVICE STATUS: text | perfdata``, then one line a problem (Nagios plugin guidelines)."""
    state = worst(result.state for result in results)
    bad = [result for result in results if result.state is not CheckState.PASS]
    if not results:
        summary = "nothing was checked"
    elif bad:
        first = min(bad, key=lambda r: list(_NAGIOS).index(r.state) if r.state != state else -1)
        summary = f"{first.server} {first.check}: {_plain(first.observed)}"
        summary += f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
    else:
        summary = f"{len({r.server for r in results})} servers, {len(results)} checks"
    perf = " ".join(_perfdata(r, r.value) for r in results if r.value is not None)
    head = f"OPSCONSOLE {_NAGIOS[state]}: {profile}: {summary}"
    lines = [f"{head} | {perf}" if perf else head]
    lines += [f"{_NAGIOS[r.state]} {r.server} {r.check}: {_plain(r.observed)}" for r in bad]
    return "\n".join(lines)


def _perfdata(result: CheckResult, value: float) -> str:
    limit = f";{result.limit:g}" if result.limit is not None else ""
    return f"'{result.server}_{result.check}'={value:.3f}{result.unit}{limit}"


def _details(result: CheckResult) -> str:
    parts = [f"observed: {clean_line(result.observed, 300)}"]
    if result.expected:
        parts.append(f"expected: {clean_line(result.expected, 200)}")
    if result.hint:
        parts.append(f"try: {clean_line(result.hint, 200)}")
    return "\n".join(parts)


def _plain(text: str) -> str:
    """Text for the first line of a plugin, where ``|`` starts the performance data."""
    return clean_line(text, 200).replace("|", "/")


FORMATS: dict[str, Format] = {
    "text": as_text,
    "json": as_json,
    "junit": as_junit,
    "nagios": as_nagios,
}
