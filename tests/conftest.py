"""Options and fixtures of all tests."""

import shutil

import pytest
from threadpoolctl import threadpool_limits


def pytest_addoption(parser):
    parser.addoption("--no-skips", action="store_true", help="count a skipped test as failed")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    fail_if_skipped((yield).get_result(), item.config)


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector):
    fail_if_skipped((yield).get_result(), collector.config)


def fail_if_skipped(report, config):
    """With --no-skips, turn a skipped test or module into a failed one that gives the reason."""
    if config.getoption("--no-skips") and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"--no-skips: {report.nodeid}: {reason}"


@pytest.fixture(autouse=True, scope="session")
def one_blas_thread():
    """Keep BLAS to one thread: tests run in parallel, and more threads only contend."""
    with threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture(scope="module")
def browser():
    """Chromium, headless and offline."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Its sandbox does not work for root, as which containers run.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """Return a function that opens a file offline; errors on the page fail the test."""
    pages, complaints = [], []

    def opened(path, width=1440, height=900, scheme="light"):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, offline=True
        )
        page = context.new_page()
        pages.append(context)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
        local = ("file:", "data:", "blob:")
        page.on("request", lambda r: r.url.startswith(local) or complaints.append(r.url))
        page.goto(path.as_uri())
        return page

    yield opened
    for context in pages:
        context.close()
    assert complaints == []
