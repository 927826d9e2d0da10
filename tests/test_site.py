"""The built site: nothing from another host, and every page works in a real browser.

Skipped where the site is not built (`make book`); the browser tests also where Node,
playwright-core or Chromium are missing, unless GANLAB_REQUIRE_BROWSER is set.
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import shutil
import subprocess
import threading
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "_build" / "html"
BROWSER = ROOT / "tests" / "browser"

needs_site = pytest.mark.skipif(
    not (SITE / "index.html").exists(), reason="the site is not built (make book)"
)


def toc() -> list[str]:
    """Return the pages of the table of contents, without suffix."""
    table = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    pages = [table["root"]]
    for part in table["parts"]:
        for chapter in part["chapters"]:
            pages.append(chapter["file"])
            pages += [section["file"] for section in chapter.get("sections", [])]
    return pages


class Resources(HTMLParser):
    """Collects what a browser fetches for a page, and pictures without a description."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.without_alt: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        loads = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src"}
        if tag in loads and values.get(loads[tag]):
            self.fetched.append(values[loads[tag]])
        fetching = {"stylesheet", "preload", "modulepreload", "icon", "preconnect", "dns-prefetch"}
        if tag == "link" and fetching & set(values.get("rel", "").split()):
            self.fetched.append(values.get("href", ""))
        if tag == "img" and not values.get("alt"):
            self.without_alt.append(values.get("src", ""))


def resources(html: str) -> Resources:
    parser = Resources()
    parser.feed(html)
    return parser


def external(addresses: list[str]) -> list[str]:
    """Return those addresses that another host would answer."""
    return [a for a in addresses if re.match(r"(https?:)?//", a)]


@needs_site
def test_tables_that_cells_print_are_tables_on_the_page() -> None:
    found = 0
    for page in toc():
        source = ROOT / f"{page}.ipynb"
        if not source.exists():
            continue
        cells = json.loads(source.read_text(encoding="utf-8"))["cells"]
        printed = [
            "".join(output["data"]["text/markdown"])
            for cell in cells
            for output in cell.get("outputs", ())
            if "text/markdown" in output.get("data", {})
        ]
        tables = sum("|---" in text for text in printed)
        html = (SITE / f"{page}.html").read_text(encoding="utf-8")
        shown = re.findall(r'class="cell_output[^>]*>\s*<div[^>]*><table', html)
        assert len(shown) >= tables, page
        found += tables
    assert found


def test_the_check_finds_outside_resources() -> None:
    html = """<script src="https://cdn.example/x.js"></script><link rel="stylesheet"
      href="//fonts.example/a.css"><a href="https://example.org">fine</a><img src="a.png">
      <img src="b.png" alt="a curve"><script src="_static/y.js"></script>"""
    found = resources(html)
    assert external(found.fetched) == ["https://cdn.example/x.js", "//fonts.example/a.css"]
    assert found.without_alt == ["a.png"]


@needs_site
def test_what_speaks_to_the_test_runner_is_not_shown() -> None:
    pages = {page: (SITE / f"{page}.html").read_text(encoding="utf-8") for page in toc()}
    assert not [page for page, text in pages.items() if "NBVAL_CHECK_OUTPUT" in text]


@needs_site
def test_every_page_of_the_contents_is_built() -> None:
    missing = [page for page in toc() if not (SITE / f"{page}.html").exists()]
    assert not missing


@needs_site
def test_pages_fetch_nothing_from_another_host() -> None:
    outside = {}
    for page in SITE.rglob("*.html"):
        if found := external(resources(page.read_text(encoding="utf-8")).fetched):
            outside[page.relative_to(SITE).as_posix()] = found
    assert not outside


@needs_site
def test_styles_fetch_nothing_from_another_host() -> None:
    for sheet in SITE.rglob("*.css"):
        urls = re.findall(r"(?:url\(|@import )\s*[\"']?([^\"')\s]+)", sheet.read_text("utf-8"))
        assert not external(urls), sheet.relative_to(SITE)


@needs_site
def test_every_picture_has_a_description() -> None:
    for name in toc():
        html = (SITE / f"{name}.html").read_text(encoding="utf-8")
        assert not resources(html).without_alt, name


