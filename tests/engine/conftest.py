"""Models made once a session, and the reference that their scores are held against."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Before huggingface_hub is imported anywhere: a test must never reach the network.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "true"

from opsconsole.engine import Engine, EngineSettings, load
from tests.engine.models import embedded_folder, make_bi_encoder, make_cross_encoder

Reference = Callable[[str, list[str]], list[float]]

QUERIES = ["What is the weather in the city?", "", "ü✨ 天气 😀", "long query " * 300]
DOCUMENTS = [
    "It is sunny outside, but it may rain tomorrow.",
    "",
    "   \t\n ",
    "\0",
    "a NUL \0 in the middle, and a bell \x07",
    "😀😀 👩‍👩‍👧‍👦 🇫🇷",
    "日本語のテキスト 素早い茶色の狐がのろまな犬を飛び越える。",
    "الثعلب البني السريع يقفز فوق الكلب الكسول",
    "Äpfel\tund\r\nÖl e\u0301te\u0301 ﷺ ﬁn",
    "  leading and trailing blanks  ",
    "[SEP] [CLS] </s> <mask> <unk>",
    "x" * 3000,
    "a",
    "The reranker scores documents against a query. " * 4,
    "long document " * 600,
    "slightly shorter document " * 150,
    "weather in the city today, sunny",
    "\u202eoverride\u200b",
    "1,234.56 GiB/s @ 98.7% — p95 ≤ 12 ms",
]


@pytest.fixture(scope="session")
def made_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for models that several tests use."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def bert(made_models: Path) -> Path:
    return make_cross_encoder(made_models / "bert", "bert")


@pytest.fixture(scope="session")
def roberta(made_models: Path) -> Path:
    return make_cross_encoder(made_models / "roberta", "roberta", seed=1)


@pytest.fixture(scope="session")
def xlm_roberta(made_models: Path) -> Path:
    return make_cross_encoder(made_models / "xlm-roberta", "xlm-roberta", seed=2)


@pytest.fixture(scope="session")
def bi_encoder(made_models: Path) -> Path:
    return make_bi_encoder(made_models / "bi-encoder")


@pytest.fixture(scope="session")
def embedded() -> Path:
    return embedded_folder()


@pytest.fixture(scope="session")
def bert_engine(bert: Path) -> Iterator[Engine]:
    """A running engine that tests may use, but not break."""
    with load(EngineSettings(dtype="float32", local_path=str(bert), batch_size=8)) as engine:
        yield engine


@pytest.fixture(scope="session")
def cross_reference() -> Callable[[Path], Reference]:
    """sentence-transformers' CrossEncoder on a folder."""

    def reference(folder: Path) -> Reference:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from sentence_transformers import CrossEncoder

            model = CrossEncoder(str(folder), device="cpu")

        def score(query: str, documents: list[str]) -> list[float]:
            pairs = [(query, document) for document in documents]
            return [float(s) for s in model.predict(pairs, show_progress_bar=False)]

        return score

    return reference


@pytest.fixture(scope="session")
def bi_reference() -> Callable[[Path], Reference]:
    """sentence-transformers' SentenceTransformer on a folder."""

    def reference(folder: Path) -> Reference:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from sentence_transformers import SentenceTransformer

            model = SentenceTransformer(str(folder), device="cpu")

        def score(query: str, documents: list[str]) -> list[float]:
            asked = model.encode_query(query, show_progress_bar=False)
            found = model.encode_document(documents, show_progress_bar=False)
            scores: list[float] = model.similarity(asked, found)[0].tolist()
            return scores

        return score

    return reference
