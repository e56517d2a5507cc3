"""What is to be known of a run's figures before they are believed, a line each."""

from __future__ import annotations

from collections.abc import Iterator

from opsconsole.load.plan import Lengths
from opsconsole.load.records import Run, Totals
from opsconsole.text import clean_line


def remarks(run: Run) -> list[str]:
    """Which answers were not checked, and which servers took requests in parts."""
    result = run.measured()
    found = [*_parts(run)]
    if result is not None and run.plan.work.dialect != "http":
        found += _checked(result.all(), run.plan.work.check)
    return found


def _checked(totals: Totals, planned: float) -> Iterator[str]:
    wrong = totals.wrong
    answers = totals.good + wrong
    if not answers or totals.checked >= answers:
        return
    if not totals.checked:
        yield "answers were not checked: what counts as good may be wrong"
        return
    of = f"{totals.checked:,} of {answers:,}"
    if not wrong:
        yield f"{of} answers were checked, and were right"
        return
    yield (
        f"{wrong:,} of {totals.checked:,} checked answers {'was' if wrong == 1 else 'were'} wrong; "
        f"{of} were checked, and the others count as good in the same proportion"
    )


def _parts(run: Run) -> Iterator[str]:
    most = _most(run.plan.work.documents)
    if run.plan.work.replay or run.plan.work.dialect == "http":
        return  # their bodies go as they are
    for name, facts in run.servers.items():
        limit = facts.batch_limit
        if limit is not None and (most is None or most > limit):
            yield (
                f"{clean_line(name, 30)}: requests of at most {limit:,} "
                f"document{'' if limit == 1 else 's'}: its batch limit; a larger one is several "
                "requests, and a latency that of one"
            )


def _most(documents: Lengths) -> float | None:
    """The most documents that a body is made of; None: nobody knows."""
    if documents.kind == "lognormal":
        return None if documents.second else documents.first
    return documents.second if documents.kind == "uniform" else documents.first
