"""The commands of `gdas` as functions.

Written from the description of the commands' flags by a test; after a change of flags:

    INSTA_UPDATE=always cargo test --release -p gdas-cli --lib the_python_module
"""

# ruff: noqa
# fmt: off
from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Optional, Sequence, Union

from . import _calls
from .types import DataLike, GenotypeLike, Judge, OnEvent, PathLike, RunLike, SpaceLike
from ._results import Auto, Network, Search

__all__ = ["search", "train", "auto", "resume", "evaluate", "predict", "export", "score", "cost", "report"]


def search(
    data: DataLike = "digits",
    *,
    run: Optional[PathLike] = None,
    overwrite: bool = False,
    progress: bool = True,
    on_event: OnEvent = None,
    on_epoch: OnEvent = None,
    on_step: OnEvent = None,
    judge: Optional[Judge] = None,
    config: Optional[PathLike] = None,
    preset: Optional[str] = None,
    space: Optional[SpaceLike] = None,
    algorithm: Optional[str] = None,
    seed: Optional[int] = None,
    epochs: Optional[int] = None,
    batch_size: Optional[int] = None,
    max_steps_per_epoch: Optional[Union[int, Literal["auto"]]] = None,
    channels: Optional[int] = None,
    cells: Optional[int] = None,
    affine: Optional[bool] = None,
    track_running_stats: Optional[bool] = None,
    edge_output: Optional[str] = None,
    image_size: Optional[Union[int, Literal["auto"]]] = None,
    skip_damaged: Optional[bool] = None,
    split: Optional[str] = None,
    flip: Optional[Union[bool, Literal["auto"]]] = None,
    crop_padding: Optional[Union[int, Literal["auto"]]] = None,
    cutout: Optional[int] = None,
    sampling: Optional[str] = None,
    learning_rate: Optional[float] = None,
    learning_rate_min: Optional[float] = None,
    learning_rate_batch: Optional[Union[int, Literal["auto"]]] = None,
    momentum: Optional[float] = None,
    nesterov: Optional[bool] = None,
    weight_decay: Optional[float] = None,
    clip_norm: Optional[float] = None,
    undrawn: Optional[str] = None,
    alpha_warmup_epochs: Optional[int] = None,
    alpha_learning_rate: Optional[float] = None,
    alpha_betas: Optional[Sequence[float]] = None,
    alpha_epsilon: Optional[float] = None,
    alpha_weight_decay: Optional[float] = None,
    alpha_init_std: Optional[float] = None,
    tau_max: Optional[float] = None,
    tau_min: Optional[float] = None,
    estimator: Optional[str] = None,
    weight_draws: Optional[str] = None,
    score_cells: Optional[int] = None,
    beta_decay: Optional[float] = None,
    entropy_weight: Optional[float] = None,
    zero_one_weight: Optional[float] = None,
    early_stop: Optional[str] = None,
    early_stop_limit: Optional[int] = None,
    early_stop_patience: Optional[int] = None,
    skip_dropout: Optional[float] = None,
    max_skips: Optional[Union[int, Literal["auto"]]] = None,
    selection: Optional[str] = None,
    judges: Optional[Sequence[str]] = None,
    max_params: Optional[float] = None,
    max_flops: Optional[float] = None,
    max_latency: Optional[float] = None,
    cost_weight: Optional[float] = None,
    controller_steps: Optional[int] = None,
    controller_samples: Optional[int] = None,
    candidates: Optional[int] = None,
    candidate_batch_size: Optional[int] = None,
    device: Optional[str] = None,
    precision: Optional[str] = None,
    devices: Optional[int] = None,
    threads: Optional[Union[int, Literal["auto"]]] = None,
    checkpoint_seconds: Optional[float] = None,
    log_interval: Optional[int] = None,
    tensorboard: Optional[bool] = None,
) -> Search:
    """Search for the best cell.

    Values come from the preset, then from the file given with `config`, then from flags; later
    ones win. Every flag is also a key of the file (`batch_size` is batch_size). What a run used
    stands in its config.toml.

    Parameters
    ----------
    data : DataLike, optional
        Images: the name of a data set, a path, or images in memory (see `gdas.Data`).
    run : PathLike, optional
        Directory of the new run. By default the first free one of `runs/NAME-1`, `runs/NAME-2`,
        ..., NAME being that of the data.
    overwrite : bool, optional
        Whether a run that is in `run` already is deleted first. Anything else there is never
        touched.
    progress : bool, optional
        Whether progress is shown: a bar of tqdm where that is installed, lines elsewhere.
    on_event : OnEvent, optional
        Called with every event of the run, a dictionary. If it returns False the run stops in
        good order; an exception stops it, too, and goes on to the caller.
    on_epoch : OnEvent, optional
        As `on_event`, for the ends of epochs alone.
    on_step : OnEvent, optional
        As `on_event`, for the steps of a search alone; a search reports every step where this
        is given and `log_interval` is not.
    judge : Judge, optional
        Chooses the cell in the end: called with each of `candidates` genotypes, returns a
        score; the largest wins.
    config : PathLike, optional
        TOML file with any of the keys.
    preset : str, optional
        Values to start from: paper, quick, digits, smoke; robust (NAS-Bench-201). By default
        digits for the digits, else quick.
    space : SpaceLike, optional
        Search space: nas-bench-201, nasnet, nasnet-frc or a TOML file. By default
        nas-bench-201.
    algorithm : str, optional
        Algorithm: gdas, darts-v1, darts-v2, snas, drnas, reinforce or gdas-reinforce; in
        nas-bench-201 also setn, enas or rsps. By default gdas. Default: "gdas".
    seed : int, optional
        Seed of all randomness; the same seed gives the same result, bit for bit.
    epochs : int, optional
        Passes over the training images. Default: by preset (quick: 25, paper: 250).
    batch_size : int, optional
        Images per step, and as many again for alpha. Default: 64.
    max_steps_per_epoch : Union[int, Literal["auto"]], optional
        Steps per epoch. Default: "auto".
    channels : int, optional
        Channels of the first stage (C). Default: 16.
    cells : int, optional
        Cells per stage (N). Default: by preset (quick: 1, paper: 5).
    affine : bool, optional
        Scale and shift in the candidates' batch norm. Default: false.
    track_running_stats : bool, optional
        Running statistics in the candidates' batch norm. Default: true.
    edge_output : str, optional
        What an edge hands on: all-gates or picked-gate. Default: "all-gates".
    image_size : Union[int, Literal["auto"]], optional
        Side length that images are brought to. Default: "auto".
    skip_damaged : bool, optional
        Leave out image files that cannot be used, instead of stopping; they are named. Default:
        false.
    split : str, optional
        Who learns from what: auto, halves or train-and-half-test. Default: "auto".
    flip : Union[bool, Literal["auto"]], optional
        Mirror training images half of the time; auto: unless they are digits. Default: "auto".
    crop_padding : Union[int, Literal["auto"]], optional
        Pad training images by so much, then crop. Default: "auto".
    cutout : int, optional
        Side of the square cut out of training images. Default: 0.
    sampling : str, optional
        How often an epoch shows each image: uniform (each once) or balanced (every class
        equally often). Default: "uniform".
    learning_rate : float, optional
        Learning rate of the weights at the start. Default: 0.025.
    learning_rate_min : float, optional
        Learning rate of the weights at the end of the cosine. Default: 0.001.
    learning_rate_batch : Union[int, Literal["auto"]], optional
        Batch size that the learning rates refer to; they are scaled in proportion to
        batch_size; auto: not scaled. Default: "auto".
    momentum : float, optional
        Momentum. Default: 0.9.
    nesterov : bool, optional
        Nesterov's form of momentum. Default: true.
    weight_decay : float, optional
        Weight decay. Default: 0.0005.
    clip_norm : float, optional
        Largest norm of the gradient; 0: any. Default: 5.0.
    undrawn : str, optional
        Weights of operations not drawn in a step: skip (leave alone) or decay. Default: by
        preset (quick: "skip", paper: "decay").
    alpha_warmup_epochs : int, optional
        Epochs at the start in which only the weights are trained, not alpha. Default: 0.
    alpha_learning_rate : float, optional
        Learning rate of alpha. Default: by preset (quick: 0.003, paper: 0.0003).
    alpha_betas : Sequence[float], optional
        Decay rates of the two moments. Default: [0.5, 0.999].
    alpha_epsilon : float, optional
        Epsilon. Default: 0.00000001.
    alpha_weight_decay : float, optional
        Weight decay of alpha. Default: 0.001.
    alpha_init_std : float, optional
        Standard deviation of alpha at the start. Default: 0.001.
    tau_max : float, optional
        Temperature of the draw in the first epoch. Default: 10.0.
    tau_min : float, optional
        Temperature in the last epoch. Default: 0.1.
    estimator : str, optional
        How the gradient reaches alpha: straight-through (as published) or reinmax (its second
        order). Default: "straight-through".
    weight_draws : str, optional
        How operations are drawn whose weights learn: alpha (as published), uniform, or fair
        (all equally often). Default: "alpha".
    score_cells : int, optional
        Cells that REINFORCE compares on each held-out batch (1: a running mean of losses is the
        baseline). Default: 1.
    beta_decay : float, optional
        Weight of beta decay (Beta-DARTS); grows from 0 to this. Default: 0.0.
    entropy_weight : float, optional
        Weight of alpha's entropy as a penalty (below 0: a reward). Default: 0.0.
    zero_one_weight : float, optional
        Weight of FairDARTS's zero-one loss. Default: 0.0.
    early_stop : str, optional
        End early: off, skips, parameter-free (too many of them in the normal cell) or stable
        (the best operations rest). Default: "off".
    early_stop_limit : int, optional
        So many such operations are too many. Default: 2.
    early_stop_patience : int, optional
        Consecutive epochs for which the rule must hold. Default: 10.
    skip_dropout : float, optional
        Share of images for which a skip connection gives nothing, at first; falls
        exponentially. Default: 0.0.
    max_skips : Union[int, Literal["auto"]], optional
        Most skip connections in the normal cell of the genotype. Default: "auto".
    selection : str, optional
        Cell chosen in the end: argmax (of alpha, as published) or judged (of many, the one that
        its judges put first). Default: by preset (quick: "judged", paper: "argmax").
    judges : Sequence[str], optional
        What a judged selection ranks cells by: loss (with the shared weights), synflow, snip,
        grad-norm, naswot, jacob-cov. Default: ["loss", "synflow", "naswot"].
    max_params : float, optional
        Most parameters of the network searched with; 0: any. Default: 0.0.
    max_flops : float, optional
        Most multiply-adds per image. Default: 0.0.
    max_latency : float, optional
        Most milliseconds per image on this machine. Default: 0.0.
    cost_weight : float, optional
        Weight of the penalties. Default: 1.0.
    controller_steps : int, optional
        Steps of ENAS's controller at the end of every epoch. Default: by preset (quick: 10,
        paper: 50).
    controller_samples : int, optional
        Cells sampled for one of these steps. Default: 20.
    candidates : int, optional
        Cells that a judged selection, setn, enas and rsps choose from in the end. Default: 100.
    candidate_batch_size : int, optional
        Held-out images per batch that each of them is judged on (four batches for a judged
        selection, else one). Default: 512.
    device : str, optional
        Where it runs: cpu, auto, vulkan, wgpu, metal or cuda, as far as built in; see gdas
        devices. Default: "cpu".
    precision : str, optional
        How a graphics device stores values between operations: float32, or half of it: float16
        or bfloat16. Default: "float32".
    devices : int, optional
        So many devices share every batch (experimental; no faster on the processor); another
        number is another search. Default: 1.
    threads : Union[int, Literal["auto"]], optional
        Threads; the result does not depend on it. Default: "auto".
    checkpoint_seconds : float, optional
        Seconds between checkpoints. Default: 60.0.
    log_interval : int, optional
        Steps between lines of the event log; 0: epochs only. Default: by preset (quick: 20,
        paper: 50).
    tensorboard : bool, optional
        Also write event files for TensorBoard, to `tensorboard` in the run directory. Default:
        false.

    Returns
    -------
    Search
        The result: genotype, alpha, history. A mapping of all that `result.json` holds, too.

    Raises
    ------
    ValueError
        An argument is wrong.
    GdasError
        Anything else went wrong.
    KeyboardInterrupt
        Ctrl-C was pressed; everything is saved, and `resume` goes on.
    """
    return _calls.search(data, run=run, overwrite=overwrite, progress=progress, on_event=on_event, on_epoch=on_epoch, on_step=on_step, judge=judge, keys=dict(
        config=config,
        preset=preset,
        space=space,
        algorithm=algorithm,
        seed=seed,
        epochs=epochs,
        batch_size=batch_size,
        max_steps_per_epoch=max_steps_per_epoch,
        channels=channels,
        cells=cells,
        affine=affine,
        track_running_stats=track_running_stats,
        edge_output=edge_output,
        image_size=image_size,
        skip_damaged=skip_damaged,
        split=split,
        flip=flip,
        crop_padding=crop_padding,
        cutout=cutout,
        sampling=sampling,
        learning_rate=learning_rate,
        learning_rate_min=learning_rate_min,
        learning_rate_batch=learning_rate_batch,
        momentum=momentum,
        nesterov=nesterov,
        weight_decay=weight_decay,
        clip_norm=clip_norm,
        undrawn=undrawn,
        alpha_warmup_epochs=alpha_warmup_epochs,
        alpha_learning_rate=alpha_learning_rate,
        alpha_betas=alpha_betas,
        alpha_epsilon=alpha_epsilon,
        alpha_weight_decay=alpha_weight_decay,
        alpha_init_std=alpha_init_std,
        tau_max=tau_max,
        tau_min=tau_min,
        estimator=estimator,
        weight_draws=weight_draws,
        score_cells=score_cells,
        beta_decay=beta_decay,
        entropy_weight=entropy_weight,
        zero_one_weight=zero_one_weight,
        early_stop=early_stop,
        early_stop_limit=early_stop_limit,
        early_stop_patience=early_stop_patience,
        skip_dropout=skip_dropout,
        max_skips=max_skips,
        selection=selection,
        judges=judges,
        max_params=max_params,
        max_flops=max_flops,
        max_latency=max_latency,
        cost_weight=cost_weight,
        controller_steps=controller_steps,
        controller_samples=controller_samples,
        candidates=candidates,
        candidate_batch_size=candidate_batch_size,
        device=device,
        precision=precision,
        devices=devices,
        threads=threads,
        checkpoint_seconds=checkpoint_seconds,
        log_interval=log_interval,
        tensorboard=tensorboard,
    ))


