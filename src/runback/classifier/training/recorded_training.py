"""Fits a network in a run: its record before the first epoch, its curves, its result at the end."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from runback.classifier import record
from runback.classifier.augmentation.preview import preview_sheet
from runback.classifier.training.batches import steps_per_pass
from runback.classifier.training.curves_figure import plot_curves
from runback.classifier.training.fit import compile_model, fit, restore_training
from runback.classifier.training.predictions import ValidationPredictions
from runback.classifier.training.progress import TrainingProgress
from runback.keras.checkpointing import CheckpointPlan
from runback.keras.networks.logged_network import log_network
from runback.system.text.escape import for_markdown
from runback.system.text.lasting_output import output_troubles

if TYPE_CHECKING:
    import runback
    from runback.classifier.build import Prepared
    from runback.classifier.train_config import TrainingSpec

CURVES = "curves.png"
AUGMENTATION = "augmentation.png"

PREVIEWED = 8
"""Training images on the preview sheet of an augmentation."""


def recorded_fit(run: "runback.Run", spec: "TrainingSpec", prepared: "Prepared") -> tuple[float, ...]:
    """Train a prepared network in a run, and return the values of the objectives.

    Errors: InputError, before the run has begun or goes on, for a checkpoint that does not fit the network.
    """
    options = spec.options
    parts = (prepared.network, prepared.augmentation, prepared.optimizer, prepared.criterion)
    model = compile_model(*parts, prepared.fine_tuning)
    restore_training(run.start, model, prepared.criterion, prepared.fine_tuning)
    summary = record.data_summary(spec, prepared.train, prepared.validation, prepared.notes)
    run.record(**record.recorded_facts(spec, prepared, summary))
    run.log_params(
        {
            "data.n_train": len(prepared.train),
            "data.n_validation": len(prepared.validation),
            "model.parameters": prepared.network.count_params(),
        }
    )
    about = [record.description(spec, prepared)]
    facts = [*(for_markdown(one.strip()) for one in run.notices), summary.markdown()]
    run.describe("\n\n".join([*about, *facts]))
    run.begin(epochs=options.epochs)
    if prepared.augmentation is not None and run.start is None:
        sheet = preview_sheet(prepared.augmentation, prepared.train.images[:PREVIEWED])
        run.log_image(sheet, AUGMENTATION)
    predictions = ValidationPredictions(model, prepared.validation, options.batch_size, prepared.criterion)
    run.at_end(lambda: _log_result(run, prepared, predictions))
    in_pass = steps_per_pass(len(prepared.train), options.batch_size)
    share = (options.steps_per_epoch or in_pass) / in_pass
    n_images = round(len(prepared.train) * share)
    plan = CheckpointPlan(run.folder, options.checkpoint.every, lambda: run.is_pausing, run.pause)
    with (
        TrainingProgress(options.epochs, n_images, run.stream, initial_epoch=run.epoch) as progress,
        predictions.keeping(),
    ):

        def on_epoch(step: int, metrics: dict[str, float]) -> None:
            progress.epoch(step, metrics)
            run.log(metrics, step=step, show=False)

        fitted = fit(
            model,
            prepared.train,
            prepared.validation,
            epochs=options.epochs,
            batch_size=options.batch_size,
            steps_per_epoch=options.steps_per_epoch,
            seed=spec.seed,
            on_epoch=on_epoch,
            on_batch=progress.batch,
            patience=options.patience,
            monitor=options.objectives[0],
            maximize=options.directions[0] == "maximize",
            checkpoints=plan,
            resume_from=run.start,
            last_epoch=run.last_epoch,
            criterion=prepared.criterion,
            fine_tuning=prepared.fine_tuning,
        )
    run.log_figure(plot_curves(fitted.history), CURVES)
    log_network(run, prepared.network, prepared.train.class_names)
    metrics = {**fitted.metrics, "parameters": float(prepared.network.count_params())}
    kept = {name: metrics[name] for name in options.objectives}
    run.keep(fitted.kept_epoch)
    run.describe(
        "\n\n".join([*about, _kept(kept, fitted.kept_epoch, fitted.epochs), *output_troubles(), *facts])
    )
    return tuple(kept.values())


def _log_result(run: "runback.Run", prepared: "Prepared", predictions: ValidationPredictions) -> None:
    """Log what the same training has to give again."""
    named = enumerate(prepared.network.weights)
    weights = {f"{number:03d} {variable.path}": variable.numpy() for number, variable in named}
    run.result(weights=weights, predictions=predictions.current())


def _kept(kept: Mapping[str, float], epoch: int, epochs: int) -> str:
    """Say which epoch's weights the network has, and what was measured in it."""
    results = ", ".join(f"best_{name} **{value:.6g}**" for name, value in kept.items())
    which = "the last" if epoch == epochs else f"the best of {epochs}"
    return f"Kept: the weights of epoch {epoch}, {which}. {results}"
