"""``opsconsole backends``."""

from __future__ import annotations

import os
import sys

import click
import msgspec

from opsconsole.cli.options import json_option, table
from opsconsole.errors import ExitCode, OpsError

HEADER = ["device", "dtype", "", "tau", "max diff", "pairs/s", "load", "computed with"]


@click.command()
@json_option
@click.option("--model", metavar="NAME|DIR", help="Instead of MODEL_NAME and LOCAL_MODEL_PATH.")
def backends(as_json: bool, model: str | None) -> int:
    """What the model runs on here: devices, precisions, whether they agree, how fast they are.

    Loads the model once for each combination and ranks the same texts with all. tau is Kendall's
    rank correlation with the first line, "max diff" the largest difference of two scores. Exit
    code 2 when two float32 backends disagree, 3 when none runs.
    """
    try:
        from opsconsole.engine.survey import BackendReport, survey
    except ImportError as error:
        raise OpsError(
            f"the inference engine is not installed ({error.name} is missing)",
            hint="pip install 'opsconsole[engine]'",
        ) from None
    from opsconsole.engine import EngineSettings

    environ = dict(os.environ)
    for name in ("DEVICE_PREFERENCE", "USE_MLX", "DTYPE"):
        environ.pop(name, None)
    if model is not None:
        environ.pop("LOCAL_MODEL_PATH", None)
        environ["MODEL_NAME"] = model
    reports: list[BackendReport] = []
    for report in survey(EngineSettings.from_env(environ)):
        reports.append(report)
        if not as_json and sys.stderr.isatty():
            click.echo(f"{report.device} {report.dtype} …", err=True)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(reports), indent=2).decode())
    else:
        click.echo(table([HEADER, *map(_row, reports)], right=frozenset({3, 4, 5, 6})))
    if all(report.problem for report in reports):
        return ExitCode.UNKNOWN
    return ExitCode.CRITICAL if any(r.agrees is False for r in reports) else ExitCode.OK


def _row(report: object) -> list[str]:
    from opsconsole.engine.survey import BackendReport

    assert isinstance(report, BackendReport)
    if report.problem is not None:
        return [report.device, report.dtype, "no", "", "", "", "", report.problem]
    agreement = report.agreement
    rate, seconds = report.pairs_per_second, report.load_seconds
    return [
        report.device,
        report.dtype,
        "ok" if report.agrees else "DISAGREES",
        "—" if agreement is None else f"{agreement.kendall_tau:.3f}",
        "—" if agreement is None else f"{agreement.max_difference:.1e}",
        "—" if rate is None else f"{rate:.0f}",
        "—" if seconds is None else f"{seconds:.1f} s",
        report.kernels,
    ]
