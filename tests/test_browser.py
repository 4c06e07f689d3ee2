"""A sweep as a person sees it: MLflow's interface over a real sweep, in a real browser.

Screenshots are left in build/screenshots for a person to look at.
"""

import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from runback.cli.commands.ui import _leading_to

CHROMIUM = os.environ.get("RUNBACK_CHROMIUM") or shutil.which("chromium")

SCREENSHOTS = Path(__file__).parents[1] / "build" / "screenshots"

SWEEP = """# @package _global_
# Few small trials.
defaults:
  - override /data: digits
  - override /hydra/sweeper/sampler: random
  - override /hydra/sweeper/pruner: asha
model:
  widths: [4, 8]
  dense_width: 16
data:
  limit: 400
tracking:
  experiment: look
hydra:
  sweeper:
    n_trials: 6
    n_workers: 2
    seed: 3
    params:
      training.epochs: int(interval(4, 6))
      optimizer: choice(adam, rmsprop)
      optimizer.learning_rate: tag(log, interval(0.001, 0.02))
"""

RUNS = "[role=row] a[href*='/runs/']"
"""The names of runs in a table."""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian's package chromium)")


@pytest.fixture(scope="module")
def swept(module_project: Any) -> Any:
    module_project.own_sweeps(look=SWEEP)
    done = module_project.run("sweep", "look")
    assert done.returncode == 0, done.stderr
    assert module_project.run("evaluate", "best:look").returncode == 0
    return module_project


@pytest.fixture(scope="module")
def address(swept: Any) -> Iterator[str]:
    server = swept.start("ui")
    try:
        yield server.stdout.readline().strip()
    finally:
        swept.interrupt(server, signal.SIGINT)
        server.communicate(timeout=300)
    assert server.returncode == 0


@pytest.fixture(scope="module")
def page(address: str) -> Iterator[Page]:
    """Return the browser of someone who has not been here before, on the list of experiments."""
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]  # what a container lacks
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        page.goto(f"{address}#/experiments")
        yield page
        browser.close()


def shoot(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.wait_for_timeout(500)  # what fades in
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def test_1_the_experiment_leads_to_the_sweep_and_its_trials(page: Page) -> None:
    shoot(page, "1-experiments")
    page.get_by_role("link", name="look", exact=True).click()
    sweep = page.locator(RUNS, has_text=re.compile("^look$"))
    expect(sweep).to_be_visible()
    page.locator("[data-component-id*=runnamecellrenderer]").first.click()
    expect(page.locator(RUNS)).to_have_count(7)
    shoot(page, "2-sweep-and-trials")
    names = {name for name in page.locator(RUNS).all_inner_texts() if name != "look"}
    assert sorted(int(re.match(r"#(\d+) (adam|rmsprop) lr=0\.\d+ epochs=\d", name)[1]) for name in names) == [
        *range(6)
    ]


def test_2_a_view_of_the_sweep_has_the_best_trials_first(page: Page) -> None:
    page.get_by_role("button", name="Views").click()
    page.get_by_text("look: best first").click()
    expect(page.locator(RUNS)).to_have_count(6)
    page.keyboard.press("Escape")
    cells = [page.locator(f"[row-index='{row}'] [col-id*=best_val_accuracy]") for row in range(6)]
    shown = [cell.inner_text() for cell in cells]
    kept = [float(text) for text in shown if text != "-"]  # pruned trials keep no weights
    assert shown[len(kept) :] == ["-"] * (6 - len(kept))
    assert kept == sorted(kept, reverse=True)
    assert len(kept) > 1
    for column in ("optimizer.name", "optimizer.learning_rate", "training.epochs"):
        expect(page.locator(f"[role=columnheader][col-id*='{column}']")).to_be_visible()
    shoot(page, "3-best-first")


def test_3_two_trials_are_compared(page: Page) -> None:
    rows = [page.locator(f"[row-index='{row}']") for row in (0, 1)]
    names = [row.locator("a[href*='/runs/']").inner_text() for row in rows]
    for row in rows:
        row.locator(".ag-selection-checkbox").click()
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_text("Comparing 2 Runs")).to_be_visible()
    expect(page.locator(".parcoords").first).to_be_visible()
    shoot(page, "4-parallel-coordinates")
    curve = page.get_by_role("link", name="val_accuracy", exact=True)
    page.get_by_text("Run details").hover()
    while not curve.count():  # the list of metrics is made as it is scrolled to
        page.mouse.wheel(0, 200)
        page.wait_for_timeout(100)
    curve.evaluate("link => link.click()")  # the list may still move
    for name in names:
        expect(page.get_by_text(f"{name} (val_accuracy)")).to_be_visible()
    lines = page.locator(".js-plotly-plot .scatterlayer .trace .js-line")
    expect(lines.nth(1)).to_be_visible()
    shoot(page, "5-curves")


