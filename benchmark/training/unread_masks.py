"""Makes attention masks on a GPU without reading them on the host.

In every forward pass the library checks whether the batch has padding, to leave out the mask if it has none. On a GPU the host waits
for that answer once a step. Nearly every batch has padding there (prefetch.py widens batches), so here the mask is always made.
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
