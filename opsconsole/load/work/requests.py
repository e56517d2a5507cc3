"""The requests of a generator process, ready in microseconds."""

from __future__ import annotations

import secrets
from random import Random

from opsconsole.errors import UsageError
from opsconsole.load.messages import Setup
from opsconsole.load.plan import Work
from opsconsole.load.work.dialects import WIRES
from opsconsole.load.work.head import head_of
from opsconsole.load.work.making import MOST_BYTES, Body, bodies
from opsconsole.load.work.prepared import Prepared
from opsconsole.load.work.replay import Recording
from opsconsole.load.work.vocabulary import FIVES

REMEMBERED = 256
"""Requests to a target that may be repeated: its latest."""

_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"
_FIVES = tuple(word.encode() for word in FIVES)
_RADIX = len(_FIVES)


class Requests:
    """What is sent, request after request.

    The lengths are those of ``setup.work.seed`` and ``setup.share``; the words by which a body
    differs from the last time it was sent begin elsewhere in every run, or the caches of a server
    would know the second run.

    Args:
        start: Where they begin; for tests.

    Attributes:
        count: Requests that were built or recorded; ``size``: the bytes of their bodies.
        end: A recording with moments is used up: :meth:`next` begins it again.

    Raises:
        OpsError: the work makes no sense, or what is to be replayed cannot be read.
    """

    def __init__(self, setup: Setup, *, start: int | None = None) -> None:
        work = setup.work
        _check(setup)
        self._random = Random(f"{work.seed}/{setup.share}")
        self._check_share = work.check
        self._source: _Made | _Replayed | _Constant
        if work.replay:
            self._source = _Replayed(setup)
        elif work.dialect == "http":
            self._source = _Constant(setup)
        else:
            begin = secrets.randbits(40) if start is None else start
            self._source = _Made(setup, self._random, begin)
        self.end = self._source.end
        self.count = self._source.count
        self.size = self._source.size

    def next(self, target: int) -> Prepared:
        """The next request to the target of that number."""
        prepared = self._source.next(target)
        if self._source.end:
            self.end = True
        share = self._check_share
        if share < 1 and self._random.random() >= share:
            return Prepared(prepared.data, prepared.pairs, None, prepared.at)
        return prepared

    def rewind(self) -> None:
        """Begin a recording again."""
        self._source.rewind()
        self.end = self._source.end


