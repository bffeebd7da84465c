"""A pretrained checkpoint: the embedded one, a local folder or a hub id, opened once and copied for every model built.

    checkpoint = open_checkpoint("mini", embedded="encoder")
    model = checkpoint.build("AutoModelForSequenceClassification", seed=0, num_labels=2)

What the files lack (a fresh head, a pooler) is drawn under `seed`; that the rest is in them is checked (loaded.py). A model behind
`random:` is drawn whole.
"""

import copy
import inspect
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tasks.base import HubError, ModelError
from tasks.formats.sources import MINI, hash_files, hash_text
from tasks.pipeline.cache import Recent
from tasks.pipeline.gguf_files import check_gguf, gguf_file, loading, quantised, require_gguf, without_bar
from tasks.pipeline.loaded import Stored, check_loaded
from tasks.pipeline.model_files import check_config, check_folder, check_tokenizer, stored, weight_files

FILES = ("*.json", "*.safetensors", "*.bin", "*.txt", "*.model", "*.py")
"""What a checkpoint's fingerprint covers."""

RANDOM = "random:"
"""Before a model's name: its weights are drawn, not read."""

PARAMETERS = 2
"""The most parameters that one byte of a model's files can stand for; a configuration that asks for more does not fit its files."""

UNBOUNDED = 512
"""Tokens that a model without a bound is tried on."""


