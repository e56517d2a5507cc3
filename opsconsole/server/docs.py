"""The page for people: the OpenAPI document as one HTML file that loads nothing from anywhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import escape
from typing import Any

from starlette.types import Receive, Scope, Send

from opsconsole.server.body import header
from opsconsole.server.exchange import respond

Json = dict[str, Any]

_POLICY = (
    b"content-security-policy",
    b"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    b"frame-ancestors 'none'",
)
_HEADERS = (
    _POLICY,
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"vary", b"host"),
)
_ORIGIN = "http://127.0.0.1:8000"
_HOST = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")
_CODE = re.compile(r"`([^`]*)`")
_NEXT_ERROR = re.compile(r" (?=`\w+`: )")
_ERRORS = "## Errors\n"
_STYLE = """
:root { color-scheme: light dark; --back: #fff; --side: #f7f8fa; --text: #1c2128; --quiet: #59636e;
  --line: #dfe3e8; --code: #f3f5f7; --link: #0a58ca; --get: #14713b; --post: #0a58ca; }
@media (prefers-color-scheme: dark) { :root { --back: #14171c; --side: #191d23; --text: #dfe4ea;
  --quiet: #97a1ad; --line: #2f363f; --code: #1f242b; --link: #7ab4ff; --get: #6fce8f;
  --post: #7ab4ff; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { background: var(--back); color: var(--text); font: 16px/1.6 system-ui, sans-serif;
  margin: 0; }
main { margin: 0 auto; max-width: 56rem; padding: 2rem 1.25rem 6rem; }
nav { background: var(--side); border-bottom: 1px solid var(--line); font-size: .875rem;
  padding: 1.25rem; }
nav ul { columns: 12rem; list-style: none; margin: .25rem 0 1rem; padding: 0; }
nav li { padding: .125rem 0; }
a { color: var(--link); text-decoration: none; } a:hover { text-decoration: underline; }
nav a { color: inherit; } nav > a { font-weight: 600; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 1rem; }
h1 small { color: var(--quiet); font-size: 1rem; font-weight: 400; }
h2 { border-bottom: 1px solid var(--line); font-size: 1.5rem; margin: 4rem 0 0;
  padding-bottom: .5rem; }
h3 { font-size: 1.0625rem; margin: 2.5rem 0 .5rem; overflow-wrap: anywhere; }
h3 code { background: none; font-size: inherit; padding: 0; }
h4 { color: var(--quiet); font-size: .875rem; font-weight: 600; margin: 1rem 0 .375rem; }
p { margin: .5rem 0 1rem; }
code, pre, .method { font-family: ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace; }
code { background: var(--code); border-radius: 4px; font-size: .875em; padding: .125em .375em;
  overflow-wrap: anywhere; }
nav code { background: none; padding: 0; }
pre { background: var(--code); border: 1px solid var(--line); border-radius: 8px;
  font-size: .8125rem; line-height: 1.55; margin: 0 0 .75rem; overflow-x: auto;
  padding: .75rem 1rem; }
.method { color: var(--get); display: inline-block; font-size: .75rem; font-weight: 700;
  min-width: 2.75rem; }
.post { color: var(--post); }
.note { color: var(--quiet); font-size: .875rem; }
table { border-collapse: collapse; font-size: .9375rem; margin: .25rem 0 1rem; width: 100%; }
td, th { border-top: 1px solid var(--line); padding: .5rem 1rem .5rem 0; text-align: left;
  vertical-align: top; }
th { color: var(--quiet); font-size: .8125rem; font-weight: 600; border-top: 0; }
td:first-child { white-space: nowrap; } td:nth-child(2):not(:last-child) { color: var(--quiet); }
td p { margin: 0 0 .25rem; }
.required { color: var(--quiet); font-size: .75rem; margin-left: .375rem; }
details { border-top: 1px solid var(--line); }
summary { cursor: pointer; font-size: .9375rem; font-weight: 600; padding: .5rem 0; }
summary:hover { color: var(--link); }
@media (max-width: 40rem) { tr { border-top: 1px solid var(--line); display: block;
  padding: .5rem 0; } td, th { border: 0; display: block; padding: 0; } th { display: none; }
  tr:has(th) { display: none; } }
@media (min-width: 72rem) { body { display: grid; grid-template-columns: 17rem 1fr; }
  nav { border: 0; border-right: 1px solid var(--line); height: 100vh; overflow-y: auto;
    padding: 2rem 1.25rem; position: sticky; top: 0; } nav ul { columns: 1; } }
"""


class DocsRoute:
    """``GET /docs``."""

    def __init__(self, made: Callable[[], Json]) -> None:
        self._made = made
        self._page: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._page is None:
            self._page = page(self._made())
        body = self._page.replace(_ORIGIN, _origin(scope)).encode()
        await respond(send, 200, body, b"text/html; charset=utf-8", _HEADERS)


def _origin(scope: Scope) -> str:
    """Where the reader found this server, so that what is pasted from the page finds it too."""
    host = (header(scope, b"host") or b"").decode("latin-1")
    return f"{scope['scheme']}://{host}" if _HOST.fullmatch(host) else _ORIGIN


def page(document: Json) -> str:
    """The whole page; its examples ask ``http://127.0.0.1:8000``."""
    info = document["info"]
    intro, _, errors = info["description"].partition(_ERRORS)
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body>",
        _contents(document),
        f"<main><h1>{escape(info['title'])} <small>{escape(info['version'])}</small></h1>",
        _markdown(intro),
    ]
    if _keyed(document):
        parts.append(_paragraph("The examples take your key from the shell's variable `KEY`."))
    parts.append(
        '<p class="note">The same for programs: <a href="openapi.json">openapi.json</a></p>'
    )
    for tag in document["tags"]:
        parts.append(f'<h2 id="{_anchor(tag["name"])}">{escape(tag["name"])}</h2>')
        for method, path, operation in _operations(document, tag["name"]):
            parts.append(_operation(document, method, path, operation))
    parts += ['<h2 id="errors">Errors</h2>', _markdown(errors), "</main></body></html>\n"]
    return "\n".join(parts)


def _operations(document: Json, tag: str) -> list[tuple[str, str, Json]]:
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if tag in operation["tags"]
    ]


