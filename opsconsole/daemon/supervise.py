"""The life of one server: started, probed, restarted on a crash, its log rotated, ended."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import select
import signal
import time
from typing import TYPE_CHECKING

from opsconsole.daemon import logfile
from opsconsole.daemon.exits import UNFIXABLE, Exit, backoff
from opsconsole.daemon.folder import remove, write
from opsconsole.daemon.group import Ending, environ_of
from opsconsole.daemon.identity import Handle, Identity, argv_hash, boot_id, identify, read_stat
from opsconsole.daemon.journal import Journal
from opsconsole.daemon.notes import open_notes, say
from opsconsole.daemon.probe import Answer, Probe
from opsconsole.daemon.record import Record, Spec
from opsconsole.daemon.spawn import spawn
from opsconsole.daemon.states import ALIVE, ENDED, DaemonState
from opsconsole.daemon.watch import Adopted, Child

if TYPE_CHECKING:
    from opsconsole.daemon.folder import Folder

UNREADY_AFTER = 3
"""Failed health checks in a row that make a running server unready."""
READY = "/ready"
OLD_READY = "/health"
"""Asked where :data:`READY` is not known; it may need a key, which a keeper does not have."""
_FAR = 3600.0
_LAST_WORDS = 20


class Supervisor:
    """Watches one server. Every step looks at everything and never blocks; waiting is one poll."""

    def __init__(self, folder: Folder, spec: Spec, wake: int) -> None:
        """``wake`` is a non-blocking descriptor that is readable after a signal."""
        self.stop_asked = False
        self.retry_asked = False
        self._folder = folder
        self._spec = spec
        self._wake = wake
        first = Record(
            DaemonState.STARTING, time.time(), boot_id(), port=spec.port, detail="starting"
        )
        self._journal = Journal(folder, first)
        self._environ: dict[str, str] = dict(os.environ)
        self._server: Child | Adopted | None = None
        self._exit: Exit | None = None
        self._ending: Ending | None = None
        self._failure = ""
        self._probe: Probe | None = None
        self._probe_at = 0.0
        self._probes_failed = 0
        self._path = spec.health
        self._degraded_at: float | None = None
        self._launched_at = 0.0
        self._ready_at: float | None = None
        self._retry_at = _FAR

    # What the outside does with it

    def prepare(self) -> None:
        """Write the first state; raises OSError when the folder cannot be written."""
        self._folder.write_record(self._journal.record)

    def adopt(self, record: Record) -> None:
        """Take over the server of ``record``; the server itself is not touched.

        Raises:
            OpsError: it cannot be told whether that process is the server.
        """
        assert record.server is not None
        handle = Handle.claim(record.server)
        now = time.monotonic()
        state = record.state if record.state in ALIVE else DaemonState.STARTING
        taken = record._replace(state=state, desired="running", survivors=[])
        self._journal = Journal(self._folder, taken)
        self._launched_at = now
        self._ready_at = now if record.ready else None
        if handle is None:
            self._journal.change(server=None, last_exit=str(Exit()))
            self._decide(Exit(), now)
            return
        self._server = Adopted(handle)
        # After a crash it gets the environment it had, not that of whoever adopted it.
        found = environ_of(record.server.pid)
        if found:
            self._environ = {os.fsdecode(k): os.fsdecode(v) for k, v in found.items()}
        say(f"adopted the running server, process {record.server.pid}")
        self._journal.change(detail="adopted by a new keeper")

    def launch(self) -> None:
        """Start the server."""
        now = time.monotonic()
        self._retry_at = _FAR
        open_notes(self._folder.keeper_log)
        self._rotate(now)
        starts = [
            start for start in self._journal.record.starts if start > now - self._spec.start_window
        ]
        self._journal.change(
            state=DaemonState.STARTING,
            starts=[*starts, now],
            started_at=time.time(),
            ready=False,
            was_ready=False,
            backoff_until=None,
            detail="starting",
        )
        environ = self._environ | self._spec.env | {"OPSCONSOLE_LOG_FILE": self._folder.log}
        environ["OPSCONSOLE_SERVER_NAME"] = self._spec.name
        self._launched_at, self._ready_at, self._failure = now, None, ""
        self._probes_failed, self._probe_at = 0, now
        self._path, self._degraded_at = self._spec.health, None
        log = self._open_log()
        try:
            pid = spawn(self._spec.argv, environ, log, self._forked)
        except OSError as error:
            self._not_started(error, now)
            return
        finally:
            os.close(log)
        identity = identify(pid) or self._journal.record.server
        assert identity is not None
        self._server = Child(identity)
        self._journal.change(server=identity)
        self._write_pid(pid)
        say(f"started process {pid}")

    def run(self) -> None:
        """Watch until there is nothing left to watch."""
        while self._journal.record.state not in ENDED and not self._gave_up:
            self._wait(self._step())
        self._journal.retry(math.inf)

    # One step

    def _step(self) -> float:
        """Look at everything; returns when to look again at the latest, monotonic seconds."""
        now = time.monotonic()
        if self.stop_asked and self._journal.record.desired != "stopped":
            self._stop(now)
        if self._server is not None:
            if self._exit is None:
                self._exit = self._server.ended()
                if self._exit is not None and self._ending is None:
                    self._begin_ending(now)  # nothing of its group may outlive it
            if self._ending is not None:
                return self._step_ending(now)
            return self._step_alive(now)
        if self._journal.record.state is DaemonState.BACKOFF:
            if now >= self._retry_at or self.retry_asked:
                self.retry_asked = False
                self._journal.change(restarts=self._journal.record.restarts + 1)
                self.launch()
                return now
            return self._retry_at
        return now

    def _step_alive(self, now: float) -> float:
        self.retry_asked = False
        if self._probe is None and now >= self._probe_at:
            spec = self._spec
            self._probe = Probe(
                spec.host, spec.port, self._path, spec.probe_timeout, now, tls=spec.tls
            )
            self._rotate(now)
        if self._probe is not None:
            answer = self._probe.step(now)
            if answer is not None:
                self._probe = None
                if answer.status == 404 and self._path == READY:
                    self._path = OLD_READY
                    return now
                self._judge(answer, now)
                if self._too_long_degraded(answer, now):
                    self._begin_ending(now)
                    return now
        if self._journal.record.state is DaemonState.STARTING:
            deadline = self._launched_at + self._spec.start_timeout
            if now >= deadline:
                self._failure = f"not ready within {self._spec.start_timeout:g} s"
                say(f"{self._failure}: {self._journal.record.detail}")
                self._begin_ending(now)
                return now
        else:
            deadline = now + _FAR
        return min(deadline, self._probe.deadline if self._probe else self._probe_at)

    def _judge(self, answer: Answer, now: float) -> None:
        assert self._server is not None
        leader = self._server.identity.pid
        ready, detail = answer.ready, answer.detail
        if ready and answer.pid is not None and answer.pid != leader:
            stat = read_stat(answer.pid)
            if stat is None or stat.session != leader:
                ready = False
                detail = f"port {self._spec.port} is answered by another process, {answer.pid}"
        state = self._journal.record.state
        if ready:
            self._probes_failed = 0
            if self._ready_at is None:
                self._ready_at = now
            if state is not DaemonState.RUNNING:
                # A wrapper may have become another program since it was started.
                identity = self._server.identity
                if isinstance(self._server, Child):
                    identity = self._server.identity = identify(leader) or identity
                self._journal.change(
                    state=DaemonState.RUNNING,
                    server=identity,
                    ready=True,
                    was_ready=True,
                    detail=detail,
                )
        else:
            self._probes_failed += 1
            if state is DaemonState.RUNNING and self._probes_failed >= UNREADY_AFTER:
                self._journal.change(state=DaemonState.UNREADY, ready=False, detail=detail)
        if ready or self._journal.record.state is not DaemonState.RUNNING:
            self._journal.change(detail=detail)
        waiting = self._journal.record.state is DaemonState.STARTING
        pause = self._spec.probe_starting if waiting else self._spec.probe_interval
        self._probe_at = now + pause

    def _too_long_degraded(self, answer: Answer, now: float) -> bool:
        """Whether it has to be restarted because it says that it is not well."""
        patience = self._spec.restart_on_degraded
        if answer.word != "degraded" or not patience or self._spec.restart == "never":
            self._degraded_at = None
            return False
        if self._degraded_at is None:
            self._degraded_at = now
        if now - self._degraded_at < patience:
            return False
        self._failure = f"degraded for {patience:g} s"
        say(f"{self._failure}: {answer.detail}")
        self._journal.change(ready=False, detail=f"{self._failure}: restarting it")
        return True

    # The end of a server

    def _not_started(self, error: OSError, now: float) -> None:
        what = f"cannot start {self._spec.argv[0]}: {error.strerror}"
        self._journal.change(server=None, last_exit="not started")
        if error.errno in (errno.EAGAIN, errno.ENOMEM):  # the machine is out of breath
            self._failure = what
            self._decide(Exit(), now)
        else:
            self._end(DaemonState.FATAL, what)

    def _stop(self, now: float) -> None:
        # Written down before anything is signalled: nothing may start between TERM and KILL.
        if self._server is None:
            self._journal.change(desired="stopped", server=None)
            self._end(DaemonState.STOPPED, "stopped")
            return
        self._journal.change(
            desired="stopped", state=DaemonState.STOPPING, ready=False, detail="asked to end"
        )
        grace = self._spec.stop_grace
        with contextlib.suppress(OSError, ValueError):
            grace = self._folder.read_spec().stop_grace  # a stop may have brought its own
        self._ending = None
        self._begin_ending(now, grace)

    def _begin_ending(self, now: float, grace: float | None = None) -> None:
        assert self._server is not None
        self._drop_probe()
        grace = self._spec.stop_grace if grace is None else grace
        self._ending = Ending(self._server.identity, grace, now)

    def _step_ending(self, now: float) -> float:
        assert self._ending is not None
        if now >= self._ending.next_at or self._exit is not None:
            self._ending.step(now)
        if self._ending.survivors != self._journal.record.survivors:
            self._journal.change(survivors=self._ending.survivors)
        if self._ending.done:
            self._emptied(now)
            return now
        if self._ending.failed:
            pids = ", ".join(map(str, self._ending.survivors))
            self._journal.change(
                state=DaemonState.STOPPING, ready=False, detail=f"KILL does not end process {pids}"
            )
        return self._ending.next_at

    @property
    def _gave_up(self) -> bool:
        return self._ending is not None and self._ending.failed

    def _emptied(self, now: float) -> None:
        """The server and all of its group are gone."""
        assert self._server is not None
        # A group that is empty has lost its leader too; only its exit may not have been read yet.
        ended = self._exit or self._server.ended() or Exit()
        self._server.release()
        self._server = self._exit = self._ending = None
        remove(self._folder.pid)
        self._journal.change(server=None, ready=False, survivors=[], last_exit=str(ended))
        say(f"the server has ended: {ended}")
        self._decide(ended, now)

    def _decide(self, ended: Exit, now: float) -> None:
        """What follows the end of a server: another start, or none."""
        spec, record = self._spec, self._journal.record
        if self.stop_asked:
            self._journal.change(desired="stopped")
            self._end(DaemonState.STOPPED, "stopped")
            return
        words = logfile.last_lines(self._folder.log, _LAST_WORDS)
        why = self._failure or str(ended)
        last = "" if self._failure else logfile.reason(words)
        if ended.code == UNFIXABLE:
            self._end(DaemonState.FATAL, last or why, words)
            return
        if ended.clean and not self._failure and spec.restart != "always":
            self._end(DaemonState.EXITED, "ended by itself, without an error")
            return
        if spec.restart == "never":
            state = DaemonState.FATAL if self._failure else DaemonState.EXITED
            self._end(state, f"{why}: {last}" if last else why, words)
            return
        recent = [start for start in record.starts if start > now - spec.start_window]
        if len(recent) >= spec.start_limit:
            what = f"{len(recent)} starts in {spec.start_window:g} s, the last: {why}"
            self._end(DaemonState.FATAL, f"{what}: {last}" if last else what, words)
            return
        recovered = self._ready_at is not None and now - self._ready_at >= spec.stable
        failures = 1 if recovered else record.failures + 1
        delay = backoff(spec.backoff, failures, spec.backoff_max)
        self._retry_at = now + delay
        say(f"starting again in {delay:.3g} s after {why}")
        self._journal.change(
            state=DaemonState.BACKOFF,
            ready=False,
            failures=failures,
            backoff_until=time.time() + delay,
            detail=f"starting again after {why}: {last}" if last else f"starting again after {why}",
        )

    def _end(self, state: DaemonState, detail: str, words: list[str] | None = None) -> None:
        say(f"{state}: {detail}")
        for line in words or ():
            say(f"  | {line}")
        self._journal.change(state=state, ready=False, backoff_until=None, detail=detail)

    # Files

    def _forked(self, pid: int) -> None:
        stat = read_stat(pid)
        start = stat.start if stat is not None else 0.0
        self._journal.change(server=Identity(pid, start, boot_id(), argv_hash(self._spec.argv)))

    def _write_pid(self, pid: int) -> None:
        try:
            write(self._folder.pid, f"{pid}\n".encode())
        except OSError as error:
            say(f"server.pid cannot be written: {error.strerror}")

    def _open_log(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        try:
            return os.open(self._folder.log, flags, 0o600)
        except OSError as error:
            say(f"server.log cannot be opened, so its output is lost: {error.strerror}")
            return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)

    def _rotate(self, now: float) -> None:
        if self._server is not None and not self._journal.record.was_ready:
            return  # it may not handle the signal yet, whose default is to kill
        size = logfile.size(self._folder.log)
        if size is not None and size > self._spec.log_max_bytes:
            try:
                logfile.rotate(self._folder.log, self._spec.log_keep)
            except OSError as error:
                say(f"the log cannot be rotated: {error.strerror}")
                return
            size = None
        if size is None and self._server is not None:
            # Also when a keeper died right between the two, or the server missed the signal.
            self._server.send(signal.SIGUSR1)

    # Waiting

    def _drop_probe(self) -> None:
        if self._probe is not None:
            self._probe.close()
            self._probe = None

    def _wait(self, until: float) -> None:
        now = time.monotonic()
        until = min(until, self._journal.retry(now) or until)
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        if self._probe is not None and self._probe.fileno() >= 0:
            poll.register(self._probe.fileno(), self._probe.interest)
        if self._server is not None and self._exit is None:
            if self._server.fileno() >= 0:
                poll.register(self._server.fileno(), select.POLLIN)
            elif isinstance(self._server, Adopted):
                until = min(until, now + 0.5)  # no pidfd here: its end must be looked for
        for fd, _ in poll.poll(max(0, int((until - now) * 1000) + 1)):
            if fd == self._wake:
                os.read(self._wake, 4096)
