"""A real generator process, driven as the console does: messages in, frames summed up.

For tests and benchmarks: ``with Generator(setup_for(far)) as generator: generator.run(phase)``.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import time
from types import TracebackType
from typing import Any, Protocol

import psutil
from msgspec import Struct, field

from opsconsole.load.messages import (
    HEADER_BYTES,
    Begin,
    Broken,
    Control,
    Frame,
    FromGenerator,
    PhasesEnded,
    Ready,
    Setup,
    Stop,
    Target,
    from_generator,
    pack,
)
from opsconsole.load.plan import Lengths, Phase, Work
from opsconsole.load.records import Client, Totals
from tests.load.farside import on_core

DEADLINE = 30.0
START = 0.05
"""Seconds from the sending of Begin to the phase's own begin."""
_MODULE = "opsconsole.load.generator"
_WITHOUT_UVLOOP = (
    "import runpy, sys; sys.modules['uvloop'] = None; "
    f"runpy.run_module({_MODULE!r}, run_name='__main__', alter_sys=True)"
)
PATH = "/asked"
RERANK = Work(documents=Lengths("fixed", 4), document_tokens=Lengths("fixed", 20))
"""Small rerank requests; every answer is checked."""


class Listening(Protocol):
    """What a target needs to know of a server, such as :class:`tests.load.farside.Far`."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def unix(self) -> str: ...


def body_work(size: int = 4096, path: str = PATH) -> Work:
    """A POST of ``size`` bytes of JSON whose answer's body nobody checks."""
    body = '{"fill":"' + "x" * (size - 11) + '"}'
    headers = {"content-type": "application/json"}
    return Work(dialect="http", method="POST", path=path, body=body, headers=headers, check=0.0)


def target_of(far: Listening, name: str = "far", **changes: Any) -> Target:
    """The target that a server is."""
    return Target(name=name, host=far.host, port=far.port, unix=far.unix, **changes)


def setup_for(*targets: Target | Listening, work: Work | None = None, **changes: Any) -> Setup:
    """A set-up of one process; servers are named ``far``, or ``far0``… when there are several."""
    made = tuple(
        target
        if isinstance(target, Target)
        else target_of(target, "far" if len(targets) == 1 else f"far{i}")
        for i, target in enumerate(targets)
    )
    known: dict[str, Any] = {"timeout": 10.0, "max_in_flight": 1000, "work": work or body_work()}
    return Setup(targets=made, **(known | changes))


def closed(requests: int, clients: int = 1, **changes: Any) -> Phase:
    """So many requests by so many clients."""
    return Phase(name="closed", requests=requests, concurrency=clients, **changes)


def opened(rate: float, seconds: float, **changes: Any) -> Phase:
    """So many requests a second, for so long."""
    return Phase(name="open", rate=rate, duration=seconds, **changes)


class Part(Struct):
    """What one phase came to."""

    totals: dict[str, Totals] = field(default_factory=dict)
    client: Client = field(default_factory=Client)
    begin: int = 0
    end: int = 0
    """time.monotonic_ns, of its span."""
    frames: int = 0

    @property
    def seconds(self) -> float:
        return (self.end - self.begin) / 1e9

    @property
    def all(self) -> Totals:
        """The totals of all targets."""
        whole = Totals()
        for totals in self.totals.values():
            whole.add(totals)
        return whole


class Driven(Struct):
    """What the phases of one Begin came to.

    Attributes:
        at: When the first was to begin, time.monotonic_ns.
        parts: By the phase's number.
        examples: An answer or message for each kind of error.
    """

    at: int
    parts: list[Part]
    examples: dict[str, str] = field(default_factory=dict)

    @property
    def first(self) -> Part:
        return self.parts[0]

    @property
    def all(self) -> Totals:
        """The totals of all phases and targets."""
        whole = Totals()
        for part in self.parts:
            whole.add(part.all)
        return whole

    @property
    def client(self) -> Client:
        """How the generator fared in all phases."""
        whole = Client()
        for part in self.parts:
            whole.then(part.client)
        return whole


class GeneratorError(AssertionError):
    """The generator said Broken, ended, or said nothing."""


