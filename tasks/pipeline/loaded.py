"""Whether a model holds what its checkpoint's files should give it: every weight of the blocks and the embeddings, or a refusal.

    model, report = factory.from_pretrained(..., output_loading_info=True)
    drawn, notes = check_loaded(name, model, report, stored, labels, own)

A pooler and a task head alone may be absent, for those are drawn; which parameters they are is read off the model's structure. The
library draws whatever else it does not find, casts whatever it does find, and says so in a log only: quantised weights, adapters
beside their layers and names of a wrapper all load.
"""

from collections.abc import Mapping
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor, nn

from tasks.base import ModelError

FLOATS = ("F64", "F32", "F16", "BF16", "torch.float64", "torch.float32", "torch.float16", "torch.bfloat16")
"""What a weight may be stored as, as safetensors and torch spell it; all else is quantised."""

BUFFERS = ("position_ids", "token_type_ids", "masked_bias", "inv_freq")
"""Constants that older versions of the library wrote among the weights."""

HINTS = {
    ("lora_", "base_layer"): "merge the adapters into the model before it is saved",
    ("qweight", "SCB", "absmax"): "the weights are quantised: save them in full precision",
    ("module.", "_orig_mod."): "the names begin with a wrapper's: save the wrapped model",
    (
        "weight_orig",
        "weight_mask",
    ): "make masks final by torch.nn.utils.prune.remove(module, 'weight') before the model is saved",
    ("parametrizations",): "remove the parametrizations before the model is saved",
}
"""What parts of an unexpected name tell of how the file was made."""

Stored = Mapping[str, str]
"""The type of each tensor in a checkpoint's files, by its name there."""


def check_loaded(
    name: str, model: Any, report: Mapping[str, Any], stored: Stored, labels: Mapping[int, str], own: Mapping[int, str]
) -> tuple[frozenset[str], tuple[str, ...]]:
    """(parameters to draw, notes for the record) of a loaded model; ModelError where a weight of its body is not in the files.

    `labels` are the classes that the task asks for (empty where it names none), `own` those of the files' head (empty where they
    contradict each other).
    """
    unexpected, missing = set(report["unexpected_keys"]), set(report["missing_keys"])
    resized = {entry[0]: entry[1:] for entry in report["mismatched_keys"]}
    body = body_names(model)
    _refuse_missing(name, body, missing, unexpected)
    for key in body:
        if key in resized:
            found, expected = (tuple(shape) for shape in resized[key])
            raise ModelError(
                f"the weights of {name!r} do not fit its configuration: {key} is {found} in the files, {expected} in the model"
            )
    _refuse_unknown(name, model, unexpected)
    drawn = missing | resized.keys()
    read = [key for key, _ in model.named_parameters() if key not in drawn]
    _refuse_doubled(name, model, body, stored)
    _refuse_quantised(name, model, read, stored)
    _refuse_infinite(name, model, drawn)
    _refuse_empty(name, model, [key for key in read if key.startswith(_prefix(model))])
    head, note = _match_head(model, drawn, labels, own)
    return frozenset(drawn | head), (note,) if note else ()


def body_names(model: Any) -> list[str]:
    """The parameters of the blocks and the embeddings: the base model's, its pooler and a language model's head left out."""
    prefix = _prefix(model)
    inside = [name for name, _ in model.named_parameters() if name.startswith(prefix)]
    head = model.get_output_embeddings() if not prefix else None
    outside = {id(parameter) for parameter in head.parameters()} if head is not None else set()
    embeddings = model.get_input_embeddings()
    outside -= {id(parameter) for parameter in embeddings.parameters()}  # tied: the embeddings are the body's
    kept = [name for name in inside if not name.removeprefix(prefix).startswith("pooler.")]
    return [name for name in kept if id(model.get_parameter(name)) not in outside]


def _prefix(model: Any) -> str:
    """What the names of the base model's parameters begin with; "" where the model is its own base."""
    return "" if model.base_model is model else f"{model.base_model_prefix}."


