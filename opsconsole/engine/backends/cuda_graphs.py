"""CUDA graphs of the forward over a few sizes of batch.

Unpadded batches have no two equal shapes, and a graph has one: the inputs are copied into fixed
buffers, the rest of which belongs to no row, and what is computed there is dropped.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import NamedTuple

import torch

from opsconsole.engine.backends.attention import Places
from opsconsole.engine.backends.encoder import Inputs
from opsconsole.engine.backends.layout import Flat

SIZES = (64, 128, 256, 512, 1024, 2048, 4096)
"""Tokens. Above, kernels run longer than they take to launch."""
LONGEST_ROW = 512
_TOKENS_PER_ROW = 8
_WARM_UPS = 2


class _Graph(NamedTuple):
    graph: torch.cuda.CUDAGraph
    buffer: torch.Tensor
    """int64: ids, positions, types, then the starts and the end."""
    outputs: torch.Tensor
    tokens: int
    rows: int


class Graphs:
    """One graph a size, recorded on construction.

    Args:
        run: The forward; must take its shapes from its inputs' shapes alone.
        device: A CUDA device.
        types: Whether token types are given.
    """

    def __init__(
        self, run: Callable[[Inputs], torch.Tensor], device: torch.device, *, types: bool
    ) -> None:
        self._types = types
        pool = torch.cuda.graph_pool_handle()
        with torch.inference_mode():
            # Largest first: the smaller ones then find room in its memory.
            graphs = [_record(run, device, size, types, pool) for size in reversed(SIZES)]
        self._graphs = graphs[::-1]

    def replay(self, flat: Flat) -> torch.Tensor | None:
        """The outputs of a batch, in its own order; ``None`` when no graph is large enough."""
        rows = len(flat.lengths)
        if flat.lengths[0] > LONGEST_ROW:
            return None
        for recorded in self._graphs:
            if flat.tokens <= recorded.tokens and rows <= recorded.rows:
                recorded.buffer.copy_(self._fill(recorded, flat), non_blocking=True)
                recorded.graph.replay()
                # The next replay writes into the same memory.
                return recorded.outputs[:rows].clone()
        return None

    def _fill(self, recorded: _Graph, flat: Flat) -> torch.Tensor:
        padding = bytes(8 * (recorded.tokens - flat.tokens))
        joined = array("q")
        for part in (flat.ids, flat.positions, flat.types if self._types else None):
            if part is not None:
                joined.extend(part)
                joined.frombytes(padding)
        joined.extend(flat.starts)
        # Rows that are not there begin and end where the last real one ends.
        joined.extend([flat.tokens] * (recorded.rows + 1 - len(flat.lengths)))
        return torch.frombuffer(joined, dtype=torch.int64).pin_memory()


def _record(
    run: Callable[[Inputs], torch.Tensor],
    device: torch.device,
    tokens: int,
    types: bool,
    pool: tuple[int, int],
) -> _Graph:
    rows = max(8, tokens // _TOKENS_PER_ROW)
    parts = 3 if types else 2
    buffer = torch.zeros(parts * tokens + rows + 1, dtype=torch.int64, device=device)
    buffer[-rows:] = 1  # one row of one token, and empty ones behind it
    ids, positions, *kinds, starts = buffer.split([tokens] * parts + [rows + 1])

    def forward() -> torch.Tensor:
        # A first token is read for every row, also for one that begins behind the last token.
        firsts = starts[:-1].clamp(max=tokens - 1)
        places = Places([LONGEST_ROW] * rows, [], firsts, starts.int(), LONGEST_ROW)
        return run(Inputs(ids, kinds[0] if kinds else None, positions, places))

    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(_WARM_UPS):
            forward()
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool):
        outputs = forward()
    return _Graph(graph, buffer, outputs, tokens, rows)
