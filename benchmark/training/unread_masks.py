"""Attention masks on a device, made without a look at them.

The library looks in every forward whether a batch has any padding, so as to do without a mask where it has none; on a device the host
waits for the answer, once a step. Nearly every batch has padding there (prefetch.py widens it), so the mask is always made.
"""

from typing import Any

from torch import Tensor, nn

ATTENTION = "sdpa_with_mask"
"""What torch's attention with such masks is called in the library's list of attentions."""


def always_make_masks(model: nn.Module) -> None:
    """Change `model`, where its attention is torch's own, in place."""
    if getattr(getattr(model, "config", None), "_attn_implementation", None) == "sdpa":
        from transformers import AttentionInterface, AttentionMaskInterface
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        AttentionInterface.register(ATTENTION, sdpa_attention_forward)
        AttentionMaskInterface.register(ATTENTION, mask)
        any_model: Any = model
        any_model.set_attn_implementation(ATTENTION)


def mask(*arguments: Any, attention_mask: Tensor | None = None, **options: Any) -> Tensor | None:
    """The library's mask [batch, 1, queries, keys] (True: seen), left out only where there is no `attention_mask` to look at."""
    from transformers.masking_utils import sdpa_mask

    if attention_mask is not None:
        options |= {"allow_is_causal_skip": False, "allow_is_bidirectional_skip": False}
    made: Tensor | None = sdpa_mask(*arguments, attention_mask=attention_mask, **options)
    return made