def train(
    genotype: GenotypeLike,
    data: Optional[DataLike] = None,
    *,
    run: Optional[PathLike] = None,
    overwrite: bool = False,
    progress: bool = True,
    on_event: OnEvent = None,
    on_epoch: OnEvent = None,
    config: Optional[PathLike] = None,
    space: Optional[SpaceLike] = None,
    preset: Optional[str] = None,
    seed: Optional[int] = None,
    epochs: Optional[int] = None,
    warmup_epochs: Optional[float] = None,
    batch_size: Optional[int] = None,
    max_steps_per_epoch: Optional[Union[int, Literal["auto"]]] = None,
    max_steps: Optional[Union[int, Literal["auto"]]] = None,
    channels: Optional[int] = None,
    cells: Optional[int] = None,
    stem: Optional[str] = None,
    auxiliary_weight: Optional[float] = None,
    drop_path: Optional[float] = None,
    image_size: Optional[Union[int, Literal["auto"]]] = None,
    skip_damaged: Optional[bool] = None,
    flip: Optional[Union[bool, Literal["auto"]]] = None,
    crop_padding: Optional[Union[int, Literal["auto"]]] = None,
    cutout: Optional[int] = None,
    sampling: Optional[str] = None,
    learning_rate: Optional[float] = None,
    learning_rate_min: Optional[float] = None,
    momentum: Optional[float] = None,
    nesterov: Optional[bool] = None,
    weight_decay: Optional[float] = None,
    clip_norm: Optional[float] = None,
    label_smoothing: Optional[float] = None,
    ema_decay: Optional[float] = None,
    test_flip: Optional[bool] = None,
    test_interval: Optional[int] = None,
    validation: Optional[float] = None,
    device: Optional[str] = None,
    precision: Optional[str] = None,
    threads: Optional[Union[int, Literal["auto"]]] = None,
    checkpoint_seconds: Optional[float] = None,
    log_interval: Optional[int] = None,
    tensorboard: Optional[bool] = None,
) -> Network:
    """Train the network of a genotype from scratch.

    Values come from the preset, then from the search that is given, then from the file given
    with `config`, then from flags; later ones win.

    Parameters
    ----------
    genotype : GenotypeLike
        A genotype, its text, a published name such as `GDAS_V1`, a file with one, or a run that
        found one.
    data : Optional[DataLike], optional
        Images, as in `search`. By default those of the search that found the genotype, else the
        digits.
    run : PathLike, optional
        Directory of the new run. By default the first free one of `runs/NAME-1`, `runs/NAME-2`,
        ..., NAME being that of the data.
    overwrite : bool, optional
        Whether a run that is in `run` already is deleted first. Anything else there is never
        touched.
    progress : bool, optional
        Whether progress is shown: a bar of tqdm where that is installed, lines elsewhere.
    on_event : OnEvent, optional
        Called with every event of the run, a dictionary. If it returns False the run stops in
        good order; an exception stops it, too, and goes on to the caller.
    on_epoch : OnEvent, optional
        As `on_event`, for the ends of epochs alone.
    config : PathLike, optional
        TOML file with any of the keys.
    space : SpaceLike, optional
        Space of the genotype: a built-in name or a TOML file. By default the search's, else as
        the genotype's form says.
    preset : str, optional
        Values to start from: paper, quick, digits, smoke; paper-12 (NAS-Bench-201), imagenet
        (NASNet). By default digits for the digits, else quick.
    seed : int, optional
        Seed of all randomness; the same seed gives the same result, bit for bit.
    epochs : int, optional
        Passes over the training images. Default: by preset (quick: 8, paper: 200).
    warmup_epochs : float, optional
        Epochs of linear learning rate warm-up; may be a fraction. Default: by preset (quick:
        1.0, paper: 0.0).
    batch_size : int, optional
        Images per step. Default: by preset (quick: 128, paper: 256).
    max_steps_per_epoch : Union[int, Literal["auto"]], optional
        Steps per epoch. Default: "auto".
    max_steps : Union[int, Literal["auto"]], optional
        End the training, and its schedule, after this many steps. Default: "auto".
    channels : int, optional
        Channels of the first stage (C). Default: 16.
    cells : int, optional
        Cells per stage (N). Default: 5.
    stem : str, optional
        First layers: auto, cifar or imagenet. Default: "auto".
    auxiliary_weight : float, optional
        Weight of the auxiliary classifier's loss; 0: none. Default: 0.0.
    drop_path : float, optional
        Share of paths dropped in the last epoch. Default: 0.0.
    image_size : Union[int, Literal["auto"]], optional
        Side length that images are brought to. Default: "auto".
    skip_damaged : bool, optional
        Leave out image files that cannot be used, instead of stopping; they are named. Default:
        false.
    flip : Union[bool, Literal["auto"]], optional
        Mirror training images half of the time; auto: unless they are digits. Default: "auto".
    crop_padding : Union[int, Literal["auto"]], optional
        Pad training images by so much, then crop. Default: "auto".
    cutout : int, optional
        Side of the square cut out of training images. Default: 0.
    sampling : str, optional
        How often an epoch shows each image: uniform (each once) or balanced (every class
        equally often). Default: "uniform".
    learning_rate : float, optional
        Largest learning rate. Default: 0.1.
    learning_rate_min : float, optional
        Learning rate at the end of the cosine. Default: 0.0.
    momentum : float, optional
        Momentum. Default: 0.9.
    nesterov : bool, optional
        Nesterov's form of momentum. Default: true.
    weight_decay : float, optional
        Weight decay. Default: 0.0005.
    clip_norm : float, optional
        Largest norm of the gradient; 0: any. Default: by preset (quick: 5.0, paper: 0.0).
    label_smoothing : float, optional
        Share of the target spread over all classes. Default: by preset (quick: 0.1, paper:
        0.0).
    ema_decay : float, optional
        Decay of the weights' moving average, which is then tested; 0: none. Default: 0.0.
    test_flip : bool, optional
        Average the scores of a test image and its mirror image. Default: false.
    test_interval : int, optional
        Epochs between two tests (with `validation`: validations); the last epoch is always
        tested. Default: 1.
    validation : float, optional
        Share of the training images held out to choose the best epoch; 0: the last weights are
        kept. Default: 0.0.
    device : str, optional
        Where it runs: cpu, auto, vulkan, wgpu, metal or cuda, as far as built in; see gdas
        devices. Default: "cpu".
    precision : str, optional
        How a graphics device stores values between operations: float32, or half of it: float16
        or bfloat16. Default: "float32".
    threads : Union[int, Literal["auto"]], optional
        Threads; the result does not depend on it. Default: "auto".
    checkpoint_seconds : float, optional
        Seconds between checkpoints. Default: 60.0.
    log_interval : int, optional
        Steps between lines of the event log; 0: epochs only. Default: by preset (quick: 20,
        paper: 50).
    tensorboard : bool, optional
        Also write event files for TensorBoard, to `tensorboard` in the run directory. Default:
        false.

    Returns
    -------
    Network
        The trained network. A mapping of all that `result.json` holds, too.

    Raises
    ------
    ValueError
        An argument is wrong.
    GdasError
        Anything else went wrong.
    KeyboardInterrupt
        Ctrl-C was pressed; everything is saved, and `resume` goes on.
    """
    return _calls.train(genotype, data, run=run, overwrite=overwrite, progress=progress, on_event=on_event, on_epoch=on_epoch, keys=dict(
        config=config,
        space=space,
        preset=preset,
        seed=seed,
        epochs=epochs,
        warmup_epochs=warmup_epochs,
        batch_size=batch_size,
        max_steps_per_epoch=max_steps_per_epoch,
        max_steps=max_steps,
        channels=channels,
        cells=cells,
        stem=stem,
        auxiliary_weight=auxiliary_weight,
        drop_path=drop_path,
        image_size=image_size,
        skip_damaged=skip_damaged,
        flip=flip,
        crop_padding=crop_padding,
        cutout=cutout,
        sampling=sampling,
        learning_rate=learning_rate,
        learning_rate_min=learning_rate_min,
        momentum=momentum,
        nesterov=nesterov,
        weight_decay=weight_decay,
        clip_norm=clip_norm,
        label_smoothing=label_smoothing,
        ema_decay=ema_decay,
        test_flip=test_flip,
        test_interval=test_interval,
        validation=validation,
        device=device,
        precision=precision,
        threads=threads,
        checkpoint_seconds=checkpoint_seconds,
        log_interval=log_interval,
        tensorboard=tensorboard,
    ))