def chromium() -> str | None:
    """Return the path of a Chromium or Chrome."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


def missing_tools() -> str | None:
    """Say what the browser tests lack, or None."""
    if not shutil.which("node"):
        return "no node"
    if not chromium():
        return "no Chromium (set CHROMIUM to its path)"
    if not (BROWSER / "node_modules" / "playwright-core").exists():
        return "no playwright-core (npm ci --prefix tests/browser)"
    return None


@pytest.fixture(scope="module")
def visit():
    """Return what a visit to every page in headless Chromium found."""
    if not (SITE / "index.html").exists():
        pytest.skip("the site is not built (make book)")
    if lack := missing_tools():
        if os.environ.get("GANLAB_REQUIRE_BROWSER"):
            pytest.fail(lack)
        pytest.skip(lack)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(SITE))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pages = ",".join(f"{page}.html" for page in toc())
    base = f"http://127.0.0.1:{server.server_port}/"
    shots = os.environ.get("GANLAB_SCREENSHOTS", "")
    if shots:
        Path(shots).mkdir(parents=True, exist_ok=True)
    command = ["node", "site.mjs", chromium(), base, pages, shots]
    run = subprocess.run(
        command, cwd=BROWSER, capture_output=True, text=True, timeout=1500, encoding="utf-8"
    )
    server.shutdown()
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def collect(visit: dict, take) -> dict:
    """Return {page: what `take` finds wrong on it}, without the pages where it finds nothing."""
    found = {page: take(entry) for page, entry in visit["pages"].items()}
    return {page: wrong for page, wrong in found.items() if wrong}


def test_no_console_error_failed_request_or_other_host(visit: dict) -> None:
    assert not collect(visit, lambda entry: entry["faults"])


def test_formulas_are_drawn(visit: dict) -> None:
    def wrong(entry: dict) -> object:
        formulas = entry["formulas"]
        return formulas["wrong"] or formulas["drawn"] < formulas["written"]

    assert not collect(visit, wrong)
    assert sum(entry["formulas"]["drawn"] for entry in visit["pages"].values()) > 0


def test_pictures_load_and_are_described(visit: dict) -> None:
    def wrong(entry: dict) -> list:
        return [p for p in entry["pictures"] if not p["alt"] or not p["drawn"]]

    assert not collect(visit, wrong)


def test_dropdowns_open_by_keyboard(visit: dict) -> None:
    assert not collect(visit, lambda entry: entry["dropdowns"]["stuck"])
    assert sum(entry["dropdowns"]["count"] for entry in visit["pages"].values()) > 0


def test_no_sideways_scroll_on_a_phone(visit: dict) -> None:
    def wrong(entry: dict) -> object:
        phone = entry["phone"]
        return phone["scrollWidth"] > phone["width"] and phone

    assert not collect(visit, wrong)


def test_nothing_is_cut_off_without_a_way_to_scroll_to_it(visit: dict) -> None:
    assert not collect(visit, lambda entry: entry["cut"])


def test_chapters_have_their_buttons(visit: dict) -> None:
    import address

    where = address.read()
    for page in toc():
        if not (ROOT / f"{page}.ipynb").exists():
            continue
        buttons = visit["pages"][f"{page}.html"]["buttons"]
        assert buttons["colab"] == where.colab(Path(page).name)
        assert buttons["download"].endswith(f"notebooks/read/{Path(page).name}.ipynb")
        assert buttons["repository"] == where.url


def test_search_finds_a_term(visit: dict) -> None:
    assert visit["search"]["hits"] > 0
    assert not visit["search"]["faults"]


def test_dark_mode_can_be_chosen(visit: dict) -> None:
    colours = dict(visit["dark"]["seen"])
    assert {"dark", "light"} <= set(colours)
    assert colours["dark"] != colours["light"]


def test_notebooks_count_as_the_site_does() -> None:
    """Theorems, exercises and equations have one number, on the page and in the notebook."""
    from references import References

    for label, at in References().targets.items():
        page = (SITE / "book" / f"{at.chapter}.html").read_text(encoding="utf-8")
        if at.word:
            caption = rf'id="{label}">\s*<p class="admonition-title"><span class="caption-number">'
            found = re.search(caption + r"([\w ]+?[\d.]+) ?</span>", page)
            assert found, label
            assert found[1] == f"{at.word} {at.number}", label
        else:
            found = re.search(rf'id="equation-{label}">\s*<span class="eqno">\(([\d.]+)', page)
            assert found, label
            assert found[1] == at.number, label
