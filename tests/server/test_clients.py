"""Other servers' clients against this one: the official ones where they are installed, and the
requests of the rest as they send them.

Cohere's is part of the test extra; OpenAI's is not: ``pip install openai``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.server.process import PLAIN, ServerProcess

KEY = "a-key-of-the-clients-tests"
QUERY = "What is the capital of the United States?"
DOCUMENTS = [
    "Carson City is the capital city of the American state of Nevada.",
    "Washington, D.C. is the capital of the United States.",
    "Capital punishment has existed in the United States since before it was a country.",
    "A reranker orders documents by their relevance.",
]
BEST = 1


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that wants a key, as every hosted service does."""
    folder = tmp_path_factory.mktemp("keyed")
    with ServerProcess({"API_KEYS": f"clients:{KEY}"}, folder=folder, wait="listening") as server:
        server.wait_for("ready")
        yield server


@pytest.fixture
def plain() -> Iterator[httpx.Client]:
    """What the official clients send with: their own connections would be left open."""
    with httpx.Client(**PLAIN) as client:
        yield client


@pytest.fixture
def http(keyed: ServerProcess) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {KEY}", "user-agent": "python-requests/2.32"}
    with httpx.Client(base_url=keyed.url, headers=headers, **PLAIN) as client:
        yield client


def indices(rows: list[Any]) -> list[int]:
    return [row["index"] if isinstance(row, dict) else row.index for row in rows]


def check_order(rows: list[Any], score: str, count: int = len(DOCUMENTS)) -> None:
    """The best document first, scores falling."""
    values = [row[score] if isinstance(row, dict) else getattr(row, score) for row in rows]
    assert len(rows) == count
    assert indices(rows)[0] == BEST
    assert values == sorted(values, reverse=True)
    assert values[0] - values[-1] > 0.05


def test_cohere_v2(keyed: ServerProcess, plain: httpx.Client) -> None:
    cohere = pytest.importorskip("cohere")
    client = cohere.ClientV2(api_key=KEY, base_url=keyed.url, httpx_client=plain)
    answer = client.rerank(
        model="rerank-v3.5", query=QUERY, documents=DOCUMENTS, top_n=2, max_tokens_per_doc=64
    )
    check_order(answer.results, "relevance_score", 2)
    assert answer.id
    assert answer.meta.api_version.version == "2"
    assert answer.meta.tokens.input_tokens > 0


def test_cohere_v1(keyed: ServerProcess, plain: httpx.Client) -> None:
    cohere = pytest.importorskip("cohere")
    client = cohere.Client(api_key=KEY, base_url=keyed.url, httpx_client=plain)
    documents = [{"text": text, "number": str(i)} for i, text in enumerate(DOCUMENTS)]
    answer = client.rerank(
        model="rerank-english-v3.0", query=QUERY, documents=documents, top_n=3,
        return_documents=True, max_chunks_per_doc=4,
    )  # fmt: skip
    check_order(answer.results, "relevance_score", 3)
    assert answer.results[0].document.text == DOCUMENTS[BEST]
    assert answer.meta.api_version.version == "1"


def test_cohere_names_what_went_wrong(keyed: ServerProcess, plain: httpx.Client) -> None:
    cohere = pytest.importorskip("cohere")
    with pytest.raises(cohere.UnauthorizedError):
        cohere.ClientV2(api_key="another", base_url=keyed.url, httpx_client=plain).rerank(
            model="m", query=QUERY, documents=DOCUMENTS
        )
    with pytest.raises(cohere.UnprocessableEntityError) as caught:
        cohere.ClientV2(api_key=KEY, base_url=keyed.url, httpx_client=plain).rerank(
            model="m", query=QUERY, documents=DOCUMENTS, top_n=-1
        )
    assert caught.value.body["error"]["field"] == "top_n"


async def test_cohere_async(keyed: ServerProcess) -> None:
    cohere = pytest.importorskip("cohere")
    async with httpx.AsyncClient(**PLAIN) as sender:
        client = cohere.AsyncClientV2(api_key=KEY, base_url=keyed.url, httpx_client=sender)
        answer = await client.rerank(model="m", query=QUERY, documents=DOCUMENTS)
    check_order(answer.results, "relevance_score")