def auto(
    data: DataLike = "digits",
    *,
    run: Optional[PathLike] = None,
    overwrite: bool = False,
    progress: bool = True,
    on_event: OnEvent = None,
    on_epoch: OnEvent = None,
    image_size: Union[int, Literal["auto"]] = "auto",
    skip_damaged: bool = False,
    budget: Optional[Union[str, float]] = None,
    max_params: Optional[float] = None,
    max_flops: Optional[float] = None,
    max_latency: Optional[float] = None,
    max_file_size: Optional[float] = None,
    space: SpaceLike = "nas-bench-201",
    search: Union[bool, Literal["auto"]] = "auto",
    seed: int = 0,
    threads: Union[int, Literal["auto"]] = "auto",
    device: str = "cpu",
    precision: str = "float32",
    tensorboard: bool = False,
) -> Auto:
    """Images in, the best network that a budget of time buys out: search, trials, training, test and export.

    The time of training steps is measured for networks of several sizes. Where the time is
    enough, a cell is searched, and it and known good cells are trained briefly to compare them
    on a part of the training images. The winner is trained on all of them for the rest of the
    budget, tested and exported. Reading images, test and files are part of the budget.

    Parameters
    ----------
    data : DataLike, optional
        Images: the name of a data set, a path, or images in memory (see `gdas.Data`).
    run : PathLike, optional
        Directory of the new run. By default the first free one of `runs/NAME-1`, `runs/NAME-2`,
        ..., NAME being that of the data.
    overwrite : bool, optional
        Whether a run that is in `run` already is deleted first. Anything else there is never
        touched.
    progress : bool, optional
        Whether progress is shown: a bar of tqdm where that is installed, lines elsewhere.
    on_event : OnEvent, optional
        Called with every event of the run, a dictionary. If it returns False the run stops in
        good order; an exception stops it, too, and goes on to the caller.
    on_epoch : OnEvent, optional
        As `on_event`, for the ends of epochs alone.
    image_size : Union[int, Literal["auto"]], optional
        Bring images to this many pixels in height and width.
    skip_damaged : bool, optional
        Leave out image files that cannot be used, instead of stopping; they are named.
    budget : Union[str, float], optional
        Time for the whole, as in 90s, 30m or 1h30. By default 3m for digits, otherwise 1h.
    max_params : float, optional
        Most parameters of the network that comes out, as in 200k.
    max_flops : float, optional
        Most multiply-adds of it per image, as in 20M.
    max_latency : float, optional
        Most milliseconds that it takes for one image on this machine's processor.
    max_file_size : float, optional
        Most bytes of its ONNX file, as in 500kB or 1MiB.
    space : SpaceLike, optional
        Search space.
    search : Union[bool, Literal["auto"]], optional
        Whether a cell is searched; auto: where the time is enough, or no cell of the space is
        known.
    seed : int, optional
        Seed of all randomness.
    threads : Union[int, Literal["auto"]], optional
        Threads.
    device : str, optional
        Where it runs: cpu, auto, vulkan, wgpu, metal or cuda, as far as built in; see gdas
        devices.
    precision : str, optional
        How a graphics device stores values between operations: float32, or half of it: float16
        or bfloat16.
    tensorboard : bool, optional
        Also write event files for TensorBoard, to `tensorboard` in the directories of search
        and training.

    Returns
    -------
    Auto
        The trained network, the search and the exported files.

    Raises
    ------
    ValueError
        An argument is wrong.
    GdasError
        Anything else went wrong.
    KeyboardInterrupt
        Ctrl-C was pressed; everything is saved, and `resume` goes on.
    """
    return _calls.auto(data, run=run, overwrite=overwrite, progress=progress, on_event=on_event, on_epoch=on_epoch, keys=dict(
        image_size=image_size,
        skip_damaged=skip_damaged,
        budget=budget,
        max_params=max_params,
        max_flops=max_flops,
        max_latency=max_latency,
        max_file_size=max_file_size,
        space=space,
        search=search,
        seed=seed,
        threads=threads,
        device=device,
        precision=precision,
        tensorboard=tensorboard,
    ))


