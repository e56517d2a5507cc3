"""``opsconsole rank``."""

from __future__ import annotations

import asyncio
import sys

import click
import msgspec

from opsconsole.cli.options import json_option, load_profile, names_of, profile_option, table
from opsconsole.errors import ExitCode, UsageError
from opsconsole.profile import Server
from opsconsole.ranking import EMBEDDED, Ranking, rank_embedded, rank_server


@click.command()
@click.argument("query")
@click.argument("documents", nargs=-1, metavar="[DOCUMENT]...")
@profile_option
@json_option
@click.option("--server", "names", multiple=True, metavar="NAME", help="Servers that rank.")
@click.option("--embedded", is_flag=True, help="Rank with the engine inside opsconsole.")
def rank(
    query: str,
    documents: tuple[str, ...],
    profile_name: str | None,
    as_json: bool,
    names: tuple[str, ...],
    embedded: bool,
) -> int:
    """Rank DOCUMENTs (or the lines of standard input) against QUERY, side by side.

    Without --server and --embedded: every server of the profile that is ours.
    """
    query = _sendable(query)
    texts = [_sendable(text) for text in documents]
    texts = texts or [_sendable(line.rstrip("\n")) for line in sys.stdin if line.strip()]
    if not query.strip():
        raise UsageError("the query is empty")
    if not texts:
        raise UsageError("there are no documents", hint="give them as arguments or on stdin")
    profile = load_profile(profile_name)
    names = names_of(names)
    chosen = [s for s in profile.servers if s.kind == "own" and (s.name in names or not names)]
    missing = set(names) - {s.name for s in chosen}
    if missing:
        raise UsageError(f"no reranker called {', '.join(sorted(missing))}", where=profile.name)
    if embedded and not names:
        chosen = []

    rankings = asyncio.run(_rank_all(chosen, embedded, query, texts))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(rankings), indent=2).decode())
    else:
        for ranking in rankings:
            _print(ranking, texts)
    return ExitCode.CRITICAL if any(r.error for r in rankings) else ExitCode.OK


def _sendable(text: str) -> str:
    """Bytes of the command line that are not UTF-8 arrive as lone surrogates; JSON has none."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


async def _rank_all(
    servers: list[Server], embedded: bool, query: str, texts: list[str]
) -> list[Ranking]:
    jobs = [rank_server(server, query, texts) for server in servers]
    if embedded:
        from opsconsole.engine.client import EngineClient
        from opsconsole.engine.settings import EngineSettings

        client = EngineClient(EngineSettings())
        try:
            await client.start()
            jobs.append(rank_embedded(client, query, texts))
            return list(await asyncio.gather(*jobs))
        finally:
            await client.close()
    return list(await asyncio.gather(*jobs))


def _print(ranking: Ranking, texts: list[str]) -> None:
    name = "embedded engine" if ranking.source == EMBEDDED else ranking.source
    if ranking.error:
        click.echo(f"{name}: {ranking.error}", err=True)
        return
    click.echo(f"{name}  {ranking.model}  {ranking.seconds * 1000:.1f} ms")
    rows = [
        [str(place), f"{score:.4f}", str(index), texts[index][:100]]
        for place, (index, score) in enumerate(ranking.results, 1)
    ]
    click.echo(table([["#", "SCORE", "DOC", "TEXT"], *rows], right=frozenset((0, 1, 2))))
