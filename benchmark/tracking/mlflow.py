"""MLflow: a run for each cell in the experiment `prunebench/<board>` (MLFLOW_TRACKING_URI says where)."""

from pathlib import Path

from mlflow import MlflowClient  # type: ignore[import-not-found, unused-ignore]

from benchmark.suite.spec import RunSpec

LONGEST = 500
"""Longest value of a tag, in characters."""


class MLflow:
    """One run, by its id, since several may be open at a time."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self.client, self.run_id, self.step = client, run_id, 0

    def log(self, step: int, values: dict[str, float]) -> None:
        """Metrics at `step`."""
        self.step = step
        for name, value in values.items():
            self.client.log_metric(self.run_id, name, value, step=step)

    def end(self, values: dict[str, float], reason: str | None) -> None:
        """Final metrics, and the run's status."""
        self.log(self.step, values)
        if reason is not None:
            self.client.set_tag(self.run_id, "failed", reason[:LONGEST])
        self.client.set_terminated(self.run_id, "FINISHED" if reason is None else "FAILED")


def open_session(spec: RunSpec, settings: dict[str, str], folder: Path) -> MLflow:
    """A new run with the cell's settings as parameters."""
    client, name = MlflowClient(), f"prunebench/{folder.resolve().name}"
    known = client.get_experiment_by_name(name)
    experiment = known.experiment_id if known else client.create_experiment(name)
    run_id = client.create_run(experiment, run_name=spec.recorded().cell).info.run_id
    for key, value in settings.items():
        client.log_param(run_id, key, value)
    return MLflow(client, run_id)