def test_openai_lists_the_model(keyed: ServerProcess, http: httpx.Client) -> None:
    openai = pytest.importorskip("openai")
    with openai.OpenAI(api_key=KEY, base_url=f"{keyed.url}/v1") as client:
        (model,) = client.models.list().data
    assert model.object == "model"
    assert model.id == http.get("/health").json()["model"]["name"]
    with (
        openai.OpenAI(api_key="another", base_url=f"{keyed.url}/v1", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.models.list()


def test_text_embeddings_inference(http: httpx.Client) -> None:
    """As llama-index, LangChain, Haystack and Open WebUI ask TEI."""
    body = {"query": QUERY, "texts": DOCUMENTS, "raw_scores": False, "return_text": True,
            "truncate": True, "truncation_direction": "Right"}  # fmt: skip
    answer = http.post("/rerank", json=body)
    rows = answer.json()
    check_order(rows, "score")
    assert rows[0]["text"] == DOCUMENTS[BEST]
    for header in ("x-compute-type", "x-compute-time", "x-compute-tokens", "x-total-time",
                   "x-compute-characters", "x-tokenization-time", "x-queue-time",
                   "x-inference-time"):  # fmt: skip
        assert header in answer.headers
    info = http.get("/info").json()
    assert "reranker" in info["model_type"]
    assert info["max_client_batch_size"] >= 32
    assert http.post("/rerank", json={"query": QUERY, "texts": []}).status_code == 400


def test_jina(http: httpx.Client) -> None:
    """As LangChain's JinaRerank and Dify ask it."""
    body = {"model": "jina-reranker-v2-base-multilingual", "query": QUERY, "documents": DOCUMENTS,
            "top_n": 3, "return_documents": True}  # fmt: skip
    answer = http.post("/v1/rerank", json=body, headers={"accept-encoding": "identity"}).json()
    check_order(answer["results"], "relevance_score", 3)
    assert answer["results"][0]["document"]["text"] == DOCUMENTS[BEST]
    assert answer["usage"]["total_tokens"] > 0
    assert answer["model"]


def test_vllm(http: httpx.Client) -> None:
    body = {"model": "BAAI/bge-reranker-v2-m3", "query": QUERY, "documents": DOCUMENTS,
            "top_n": 0, "truncate_prompt_tokens": -1, "priority": 0}  # fmt: skip
    check_order(http.post("/rerank", json=body).json()["results"], "relevance_score")
    asked = {"model": "any", "text_1": QUERY, "text_2": DOCUMENTS, "encoding_format": "float"}
    answer = http.post("/score", json=asked).json()
    assert answer["object"] == "list"
    assert indices(answer["data"]) == [0, 1, 2, 3]
    assert max(answer["data"], key=lambda row: row["score"])["index"] == BEST
    paired = {"queries": [QUERY] * 4, "documents": DOCUMENTS}
    again = http.post("/v1/score", json=paired).json()
    assert [row["score"] for row in again["data"]] == pytest.approx(
        [row["score"] for row in answer["data"]], abs=1e-5
    )


def test_nvidia_nim(http: httpx.Client) -> None:
    """As langchain-nvidia-ai-endpoints asks it."""
    body = {"model": "nvidia/llama-3.2-nv-rerankqa-1b-v2", "query": {"text": QUERY},
            "passages": [{"text": text} for text in DOCUMENTS], "truncate": "END"}  # fmt: skip
    answer = http.post("/v1/ranking", json=body, headers={"accept": "application/json"}).json()
    check_order(answer["rankings"], "logit")
    assert http.get("/v1/health/ready").json()["object"] == "health.response"


@pytest.mark.parametrize("path", ["/rerank", "/reranking", "/v1/rerank", "/v1/reranking"])
def test_llama_cpp_and_infinity(http: httpx.Client, path: str) -> None:
    body = {"model": "default/not-specified", "query": QUERY, "documents": DOCUMENTS,
            "raw_scores": False, "return_documents": False, "top_n": 2}  # fmt: skip
    answer = http.post(path, json=body).json()
    check_order(answer["results"], "relevance_score", 2)
    assert "document" not in answer["results"][0]


def test_another_key_is_refused_by_every_dialect(keyed: ServerProcess) -> None:
    with httpx.Client(base_url=keyed.url, headers={"authorization": "Bearer x"}, **PLAIN) as client:
        for path in ("/rerank", "/v1/rerank", "/v2/rerank", "/score", "/v1/ranking", "/info"):
            answer = client.get(path) if path == "/info" else client.post(path, json={})
            assert answer.status_code == 401, path
        for path in ("/live", "/ready"):
            assert client.get(path).status_code == 200
