"""What a model folder says about its model, typed and checked before any weight is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from opsconsole.engine.records import Family
from opsconsole.errors import OpsError

Activation = Literal["sigmoid", "identity", "tanh"]
Pooling = Literal["mean", "cls"]
Similarity = Literal["cosine", "dot"]

_HINT = (
    "use a cross-encoder (…ForSequenceClassification with one label) or a bi-encoder"
    " of sentence-transformers"
)
_ROBERTA = frozenset({"roberta", "xlm-roberta"})
_NATIVE = _ROBERTA | {"bert"}
_ENCODERS = frozenset({"BertModel", "RobertaModel", "XLMRobertaModel"})


class EncoderShape(msgspec.Struct, frozen=True):
    """The dimensions of a BERT or RoBERTa encoder."""

    roberta: bool
    """Positions start after the padding id, the head is RoBERTa's, token types are all 0."""
    vocab: int
    hidden: int
    layers: int
    heads: int
    intermediate: int
    positions: int
    """Rows of the position table."""
    types: int
    epsilon: float
    gelu: Literal["exact", "tanh", "relu"]
    position_offset: int
    """Position of the first token: 0 for BERT, padding id + 1 for RoBERTa."""


class Architecture(msgspec.Struct, frozen=True):
    """How a model turns texts into a score."""

    name: str
    """Class name of the checkpoint."""
    model_type: str
    family: Family
    folder: Path
    """Where config, tokenizer and weights lie: the model folder or its ``0_Transformer``."""
    shape: EncoderShape | None
    """``None``: an architecture that only transformers can run."""
    max_length: int | None
    """Most tokens by sentence-transformers' own file, which goes before the tokenizer's limit."""
    position_limit: int | None
    """Most tokens that the model has positions for."""
    activation: Activation = "identity"
    """Of a cross-encoder's logit."""
    pooling: Pooling = "mean"
    similarity: Similarity = "cosine"
    lowercase: bool = False
    """Lower-case the text before the tokenizer (``do_lower_case`` of sentence-transformers)."""
    query_prompt: str = ""
    document_prompt: str = ""


def read_architecture(root: Path) -> Architecture:
    """Read ``config.json`` and what sentence-transformers keeps beside it.

    Raises:
        OpsError: a file is missing or broken, or the model is not a reranker that we can run.
    """
    modules = _read_modules(root)
    folder = root / modules[0][1] if modules else root
    config = _read_object(folder / "config.json", required=True)
    sentence = _read_object(root / "config_sentence_transformers.json")
    transformer = _read_object(folder / "sentence_bert_config.json")
    names = config.get("architectures")
    name = names[0] if isinstance(names, list) and names and isinstance(names[0], str) else ""
    model_type = _string(config, "model_type") or "unknown"
    kinds = [kind for kind, _ in modules[1:]]
    where = str(folder / "config.json")
    shape = _read_shape(config, where)
    common: dict[str, Any] = {
        "name": name or model_type,
        "model_type": model_type,
        "folder": folder,
        "shape": shape,
        "position_limit": shape.positions - shape.position_offset
        if shape
        else _positive(config, "max_position_embeddings"),
        "lowercase": bool(transformer.get("do_lower_case", False)),
    }
    length = _positive(transformer, "max_seq_length")
    if name.endswith("ForSequenceClassification") and not kinds:
        _require_one_label(config, where)
        if _prompt(sentence, sentence.get("default_prompt_name")):
            raise OpsError(
                "its default prompt is not supported for cross-encoders",
                where=str(root / "config_sentence_transformers.json"),
                hint="remove default_prompt_name, or use another model",
            )
        activation = _read_activation(config, sentence, where)
        return Architecture(
            family="cross-encoder", max_length=length, activation=activation, **common
        )
    if not modules and name not in _ENCODERS:
        raise OpsError(
            f"{name or model_type} is not a reranker", where=where, hint=_HINT + " instead"
        )
    # Without a list of modules, sentence-transformers pools by the mean.
    pooling = _read_pooling(root, modules) if modules else "mean"
    return Architecture(
        family="bi-encoder",
        max_length=length,
        pooling=pooling,
        similarity=_read_similarity(root, sentence),
        query_prompt=_prompt(sentence, "query"),
        document_prompt=_prompt(sentence, "document"),
        **common,
    )


def _read_modules(root: Path) -> list[tuple[str, str]]:
    """(class name, folder) of each module that sentence-transformers chains; [] without a list."""
    path = root / "modules.json"
    if not path.is_file():
        return []
    try:
        listed = msgspec.json.decode(path.read_bytes(), type=list[dict[str, Any]])
        modules = [(str(each["type"]).rpartition(".")[2], str(each["path"])) for each in listed]
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, KeyError) as error:
        raise _broken(path, error) from error
    if not modules or modules[0][0] != "Transformer" or ".." in Path(modules[0][1]).parts:
        raise OpsError("its first module is not a Transformer", where=str(path), hint=_HINT)
    return modules