class Generator:
    """``python -m opsconsole.load.generator``, ready for phases; ended with the block.

    Args:
        setup: Sent at once.
        uvloop: Whether it may use uvloop.
        core: The only processor core it may use, where the system can do that.
        environment: Over this process's own.

    Attributes:
        ready: Its answer to ``setup``.
        pid: Its process.
    """

    def __init__(
        self,
        setup: Setup,
        *,
        uvloop: bool = True,
        core: int | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.setup = setup
        self._argv = [sys.executable, *(("-m", _MODULE) if uvloop else ("-c", _WITHOUT_UVLOOP))]
        self._core = core
        self._environment = os.environ | (environment or {})
        self._buffer = bytearray()
        self._first = 0
        self._begun = Begin(phases=(), first=0, at=0)

    def __enter__(self) -> Generator:
        with on_core(self._core):
            self.process = subprocess.Popen(
                self._argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                env=self._environment,
            )
        self.pid = self.process.pid
        assert self.process.stdout is not None
        self._selector = selectors.DefaultSelector()
        self._selector.register(self.process.stdout, selectors.EVENT_READ)
        try:
            self.send(self.setup)
            ready = self.receive()
            assert isinstance(ready, Ready), ready
        except BaseException:
            self.__exit__()
            raise
        self.ready = ready
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            if error is None:
                raise GeneratorError("the generator outlives its input") from None
        finally:
            self._selector.close()
            self.process.stdout.close()

    @property
    def rss(self) -> int:
        """Its resident memory now, bytes."""
        return int(psutil.Process(self.pid).memory_info().rss)

    def send(self, message: Setup | Begin | Control | Stop) -> None:
        """Send it a message."""
        assert self.process.stdin is not None
        left = memoryview(pack(message))
        while left:
            left = left[self.process.stdin.write(left) :]

    def receive(self, deadline: float = DEADLINE) -> FromGenerator:
        """Its next message.

        Raises:
            GeneratorError: It ended, or said nothing for ``deadline`` seconds.
        """
        assert self.process.stdout is not None
        end = time.monotonic() + deadline
        while True:
            if len(self._buffer) >= HEADER_BYTES:
                size = int.from_bytes(self._buffer[:HEADER_BYTES], "big") + HEADER_BYTES
                if len(self._buffer) >= size:
                    message: FromGenerator = from_generator.decode(
                        bytes(self._buffer[HEADER_BYTES:size])
                    )
                    del self._buffer[:size]
                    return message
            if not self._selector.select(max(0.0, end - time.monotonic())):
                raise GeneratorError(f"the generator said nothing for {deadline:g} s")
            data = self.process.stdout.read(1 << 20)
            if not data:
                raise GeneratorError(f"the generator ended with {self.process.wait()}")
            self._buffer += data

    def begin(self, *phases: Phase, at: int = 0) -> int:
        """Begin phases at ``at`` (time.monotonic_ns), soon by default; returns when."""
        at = at or time.monotonic_ns() + round(START * 1e9)
        self._begun = Begin(phases=phases, first=self._first, at=at)
        self.send(self._begun)
        self._first += len(phases)
        return at

    def collect(self, deadline: float = DEADLINE) -> Driven:
        """Sum up the frames until the phases have ended; each is to follow within ``deadline``.

        There are fewer parts than phases when a Stop came before the last of them began.
        """
        parts: dict[int, Part] = {}
        examples: dict[str, str] = {}
        while True:
            message = self.receive(deadline)
            match message:
                case Frame():
                    part = parts.setdefault(message.phase, Part())
                    part.frames += 1
                    part.client.then(message.client)
                    for name, totals in message.totals.items():
                        part.totals.setdefault(name, Totals()).add(totals)
                    for kind, text in message.examples.items():
                        examples.setdefault(kind, text)
                case PhasesEnded():
                    found = []
                    for number, (begin, end) in enumerate(message.spans, self._begun.first):
                        part = parts.pop(number, Part())
                        part.begin, part.end = begin, end
                        found.append(part)
                    assert not parts, f"frames of unknown phases: {sorted(parts)}"
                    return Driven(self._begun.at, found, examples)
                case Broken():
                    raise GeneratorError(message.text)
                case Ready():
                    raise GeneratorError("it said twice that it is ready")

    def run(self, *phases: Phase, deadline: float = DEADLINE) -> Driven:
        """Run phases to their end."""
        self.begin(*phases)
        return self.collect(deadline)


def drive(setup: Setup, *phases: Phase, uvloop: bool = True, deadline: float = DEADLINE) -> Driven:
    """Run phases in a generator of their own."""
    with Generator(setup, uvloop=uvloop) as generator:
        return generator.run(*phases, deadline=deadline)


def check_sums(driven: Driven, *, cut_off: bool = False) -> None:
    """What holds of every run that has ended, whatever the servers did; ``cut_off``: it was stopped
    without time for what was in flight."""
    for part in driven.parts:
        for name, totals in part.totals.items():
            assert cut_off or totals.sent <= totals.ended, (
                f"{name}: {totals.sent} sent, {totals.ended} ended"
            )
            wrong = sum(totals.errors.values())
            assert totals.ended == totals.good + wrong, f"{name}: {totals}"
            for histogram in (totals.response, totals.service, totals.first_byte):
                assert histogram.total == totals.good, f"{name}: good requests only"
                assert sum(histogram.counts.values()) == histogram.total
            assert len(totals.errors) <= 51, f"{name}: kinds of errors are bounded"
        assert part.begin <= part.end
    assert cut_off or driven.client.in_flight == 0
    for kind, example in driven.examples.items():
        for text in (kind, example):
            assert text.isprintable(), f"foreign text passed: {text!r}"