def _refuse_missing(name: str, body: list[str], missing: set[str], unexpected: set[str]) -> None:
    lacking = [key for key in body if key in missing]
    if not lacking:
        return
    alike = [key for key in sorted(unexpected) if 2 * _likeness(key, lacking[0]) > len(lacking[0])]
    beside = max(alike, key=lambda key: _likeness(key, lacking[0]), default="")
    found = f"; they hold {beside}, which the model does not know" if beside else ""
    raise ModelError(
        f"the files of {name!r} lack {len(lacking)} of the {len(body)} parameters of its blocks and embeddings, for instance "
        f"{lacking[0]}{found}{_hint(beside)}"
    )


def _likeness(one: str, other: str) -> int:
    """Characters that two names share at their ends."""
    pairs = (zip(one, other, strict=False), zip(reversed(one), reversed(other), strict=False))
    return sum(len(list(takewhile(lambda pair: pair[0] == pair[1], both))) for both in pairs)


def _hint(key: str) -> str:
    return next((f" ({hint})" for parts, hint in HINTS.items() if any(part in key for part in parts)), "")


def _refuse_unknown(name: str, model: Any, unexpected: set[str]) -> None:
    """Tensors beside a body's weights (adapters, scales) or of further layers change what the model is."""
    base = model.base_model
    modules = dict(base.named_modules())
    for key in sorted(unexpected):
        inside = key.removeprefix(f"{model.base_model_prefix}.")
        parent, _, leaf = inside.rpartition(".")
        if leaf in BUFFERS or not parent:
            continue
        if _further_layer(modules, inside) or _beside_weights(modules, parent, leaf):
            raise ModelError(f"the files of {name!r} hold {key}, for which its configuration has no place{_hint(key)}")


def _further_layer(modules: Mapping[str, nn.Module], key: str) -> bool:
    """Whether `key` is of a block behind the last one that the configuration counts."""
    parts = key.split(".")
    for at, part in enumerate(parts):
        holder = modules.get(".".join(parts[:at]))
        if part.isdigit() and at and isinstance(holder, nn.ModuleList) and int(part) >= len(holder):
            return True
    return False


def _beside_weights(modules: Mapping[str, nn.Module], parent: str, leaf: str) -> bool:
    """Whether the tensor stands in or below a module of the body; an attention's own `bias` is a constant mask of old files."""
    direct = parent in modules
    while parent and parent not in modules:
        parent = parent.rpartition(".")[0]
    if not parent or parent.startswith("pooler"):
        return False
    return not (direct and leaf == "bias" and not list(modules[parent].parameters(recurse=False)))


def _stems(model: Any, key: str) -> list[str]:
    """The names under which files may hold the parameter `key`: with and without the base model's prefix."""
    return list(dict.fromkeys((key, key.removeprefix(_prefix(model)), f"{model.base_model_prefix}.{key}")))


def _refuse_doubled(name: str, model: Any, body: list[str], stored: Stored) -> None:
    """ModelError where files hold two tensors for one parameter, for instance a model's and its average's: which one the library
    reads is arbitrary."""
    for key in body:
        held = [stem for stem in _stems(model, key) if stem in stored]
        if len(held) > 1:
            raise ModelError(
                f"the files of {name!r} hold {' and '.join(held)}, two tensors for one parameter: save one model alone"
            )


def _refuse_quantised(name: str, model: Any, read: list[str], stored: Stored) -> None:
    for key in read:
        for stem in _stems(model, key):
            kind = stored.get(stem, "F32")
            if kind not in FLOATS:
                raise ModelError(
                    f"{stem} in the files of {name!r} is stored as {kind.removeprefix('torch.')}: quantised weights are not "
                    "read; save them in full or half precision"
                )