def resume(
    run: RunLike,
    data: Optional[DataLike] = None,
    *,
    progress: bool = True,
    on_event: OnEvent = None,
    on_epoch: OnEvent = None,
    on_step: OnEvent = None,
    judge: Optional[Judge] = None,
    threads: Optional[Union[int, Literal["auto"]]] = None,
) -> Union[Search, Network, Auto]:
    """Go on with an interrupted run, exactly where it was.

    The result is the same, bit for bit, as that of a run that was never interrupted.

    Parameters
    ----------
    run : RunLike
        A run: its result, its directory, or its name in `runs/`.
    data : Optional[DataLike], optional
        The images of the run, where they are in memory or at another place now; others are
        refused.
    progress : bool, optional
        Whether progress is shown: a bar of tqdm where that is installed, lines elsewhere.
    on_event : OnEvent, optional
        Called with every event of the run, a dictionary. If it returns False the run stops in
        good order; an exception stops it, too, and goes on to the caller.
    on_epoch : OnEvent, optional
        As `on_event`, for the ends of epochs alone.
    on_step : OnEvent, optional
        As `on_event`, for the steps of a search alone; a search reports every step where this
        is given and `log_interval` is not.
    judge : Judge, optional
        Chooses the cell in the end: called with each of `candidates` genotypes, returns a
        score; the largest wins.
    threads : Union[int, Literal["auto"]], optional
        Threads; the result does not depend on it. By default as the run was started.

    Returns
    -------
    Union[Search, Network, Auto]
        The result, as `search`, `train` and `auto` give it.

    Raises
    ------
    ValueError
        An argument is wrong.
    GdasError
        Anything else went wrong.
    KeyboardInterrupt
        Ctrl-C was pressed; everything is saved, and `resume` goes on.
    """
    return _calls.resume(run, data, progress=progress, on_event=on_event, on_epoch=on_epoch, on_step=on_step, judge=judge, keys=dict(
        threads=threads,
    ))


