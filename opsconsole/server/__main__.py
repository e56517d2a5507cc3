"""``python -m opsconsole.server``: one server, settled by its environment."""

from __future__ import annotations

import os
import signal


def _leave(signum: int, frame: object) -> None:
    os._exit(0)


if __name__ == "__main__":
    # Before anything slow: a rotation must not kill a server that is still importing, and a
    # stop at this point has nobody's answer to wait for.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)

    try:
        from opsconsole.server.run import main
    except ImportError as error:
        from opsconsole.server.logs import JsonLog

        JsonLog().error(
            f"the server is not installed ({error.name} is missing)",
            what=f"{error.name} is missing",
            hint="pip install 'opsconsole[engine]'",
        )
        raise SystemExit(78) from None
    raise SystemExit(main())