def _keyed(document: Json) -> bool:
    return any(
        operation["security"]
        for methods in document["paths"].values()
        for operation in methods.values()
    )


def _anchor(tag: str) -> str:
    return escape(tag.lower().replace(" ", "-"))


def _method(method: str) -> str:
    return f'<span class="method {escape(method.lower())}">{escape(method)}</span>'


def _contents(document: Json) -> str:
    parts = []
    for tag in document["tags"]:
        links = "\n".join(
            f'<li><a href="#{escape(operation["operationId"])}">{_method(method)}'
            f"<code>{escape(path)}</code></a></li>"
            for method, path, operation in _operations(document, tag["name"])
        )
        name = tag["name"]
        parts.append(f'<a href="#{_anchor(name)}">{escape(name)}</a><ul>\n{links}</ul>')
    return "\n".join(["<nav>", *parts, '<a href="#errors">Errors</a></nav>'])


def _operation(document: Json, method: str, path: str, operation: Json) -> str:
    says = f"{operation['summary']}. {operation.get('description', '')}"
    parts = [
        f'<h3 id="{escape(operation["operationId"])}">{_method(method)} '
        f"<code>{escape(path)}</code></h3>",
        _paragraph(says.strip()),
    ]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    keyed = bool(operation["security"])
    if not body:
        parts.append(_curl(path, None, keyed=keyed))
    examples = [
        (name, _curl(path, example["value"], keyed=keyed))
        for name, example in body.get("examples", {}).items()
    ]
    parts += [example for _, example in examples[:1]]
    parts += [_fold(f"Example: {name}", example) for name, example in examples[1:]]
    if body:
        parts.append(_fold("Fields of the body", _fields(document, body["schema"], sent=True)))
    if operation["parameters"]:
        rows = [(_name(p["name"]), _kind(p["schema"]), p["description"])
                for p in operation["parameters"]]  # fmt: skip
        places = {p["in"] for p in operation["parameters"]}
        parts.append(_fold("Headers" if places == {"header"} else "Parameters", _table(rows)))
    parts.append(_fold("Answers", _answers(document, operation["responses"])))
    return "\n".join(parts)


