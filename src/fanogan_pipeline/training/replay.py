"""A whole step launched at once: on a GPU small networks take less time to compute than to launch kernel by kernel."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from fanogan_pipeline.errors import one_line

logger = logging.getLogger(__name__)

Terms = dict[str, Tensor]
MakeRecorder = Callable[[torch.Generator], "CudaGraph"]  # of the generator that the recorded function draws from
WARM_UP = 3  # calls before the recorded one, in which libraries choose their kernels


class CudaGraph:
    """Runs a function's work on a GPU again without running the function.

    Args:
        noise: the generator there that recorded functions draw from, so that every replay draws on.
    """

    def __init__(self, noise: torch.Generator) -> None:
        self.noise, self.stream = noise, torch.cuda.Stream(noise.device)

    def warm_up(self, function: Callable[[], Terms]) -> Terms:
        """function(), where it is to be recorded later."""
        self.stream.wait_stream(torch.cuda.current_stream(self.stream.device))
        with torch.cuda.stream(self.stream):
            terms = function()
        torch.cuda.current_stream(self.stream.device).wait_stream(self.stream)
        return terms

    def record(self, function: Callable[[], Terms]) -> tuple[Callable[[], None], Terms]:
        """What does function's work again, in the same memory, and where it leaves its terms; nothing is done yet.

        Raises:
            RuntimeError: the function cannot be recorded.
        """
        graph, drawn_so_far = torch.cuda.CUDAGraph(), self.noise.clone_state()
        before = torch.cuda.current_stream(self.stream.device)
        try:
            graph.register_generator_state(self.noise)
            with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
                terms = function()
        except RuntimeError:
            torch.cuda.set_stream(before)  # a recording that breaks off leaves its own stream the current one
            self.noise.graphsafe_set_state(drawn_so_far)  # the other one may wait for the end of the recording
            raise
        return graph.replay, terms


class Replayed:
    """Calls of one function of tensors, which after some of them is recorded, and from then on replayed.

    Whatever the function takes besides its arguments must stay where it is in memory, and whatever is no tensor
    must stay as it is. Nothing in it may read a number off or copy one from the CPU. It is given at each call and not
    kept: a phase that held what holds a method of its own would stay in memory with all its images.

    Args:
        recorder: None: the function is called every time.
    """

    def __init__(self, recorder: CudaGraph | None) -> None:
        self.recorder = recorder
        self.calls = 0
        self.inputs: tuple[Tensor, ...] = ()
        self.terms: Terms = {}
        self.replay: Callable[[], None] | None = None

    def __call__(self, function: Callable[..., Terms], *inputs: Tensor) -> Terms:
        """function(*inputs): tensors of the same shapes at every call -> terms by name."""
        if self.recorder is not None and self.replay is None:
            self.calls += 1
            if self.calls <= WARM_UP:
                return self.recorder.warm_up(lambda: function(*inputs))
            self._record(self.recorder, function, inputs)
        if self.replay is None:
            return function(*inputs)
        for place, value in zip(self.inputs, inputs, strict=True):
            place.copy_(value)
        self.replay()
        return {name: term.clone() for name, term in self.terms.items()}  # the next replay writes over its own

    def _record(self, recorder: CudaGraph, function: Callable[..., Terms], inputs: tuple[Tensor, ...]) -> None:
        self.inputs = tuple(value.clone() for value in inputs)
        try:
            self.replay, self.terms = recorder.record(lambda: function(*self.inputs))
        except RuntimeError as error:
            logger.warning(
                "steps cannot be recorded as a CUDA graph here (%s); they are launched kernel by kernel, which takes "
                "longer; training.cuda_graph: false does so from the start",
                one_line(error),
            )
            self.recorder = None
