"""The one door: a model on a CPU is changed in every way, elsewhere only moved; a way that is left out changes nothing."""

import pytest
import torch
from torch import nn

from benchmark.training import cpu
from benchmark.training.cpu.dropout import BulkDropout


def small() -> nn.Module:
    return nn.Sequential(nn.Dropout(0.1), nn.Linear(4, 4))


def test_on_a_cpu_every_way_is_taken() -> None:
    model = cpu.prepare(small(), torch.device("cpu"))
    assert type(model[0]) is BulkDropout  # type: ignore[index]
    assert list(model.state_dict()) == list(small().state_dict())


def test_on_another_device_the_model_is_only_moved() -> None:
    model = cpu.prepare(small(), torch.device("meta"))
    assert [type(module) for module in model] == [nn.Dropout, nn.Linear]  # type: ignore[attr-defined]
    assert next(model.parameters()).device.type == "meta"


def test_a_way_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(cpu.WAYS, "dropout")
    assert type(cpu.prepare(small(), torch.device("cpu"))[0]) is nn.Dropout  # type: ignore[index]