def evaluate(
    run: RunLike,
    data: Optional[DataLike] = None,
    *,
    test_flip: Optional[bool] = None,
    confusion: Optional[PathLike] = None,
    predictions: Optional[PathLike] = None,
    weights: Optional[str] = None,
    threads: Union[int, Literal["auto"]] = "auto",
    device: str = "cpu",
    skip_damaged: bool = False,
) -> dict[str, Any]:
    """Test a trained network.

    Parameters
    ----------
    run : RunLike
        A run: its result, its directory, or its name in `runs/`.
    data : Optional[DataLike], optional
        Other images than those of the run, or the same ones at another place: a path, or images
        in memory (see `gdas.Data`).
    test_flip : bool, optional
        Average the scores of each image and its mirror image. By default as the training's
        tests did.
    confusion : PathLike, optional
        Write the confusion matrix as CSV: a row for each class, a column for each answer.
    predictions : PathLike, optional
        Write the answer to each image as CSV: index, class, answer, confidence, probability of
        the class.
    weights : str, optional
        Weights of the last epoch, or of the best on the validation images, where `gdas train
        --validation` held some out. By default best where an epoch was chosen, else last.
    threads : Union[int, Literal["auto"]], optional
        Threads; the result does not depend on it.
    device : str, optional
        Where it runs: cpu, auto, vulkan, wgpu, metal or cuda, as far as built in; see gdas
        devices.
    skip_damaged : bool, optional
        Leave out image files that cannot be used, instead of stopping; they are named.

    Returns
    -------
    dict[str, Any]
        Accuracy, loss and more.

    Raises
    ------
    ValueError
        An argument is wrong.
    GdasError
        Anything else went wrong.
    """
    return _calls.evaluate(run, data, keys=dict(
        test_flip=test_flip,
        confusion=confusion,
        predictions=predictions,
        weights=weights,
        threads=threads,
        device=device,
        skip_damaged=skip_damaged,
    ))


