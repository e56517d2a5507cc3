"""The options of ``opsconsole load``: the keys of a load test in a profile, as flags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from opsconsole.cli.options import names_of
from opsconsole.errors import UsageError
from opsconsole.load.plan import DIALECTS
from opsconsole.profile import Tls

LOAD_OPTIONS: tuple[Any, ...] = (
    click.option("-n", "--requests", type=int, help="Requests to send (stress: in each step)."),
    click.option("-c", "--concurrency", type=int, help="Clients; each waits for its answer."),
    click.option("--rate", metavar="N", help="Requests a second, whatever the server does."),
    click.option("-d", "--duration", metavar="TIME", help="How long, such as 30s or 2m."),
    click.option("--poisson", is_flag=True, help="Arrivals at random instead of evenly."),
    click.option("--arrivals", type=click.Choice(["constant", "poisson", "recorded"]), hidden=True),
    click.option("--stage", "stages", multiple=True, metavar="STAGE",
                 help="Of a ramp or spike: '10..50/s 1m' a rate, '8 30s' clients. Repeatable."),
    click.option("--warmup", metavar="TIME", help="Not measured. Default: a few requests."),
    click.option("--think", metavar="TIME", help="A client's pause after an answer."),
    click.option("--tolerance", metavar="SHARE",
                 help="Of a search: how near it is to be known. Default: 10%."),
    click.option("--most", metavar="N", help="Of a search: the highest rate that it tries."),
    click.option("--confirm", type=int,
                 help="Of a search: probes that confirm what it found. Default: 2."),
    click.option("-s", "--server", "--servers", "servers", multiple=True, metavar="NAME",
                 help="Load this one; several in turn: repeat it, or a,b. Default: the first."),
    click.option("--documents", metavar="LENGTHS",
                 help="Documents in a request: 10, 5..20, or 'lognormal(10, 0.5)'."),
    click.option("--document-tokens", metavar="LENGTHS", help="Words in a document."),
    click.option("--query-tokens", metavar="LENGTHS", help="Words in a query."),
    click.option("--seed", type=int, help="The same seed, the same requests."),
    click.option("--repeat", metavar="SHARE", help="Pairs that were sent before, such as 30%."),
    click.option("--dialect", type=click.Choice(DIALECTS), help="The API that is spoken."),
    click.option("--model", help="The model's name in requests."),
    click.option("--top-n", type=int, help="Results that are asked for."),
    click.option("--replay", metavar="FILE", help="Send the bodies of a JSONL file."),
    click.option("--method", metavar="METHOD", help="Of the dialect http."),
    click.option("--path", metavar="PATH", help="Of the dialect http, or instead of a route."),
    click.option("--body", metavar="TEXT", help="Of the dialect http."),
    click.option("-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'",
                 help="With every request. Keys belong into the profile's api_key."),
    click.option("--check", metavar="SHARE", help="Answers whose body is checked. Default: all."),
    click.option("-t", "--threshold", "thresholds", multiple=True, metavar="TEXT",
                 help="What must hold: 'p95 < 500ms', 'success_rate > 99%', in every half minute "
                      "'p95 < 1s over 30s', at one server 'p95 < 1s on gpu-1'."),
    click.option("--abort-on", multiple=True, metavar="TEXT",
                 help="Stop once this is broken: 'p95 < 2s over 10s after 3'."),
    click.option("--timeout", metavar="TIME", help="Longest time of one request."),
    click.option("--max-in-flight", type=int, help="Of a rate; what goes beyond is dropped."),
    click.option("--upstream-header", metavar="NAME",
                 help="The answer's header that names the server behind a balancer."),
    click.option("--processes", type=int,
                 help="Generator processes. Default: what rate, clients and cores ask for."),
)  # fmt: skip


def tls_options(command: Any) -> Any:
    """How the certificate of an https ``--url`` is checked."""
    ca = click.option("--ca", default="", metavar="FILE", help="Of --url: PEM of who signed it.")
    insecure = click.option("--insecure", is_flag=True, help="Of --url: trust any certificate.")
    return ca(insecure(command))


def tls_of(url: str | None, ca: str, *, insecure: bool) -> Tls | None:
    """What they say; None for nothing.

    Raises:
        UsageError: they contradict each other, there is no URL, or the file cannot be used.
    """
    if not ca and not insecure:
        return None
    option = "--ca" if ca else "--insecure"
    if ca and insecure:
        raise UsageError("--ca contradicts --insecure")
    if not url:
        said = "tls: {ca: FILE}" if ca else "tls: {verify: false}"
        raise UsageError("it belongs to --url", where=option, hint=f"{said} in the profile")
    if ca:
        from opsconsole import trust  # ssl, which few need

        try:
            trust.context(path := str(Path(ca).expanduser().absolute()))
        except trust.TrustError as error:
            raise UsageError(str(error), where=option) from None
        return Tls(ca=path)
    return Tls(verify=False)


def keys_of(options: dict[str, Any]) -> dict[str, Any]:
    """The options as keys of a load test.

    Raises:
        UsageError: a header without a colon, two kinds of arrivals.
    """
    keys = dict(options)
    if keys.pop("poisson"):
        if keys["arrivals"] not in (None, "poisson"):
            raise UsageError("--poisson contradicts --arrivals")
        keys["arrivals"] = "poisson"
    headers = {}
    for number, line in enumerate(keys.pop("headers"), 1):
        name, colon, value = line.partition(":")
        if not colon:  # it is not repeated: what is meant to be a header may be a key
            raise UsageError(f"number {number} has no colon", where="--header",
                             hint="write NAME: VALUE")  # fmt: skip
        headers[name.strip()] = value.strip()
    keys["servers"] = names_of(keys["servers"])
    return keys | ({"headers": headers} if headers else {})
