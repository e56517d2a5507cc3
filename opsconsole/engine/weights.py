"""The safetensors files of a checkpoint: their names, shapes and hash, read without torch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from opsconsole.errors import OpsError

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
_MOST_HEADER = 100 << 20
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack")


class Tensor(msgspec.Struct, frozen=True):
    """Where one tensor lies and what it looks like."""

    file: Path
    stored_name: str
    dtype: str
    """As safetensors names it: ``F32``, ``BF16``, ``I64``…"""
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        total = 1
        for extent in self.shape:
            total *= extent
        return total


class _Entry(msgspec.Struct):
    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


class _Index(msgspec.Struct):
    weight_map: dict[str, str]


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder, one or the shards of its index.

    Raises:
        OpsError: there are none, a shard is missing, or only pickled weights are there: those run
            code when they are opened, so they are never read.
    """
    single, index = folder / WEIGHTS, folder / INDEX
    if single.is_file():
        return [single]
    if index.is_file():
        try:
            shards = set(msgspec.json.decode(index.read_bytes(), type=_Index).weight_map.values())
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise OpsError(
                f"the list of weight files cannot be read: {error}",
                where=str(index),
                hint="download the model again",
            ) from error
        for shard in sorted(shards):
            if Path(shard).name != shard or not (folder / shard).is_file():
                raise OpsError(
                    f"the weight file {shard!r} that the index names is missing",
                    where=str(index),
                    hint="download the model again",
                )
        if shards:
            return [folder / shard for shard in sorted(shards)]
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if pickles:
        raise OpsError(
            f"the folder has only pickled weights ({', '.join(pickles[:3])}), which are refused:"
            " opening them can run any code",
            where=str(folder),
            hint="convert them with save_pretrained(..., safe_serialization=True)",
        )
    raise OpsError(
        f"{WEIGHTS} is missing",
        where=str(folder),
        hint="give the folder of a Hugging Face model, with its weights",
    )


def read_tensors(files: Sequence[Path]) -> dict[str, Tensor]:
    """Every tensor of the files by its stored name; reads the headers only.

    Raises:
        OpsError: a file is not safetensors, or shorter than its header says.
    """
    tensors: dict[str, Tensor] = {}
    for file in files:
        for name, entry in _read_header(file).items():
            tensors[name] = Tensor(file, name, entry.dtype, entry.shape)
    return tensors


def _read_header(file: Path) -> dict[str, _Entry]:
    # The format: 8 bytes little endian, the length of a JSON object, the object, the tensors.
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if length > _MOST_HEADER:
                raise ValueError("its header has an impossible length")
            header = msgspec.json.decode(stream.read(length), type=dict[str, msgspec.Raw])
        header.pop("__metadata__", None)
        entries = {name: msgspec.json.decode(raw, type=_Entry) for name, raw in header.items()}
        size = 8 + length + max((entry.data_offsets[1] for entry in entries.values()), default=0)
        if file.stat().st_size != size:
            raise ValueError(f"{file.stat().st_size} bytes, its header says {size}")
        return entries
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise OpsError(
            f"not a whole safetensors file: {error}",
            where=str(file),
            hint="download the model again; a Git LFS pointer is not the file itself",
        ) from error


def weights_sha256(files: Sequence[Path]) -> str:
    """sha256 of the one file, or over the shards' digests in name order; hexadecimal.

    Reads the files once, without holding the interpreter lock.
    """
    digests = []
    for file in files:
        try:
            with file.open("rb") as stream:
                digests.append(hashlib.file_digest(stream, "sha256"))
        except OSError as error:
            raise OpsError(f"the weights cannot be read: {error}", where=str(file)) from error
    if len(digests) == 1:
        return digests[0].hexdigest()
    return hashlib.sha256(b"".join(digest.digest() for digest in digests)).hexdigest()