def predict(
    run: RunLike,
    images: Any,
    *,
    test_flip: Optional[bool] = None,
    weights: Optional[str] = None,
    threads: Union[int, Literal["auto"]] = "auto",
    device: str = "cpu",
) -> list[dict[str, Any]]:
    """Say what images show, with a trained network.

    Parameters
    ----------
    run : RunLike
        A run: its result, its directory, or its name in `runs/`.
    images : Any
        Image files, folders or archives (one or a list), or images in memory.
    test_flip : bool, optional
        Average the scores of each image and its mirror image. By default as the training's
        tests did.
    weights : str, optional
        Weights of the last epoch, or of the best on the validation images, where `gdas train
        --validation` held some out. By default best where an epoch was chosen, else last.
    threads : Union[int, Literal["auto"]], optional
        Threads; the result does not depend on it.
    device : str, optional
        Where it runs: cpu, auto, vulkan, wgpu, metal or cuda, as far as built in; see gdas
        devices.

    Returns
    -------
    list[dict[str, Any]]
        Per image its name, the most likely class, its probability, and the probabilities of all
        classes.

    Raises
    ------
    ValueError
        An argument is wrong.
    GdasError
        Anything else went wrong.
    """
    return _calls.predict(run, images, keys=dict(
        test_flip=test_flip,
        weights=weights,
        threads=threads,
        device=device,
    ))


