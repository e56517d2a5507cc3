"""Small models with real tokenizers, made in a second, for tests of the engine and the server."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from opsconsole.engine.resolve import resolve
from opsconsole.engine.settings import EngineSettings

Kind = Literal["bert", "roberta", "xlm-roberta"]

_CORPUS = [
    "What is the weather like in the city today, and will it rain tomorrow?",
    "The reranker scores documents against a query and returns them in order of relevance.",
    "Der schnelle braune Fuchs springt über den faulen Hund. Äpfel, Öl und Übermut.",
    "Le café est fermé à cause d'une grève générale, dit l'été à l'hiver.",
    "Быстрая коричневая лиса прыгает через ленивую собаку.",
    "敏捷的棕色狐狸跳过了懒狗。今天天气很好，我们去公园散步吧。",
    "素早い茶色の狐がのろまな犬を飛び越える。 天気はどうですか？",
    "الثعلب البني السريع يقفز فوق الكلب الكسول",
    "तेज़ भूरी लोमड़ी आलसी कुत्ते के ऊपर कूदती है",
    "for i in range(10): print(i ** 2, 'squared'); assert x[0] != -1.5e-3",
    "GPU memory 139 GiB, 3,817 pairs/s at p95 = 12.5 ms; error 503 (retry after 2 s).",
]


def embedded_folder() -> Path:
    """The folder of the embedded model."""
    return resolve(EngineSettings()).folder


def make_cross_encoder(
    folder: Path,
    kind: Kind = "bert",
    *,
    layers: int = 2,
    hidden: int = 64,
    heads: int = 4,
    intermediate: int = 128,
    labels: int = 1,
    max_length: int = 512,
    activation: str | None = None,
    dtype: torch.dtype = torch.float32,
    shards: int = 1,
    seed: int = 0,
) -> Path:
    """Write a randomly initialised cross-encoder whose scores are well spread.

    Args:
        folder: Where to; made if missing.
        kind: BERT with the embedded model's WordPiece; RoBERTa or XLM-R with a tokenizer trained
            on a few sentences.
        activation: Dotted torch class for ``config.json``; ``None`` leaves it out.
        shards: Files that the weights are spread over.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "bert":
        vocab = _copy_wordpiece(folder, max_length)
    elif kind == "roberta":
        vocab = _train_byte_bpe(folder, max_length)
    else:
        vocab = _train_unigram(folder, max_length)
    roberta = kind != "bert"
    config: dict[str, Any] = {
        "architectures": [
            {"bert": "Bert", "roberta": "Roberta", "xlm-roberta": "XLMRoberta"}[kind]
            + "ForSequenceClassification"
        ],
        "model_type": kind,
        "vocab_size": vocab,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": intermediate,
        "hidden_act": "gelu",
        "max_position_embeddings": max_length + (2 if roberta else 0),
        "type_vocab_size": 1 if roberta else 2,
        "layer_norm_eps": 1e-5 if roberta else 1e-12,
        "pad_token_id": 1 if roberta else 0,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "id2label": {str(index): f"LABEL_{index}" for index in range(labels)},
        "label2id": {f"LABEL_{index}": index for index in range(labels)},
    }
    if activation is not None:
        config["sentence_transformers"] = {"activation_fn": activation, "version": "5.0.0"}
    _write_json(folder / "config.json", config)
    tensors = _random_tensors(config, roberta=roberta, labels=labels, seed=seed)
    _save({name: tensor.to(dtype) for name, tensor in tensors.items()}, folder, shards)
    return folder


def make_bi_encoder(folder: Path, *, pooling: str = "mean_tokens", **overrides: Any) -> Path:
    """Write a small BERT bi-encoder as sentence-transformers lays it out.

    Args:
        folder: Where to; made if missing.
        pooling: Mode of its pooling module.
        **overrides: Members of ``config_sentence_transformers.json``, such as prompts.
    """
    make_cross_encoder(folder, "bert", seed=3)
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["BertModel"]
    _write_json(folder / "config.json", config)
    prefix = "sentence_transformers.models."
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": prefix + "Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": prefix + "Pooling"},
    ]
    _write_json(folder / "modules.json", modules)
    (folder / "1_Pooling").mkdir(exist_ok=True)
    _write_json(
        folder / "1_Pooling/config.json",
        {"word_embedding_dimension": 64, f"pooling_mode_{pooling}": True},
    )
    _write_json(folder / "sentence_bert_config.json", {"max_seq_length": 128})
    if overrides:
        _write_json(folder / "config_sentence_transformers.json", overrides)
    return folder