class _Made:
    """Bodies of made-up text, by the targets' batch limits."""

    end = False

    def __init__(self, setup: Setup, random: Random, start: int) -> None:
        work = setup.work
        limits = {target.batch_limit: None for target in setup.targets}
        pools = {limit: bodies(work, limit, random, MOST_BYTES // len(limits)) for limit in limits}
        self._pools = [pools[target.batch_limit] for target in setup.targets]
        path = work.path or WIRES[work.dialect].route
        self._heads = [
            head_of(target, "POST", path, work.headers, content_type=_JSON)
            for target in setup.targets
        ]
        self._sequence = start
        self._repeat = work.repeat
        self._random = random.random
        self._sent: list[list[int]] = [[] for _ in setup.targets]
        self.count = sum(map(len, pools.values()))
        self.size = sum(sum(map(len, body.pieces)) for pool in pools.values() for body in pool)

    def next(self, target: int) -> Prepared:
        number = -1
        if self._repeat:
            sent = self._sent[target]
            if sent and self._random() < self._repeat:
                number = sent[int(self._random() * len(sent))]
        if number < 0:
            number = self._sequence
            self._sequence = number + 1
            if self._repeat:
                if len(sent) < REMEMBERED:
                    sent.append(number)
                else:
                    sent[number % REMEMBERED] = number
        pool = self._pools[target]
        body: Body = pool[number % len(pool)]
        rest, first = divmod(number, _RADIX)
        if body.words == 2:
            nonce = _FIVES[first] + b" " + _FIVES[rest % _RADIX]
        else:
            rest, second = divmod(rest, _RADIX)
            nonce = b" ".join((_FIVES[first], _FIVES[second], _FIVES[rest % _RADIX]))
        data = self._heads[target] + nonce.join(body.pieces)
        return Prepared(data, body.pairs, body.check, None)

    def rewind(self) -> None:
        """Nothing is recorded."""


class _Replayed:
    """Bodies of a file, in its order, each to the target whose turn it is."""

    def __init__(self, setup: Setup) -> None:
        work = setup.work
        self._recording = Recording(work, setup.share, setup.shares)
        self._heads = {
            kind: [
                head_of(target, *_line_of(work), work.headers, content_type=kind)
                for target in setup.targets
            ]
            for kind in (_JSON, _TEXT)
        }
        self._next = 0
        self.count = len(self._recording)
        self.size = self._recording.size
        self.end = self.count == 0
        """From the start, where the file has fewer lines than there are processes."""

    def next(self, target: int) -> Prepared:
        if not self.count:
            raise UsageError("the recording has fewer requests than there are processes")
        index = self._next
        self._next = (index + 1) % self.count
        recording = self._recording
        at = None
        if recording.at is not None:
            at = recording.at[index]
            self.end = self._next == 0
        body = recording.body(index)
        pairs, check = recording.about(index)
        kind = _kind_of(body) if recording.is_text(index) else _JSON
        data = b"%b%d\r\n\r\n%b" % (self._heads[kind][target], len(body), body)
        return Prepared(data, pairs, check, at)

    def rewind(self) -> None:
        self._next = 0
        self.end = self.count == 0


class _Constant:
    """One request of any kind, always the same."""

    end = False

    def __init__(self, setup: Setup) -> None:
        work = setup.work
        body = work.body.encode()
        method, path = _line_of(work)
        kind = ""
        if body:
            kind = _kind_of(body)
        self._prepared = []
        for target in setup.targets:
            head = head_of(target, method, path, work.headers, content_type=kind)
            if body:
                data = b"%b%d\r\n\r\n%b" % (head, len(body), body)
            elif method in ("POST", "PUT", "PATCH"):
                data = head + b"Content-Length: 0\r\n\r\n"
            else:
                data = head + b"\r\n"
            self._prepared.append(Prepared(data, 1, None, None))
        self.count = 1
        self.size = len(body)

    def next(self, target: int) -> Prepared:
        return self._prepared[target]

    def rewind(self) -> None:
        """Nothing is recorded."""


def _kind_of(body: bytes) -> str:
    """The media type of a body that is given as a text."""
    return _JSON if body.lstrip()[:1] in (b"{", b"[") else _TEXT


def _line_of(work: Work) -> tuple[str, str]:
    """Method and path of what is replayed or given."""
    if work.dialect == "http":
        return work.method, work.path
    return "POST", work.path or WIRES[work.dialect].route


def _check(setup: Setup) -> None:
    """Refuse what cannot be sent, whatever the dialect."""
    work = setup.work
    if not setup.targets:
        raise UsageError("there is no server to send to")
    for target in setup.targets:
        if target.batch_limit is not None and target.batch_limit < 1:
            raise UsageError("its batch limit is below 1", where=target.name)
    for name in ("repeat", "check"):
        if not 0 <= getattr(work, name) <= 1:
            raise UsageError("expected a share between 0 and 1", where=name)
    is_http = work.dialect == "http"
    if is_http and not work.path:
        raise UsageError("the dialect http needs a path", where="path", hint="such as /health")
    if work.body and (work.replay or not is_http):
        raise UsageError(
            "a body of its own goes with the dialect http, and not with a replay", where="body"
        )
    if is_http or work.replay:
        what = "a replay" if work.replay else "the dialect http"
        given = {"repeat": work.repeat, "top_n": work.top_n is not None, "model": work.model}
        for name in (name for name, value in given.items() if value):
            raise UsageError(
                f"{what} takes its bodies as they are", where=name, hint="leave it out"
            )
    try:
        work.body.encode()
    except UnicodeEncodeError:
        raise UsageError("it is not Unicode text", where="body") from None
