"""What the three checkpoints are pretrained on.

encoder   masked words (BERT, Devlin et al. 2019), and on labelled text of the same kind, with heads that are thrown away: the
          verdict of a review, the entity types of the news, the span that answers a question
decoder   the next token, over record, end of text, sentences, end of text
writer    the next token of running articles
"""

from collections.abc import Callable
from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tasks.mini import corpus

MASKED = 0.15
"""Share of the word pieces to restore."""
RESTORING = 0.25
"""Share of the batches whose loss is that of masked words."""
SHARES = (1, 1, 6)
"""Of reviews, news and questions among the batches: matching a question to its passage is the hardest to learn."""
IGNORED = -100
FARTHEST = -1e4
"""Logit of a position that cannot be an answer."""


class EncoderLoss:
    """Draws a batch of one family and gives the family's own loss, or, now and then, that of masked words."""

    def __init__(self, model: Any, tokenizer: Any, rng: Random, size: int) -> None:
        self.model, self.tokenizer, self.rng, self.size = model, tokenizer, rng, size
        self.tags = nn.Linear(model.config.hidden_size, len(corpus.TAGS))
        self.ends = nn.Linear(model.config.hidden_size, 2)
        self.families: tuple[Callable[[], Tensor], ...] = (self.review, self.report, self.quiz)

    def parameters(self) -> list[nn.Parameter]:
        """The parameters of the model and of the heads."""
        return [*self.model.parameters(), *self.tags.parameters(), *self.ends.parameters()]

    def __call__(self) -> Tensor:
        """The loss of one batch."""
        return self.rng.choices(self.families, SHARES)[0]()

    def review(self) -> Tensor:
        """Verdicts, by the head over the whole text."""
        drawn = [corpus.review(self.rng) for _ in range(self.size)]
        batch = self.tokenizer([d.text for d in drawn], padding=True, return_tensors="pt")
        if self.restores():
            return self.masked_words(batch)
        _, pooled = self.states(batch)
        labels = torch.tensor([d.label for d in drawn])
        return F.cross_entropy(self.model.cls.seq_relationship(pooled), labels)

    def report(self) -> Tensor:
        """Entity types, at the first piece of each word."""
        drawn = [corpus.report(self.rng) for _ in range(self.size)]
        words = [d.words for d in drawn]
        batch = self.tokenizer(words, is_split_into_words=True, padding=True, return_tensors="pt")
        if self.restores():
            return self.masked_words(batch)
        labels = torch.full_like(batch["input_ids"], IGNORED)
        for row, d in enumerate(drawn):
            before = None
            for at, word in enumerate(batch.word_ids(row)):
                if word is not None and word != before:
                    labels[row, at] = d.tags[word]
                before = word
        states, _ = self.states(batch)
        return F.cross_entropy(self.tags(states).flatten(0, 1), labels.flatten(), ignore_index=IGNORED)

    def quiz(self) -> Tensor:
        """First and last piece of the answer, among those of the passage."""
        drawn = [corpus.quiz(self.rng) for _ in range(self.size)]
        batch = self.tokenizer(
            [d.question for d in drawn],
            [d.passage for d in drawn],
            padding=True,
            return_offsets_mapping=True,
            return_tensors="pt",
        )
        offsets = batch.pop("offset_mapping")
        if self.restores():
            return self.masked_words(batch)
        passage = (batch["token_type_ids"] == 1) & (offsets[..., 1] > offsets[..., 0])
        begin, end = torch.tensor([(d.begin, d.end) for d in drawn]).unsqueeze(-1).unbind(1)
        first = (passage & (offsets[..., 0] == begin)).int().argmax(1)
        last = (passage & (offsets[..., 1] == end)).int().argmax(1)
        states, _ = self.states(batch)
        logits = self.ends(states).masked_fill(~passage.unsqueeze(-1), FARTHEST)
        return F.cross_entropy(logits[..., 0], first) + F.cross_entropy(logits[..., 1], last)

    def restores(self) -> bool:
        """Whether this batch is one of masked words."""
        return self.rng.random() < RESTORING

    def states(self, batch: Any) -> tuple[Tensor, Tensor]:
        """Last hidden states [batch, length, hidden] and pooled ones [batch, hidden]."""
        found = self.model.bert(**batch)
        return found.last_hidden_state, found.pooler_output

    def masked_words(self, batch: Any) -> Tensor:
        """Mean cross-entropy of the hidden pieces of the same texts."""
        ids = batch["input_ids"]
        draw = torch.rand(ids.shape, generator=torch.Generator().manual_seed(self.rng.randrange(2**31)))
        hidden = (draw < MASKED) & (ids >= len(self.tokenizer.all_special_ids))
        masked = {**batch, "input_ids": ids.masked_fill(hidden, self.tokenizer.mask_token_id)}
        states, _ = self.states(masked)
        return F.cross_entropy(self.model.cls.predictions(states[hidden]), ids[hidden])


def decoder_loss(model: Any, tokenizer: Any, records: list[tuple[str, str]]) -> Tensor:
    """Mean cross-entropy of the next token of `record <end> sentences <end>`."""
    end = tokenizer.eos_token
    batch = tokenizer([f"{record}{end}{text}{end}" for record, text in records], padding=True, return_tensors="pt")
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, IGNORED)
    loss: Tensor = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=labels).loss
    return loss


def writer_loss(model: Any, tokenizer: Any, articles: list[str], length: int) -> Tensor:
    """Mean cross-entropy of the next token of windows of `length` tokens, cut of joined articles."""
    ids = tokenizer("".join(articles))["input_ids"]
    windows = torch.tensor(ids[: len(ids) // length * length]).view(-1, length)
    loss: Tensor = model(input_ids=windows, labels=windows).loss
    return loss
