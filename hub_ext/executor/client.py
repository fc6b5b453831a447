"""The client of the kernel: papermill's, with our kernel, our outputs, and an end that is noticed at once."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import zmq.asyncio
from jupyter_client.asynchronous import AsyncKernelClient
from nbclient.exceptions import CellExecutionComplete, CellExecutionError, DeadKernelError
from nbclient.util import ensure_async, run_sync
from papermill.clientwrap import PapermillNotebookClient

from .outputs import size_of
from .wire import receive

if TYPE_CHECKING:
    from .execution import Execution

_SILENCE = 4.0  # seconds without a message after which a cell that has replied counts as done
_LAST_MESSAGES = 0.3  # seconds that messages of a kernel that has died may still take
_GOODBYE = 1.0  # seconds that a kernel has to answer that it will end itself
_POLL = 0.02  # seconds between two looks at the kernel's process
_ASK_AGAIN = 0.25  # seconds after which a kernel that boots is asked again
_SOON = 10  # milliseconds between two tries to connect
_OUTPUT_KINDS = frozenset({"display_data", "execute_result", "error"})
_REPLACING_KINDS = frozenset({"update_display_data", "comm_open", "comm_msg"})


def _sizes(message: dict[str, Any]) -> dict[str, int]:
    """Return what a message takes in the notebook, by the name of what it replaces there."""
    content = message["content"]
    if "comm_id" in content:
        state = (content.get("data") or {}).get("state")
        sizes = {f"{content['comm_id']} {key}": size_of(value) for key, value in (state or {}).items()}
        return sizes | {f"{content['comm_id']} ": sum(len(one) for one in message.get("buffers") or [])}
    display = (content.get("transient") or {}).get("display_id") or ""
    return {display: size_of(content)}


class Client(PapermillNotebookClient):
    """Runs the cells of a notebook in a kernel that was started already.

    Args:
        nb_man: papermill's view of the notebook.
        execution: The run this is a part of.
        more: Settings of nbclient.
    """

    def __init__(self, nb_man: Any, execution: Execution, **more: Any) -> None:
        super().__init__(nb_man, record_timing=False, **more)
        self._execution = execution
        self._heard = 0  # messages so far

    def execute(self, **_: Any) -> Any:
        """Run all cells; see `Execution` for how it went."""
        self.reset_execution_trackers()
        run_sync(self._run)()
        return self.nb

    async def _run(self) -> None:
        try:
            info = await self._connect()
            self._execution.connected = True
            self.nb.metadata["language_info"] = info["language_info"]
            await self._run_cells()
            self.set_widgets_metadata()
        except DeadKernelError:
            self._execution.kernel_died()
        finally:
            self._execution.control.left_cells()
            await self._say_goodbye()

    async def _say_goodbye(self) -> None:
        """Ask the kernel to end itself, so that what it does at its end is done."""
        if self.kc is None:
            return
        if self._execution.kernel.alive():
            asked = self.kc.shutdown()
            with contextlib.suppress(TimeoutError):
                await self.kc._async_recv_reply(asked, timeout=_GOODBYE, channel="control")
        self.kc.stop_channels()

    async def _connect(self) -> dict[str, Any]:
        """Connect, and return what the kernel says about itself once both its channels answer."""
        context = zmq.asyncio.Context()
        context.setsockopt(zmq.RECONNECT_IVL, _SOON)
        context.setsockopt(zmq.RCVHWM, 0)
        client = AsyncKernelClient(context=context)
        client.load_connection_info(self._execution.kernel.connection)
        client.start_channels(stdin=False, hb=False)
        self.kc = client
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self._execution.spec.startup
        while loop.time() < give_up:
            asked = client.kernel_info()
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(self._answer(asked), _ASK_AGAIN)
            if not self._execution.kernel.alive():
                raise DeadKernelError("the kernel ended while it started")
        self._execution.kernel_mute()
        raise DeadKernelError("the kernel did not answer")

    async def _answer(self, asked: str) -> dict[str, Any]:
        """Wait until a question was answered on one channel and announced on the other."""
        reply: dict[str, Any] = await self._reply(asked)
        while True:
            message = await receive(self.kc, 0)
            if message["msg_type"] == "status":
                return dict(reply["content"])

    async def _reply(self, asked: str) -> dict[str, Any]:
        while True:
            message: dict[str, Any] = await self.kc.shell_channel.get_msg(timeout=None)
            if message["parent_header"].get("msg_id") == asked:
                return message

    async def _until_alive(self, work: Any) -> Any:
        """Wait for some work, or until the kernel has died.

        Raises:
            DeadKernelError: If it has died.
        """
        task = asyncio.ensure_future(work)
        try:
            while True:
                done, _ = await asyncio.wait({task}, timeout=_POLL)
                if done:
                    return task.result()
                self._execution.outputs.tick()
                if not self._execution.kernel.alive():
                    await asyncio.wait({task}, timeout=_LAST_MESSAGES)
                    if task.done():
                        return task.result()
                    raise DeadKernelError("the kernel has died")
        finally:
            task.cancel()

    async def _run_cells(self) -> None:
        for index, cell in enumerate(self.nb.cells):
            if self._execution.control.ending is not None:
                return
            self.nb_man.cell_start(cell, index)
            try:
                if self._is_to_run(cell) and await self._run_cell(cell, index):
                    return
            except CellExecutionError as error:
                self.nb_man.cell_exception(cell, cell_index=index, exception=error)
                return
            finally:
                self.nb_man.cell_complete(cell, cell_index=index)

    def _is_to_run(self, cell: Any) -> bool:
        return self._execution.counts(cell) or (cell.cell_type == "code" and self._execution.is_injected(cell))

    async def _run_cell(self, cell: Any, index: int) -> bool:
        """Run a cell, and return whether the notebook ends itself with it."""
        execution = self._execution
        execution.cell_started(cell, index)
        cell.outputs = []
        self.clear_before_next_output = False
        may_raise = "raises-exception" in cell.metadata.get("tags", [])
        asked = await ensure_async(self.kc.execute(cell.source, store_history=True, stop_on_error=not may_raise))
        self.code_cells_executed += 1
        try:
            reply = await self._until_alive(self._cell_done(asked, cell, index))
        finally:
            execution.outputs.end(cell.outputs)
        content = reply["content"]
        if content["status"] == "ok":
            execution.cell_finished(index)
            if any(one.get("source") == "ask_exit" for one in content.get("payload") or []):
                execution.ended_itself(index)
                return True
            return False
        if execution.cell_raised(content, index, may_raise=may_raise):
            raise CellExecutionError.from_cell_and_msg(cell, content)
        return False

    async def _cell_done(self, asked: str, cell: Any, index: int) -> dict[str, Any]:
        outputs = asyncio.ensure_future(self._collect(asked, cell, index))
        try:
            reply = await self._reply(asked)
            heard = -1
            while not outputs.done() and heard != self._heard:
                heard = self._heard
                await asyncio.wait({outputs}, timeout=_SILENCE)
            if outputs.done():
                outputs.result()
            return reply
        finally:
            outputs.cancel()

    async def _collect(self, asked: str, cell: Any, index: int) -> None:
        while True:
            message = await receive(self.kc, self._execution.outputs.room)
            self._heard += 1
            if message["parent_header"].get("msg_id") == asked:
                try:
                    self.process_message(message, cell, index)
                except CellExecutionComplete:
                    return

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        """Take a message of the kernel: streams go our way, all others are masked and limited before nbclient's."""
        kind, content, outputs = msg["msg_type"], msg["content"], self._execution.outputs
        if kind == "stream" and not self.output_hook_stack[msg["parent_header"].get("msg_id")]:
            self._clear_if_asked(cell, cell_index)
            outputs.stream(cell.outputs, content["name"], content["text"], shortened="shortened" in content)
            return None
        msg["content"] = content = self._execution.masker.deep(content)
        if kind in _OUTPUT_KINDS:
            self._clear_if_asked(cell, cell_index)
        if kind in _OUTPUT_KINDS or kind in _REPLACING_KINDS:
            if not outputs.allows(cell.outputs, _sizes(msg)):
                return None
            outputs.settle()
        if kind == "clear_output" and not content.get("wait"):
            outputs.cleared()
        result = super().process_message(msg, cell, cell_index)
        if result is not None:
            outputs.rich(result)
        elif kind == "update_display_data":
            outputs.updated(content)
        return result

    def _clear_if_asked(self, cell: Any, index: int) -> None:
        if self.clear_before_next_output:
            cell.outputs[:] = []
            self.clear_display_id_mapping(index)
            self.clear_before_next_output = False
            self._execution.outputs.cleared()