def _refuse_infinite(name: str, model: nn.Module, drawn: set[str]) -> None:
    for key, parameter in model.named_parameters():
        if key not in drawn and not bool(parameter.isfinite().all()):
            raise ModelError(f"{key} in the files of {name!r} holds numbers that are not finite")


def _refuse_empty(name: str, model: Any, read: list[str]) -> None:
    """Weights that nothing passes were never written, or their layer is gone: a matrix, the words' embedding or a normalization's
    weight of zeros alone, and a matrix whose rows or columns are all the same."""
    words = model.get_input_embeddings()
    for key in read:
        parameter, module = model.get_parameter(key), model.get_submodule(key.rpartition(".")[0])
        matrix = parameter.ndim > 1 and (module is words or not isinstance(module, nn.Embedding))
        weighs = isinstance(module, nn.LayerNorm) and key.endswith(".weight")
        if (matrix or weighs) and not bool(parameter.any()):
            raise ModelError(f"{key} in the files of {name!r} holds nothing but zeros")
        if matrix and _all_the_same(parameter.detach().flatten(1)):
            raise ModelError(
                f"the rows or the columns of {key} in the files of {name!r} are all the same: it was never written"
            )


def _all_the_same(matrix: Tensor) -> bool:
    """Whether a matrix [m, n] of more than one row and column has equal rows, or equal columns."""
    rows, columns = matrix.shape
    # Most differ in the first two, and no more is read.
    one, other = matrix[: min(2, rows)], matrix[:, : min(2, columns)]
    if rows < 2 or columns < 2 or not (torch.equal(one[0], one[1]) or torch.equal(other[:, 0], other[:, 1])):
        return False
    return bool((matrix == matrix[:1]).all()) or bool((matrix == matrix[:, :1]).all())


def _match_head(model: Any, drawn: set[str], labels: Mapping[int, str], own: Mapping[int, str]) -> tuple[set[str], str]:
    """(parameters to draw after all, a note) of the task's output layer: one that the files bring is put in the task's order of
    labels by name, or drawn at random."""
    if model.get_output_embeddings() is not None:
        absent = sorted(name for name in drawn if name not in body_names(model))
        return set(), f"{absent[0]} is not in the model's files and was drawn" if absent else ""
    layer = _output_layer(model, len(labels) or model.config.num_labels)
    names = {f"{layer}.{part}" for part in ("weight", "bias")} & {name for name, _ in model.named_parameters()}
    if not layer or names <= drawn:
        return set(), ""
    if absent := sorted(names & drawn):
        return names, f"the head {layer} of the model's files is not whole (no {absent[0]}): drawn at random"
    if not labels:
        return set(), f"the model's files bring the head {layer}, with which training begins"
    order = _order(labels, own)
    if order is None:
        called = ", ".join(own.values()) or "nothing certain"
        return (
            names,
            f"the head {layer} of the model's files calls its labels {called}, not {', '.join(labels.values())}: drawn at random",
        )
    with torch.no_grad():
        for name in names:
            parameter = model.get_parameter(name)
            parameter.copy_(parameter[order].clone())
    moved = "" if order == sorted(order) else f", its labels {', '.join(own.values())} put in the task's order"
    return set(), f"the model's files bring the head {layer}, with which training begins{moved}"


def _output_layer(model: Any, outputs: int) -> str:
    """The last linear layer outside the base model with so many outputs; "" where there is none."""
    prefix = _prefix(model)
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    outside = [name for name in linear if not prefix or not name.startswith(prefix)]
    return next((name for name in reversed(outside) if model.get_submodule(name).out_features == outputs), "")


def _order(labels: Mapping[int, str], own: Mapping[int, str]) -> list[int] | None:
    """Where each of the task's labels stands among the head's own, capitals aside; None where the names are not the same."""
    theirs = [own[at].casefold() for at in sorted(own)]
    ours = [labels[at].casefold() for at in sorted(labels)]
    if sorted(theirs) != sorted(ours) or len(set(ours)) != len(ours):
        return None
    return [theirs.index(label) for label in ours]
