"""Runs with real kernels, from order to end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from hub_ext.db.tables import Run
from hub_ext.runs.reconcile import Reconciler
from hub_ext.store import Store

Ended = Callable[..., Awaitable[Run]]


async def test_a_run_goes_from_order_to_report(
    reconciler: Reconciler, publish: Callable[..., str], order: Callable[..., Run], ended: Ended, store: Store
) -> None:
    run = await ended(order(publish("print(n * 2)", parameters="n: int = 2"), n=21).id)
    assert (run.state, run.reason, run.cells_done, run.cells_total) == ("succeeded", "", 2, 2)
    assert b"42" in store.get(run.output_notebook or "")
    assert b"42" in store.get(run.report or "")
