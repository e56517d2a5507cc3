"""Linear layers of the encoder in every precision; which one is fastest depends on the machine.

A *kernel* is a name; :func:`make` turns weights into a function of float[tokens, inputs]. On CPUs
oneDNN's packed weights beat the default where MKL does not use the processor's widest
instructions, so the warm-up times them all (see :mod:`tune`).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

Linear = Callable[[torch.Tensor], torch.Tensor]

_LEAST = 1e-12
"""Stands for 0 where it would be divided by."""

PLAIN, PACKED, PACKED_GELU, INT8 = "plain", "packed", "packed+gelu", "int8"


def kernels_for(device: str, dtype: str) -> list[str]:
    """Kernels that may run there, the one to begin with first."""
    if dtype == "int8":
        return [INT8]
    if device != "cpu" or dtype == "float16" or not torch.backends.mkldnn.is_available():
        return [PLAIN]
    return [PLAIN, PACKED, PACKED_GELU]


def make(weight: torch.Tensor, bias: torch.Tensor, kernel: str) -> Linear:
    """``x @ weight.T + bias``.

    Args:
        weight: [outputs, inputs], in the dtype to compute in; float32 for int8.
        bias: [outputs], likewise.
        kernel: One of :func:`kernels_for`.
    """
    if kernel == INT8:
        return _int8(weight, bias)
    if kernel in (PACKED, PACKED_GELU):
        return _packed(weight, bias, "none", "")
    return lambda x: F.linear(x, weight, bias)


def make_up(weight: torch.Tensor, bias: torch.Tensor, kernel: str, gelu: str) -> Linear:
    """The feed-forward's first layer with its activation.

    Args:
        gelu: ``exact``, ``tanh`` or ``relu``: :attr:`EncoderShape.gelu`.
    """
    if kernel == PACKED_GELU and gelu != "relu":
        return _packed(weight, bias, "gelu", "none" if gelu == "exact" else "tanh")
    linear = make(weight, bias, kernel)
    if gelu == "relu":
        return lambda x: F.relu(linear(x))
    approximate = "none" if gelu == "exact" else "tanh"
    return lambda x: F.gelu(linear(x), approximate=approximate)


def _packed(weight: torch.Tensor, bias: torch.Tensor, after: str, algorithm: str) -> Linear:
    # Private, but what torch's own compiler emits since 2.0. A version without them loses the
    # kernel in the warm-up, not the model.
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous())
    apply: Callable[..., torch.Tensor] = torch.ops.mkldnn._linear_pointwise
    return lambda x: apply(x, packed, bias, after, [], algorithm)


def _int8(weight: torch.Tensor, bias: torch.Tensor) -> Linear:
    """8-bit weights by output, 8-bit activations by token.

    Each token has a scale of its own, unlike in torch's and ONNX Runtime's dynamic quantisation,
    which share one by batch: the scores are several times closer to float32's, and a pair's score
    does not depend on its neighbours. It costs about 6 % of the speed.
    """
    scales = weight.abs().amax(1).clamp(min=_LEAST) / 127
    whole = (weight / scales.unsqueeze(1)).round().clamp(-127, 127).to(torch.int8)
    packed = torch.ops.onednn.qlinear_prepack(whole, None)
    zeros = torch.zeros(len(scales), dtype=torch.int32)
    bias = bias.float()
    # Without VNNI the sum of two products of 8 bits overflows: activations get 7 bits there.
    eight = has_vnni()
    top, middle = (127, 128) if eight else (63, 64)
    apply: Callable[..., torch.Tensor] = torch.ops.onednn.qlinear_pointwise

    def linear(x: torch.Tensor) -> torch.Tensor:
        ends = x.amax(1, keepdim=True), x.amin(1, keepdim=True).neg_()
        largest = torch.maximum(*ends).clamp_(min=_LEAST)
        parts = x * (top / largest)
        # By way of int8: torch converts to it ten times as fast as to uint8.
        if eight:
            codes = parts.round_().to(torch.int8).view(torch.uint8).bitwise_xor_(128)
        else:  # positive, so that cutting off the fraction rounds
            codes = parts.add_(middle + 0.5).to(torch.int8).view(torch.uint8)
        y = apply(
            codes, 1 / top, middle, packed, scales, zeros,
            None, 1.0, 0, torch.float32, "none", [], "",
        )  # fmt: skip
        return torch.addcmul(bias, y, largest, out=y)

    return linear


def has_vnni() -> bool:
    """Whether the CPU multiplies 8-bit numbers without overflow."""
    probe = getattr(torch.cpu, "_is_vnni_supported", None)
    return bool(probe()) if probe is not None else False


def has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 natively; emulated it is slower than float32."""
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        probe = getattr(torch.cpu, name, None)
        if probe is not None and probe():
            return True
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
