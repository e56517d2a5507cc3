"""``opsconsole serve``."""

from __future__ import annotations

import os

import click

from opsconsole.errors import OpsError


@click.command()
@click.option("--model", metavar="NAME|PATH", help="MODEL_NAME: embedded, a folder, or a hub name.")
@click.option("--host", help="HOST: the address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), help="PORT.")
@click.option("--device", type=click.Choice(["auto", "cuda", "mps", "cpu"]),
              help="DEVICE_PREFERENCE.")  # fmt: skip
@click.option("--insecure", is_flag=True,
              help="OPSCONSOLE_INSECURE: listen beyond this machine without keys.")  # fmt: skip
@click.option("--reload", is_flag=True, help="Development: restart when the code changes.")
def serve(
    model: str | None,
    host: str | None,
    port: int | None,
    device: str | None,
    insecure: bool,
    reload: bool,
) -> int:
    """Run one reranker server in the foreground.

    It reads its settings from the environment (MODEL_NAME, LOCAL_MODEL_PATH, DEVICE_PREFERENCE,
    USE_MLX, MAX_PARALLEL_REQUESTS, MAX_QUEUE_SIZE, BATCH_SIZE, ENABLE_PREDICTION_CACHE, HOST,
    PORT, API_KEYS, API_KEY_FILE, TLS_CERT_FILE, TLS_KEY_FILE, RATE_LIMIT, CORS_ORIGINS, DTYPE);
    options win over the environment.
    """
    environ = dict(os.environ)
    given = {"MODEL_NAME": model, "HOST": host, "PORT": port, "DEVICE_PREFERENCE": device}
    environ |= {name: str(value) for name, value in given.items() if value is not None}
    if insecure:
        environ["OPSCONSOLE_INSECURE"] = "true"
    if model is not None:
        environ.pop("LOCAL_MODEL_PATH", None)
    try:
        from opsconsole.server import ServerSettings
        from opsconsole.server import serve as run
    except ImportError as error:
        raise OpsError(
            f"the inference engine is not installed ({error.name} is missing)",
            hint="pip install 'opsconsole[engine]'",
        ) from None
    return run(ServerSettings.from_env(environ), reload=reload)