def export(
    run: RunLike,
    *,
    to: PathLike,
    format: Optional[str] = None,
    weights: Optional[str] = None,
    input: Optional[str] = None,
    layout: Optional[str] = None,
    test_flip: Optional[bool] = None,
    int8: bool = False,
    calibration_images: int = 256,
    data: Optional[PathLike] = None,
    skip_damaged: bool = False,
) -> Path:
    """Write a trained network for other programs.

    An ONNX file takes pixels as they are, 0..255, in batches of any size; its outputs are
    `logits` and `probabilities`. The other formats take float32, normalised: subtract `mean`
    and divide by `std`, both of pixels in 0..255. These two and the names of the classes are in
    the metadata of every file that has weights.

    Parameters
    ----------
    run : RunLike
        A run: its result, its directory, or its name in `runs/`.
    to : PathLike
        File to write.
    format : str, optional
        Format. By default by the file's name.
    weights : str, optional
        Weights of the last epoch, or of the best on the validation images, where `gdas train
        --validation` held some out. By default best where an epoch was chosen, else last.
    input : str, optional
        Images that the file takes; what normalises them is inside, but for `normalized`. By
        default uint8.
    layout : str, optional
        Order of the axes of the images. By default nchw.
    test_flip : bool, optional
        Average the scores of each image and its mirror image in the file, in twice the time. By
        default as the training's tests did.
    int8 : bool, optional
        Weights and activations of 8 bits, for small devices; training images calibrate them,
        test images say what it costs.
    calibration_images : int, optional
        Training images that calibrate the 8-bit network.
    data : PathLike, optional
        Where the images of the training lie now, for `int8`.
    skip_damaged : bool, optional
        Leave out image files that cannot be used, instead of stopping; they are named.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    ValueError
        An argument is wrong.
    GdasError
        Anything else went wrong.
    """
    return _calls.export(run, keys=dict(
        to=to,
        format=format,
        weights=weights,
        input=input,
        layout=layout,
        test_flip=test_flip,
        int8=int8,
        calibration_images=calibration_images,
        data=data,
        skip_damaged=skip_damaged,
    ))