def edit_weights(folder: Path, edit: Any) -> None:
    """Read ``model.safetensors``, let ``edit`` change the dictionary of tensors, write it back."""
    from safetensors.torch import load_file

    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def _random_tensors(
    config: dict[str, Any], *, roberta: bool, labels: int, seed: int
) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    prefix = "roberta." if roberta else "bert."
    tensors: dict[str, torch.Tensor] = {}

    def normal(*shape: int, scale: float) -> torch.Tensor:
        return torch.randn(*shape, generator=random) * scale

    def linear(name: str, out: int, into: int, gain: float = 1.0) -> None:
        tensors[f"{name}.weight"] = normal(out, into, scale=gain * into**-0.5)
        tensors[f"{name}.bias"] = normal(out, scale=0.1)

    def norm(name: str) -> None:
        tensors[f"{name}.weight"] = 1 + normal(hidden, scale=0.1)
        tensors[f"{name}.bias"] = normal(hidden, scale=0.1)

    embeddings = f"{prefix}embeddings."
    for name, rows in (
        ("word", config["vocab_size"]),
        ("position", config["max_position_embeddings"]),
        ("token_type", config["type_vocab_size"]),
    ):
        tensors[f"{embeddings}{name}_embeddings.weight"] = normal(rows, hidden, scale=0.5)
    norm(f"{embeddings}LayerNorm")
    for index in range(config["num_hidden_layers"]):
        layer = f"{prefix}encoder.layer.{index}."
        for part in ("query", "key", "value"):
            linear(f"{layer}attention.self.{part}", hidden, hidden, gain=1.5)
        linear(f"{layer}attention.output.dense", hidden, hidden)
        norm(f"{layer}attention.output.LayerNorm")
        linear(f"{layer}intermediate.dense", inner, hidden)
        linear(f"{layer}output.dense", hidden, inner)
        norm(f"{layer}output.LayerNorm")
    if roberta:
        linear("classifier.dense", hidden, hidden)
        linear("classifier.out_proj", labels, hidden, gain=4)
    else:
        linear("bert.pooler.dense", hidden, hidden)
        linear("classifier", labels, hidden, gain=4)
    return tensors


def _save(tensors: dict[str, torch.Tensor], folder: Path, shards: int) -> None:
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return
    names = sorted(tensors)
    weight_map: dict[str, str] = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        part = {name: tensors[name] for name in names[shard::shards]}
        save_file(part, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    total = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    _write_json(folder / "model.safetensors.index.json", index)


def _copy_wordpiece(folder: Path, max_length: int) -> int:
    source = embedded_folder()
    shutil.copy(source / "tokenizer.json", folder)
    settings = json.loads((source / "tokenizer_config.json").read_text())
    _write_json(folder / "tokenizer_config.json", settings | {"model_max_length": max_length})
    return Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size()


def _train_unigram(folder: Path, max_length: int) -> int:
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=400, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(_CORPUS * 3, trainer)
    return _finish_roberta(tokenizer, folder, max_length, "XLMRobertaTokenizer")


def _train_byte_bpe(folder: Path, max_length: int) -> int:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_CORPUS * 3, trainer)
    return _finish_roberta(tokenizer, folder, max_length, "RobertaTokenizer")


def _finish_roberta(tokenizer: Tokenizer, folder: Path, max_length: int, name: str) -> int:
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    start, end = tokenizer.token_to_id("<s>"), tokenizer.token_to_id("</s>")
    if name == "RobertaTokenizer":
        tokenizer.post_processor = processors.RobertaProcessing(
            ("</s>", end), ("<s>", start), trim_offsets=True, add_prefix_space=False
        )
    else:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>",
            pair="<s> $A </s> </s> $B </s>",
            special_tokens=[("<s>", start), ("</s>", end)],
        )
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": name,
        "model_max_length": max_length,
        "bos_token": "<s>",
        "cls_token": "<s>",
        "eos_token": "</s>",
        "sep_token": "</s>",
        "unk_token": "<unk>",
        "pad_token": "<pad>",
        "mask_token": "<mask>",
        "model_input_names": ["input_ids", "attention_mask"],
    }
    _write_json(folder / "tokenizer_config.json", settings)
    return int(tokenizer.get_vocab_size())


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))


def spread(values: Iterable[float]) -> float:
    """Largest minus smallest: a parity test over equal scores would prove nothing."""
    listed = list(values)
    return max(listed) - min(listed)