def _read_pooling(root: Path, modules: list[tuple[str, str]]) -> Pooling:
    kinds = [kind for kind, _ in modules]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise OpsError(
            f"its modules are {' + '.join(kinds)};"
            " only Transformer + Pooling (+ Normalize) is supported",
            where=str(root / "modules.json"),
            hint=_HINT,
        )
    path = root / modules[1][1] / "config.json"
    config = _read_object(path, required=True)
    mode = config.get("pooling_mode")
    modes = [mode] if isinstance(mode, str) else list(mode or [])
    legacy = {"pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": "mean"}
    if not modes:
        active = [k for k, on in config.items() if k.startswith("pooling_mode_") and on is True]
        modes = [legacy.get(key, key.removeprefix("pooling_mode_")) for key in active] or ["mean"]
    prompts = _read_object(root / "config_sentence_transformers.json").get("prompts") or {}
    if config.get("include_prompt") is False and any(prompts.values()):
        raise OpsError(
            "pooling without the prompt's tokens (include_prompt: false) is not supported",
            where=str(path),
            hint=_HINT,
        )
    if modes == ["mean"]:
        return "mean"
    if modes == ["cls"]:
        return "cls"
    raise OpsError(
        f"{' + '.join(map(str, modes))} pooling is not supported, only mean and cls",
        where=str(path),
        hint=_HINT,
    )


def _read_similarity(root: Path, sentence: dict[str, Any]) -> Similarity:
    match sentence.get("similarity_fn_name"):
        case None | "cosine":
            return "cosine"
        case "dot" | "dot_product":
            return "dot"
        case other:
            raise OpsError(
                f"similarity {other!r} is not supported, only cosine and dot",
                where=str(root / "config_sentence_transformers.json"),
                hint=_HINT,
            )


def _prompt(sentence: dict[str, Any], name: Any) -> str:
    """A named prompt; sentence-transformers asks bi-encoders for ``query`` and ``document``."""
    prompts = sentence.get("prompts")
    prompt = prompts.get(name) if isinstance(prompts, dict) else None
    return prompt if isinstance(prompt, str) else ""


def _require_one_label(config: dict[str, Any], where: str) -> None:
    labels = config.get("id2label")
    count = len(labels) if isinstance(labels, dict) else config.get("num_labels", 2)
    if count != 1:
        raise OpsError(
            f"it classifies into {count} labels; a reranker has one",
            where=where,
            hint=_HINT,
        )


def _read_activation(config: dict[str, Any], sentence: dict[str, Any], where: str) -> Activation:
    """As sentence-transformers decides: its own file, then ``config.json``, else sigmoid."""
    nested = config.get("sentence_transformers")
    if isinstance(nested, dict) and "activation_fn" in nested:
        configured = nested["activation_fn"]
    else:
        configured = config.get("sbert_ce_default_activation_function")
    for path in (sentence.get("activation_fn"), configured):
        if not isinstance(path, str) or not path.startswith("torch."):
            continue  # it does not run foreign code either, and takes the default instead
        match path.rpartition(".")[2]:
            case "Sigmoid":
                return "sigmoid"
            case "Identity":
                return "identity"
            case "Tanh":
                return "tanh"
            case _:
                raise OpsError(f"the activation {path!r} is not supported", where=where, hint=_HINT)
    return "sigmoid"


def _read_shape(config: dict[str, Any], where: str) -> EncoderShape | None:
    """The dimensions for our own forward, or ``None`` when it does not know the variant."""
    model_type = config.get("model_type")
    gelu = {"gelu": "exact", "gelu_new": "tanh", "gelu_pytorch_tanh": "tanh", "relu": "relu"}
    activation = gelu.get(str(config.get("hidden_act", "gelu")))
    if (
        model_type not in _NATIVE
        or activation is None
        or config.get("position_embedding_type", "absolute") != "absolute"
        or config.get("is_decoder", False)
    ):
        return None
    roberta = model_type in _ROBERTA
    padding = config.get("pad_token_id", 1 if roberta else 0)
    try:
        shape = msgspec.convert(
            {
                "roberta": roberta,
                "vocab": config["vocab_size"],
                "hidden": config["hidden_size"],
                "layers": config["num_hidden_layers"],
                "heads": config["num_attention_heads"],
                "intermediate": config["intermediate_size"],
                "positions": config["max_position_embeddings"],
                "types": config.get("type_vocab_size", 2),
                "epsilon": config.get("layer_norm_eps", 1e-12),
                "gelu": activation,
                "position_offset": padding + 1 if roberta else 0,
            },
            EncoderShape,
        )
    except (KeyError, TypeError, msgspec.ValidationError) as error:
        raise OpsError(f"a dimension is missing or wrong: {error}", where=where) from error
    if shape.heads < 1 or shape.hidden % shape.heads or shape.positions <= shape.position_offset:
        raise OpsError("its dimensions contradict each other", where=where)
    return shape


def _read_object(path: Path, *, required: bool = False) -> dict[str, Any]:
    if not path.is_file():
        if required:
            raise OpsError(
                f"{path.name} is missing",
                where=str(path.parent),
                hint="give the folder of a Hugging Face model",
            )
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _broken(path, error) from error


def _broken(path: Path, error: Exception) -> OpsError:
    return OpsError(
        f"cannot be read as JSON: {error}", where=str(path), hint="download the model again"
    )


def _string(config: dict[str, Any], key: str) -> str | None:
    value = config.get(key)
    return value if isinstance(value, str) else None


def _positive(config: dict[str, Any], key: str) -> int | None:
    value = config.get(key)
    return value if isinstance(value, int) and value > 0 else None
