"""A pretrained checkpoint: the embedded one, a local folder or a hub id, opened once and copied for every model built.

    checkpoint = open_checkpoint("mini", embedded="encoder")
    model = checkpoint.build("AutoModelForSequenceClassification", seed=0, num_labels=2)

What the files lack (a fresh head) is drawn under `seed`; a folder with a configuration and no weights is drawn whole.
"""

import copy
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tasks.base import TaskError
from tasks.formats.sources import MINI, hash_files, hash_text
from tasks.pipeline.cache import Memo

FILES = ("*.json", "*.safetensors", "*.bin", "*.txt", "*.model", "*.py")
"""What a checkpoint's fingerprint covers."""

WEIGHTS = ("*.safetensors", "*.bin")


@dataclass(frozen=True)
class Template:
    """A loaded model to copy from, and the names of the parameters its files lacked."""

    model: nn.Module
    missing: frozenset[str]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint's configuration and tokenizer; weights are read when a model is first built."""

    name: str
    path: str
    """Local folder, or hub id."""
    revision: str | None
    fingerprint: str
    config: Any
    tokenizer: Any
    trust_remote_code: bool = False

    def build(self, auto: str, seed: int, **config: Any) -> nn.Module:
        """A fresh fp32 model of the transformers class `auto` on the CPU; `config` overrides the configuration.

        One seed, one result, bit for bit, and the global random state is left as it was.
        """
        key = (self.path, self.fingerprint, auto, repr(sorted(config.items())))
        template = _templates.get(key, lambda: self._load(auto, config))
        model = copy.deepcopy(template.model)
        _draw(model, template.missing, seed)
        return model.train()

    def model_class(self, auto: str) -> type[nn.Module]:
        """The class that `auto` picks for this configuration; TaskError where the model does not fit the task."""
        import transformers

        mapping = getattr(transformers, auto)._model_mapping
        if type(self.config) in mapping:
            found: type[nn.Module] = mapping[type(self.config)]
            return found
        if self.trust_remote_code and auto in (getattr(self.config, "auto_map", None) or {}):
            return type(_templates.get((self.path, self.fingerprint, auto, "[]"), lambda: self._load(auto, {})).model)
        raise TaskError(f"model {self.name!r} is of type {self.config.model_type!r}, for which there is no {auto}")

    def inputs(self, auto: str) -> frozenset[str]:
        """Names of the tensors that the model's `forward` takes; segment ids only where it has two segments."""
        names = set(inspect.signature(self.model_class(auto).forward).parameters)
        if (getattr(self.config, "type_vocab_size", None) or 0) < 2:
            names.discard("token_type_ids")
        return frozenset(names)

    @property
    def own_code(self) -> bool:
        """Whether the checkpoint brings code of its own, and was let run it."""
        tokenizer = getattr(self.tokenizer, "init_kwargs", {})
        return self.trust_remote_code and bool(getattr(self.config, "auto_map", None) or tokenizer.get("auto_map"))

    @property
    def positions(self) -> int | None:
        """Longest input in tokens, or None where the model names no bound (relative positions)."""
        bounds = [getattr(self.config, "max_position_embeddings", None), self.tokenizer.model_max_length]
        known = [bound for bound in bounds if bound is not None and 0 < bound < 10**9]
        return min(known, default=None)

    @cached_property
    def tokenizer_fingerprint(self) -> str:
        """Hash of the tokenizer's own serialisation: vocabulary, normalisation, special tokens."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        state = backend.to_str() if backend is not None else repr(sorted(self.tokenizer.get_vocab().items()))
        return hash_text(state + repr(sorted(self.tokenizer.special_tokens_map.items())))

    def _load(self, auto: str, overrides: Mapping[str, Any]) -> Template:
        import transformers

        config = copy.deepcopy(self.config)
        for name, value in {"pad_token_id": self.tokenizer.pad_token_id, **overrides}.items():
            setattr(config, name, value)
        factory = getattr(transformers, auto)
        options = {"dtype": torch.float32, "trust_remote_code": self.trust_remote_code}
        if self._has_no_weights():
            with torch.random.fork_rng(devices=[]):
                model = factory.from_config(config, **options)
            return Template(model, frozenset(name for name, _ in model.named_parameters()))
        try:
            with fewer_messages(), torch.random.fork_rng(devices=[]):
                model, report = factory.from_pretrained(
                    self.path, config=config, revision=self.revision or "main", output_loading_info=True,
                    ignore_mismatched_sizes=True, **options,
                )  # fmt: skip
        except Exception as error:  # a folder of another's making: say which, with the library's reason
            raise TaskError(f"cannot load model {self.name!r} as {auto}: {error}") from error
        return Template(model, self._missing(model, report))

    def _missing(self, model: nn.Module, report: Mapping[str, Any]) -> frozenset[str]:
        """Parameters to draw; TaskError where the body itself, not just a head or pooler, is not in the files."""
        resized = {entry if isinstance(entry, str) else entry[0] for entry in report["mismatched_keys"]}
        missing = set(report["missing_keys"]) | resized
        prefix = f"{model.base_model_prefix}."
        body = [name for name, _ in model.named_parameters() if name.startswith(prefix)]
        lacking = [name for name in body if name in missing]
        if any(name.startswith(prefix) for name in resized) or len(lacking) > len(body) / 2:
            wrong = sorted(resized) or lacking
            raise TaskError(
                f"the weights of {self.name!r} do not fit its configuration: {len(lacking)} of {len(body)} parameters of the "
                f"body are missing or of another shape, for instance {wrong[0]}"
            )
        return frozenset(missing)

    def _has_no_weights(self) -> bool:
        folder = Path(self.path)
        return folder.is_dir() and not any(path for pattern in WEIGHTS for path in folder.glob(pattern))


_templates: Memo[Template] = Memo(3)
_checkpoints: Memo[Checkpoint] = Memo(8)


def open_checkpoint(model: str, embedded: str, trust_remote_code: bool = False) -> Checkpoint:
    """The checkpoint that `Setting.model` names; `embedded` is the folder below tasks/mini that `mini` stands for.

    A hub id may carry a revision, `owner/name@revision`. TaskError where nothing can be opened.
    """
    path = str(MINI / embedded) if model == "mini" else model
    folder = Path(path).expanduser()
    if not folder.is_dir():
        key: tuple[object, ...] = (model, trust_remote_code)
        return _checkpoints.get(key, lambda: _open(model, model, "", trust_remote_code))
    if not (folder / "config.json").is_file():
        held = ", ".join(sorted(entry.name for entry in folder.iterdir())[:10])
        raise TaskError(f"model {model!r}: no config.json in {folder} (it holds: {held or 'nothing'})")
    found = {path for pattern in FILES for path in folder.glob(pattern)}
    fingerprint = hash_files(found, folder)
    key = (str(folder), fingerprint, trust_remote_code)
    return _checkpoints.get(key, lambda: _open(model, str(folder), fingerprint, trust_remote_code))


def _open(name: str, path: str, fingerprint: str, trust_remote_code: bool) -> Checkpoint:
    import transformers

    revision: str | None = None
    if not fingerprint and "@" in path:
        path, revision = path.split("@", 1)
    options = {"revision": revision or "main", "trust_remote_code": trust_remote_code}
    try:
        config = transformers.AutoConfig.from_pretrained(path, **options)
        tokenizer = transformers.AutoTokenizer.from_pretrained(path, **options)
    except Exception as error:  # the library's, the hub's and the network's errors alike
        kind = "folder" if fingerprint else "hub id (no such folder here)"
        raise TaskError(f"cannot open model {name!r}, taken as a {kind}: {error}") from error
    if tokenizer.pad_token_id is None:
        _choose_pad(tokenizer, name)
    if not fingerprint:
        revision = getattr(config, "_commit_hash", None) or revision
        fingerprint = hash_text(f"{path}@{revision}")
    return Checkpoint(name, path, revision, fingerprint, config, tokenizer, trust_remote_code)


def _choose_pad(tokenizer: Any, name: str) -> None:
    """Decoders often have no padding token; the end of text serves, being masked wherever it pads."""
    if tokenizer.eos_token is None:
        raise TaskError(f"the tokenizer of model {name!r} has neither a padding nor an end-of-text token")
    tokenizer.pad_token = tokenizer.eos_token


def _draw(model: Any, missing: frozenset[str], seed: int) -> None:
    """Draw the parameters that the files lacked, by the model's own rule, from a generator forked off under `seed`."""
    present = [parameter for name, parameter in model.named_parameters() if name not in missing]
    for module in model.modules():
        module.__dict__.pop("_is_hf_initialized", None)
    for parameter in present:  # the library's initialisers pass over tensors so marked
        parameter._is_hf_initialized = True
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # and no GPU's, whose states are not forked
        model.initialize_weights()
    for parameter in present:
        del parameter._is_hf_initialized


@contextmanager
def fewer_messages() -> Iterator[None]:
    """The library reports at length the missing heads that are expected here; errors still show."""
    from transformers.utils import logging

    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()