def _curl(path: str, body: object, *, keyed: bool) -> str:
    lines = [f"curl {_ORIGIN}{path}"]
    if keyed:
        lines.append('-H "Authorization: Bearer $KEY"')
    if body is not None:
        lines.append("-H 'Content-Type: application/json'")
        told = json.dumps(body, ensure_ascii=False, indent=2).replace("'", "'\\''")
        lines.append(f"-d '{told}'".replace("\n", "\n  "))
    return f"<pre>{escape(f' {chr(92)}{chr(10)}  '.join(lines), quote=False)}</pre>"


def _answers(document: Json, responses: Json) -> str:
    parts = []
    for kind, content in responses["200"]["content"].items():
        schema = content["schema"]
        for one in schema.get("oneOf", [schema]):
            name = "" if kind != "application/json" else _inline(_kind(one))
            parts.append(f"<h4>200 <code>{escape(kind)}</code> {name}</h4>{_fields(document, one)}")
    rows = [
        (f"<b>{escape(status)}</b>", _lines(_NEXT_ERROR.split(response["description"])))
        for status, response in responses.items()
        if status != "200"
    ]
    cells = "\n".join(f"<tr><td>{status}</td><td>{says}</td></tr>" for status, says in rows)
    return "\n".join([*parts, f"<h4>Otherwise</h4><table>{cells}</table>"])


def _lines(texts: list[str]) -> str:
    return "".join(_paragraph(text) for text in texts)


def _fields(document: Json, schema: Json, *, sent: bool = False) -> str:
    """The fields of what is sent, or comes back: those of an object, or of the objects of a list,
    and of the objects in them."""
    rows = _rows(document, schema, "", sent)
    return _table(rows) if rows else ""


def _rows(document: Json, schema: Json, within: str, sent: bool) -> list[tuple[str, str, str]]:
    several = schema.get("anyOf", ())
    if several and "$ref" not in schema:
        return [row for one in several for row in _rows(document, one, within, sent)]
    if schema.get("type") == "array":
        listed = f"{within}[]" if within else ""
        return _rows(document, schema.get("items") or {}, listed, sent)
    name = schema.get("$ref", "").rpartition("/")[2]
    if name:
        schema = document["components"]["schemas"][name]
    required = schema.get("required", ()) if sent else ()
    rows = []
    for field, about in schema.get("properties", {}).items():
        path = f"{within}.{field}" if within else field
        says = [one.get("description", "") for one in (about, *about.get("anyOf", ()))]
        rows.append((_name(path, required=field in required), _kind(about), max(says, key=len)))
        rows += _rows(document, about, path, sent)
    return rows


def _kind(schema: Json) -> str:
    """A type in a few words, such as ``list of text or null``."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"])) if len(schema["enum"]) < 9 else "text"
    several = schema.get("anyOf") or schema.get("oneOf")
    if several:
        return " or ".join(dict.fromkeys(_kind(one) for one in several))
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_kind(schema.get('items') or {})}"
    return "text" if kind == "string" else str(kind)


def _name(name: str, *, required: bool = False) -> str:
    mark = '<span class="required">required</span>' if required else ""
    return f"<code>{escape(name)}</code>{mark}"


def _table(rows: list[tuple[str, str, str]]) -> str:
    """Rows of a name in HTML, a type and a description."""
    cells = "\n".join(
        f"<tr><td>{name}</td><td>{escape(kind)}</td><td>{_inline(says)}</td></tr>"
        for name, kind, says in rows
    )
    return f"<table>{cells}</table>"


def _fold(title: str, inside: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{inside}</details>"


def _paragraph(text: str) -> str:
    return f"<p>{_inline(text)}</p>"


def _inline(text: str) -> str:
    """Text in which backquotes mean code."""
    return _CODE.sub(r"<code>\1</code>", escape(text))


def _markdown(text: str) -> str:
    """Paragraphs and one kind of table: what our own description uses."""
    parts = []
    for block in filter(None, text.strip().split("\n\n")):
        lines = block.split("\n")
        if not lines[0].startswith("|"):
            parts.append(_paragraph(" ".join(lines)))
            continue
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        head = "".join(f"<th>{_inline(cell)}</th>" for cell in rows[0])
        body = "\n".join(
            "<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in row) + "</tr>"
            for row in rows[2:]
        )
        parts.append(f"<table><tr>{head}</tr>{body}</table>")
    return "\n".join(parts)
