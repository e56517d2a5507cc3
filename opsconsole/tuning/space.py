"""The settings that are swept, the values tried for each, and the candidates made of them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import get_args

from opsconsole.engine.settings import MOST_BATCH, Dtype, EngineSettings
from opsconsole.errors import UsageError
from opsconsole.profile.problems import nearest
from opsconsole.server.settings import ServerSettings
from opsconsole.tuning.records import Settings

DTYPE = "DTYPE"
BATCH = "BATCH_SIZE"
PARALLEL = "MAX_PARALLEL_REQUESTS"
CACHE = "ENABLE_PREDICTION_CACHE"
QUEUE = "MAX_QUEUE_SIZE"
SWEPT = (DTYPE, BATCH, PARALLEL, CACHE, QUEUE)
"""What most often matters first: a short budget gets no further than the first values."""

_LEAST_QUEUE = 4


def effective(environ: Mapping[str, str], controller: Mapping[str, object]) -> Settings:
    """The swept settings of a server: as it was told, else by default, as its controller says.

    Raises:
        UsageError: a variable holds nonsense.
    """
    told = ServerSettings.from_env({name: environ.get(name, "") for name in SWEPT})
    engine = told.engine
    batch = engine.batch_size or controller.get("batch_size")
    found = {
        DTYPE: engine.dtype,
        BATCH: str(batch) if batch else "",
        PARALLEL: str(told.max_parallel),
        CACHE: "true" if engine.cache else "false",
        QUEUE: str(told.max_queue),
    }
    return {name: value for name, value in found.items() if value}


def default_values(was: Mapping[str, str], clients: int) -> dict[str, tuple[str, ...]]:
    """Values to try for each setting, the likeliest first; that which is there is left out.

    Args:
        was: As :func:`effective` has it.
        clients: That load the server: more requests in the engine than that cannot be.
    """
    parallel, queue = int(was[PARALLEL]), int(was[QUEUE])
    batch = int(was.get(BATCH, 32))
    values = {
        DTYPE: ["bfloat16", "int8", "float32", "float16", "auto"],
        BATCH: _numbers((2 * batch, batch // 2, 4 * batch, batch // 4), 1, MOST_BATCH),
        PARALLEL: _numbers((2 * parallel, parallel // 2, 4 * parallel, 1), 1, max(clients, 1)),
        CACHE: ["true", "false"],
        QUEUE: _numbers((4 * queue, queue // 4), _LEAST_QUEUE, 1_000_000),
    }
    assert set(get_args(Dtype)) == set(values[DTYPE])
    return {
        name: tuple(value for value in values[name] if value != was.get(name)) for name in SWEPT
    }


def _numbers(wanted: Iterable[int], least: int, most: int) -> list[str]:
    return [str(n) for n in dict.fromkeys(wanted) if least <= n <= most]


def read_values(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """``BATCH_SIZE=8,16`` → the values of that setting, as the server itself would read them.

    Raises:
        UsageError: no such setting, or a value that the server would refuse.
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, sign, values = text.partition("=")
        name = name.strip().upper()
        if name not in SWEPT:
            raise UsageError(f"{name!r} is not tuned", where="--set", hint=nearest(name, SWEPT))
        words = [word.strip() for word in values.split(",") if word.strip()]
        if not sign or not words:
            raise UsageError(f"{text!r} has no values", where="--set", hint=f"write {name}=A,B")
        found[name] = tuple(dict.fromkeys(_read(name, word) for word in words))
    return found


def _read(name: str, word: str) -> str:
    try:
        told = ServerSettings.from_env({name: word})
    except UsageError as error:
        raise UsageError(error.what, where="--set") from None
    engine: EngineSettings = told.engine
    read = {
        DTYPE: engine.dtype, BATCH: engine.batch_size, PARALLEL: told.max_parallel,
        CACHE: "true" if engine.cache else "false", QUEUE: told.max_queue,
    }  # fmt: skip
    return str(read[name])


def candidates(values: Mapping[str, Sequence[str]], most: int, seed: int = 1) -> list[Settings]:
    """Up to ``most`` different sets of settings, what was there (``{}``) first.

    Then one change at a time, setting by setting, so that each is seen on its own; then changes
    of several settings at random, for what only together is good.
    """
    found: list[Settings] = [{}]
    longest = max(map(len, values.values()), default=0)
    for at in range(longest):
        found += [{name: each[at]} for name, each in values.items() if at < len(each)]
    rng = random.Random(seed)
    names = [name for name, each in values.items() if each]
    whole = 1
    for name in names:
        whole *= 1 + len(values[name])
    while len(found) < min(most, whole):
        chosen = {
            name: rng.choice(values[name])
            for name in names
            if rng.random() < 0.5  # half of the settings, on average
        }
        if chosen not in found:
            found.append(chosen)
    return found[:most]