@dataclass(frozen=True)
class Template:
    """A loaded model to copy from, the names of the parameters that are drawn, and what a record must say of the rest."""

    model: nn.Module
    drawn: frozenset[str]
    notes: tuple[str, ...] = ()


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
    random: bool = False
    """All weights are drawn, whatever the files hold."""
    gguf: str = ""
    """The GGUF file in the folder that holds configuration, tokenizer and weights; empty where they are files of their own."""

    def build(self, auto: str, seed: int, **config: Any) -> nn.Module:
        """A fresh fp32 model of the transformers class `auto` on the CPU; `config` overrides the configuration.

        One seed, one result, bit for bit, and the global random state is left as it was.
        """
        template = self._template(auto, config)
        model = copy.deepcopy(template.model)
        _draw(model, template.drawn, seed)
        return model.train()

    def drawn(self, auto: str, **config: Any) -> frozenset[str]:
        """Names of the parameters that `build` draws, for the files do not hold them."""
        return self._template(auto, config).drawn

    def model_class(self, auto: str) -> type[nn.Module]:
        """The class that `auto` picks for this configuration; ModelError where the model does not fit the task."""
        import transformers

        mapping = getattr(transformers, auto)._model_mapping
        if type(self.config) in mapping:
            found: type[nn.Module] = mapping[type(self.config)]
            return found
        if self.trust_remote_code and auto in (getattr(self.config, "auto_map", None) or {}):
            return type(self._template(auto, {}).model)
        raise ModelError(f"model {self.name!r} is of type {self.config.model_type!r}, for which there is no {auto}")

    def inputs(self, auto: str) -> frozenset[str]:
        """Names of the tensors that the model's `forward` takes; segment ids only where it has two segments."""
        names = set(inspect.signature(self.model_class(auto).forward).parameters)
        if (getattr(self.config, "type_vocab_size", None) or 0) < 2:
            names.discard("token_type_ids")
        return frozenset(names)

    @property
    def encoder_decoder(self) -> bool:
        """Whether an encoder reads and a decoder writes."""
        return bool(getattr(self.config, "is_encoder_decoder", False))

    @property
    def vocabulary(self) -> int | None:
        """Rows of the embedding of tokens; None where the configuration names none."""
        rows: int | None = getattr(self.config, "vocab_size", None)
        return rows

    @property
    def own_code(self) -> bool:
        """Whether the checkpoint brings code of its own, and was let run it."""
        tokenizer = getattr(self.tokenizer, "init_kwargs", {})
        return self.trust_remote_code and bool(getattr(self.config, "auto_map", None) or tokenizer.get("auto_map"))

    def try_out(self, auto: str, length: int, **config: Any) -> tuple[str, ...]:
        """Load the model and read `length` tokens, one of them the tokenizer's last: what a record must say of its weights.

        ModelError where the files do not hold the model, or it cannot read that input or answers with no number.
        """
        key = (self.path, self.fingerprint, auto, length, repr(sorted(config.items())))
        return _tried.get(key, lambda: self._try_out(auto, length, config))

    def _try_out(self, auto: str, length: int, config: Mapping[str, Any]) -> tuple[str, ...]:
        template = self._template(auto, config)
        inputs = self._longest_input(length if self.positions is not None else min(length, UNBOUNDED))
        model: Any = template.model.eval()
        try:
            with torch.no_grad():
                states = model.base_model(**inputs)[0]
        except (IndexError, RuntimeError, ValueError) as error:
            tokens = inputs["input_ids"].shape[1]
            raise ModelError(f"model {self.name!r} cannot read an input of {tokens} tokens: {error}") from error
        if not bool(states.isfinite().all()):
            raise ModelError(f"model {self.name!r} answers with numbers that are not finite: its weights are damaged")
        return template.notes

    def _longest_input(self, length: int) -> dict[str, torch.Tensor]:
        """One text of `length` tokens, the last the highest that the tokenizer knows, in the last segment."""
        padding, highest = self.tokenizer.pad_token_id, max(self.tokenizer.get_vocab().values())
        ids = torch.full((1, length), next(at for at in range(3) if at != padding))
        ids[0, -1] = highest
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if (getattr(self.config, "type_vocab_size", None) or 0) >= 2:
            inputs["token_type_ids"] = torch.ones_like(ids)
        if self.encoder_decoder:
            inputs["decoder_input_ids"] = ids
        return inputs

    @cached_property
    def positions(self) -> int | None:
        """Longest input in tokens, or None where the model names no bound (relative positions)."""
        bounds = [self._embedded_positions(), self.tokenizer.model_max_length]
        known = [bound for bound in bounds if bound is not None and 0 < bound < 10**9]
        return min(known, default=None)

    def _embedded_positions(self) -> int | None:
        """The configuration's bound, less the rows of a position embedding up to its padding: RoBERTa's 514 are 512."""
        bound: int | None = getattr(self.config, "max_position_embeddings", None)
        for name, module in self._skeleton.named_modules():
            if bound and "position" in name and isinstance(module, nn.Embedding) and module.padding_idx is not None:
                bound = min(bound, module.num_embeddings - module.padding_idx - 1)
        return bound

    @cached_property
    def _skeleton(self) -> nn.Module:
        """The model without its weights; an empty one where it cannot be made, which is told where it is loaded."""
        import transformers

        try:
            with torch.device("meta"), fewer_messages():
                made: nn.Module = transformers.AutoModel.from_config(
                    self.config, trust_remote_code=self.trust_remote_code
                )
        except Exception:
            return nn.Module()
        return made

    def _check_room(self, files: Sequence[Path]) -> None:
        """ModelError where the configuration's model is far larger than its files, or than this machine's memory."""
        count = sum(parameter.numel() for parameter in self._skeleton.parameters())
        held = sum(path.stat().st_size for path in files)
        if files and count > PARAMETERS * held:
            raise ModelError(
                f"cannot load model {self.name!r}: its configuration asks for {count:,} parameters, its files hold {held:,} bytes"
            )
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 4 * count
        if 4 * count > memory:
            raise ModelError(
                f"model {self.name!r} takes {4 * count / 1e9:,.0f} GB in fp32 by its configuration; this machine has "
                f"{memory / 1e9:,.0f} GB of memory"
            )

    @cached_property
    def tokenizer_fingerprint(self) -> str:
        """Hash of the tokenizer's own serialisation: vocabulary, normalisation, special tokens."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        state = backend.to_str() if backend is not None else repr(sorted(self.tokenizer.get_vocab().items()))
        return hash_text(state + repr(sorted(self.tokenizer.special_tokens_map.items())))

    def _template(self, auto: str, config: Mapping[str, Any]) -> Template:
        key = (self.path, self.fingerprint, auto, repr(sorted(config.items())))
        return _templates.get(key, lambda: self._load(auto, config))

    def _load(self, auto: str, overrides: Mapping[str, Any]) -> Template:
        import transformers

        config = self._configured(overrides)
        folder = Path(self.path)
        files = weight_files(self.name, folder) if folder.is_dir() and not (self.random or self.gguf) else []
        self._check_room(files)
        factory = getattr(transformers, auto)
        options = {"dtype": torch.float32, "trust_remote_code": self.trust_remote_code}
        if self.random:
            with torch.random.fork_rng(devices=[]):
                model = factory.from_config(config, **options)
            names = frozenset(name for name, _ in model.named_parameters())
            return Template(model, names, ("the model is not pretrained: all its weights were drawn at random",))
        options |= loading(self.gguf) if self.gguf else {}
        try:
            with fewer_messages(), without_bar(self.gguf), torch.random.fork_rng(devices=[]):
                model, report = factory.from_pretrained(
                    self.path, config=config, revision=self.revision or "main", output_loading_info=True,
                    ignore_mismatched_sizes=True, **options,
                )  # fmt: skip
                held: Stored = {}  # of a GGUF file the library has told all there is
                if not self.gguf:
                    held = stored(files or weight_files(self.name, config_file(self.path, self.revision).parent))
        except Exception as error:  # a folder of another's making: say which, with the library's reason
            reason = f"its configuration names {error}, which is not known" if isinstance(error, KeyError) else error
            raise ModelError(f"cannot load model {self.name!r} as {auto}: {reason}") from error
        labels = overrides.get("id2label", {})
        drawn, notes = check_loaded(self.name, model, report, held, labels, self._own_labels())
        if self.gguf and (note := quantised(folder / self.gguf)):
            notes = (*notes, note)
        return Template(model, drawn, notes)

    def _configured(self, overrides: Mapping[str, Any]) -> Any:
        """A copy of the configuration with the tokenizer's padding and the task's own settings."""
        config = copy.deepcopy(self.config)
        if "id2label" in overrides:
            overrides = {"label2id": {name: at for at, name in overrides["id2label"].items()}, **overrides}
        for name, value in {"pad_token_id": self.tokenizer.pad_token_id, "return_dict": True, **overrides}.items():
            setattr(config, name, value)
        return config

    def _own_labels(self) -> dict[int, str]:
        """The labels of the files' head; empty where the two lists of the configuration contradict each other."""
        names = {int(at): str(name) for at, name in (self.config.id2label or {}).items()}
        numbers = {int(at): str(name) for name, at in (self.config.label2id or {}).items()}
        unnamed = [{at: f"LABEL_{at}" for at in known} for known in (names, numbers)]
        if numbers == unnamed[1]:  # the library's own, put in where a file has but one of the two
            return names
        return numbers if names in (numbers, unnamed[0]) else {}