def score(
    genotypes: Union[GenotypeLike, Sequence[GenotypeLike]],
    data: DataLike = "cifar10",
    *,
    space: Optional[SpaceLike] = None,
    proxy: Optional[Sequence[str]] = None,
    batch_size: Optional[int] = None,
    channels: Optional[int] = None,
    cells: Optional[int] = None,
    seed: int = 0,
    threads: Union[int, Literal["auto"]] = "auto",
    skip_damaged: bool = False,
) -> list[dict[str, Any]]:
    """Score cells without training, by zero-cost proxies, and rank them.

    Every cell becomes a network with fresh weights, which is shown one batch of images. A
    higher score promises a better network; scores compare between cells on the same data only.
    `gdas bench correlate` says how far to trust each.

    Parameters
    ----------
    genotypes : Union[GenotypeLike, Sequence[GenotypeLike]]
        Genotypes, or all that stands for one: text, published names, files, runs.
    data : DataLike, optional
        Images: the name of a data set, a path, or images in memory (see `gdas.Data`).
    space : SpaceLike, optional
        Space of the genotype: a built-in name or a TOML file. By default the run's, else as the
        genotype's form says.
    proxy : Sequence[str], optional
        synflow, snip, grad-norm, naswot or jacob-cov; may be given several times, the first one
        ranks. By default all.
    batch_size : int, optional
        Images that a proxy looks at. By default as published, 64 or 128.
    channels : int, optional
        Channels of the first stage (C). By default 16 in NAS-Bench-201, else 36.
    cells : int, optional
        Cells per stage (N). By default 5 in NAS-Bench-201, else 6.
    seed : int, optional
        Of the start values.
    threads : Union[int, Literal["auto"]], optional
        Threads; the result does not depend on it.
    skip_damaged : bool, optional
        Leave out image files that cannot be used, instead of stopping; they are named.

    Returns
    -------
    list[dict[str, Any]]
        Scores per genotype, the best first by the first proxy.

    Raises
    ------
    ValueError
        An argument is wrong.
    GdasError
        Anything else went wrong.
    """
    return _calls.score(genotypes, data, keys=dict(
        space=space,
        proxy=proxy,
        batch_size=batch_size,
        channels=channels,
        cells=cells,
        seed=seed,
        threads=threads,
        skip_damaged=skip_damaged,
    ))


def cost(
    genotype: GenotypeLike,
    *,
    space: Optional[SpaceLike] = None,
    channels: Optional[int] = None,
    cells: Optional[int] = None,
    image_size: int = 32,
    classes: int = 10,
    batch_size: int = 96,
    depth: int = 1,
    latency: bool = False,
) -> dict[str, Any]:
    """Count what a network costs, part by part: parameters, multiply-adds, memory.

    Parameters
    ----------
    genotype : GenotypeLike
        A genotype, its text, a published name such as `GDAS_V1`, a file with one, or a run that
        found one.
    space : SpaceLike, optional
        Space of the genotype: a built-in name or a TOML file. By default the run's, else as the
        genotype's form says.
    channels : int, optional
        Channels of the first stage (C). By default 16 in NAS-Bench-201, else 36.
    cells : int, optional
        Cells per stage (N). By default 5 in NAS-Bench-201, else 6.
    image_size : int, optional
        Height and width of the images.
    classes : int, optional
        Number of classes.
    batch_size : int, optional
        Images per training step, for the memory.
    depth : int, optional
        How far to open the parts up: 1 for stem, cells and classifier.
    latency : bool, optional
        Measure the time on this machine, of the network and of every candidate operation alone.

    Returns
    -------
    dict[str, Any]
        Parameters, multiply-adds, memory.

    Raises
    ------
    ValueError
        An argument is wrong.
    GdasError
        Anything else went wrong.
    """
    return _calls.cost(genotype, keys=dict(
        space=space,
        channels=channels,
        cells=cells,
        image_size=image_size,
        classes=classes,
        batch_size=batch_size,
        depth=depth,
        latency=latency,
    ))


def report(
    runs: Union[RunLike, Sequence[RunLike]],
    *,
    out: Optional[PathLike] = None,
    files: bool = False,
    table: Optional[PathLike] = None,
) -> Path:
    """Write a page about a run, or one that compares several.

    The page is one HTML file that needs no network: cells, curves, alpha per edge, cost,
    configuration.

    Parameters
    ----------
    runs : Union[RunLike, Sequence[RunLike]]
        One run, or several to compare.
    out : PathLike, optional
        Directory to write to. By default the run's own; `report` for several.
    files : bool, optional
        Write every figure as SVG and PNG and every number as CSV beside the page.
    table : PathLike, optional
        Results of NAS-Bench-201 in any known form, to rank the cells found.

    Returns
    -------
    Path
        The page that was written.

    Raises
    ------
    ValueError
        An argument is wrong.
    GdasError
        Anything else went wrong.
    """
    return _calls.report(runs, keys=dict(
        out=out,
        files=files,
        table=table,
    ))
