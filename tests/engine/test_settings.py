"""Settings from the environment: strict, and errors that name the variable."""

from __future__ import annotations

import pytest

from opsconsole.engine import EngineSettings
from opsconsole.errors import ExitCode, OpsError


def test_defaults_with_nothing_or_empty_variables_set() -> None:
    assert EngineSettings.from_env({}) == EngineSettings()
    empty = dict.fromkeys(["MODEL_NAME", "LOCAL_MODEL_PATH", "USE_MLX", "BATCH_SIZE"], " ")
    assert EngineSettings.from_env(empty) == EngineSettings()


def test_every_variable() -> None:
    settings = EngineSettings.from_env(
        {
            "MODEL_NAME": "org/name",
            "LOCAL_MODEL_PATH": "/models/mine",
            "DEVICE_PREFERENCE": "CUDA",
            "USE_MLX": "False",
            "BATCH_SIZE": "8",
            "ENABLE_PREDICTION_CACHE": "on",
            "PATH": "/bin",
        }
    )
    assert settings == EngineSettings(
        model="org/name",
        local_path="/models/mine",
        device="cuda",
        use_mlx=False,
        batch_size=8,
        cache=True,
    )


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("BATCH_SIZE", "0", "a whole number from 1 to 4096"),
        ("BATCH_SIZE", "-1", "a whole number from 1 to 4096"),
        ("BATCH_SIZE", "4097", "a whole number from 1 to 4096"),
        ("BATCH_SIZE", "1_0", "a whole number from 1 to 4096"),
        ("BATCH_SIZE", "٣", "a whole number from 1 to 4096"),
        ("BATCH_SIZE", "8.0", "a whole number from 1 to 4096"),
        ("USE_MLX", "maybe", "true or false"),
        ("ENABLE_PREDICTION_CACHE", "2", "true or false"),
        ("DEVICE_PREFERENCE", "gpu", "one of auto, cuda, mps, cpu, mlx"),
    ],
)
def test_nonsense_is_named(name: str, value: str, expected: str) -> None:
    with pytest.raises(OpsError) as caught:
        EngineSettings.from_env({name: value})
    assert str(caught.value) == f"environment: {name} is {value!r}, expected {expected}"
    assert caught.value.code == ExitCode.USAGE


def test_contradiction_is_refused() -> None:
    with pytest.raises(OpsError, match="DEVICE_PREFERENCE is 'mlx' and USE_MLX is 'false'"):
        EngineSettings.from_env({"DEVICE_PREFERENCE": "mlx", "USE_MLX": "false"})


@pytest.mark.parametrize(
    "wrong",
    [{"batch_size": 0}, {"batch_tokens": 0}, {"max_length": 0}, {"threads": 0}, {"device": "tpu"}],
)
def test_constructed_settings_are_checked_too(wrong: dict[str, object]) -> None:
    with pytest.raises(OpsError, match=next(iter(wrong))):
        EngineSettings(**wrong)  # type: ignore[arg-type]
