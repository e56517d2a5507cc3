"""Models by their Hugging Face name: from the local cache, else from the hub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from opsconsole.errors import OpsError

# Everything a model needs and no pickles, no ONNX copies, no pictures.
_WANTED = [
    "*.json",
    "*/config.json",
    "model*.safetensors",
    "0_Transformer/*.safetensors",
    "0_Transformer/*.json",
]
_COMMIT = re.compile(r"[0-9a-f]{40}")


def fetch(name: str) -> Path:
    """The folder of a hub model; the cache is asked first, so a cached model needs no network.

    Raises:
        OpsError: the name is not one, the hub does not have it or does not give it, or there is
            no network and the cache does not have it.
    """
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
    except ImportError as error:
        raise OpsError(
            "huggingface_hub, which finds models by name, is not installed",
            where=name,
            hint="pip install 'opsconsole[engine]'",
        ) from error
    try:
        cached = Path(snapshot_download(name, allow_patterns=_WANTED, local_files_only=True))
        if has_weights(cached):
            return cached
    except HFValidationError as error:
        raise OpsError(
            f"{name!r} is neither a folder nor a Hugging Face model name",
            where="MODEL_NAME",
            hint="use 'embedded', an existing folder, or a name such as BAAI/bge-reranker-base",
        ) from error
    except LocalEntryNotFoundError:
        pass
    return _download(name, snapshot_download)


def _download(name: str, snapshot_download: Any) -> Path:
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    try:
        folder = Path(snapshot_download(name, allow_patterns=_WANTED))
        if not has_weights(folder):  # also what comes back, silently, when there is no network
            raise OfflineModeIsEnabled if constants.HF_HUB_OFFLINE else _no_weights(name)
        return folder
    except OpsError:
        raise
    except GatedRepoError as error:
        raise OpsError(
            f"the hub gives {name} only to accounts that were granted access",
            where="huggingface.co",
            hint="accept its terms on its page and set HF_TOKEN",
        ) from error
    except RepositoryNotFoundError as error:
        raise OpsError(
            f"the hub has no model {name}, or it is private",
            where="huggingface.co",
            hint="check the spelling of MODEL_NAME; a private model needs HF_TOKEN",
        ) from error
    except (OfflineModeIsEnabled, LocalEntryNotFoundError) as error:
        raise OpsError(
            f"{name} is not in the Hugging Face cache and the hub cannot be reached",
            where="huggingface.co",
            hint="connect to the network (and unset HF_HUB_OFFLINE), or set LOCAL_MODEL_PATH"
            " to a folder with the model",
        ) from error
    except HfHubHTTPError as error:
        raise OpsError(
            f"the hub did not give {name}: {_first_line(error)}",
            where="huggingface.co",
            hint="try again later, or set LOCAL_MODEL_PATH to a folder with the model",
        ) from error
    except Exception as error:  # the HTTP client below has its own hierarchy, which has changed
        raise OpsError(
            f"the download of {name} failed: {_first_line(error)}",
            where="huggingface.co",
            hint="check the network and the free disk space, or set LOCAL_MODEL_PATH",
        ) from error


def _no_weights(name: str) -> OpsError:
    return OpsError(
        f"the hub gave no safetensors weights of {name}",
        where="huggingface.co",
        hint="check the network; a model with only pickled weights is refused",
    )


def has_weights(folder: Path) -> bool:
    """Whether a cached snapshot has its weights: one that only lent its config does not."""
    return any(folder.glob("*.safetensors")) or any(folder.glob("0_Transformer/*.safetensors"))


def commit_of(folder: Path) -> str | None:
    """The commit a cached snapshot belongs to (``…/snapshots/<commit>``)."""
    if folder.parent.name == "snapshots" and _COMMIT.fullmatch(folder.name):
        return folder.name
    return None


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
