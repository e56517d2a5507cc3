"""``opsconsole generate nginx``: the load balancer's configuration for a profile's servers."""

from __future__ import annotations

from pathlib import Path

import click

from opsconsole import paths
from opsconsole.balancer import config, nginx
from opsconsole.balancer.pool import FAIL_TIMEOUT, LISTEN, MAX_FAILS, TRIES, Pool, chosen, pool_of
from opsconsole.balancer.words import comment
from opsconsole.cli.options import load_profile, names_of, profile_option
from opsconsole.cli.output import check_output, write
from opsconsole.errors import ExitCode, OpsError, UsageError
from opsconsole.profile.units import parse_duration
from opsconsole.text import clean_line


@click.group()
def generate() -> None:
    """Write configuration of other programs for the servers of a profile."""


@generate.command("nginx")
@profile_option
@click.option("--listen", default=LISTEN, show_default=True, metavar="ADDR",
              help="Where nginx listens: 8080, HOST:PORT, '[::]:8080', unix:/PATH.")  # fmt: skip
@click.option("-s", "--server", "--servers", "names", multiple=True, metavar="NAME",
              help="Only these; repeat, or separate by commas. Default: all.")  # fmt: skip
@click.option("--tries", type=click.IntRange(1, 100), default=TRIES, show_default=True,
              help="Servers that one request may be sent to.")  # fmt: skip
@click.option("--max-fails", type=click.IntRange(1, 1000), default=MAX_FAILS, show_default=True,
              help="Failures until a server is left alone.")  # fmt: skip
@click.option("--fail-timeout", default=f"{FAIL_TIMEOUT:g}s", show_default=True, metavar="TIME",
              help="For how long it is.")  # fmt: skip
@click.option("--read-timeout", metavar="TIME",
              help="Longest silence of a server. Default: as the daemons', or 2m.")  # fmt: skip
@click.option("--stream", is_flag=True, help="Pass answers on as they come.")
@click.option("--tls-name", default="", metavar="NAME", help="Name in the servers' certificates.")
@click.option(
    "--ca",
    default="",
    metavar="FILE",
    help="Who is trusted to sign them. Default: tls of the profile.",
)
@click.option("--cert", default="", metavar="FILE", help="Speak TLS with this certificate.")
@click.option("--key", default="", metavar="FILE", help="Its key.")
@click.option("--whole", is_flag=True,
              help="A whole nginx.conf that needs no rights, not only the blocks.")  # fmt: skip
@click.option("--nginx", "nginx_path", default="", metavar="PATH", help="Check with this nginx.")
@click.option("--check/--no-check", default=None, help="Demand that nginx reads it, or do not ask.")
@click.option("--force", is_flag=True, help="Replace a file that opsconsole did not write.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Into a file."
)
def nginx_(
    profile_name: str | None,
    listen: str,
    names: tuple[str, ...],
    tries: int,
    max_fails: int,
    fail_timeout: str,
    read_timeout: str | None,
    stream: bool,
    tls_name: str,
    ca: str,
    cert: str,
    key: str,
    whole: bool,
    nginx_path: str,
    check: bool | None,
    force: bool,
    output: Path | None,
) -> int:
    """nginx in front of the profile's servers, with the reason for each line.

    The blocks belong into nginx's http block, such as a file in /etc/nginx/conf.d. What nginx says
    of them (nginx -t) is told with the lines of the file; nothing is written that it refuses. Where
    no nginx is installed that is said, and is an error only with --check.

    Exit codes: 0 written, 2 nginx refuses it, 3 --check and nginx cannot tell, 64 usage.
    """
    check_output(output)
    profile = load_profile(profile_name)
    servers = chosen(profile, names_of(names))
    pool = pool_of(
        profile, servers, listen=listen, tls_name=tls_name, ca=ca, cert=cert, key=key,
        tries=tries, max_fails=max_fails, streams=stream,
        fail_timeout=_seconds(fail_timeout, "--fail-timeout"),
        read_timeout=_seconds(read_timeout, "--read-timeout") if read_timeout else None,
    )  # fmt: skip
    _may_replace(output, force)
    text = _text(pool, whole, output)
    label = str(output) if output is not None else "line"
    code = ExitCode.OK
    if check is not False:
        code = _prove(text, label, whole, nginx_path, demanded=bool(check))
    write(text, output)
    if output is not None:
        click.echo(f"{clean_line(str(output))}: {len(servers)} servers behind {pool.listen}",
                   err=True)  # fmt: skip
    return code


def _text(pool: Pool, whole: bool, output: Path | None) -> str:
    header = [f"{config.HEADER}, for the servers of {comment(pool.profile)}."]
    if not whole:
        header.append("# Belongs into nginx's http block, such as in /etc/nginx/conf.d.")
        return "\n".join([*header, "", config.block(pool)])
    folder = paths.private_dir(paths.state_dir() / "balancer" / pool.name)
    place = comment(str(output.absolute())) if output is not None else "FILE"
    header += [
        f"# Start:  nginx -c {place}    (an absolute path)",
        f"# Reload: nginx -c {place} -s reload    Stop: nginx -c {place} -s quit",
        "# Needs no rights. Leave out the temp_path of a module that your nginx was built without.",
    ]
    return config.whole(pool, folder, header=[*header, ""])


def _seconds(text: str, where: str) -> float:
    try:
        value = parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{text!r}: {error}", where=where) from None
    if value <= 0:
        raise UsageError("must be more than 0", where=where)
    return value


def _may_replace(output: Path | None, force: bool) -> None:
    """A configuration that somebody wrote by hand is not lost by a slip."""
    if output is None or force or not output.exists():
        return
    try:
        with output.open("rb") as stream:
            ours = stream.read(len(config.HEADER)) == config.HEADER.encode()
    except OSError as error:
        raise OpsError(f"cannot be read: {error.strerror}", where=str(output)) from None
    if not ours:
        raise UsageError("the file is not one that opsconsole wrote", where=str(output),
                         hint="another name, or --force")  # fmt: skip


def _prove(text: str, label: str, whole: bool, path: str, *, demanded: bool) -> ExitCode:
    """Tell what nginx says of it.

    Raises:
        OpsError: nginx refuses it, or cannot tell though that was demanded.
    """
    proof = nginx.prove(text, label=label, whole=whole, path=path)
    who = f"nginx {proof.version}"
    said = "; ".join(proof.said)
    if proof.state == "bad":
        raise OpsError(f"{who} refuses it: {said}", hint="nothing was written")
    if proof.state == "good":
        for line in proof.said:
            click.echo(f"{who}: {line}", err=True)
        click.echo(f"{who} accepts it", err=True)
        return ExitCode.OK
    what = "nginx is not installed here" if proof.state == "not installed" else (
        f"{who} cannot tell here: {said}")  # fmt: skip
    if demanded:
        raise OpsError(f"not checked: {what}", hint="nothing was written", code=ExitCode.UNKNOWN)
    click.echo(f"not checked: {what}", err=True)
    return ExitCode.OK
