"""A peer library as a process of its own: asks and answers are lines of JSON on its pipes.

Run by the peers' python, so it imports nothing of ours and only the standard library at the top:

    echo '{"do": "open", "who": "sentence-transformers", "folder": "DIR"}' | python peer_scorers.py

``open`` answers with the versions; ``score`` takes ``queries`` and ``documents``, scores every
document for every query, and answers with ``scores`` (a list a query) and ``seconds``.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
Rows = list[tuple[str, str]]


class SentenceTransformers:
    """CrossEncoder.predict with its defaults: fp32, batches of 32."""

    def __init__(self, folder: str, batch: int | None) -> None:
        import sentence_transformers
        import torch

        self._model = sentence_transformers.CrossEncoder(folder, device="cpu")
        self._sizes = {} if batch is None else {"batch_size": batch}
        self.versions = f"sentence-transformers {sentence_transformers.__version__}, torch " + str(
            torch.__version__
        )

    def score(self, rows: Rows) -> list[float]:
        found = self._model.predict(rows, show_progress_bar=False, **self._sizes)
        return [float(each) for each in found]


class OnnxRuntime:
    """Length-sorted batches through a graph exported from the same weights.

    The logits pass the sigmoid that CrossEncoder applies to a single label.
    """

    def __init__(self, folder: str, batch: int | None, *, int8: bool) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        graph = Path(folder) / "fp32.onnx"
        if not graph.exists():
            export(folder, graph)
        if int8:
            graph, plain = Path(folder) / "int8.onnx", graph
            if not graph.exists():
                quantise(plain, graph)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = len(os.sched_getaffinity(0))
        self._session = onnxruntime.InferenceSession(
            str(graph), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
        self._tokenizer.enable_truncation(512)
        self._tokenizer.no_padding()
        self._batch = batch or 8
        self.versions = f"onnxruntime {onnxruntime.__version__}"

    def score(self, rows: Rows) -> list[float]:
        import numpy

        encoded = self._tokenizer.encode_batch(rows)
        order = sorted(range(len(rows)), key=lambda row: -len(encoded[row].ids))
        scores = [0.0] * len(rows)
        for start in range(0, len(order), self._batch):
            taken = order[start : start + self._batch]
            shape = (len(taken), len(encoded[taken[0]].ids))
            feed = {name: numpy.zeros(shape, dtype=numpy.int64) for name in INPUTS}
            for place, row in enumerate(taken):
                length = len(encoded[row].ids)
                feed["input_ids"][place, :length] = encoded[row].ids
                feed["attention_mask"][place, :length] = 1
                feed["token_type_ids"][place, :length] = encoded[row].type_ids
            logits = self._session.run(None, feed)[0][:, 0]
            for row, score in zip(taken, 1 / (1 + numpy.exp(-logits)), strict=True):
                scores[row] = float(score)
        return scores


def export(folder: str, path: Path) -> None:
    """Write the checkpoint as an ONNX graph."""
    import torch
    from transformers import AutoModelForSequenceClassification

    # Of the graphs tried (both exporters, both attentions, ONNX Runtime's offline fusion) it runs
    # this one fastest: it fuses the eager attention by itself.
    model = AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager")
    model.config.return_dict = False
    model.eval()
    # Three tensors: one given three times would be taken for one input.
    ones = tuple(torch.ones(2, 16, dtype=torch.long) for _ in INPUTS)
    torch.onnx.export(
        model, ones, str(path), input_names=list(INPUTS), output_names=["logits"], dynamo=False,
        dynamic_axes={name: {0: "batch", 1: "length"} for name in INPUTS}, opset_version=17,
    )  # fmt: skip


def quantise(plain: Path, path: Path) -> None:
    """Write an exported graph with its weights in int8, inputs quantised as they come."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    graph = onnx.load(plain)
    # The exporter's shapes contradict the quantiser's own inference, which then refuses.
    del graph.graph.value_info[:]
    quantize_dynamic(
        graph, path, weight_type=QuantType.QInt8,
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )  # fmt: skip


def opened(who: str, folder: str, batch: int | None) -> SentenceTransformers | OnnxRuntime:
    if who == "sentence-transformers":
        return SentenceTransformers(folder, batch)
    if who in ("onnxruntime fp32", "onnxruntime int8"):
        return OnnxRuntime(folder, batch, int8=who.endswith("int8"))
    raise ValueError(f"no peer is called {who}")


def main() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints is no answer
    peers: dict[str, Any] = {}
    for line in sys.stdin:
        ask = json.loads(line)
        key = f"{ask['who']} {ask.get('batch')}"
        if ask["do"] == "open":
            peers[key] = opened(ask["who"], ask["folder"], ask.get("batch"))
            answers.write(json.dumps({"versions": peers[key].versions}) + "\n")
            continue
        began = time.perf_counter()
        scores = [
            peers[key].score([(query, text) for text in ask["documents"]])
            for query in ask["queries"]
        ]
        seconds = time.perf_counter() - began
        answers.write(json.dumps({"scores": scores, "seconds": seconds}) + "\n")


if __name__ == "__main__":
    main()
