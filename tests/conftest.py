"""What holds for all tests."""

import shutil

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True, scope="session")
def one_blas_thread():
    """Tests run side by side, and small products on several threads only contend."""
    with threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture(scope="module")
def browser():
    """Chromium, without a window and without a network."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Its sandbox does not work for root, who runs this in a container.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """A function that opens a file at a width, offline; what goes wrong on the page is an error."""
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