_templates: Recent[Template] = Recent(3)
_checkpoints: Recent[Checkpoint] = Recent(8)
_tried: Recent[tuple[str, ...]] = Recent(64)


def open_checkpoint(model: str, embedded: str, trust_remote_code: bool = False) -> Checkpoint:
    """The checkpoint that `Setting.model` names; `embedded` is the folder below tasks/mini that `mini` stands for.

    A hub id may carry a revision, `owner/name@revision`; a folder may hold one GGUF file. ModelError where nothing can be opened.
    """
    if model.startswith(RANDOM):
        opened = open_checkpoint(model.removeprefix(RANDOM), embedded, trust_remote_code)
        return replace(opened, name=model, fingerprint=hash_text(RANDOM + opened.fingerprint), random=True)
    folder = MINI / embedded if model == "mini" else Path(model).expanduser()
    path, fingerprint, gguf = model, "", gguf_file(model, folder)
    if gguf:
        path, fingerprint = str(gguf.parent), hash_files([gguf], gguf.parent)
    elif folder.is_file():
        raise ModelError(f"model {model!r} is a file; expected a folder with config.json, or a file that ends in .gguf")
    elif folder.is_dir():
        check_folder(model, folder)
        found = {file for pattern in FILES for file in folder.glob(pattern) if file.is_file()}
        path, fingerprint = str(folder), hash_files(found, folder)
    named = gguf.name if gguf else ""
    key = (path, named, fingerprint, trust_remote_code)
    return _checkpoints.get(key, lambda: _open(model, path, fingerprint, trust_remote_code, named))


def _open(name: str, path: str, fingerprint: str, trust_remote_code: bool, gguf: str) -> Checkpoint:
    import transformers

    revision: str | None = None
    if not fingerprint and "@" in path:
        path, revision = path.split("@", 1)
    options: dict[str, Any] = {"revision": revision or "main", "trust_remote_code": trust_remote_code}
    if gguf:
        require_gguf(name)
        check_gguf(name, Path(path) / gguf)
        options["gguf_file"] = gguf
    try:
        if not fingerprint:
            check_config(name, config_file(path, revision))
        config = transformers.AutoConfig.from_pretrained(path, **options)
        tokenizer = transformers.AutoTokenizer.from_pretrained(path, **options)
    except ModelError:
        raise
    except Exception as error:  # the library's, the hub's and the network's errors alike
        reason = " ".join(str(error).split())
        if fingerprint:
            taken = "a GGUF file" if gguf else "a folder"
            raise ModelError(f"cannot open model {name!r}, taken as {taken}: {reason}") from error
        raise HubError(
            f"cannot open model {name!r}, taken as a hub id (no such folder here): {reason.rstrip('.')}. A folder that holds the "
            "model serves as well: --model DIR"
        ) from error
    folder = Path(path) if fingerprint and not gguf else None
    check_tokenizer(name, tokenizer, getattr(config, "vocab_size", None), folder)
    if tokenizer.pad_token_id is None:
        _choose_pad(tokenizer, name)
    if not fingerprint:
        revision = getattr(config, "_commit_hash", None) or revision
        fingerprint = hash_text(f"{path}@{revision}")
    return Checkpoint(name, path, revision, fingerprint, config, tokenizer, trust_remote_code, gguf=gguf)


def config_file(hub_id: str, revision: str | None = None) -> Path:
    """The configuration of a hub's model, in the folder where all of the model is put."""
    from transformers.utils import cached_file

    return Path(cached_file(hub_id, "config.json", revision=revision or "main"))


def _choose_pad(tokenizer: Any, name: str) -> None:
    """Decoders often have no padding token; the end of text serves, being masked wherever it pads."""
    if tokenizer.eos_token is None:
        raise ModelError(f"the tokenizer of model {name!r} has neither a padding nor an end-of-text token")
    tokenizer.pad_token = tokenizer.eos_token


def _draw(model: Any, drawn: frozenset[str], seed: int) -> None:
    """Draw the parameters that the files lacked, by the model's own rule, from a generator forked off under `seed`."""
    present = [parameter for name, parameter in model.named_parameters() if name not in drawn]
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