def test_4_the_best_run_has_its_pictures_and_its_model(page: Page, swept: Any) -> None:
    best = swept.client().get_run(swept.run("best", "look").stdout.strip())
    here = f"#/experiments/{best.info.experiment_id}/runs/{best.info.run_id}"
    page.evaluate("address => location.hash = address", here)
    expect(page.get_by_text(best.info.run_name).first).to_be_visible()
    expect(page.get_by_text("parameters) trained with")).to_be_visible()  # the run's description
    shoot(page, "6-best-run")
    page.get_by_role("tab", name="Artifacts").click()
    for name in ("curves.png", "confusion.png", "model.keras", "config.yaml"):
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    for name in ("curves", "confusion"):
        page.get_by_text(f"{name}.png", exact=True).first.click()
        picture = page.locator("img[src*='blob:'], img[src*='artifact'], .image-outer-container canvas").first
        expect(picture).to_be_visible()
        shoot(page, f"7-{name}")


def test_4b_its_evaluation_and_its_card_are_pages(page: Page, address: str, swept: Any) -> None:
    best = swept.client().get_run(swept.run("best", "look").stdout.strip())
    here = f"#/experiments/{best.info.experiment_id}/runs/{best.info.run_id}/artifacts/"
    _open(page, f"{address}{here}evaluation.html")
    evaluation = page.frame_locator("iframe")
    for title in ("Quality", "Calibration", "Groups", "Consistency", "Corruptions", "Inputs", "Membership"):
        expect(evaluation.get_by_role("heading", name=title, exact=True)).to_be_visible()
    expect(evaluation.get_by_text(re.compile("most confident mistakes"))).to_be_attached()
    shown = evaluation.locator("img").evaluate_all("images => images.every(one => one.naturalWidth > 0)")
    assert shown
    shoot(page, "7-evaluation")
    _open(page, f"{address}{here}model_card.html")
    card = page.frame_locator("iframe")
    expect(card.get_by_role("heading", name="Out of scope")).to_be_visible()
    expect(card.get_by_text("claims no compliance")).to_be_attached()
    shoot(page, "7-card")


def _open(page: Page, address: str) -> None:
    page.goto(address)
    page.reload()  # on the same page only the part behind # would change


def test_5_the_sweeps_run_has_a_note(page: Page, swept: Any) -> None:
    [sweep] = [run for run in swept.runs() if run.data.tags["runback.kind"] == "sweep"]
    page.evaluate(
        "address => location.hash = address",
        f"#/experiments/{sweep.info.experiment_id}/runs/{sweep.info.run_id}",
    )
    expect(page.get_by_text("with trials running")).to_be_visible()
    page.get_by_text("Show more").click()
    expect(page.get_by_text("runback reproduce")).to_be_visible()
    shoot(page, "8-note")


def test_6_its_report_has_plots(page: Page) -> None:
    link = page.get_by_role("link", name="report.html").first  # it opens another tab
    page.evaluate("address => location.hash = address", link.get_attribute("href"))
    plots = page.frame_locator("iframe").locator(".js-plotly-plot")
    expect(plots.first).to_be_visible()
    expect(plots.nth(2)).to_be_attached()
    shoot(page, "9-report")


def test_7_the_file_that_opens_a_browser_leads_to_the_experiments(
    page: Page, address: str, tmp_path: Path
) -> None:
    """To a browser the file is another site: it keeps back the cookie that it has just been given."""
    context = page.context.browser.new_context()
    with _leading_to(f"{address}#/experiments", tmp_path) as file:
        tab = context.new_page()
        tab.goto(file)
        expect(tab.get_by_role("link", name="look", exact=True)).to_be_visible()
        assert "token" not in tab.url
    context.close()
