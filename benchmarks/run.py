"""A run: request → succeeded, with report and notebook there; beside `papermill` on the command line."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import nbformat

from benchmarks.harness import BIN, hub_ext, show, summary, token

_API = "/services/workflows/api/v1"


def _notebook(path: Path) -> Path:
    book = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "p", "language": "python"}}
    )
    first = nbformat.v4.new_code_cell("n: int = 2", id="p", metadata={"tags": ["parameters"]})
    book.cells = [first, nbformat.v4.new_code_cell("print(n * 2)", id="c")]
    nbformat.write(book, path)
    return path


def main(folder: Path, pairs: int = 15) -> None:
    """Print the figures."""
    ours: list[float] = []
    theirs: list[float] = []
    folder.mkdir(parents=True, exist_ok=True)
    path = _notebook(folder / "two.ipynb")
    with hub_ext(folder / "ours") as platform, platform.client(token(platform.url, "bench")) as client:
        with path.open("rb") as stream:
            made = client.post(f"{_API}/workflows", data={"name": "two"}, files={"notebook": ("two.ipynb", stream)})
        made.raise_for_status()
        for number in range(pairs + 1):
            began = time.perf_counter()
            run = client.post(f"{_API}/workflows/bench/two/runs", json={"parameters": {"n": 21 + number}}).json()
            while run["state"] not in ("succeeded", "failed", "cancelled", "lost"):
                time.sleep(0.02)
                run = client.get(f"{_API}/runs/{run['id']}").json()
            client.get(f"{_API}/runs/{run['id']}/report").raise_for_status()
            client.get(f"{_API}/runs/{run['id']}/notebook").raise_for_status()
            ours.append(time.perf_counter() - began)
            if run["state"] != "succeeded":
                raise RuntimeError(run)
            began = time.perf_counter()
            command = [str(BIN / "papermill"), str(path), str(folder / "out.ipynb"), "-p", "n", str(21 + number)]
            subprocess.run(command, check=True, capture_output=True)
            theirs.append(time.perf_counter() - began)
    ours, theirs = ours[1:], theirs[1:]  # the first pair fills the disk's cache
    ratios = [mine / peer for mine, peer in zip(ours, theirs, strict=True)]
    figures: dict[str, object] = {
        "ours (s)": summary(ours),
        "papermill (s)": summary(theirs),
        "ours / papermill": summary(ratios),
        "pairs": pairs,
    }
    show("run of a two-cell notebook", figures, "ours / papermill <= 1.3")
