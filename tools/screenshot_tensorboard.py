"""Makes a picture of TensorBoard: the curves and samples of several runs, and their table.

    python tools/screenshot_tensorboard.py --logdir=runs --output=docs/tensorboard.png
    python tools/screenshot_tensorboard.py --logdir=runs --output=docs/latents.png --latents

With --latents: what models with latent variables (vae, agave) make of them.

Needs Chromium and its driver (`apt-get install chromium chromium-driver`) and Selenium, which the
extra `dev` of the package brings.
"""

import argparse
import contextlib
import io
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from PIL import Image

try:
    from selenium import webdriver
    from selenium.common.exceptions import TimeoutException
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.expected_conditions import presence_of_element_located
    from selenium.webdriver.support.ui import WebDriverWait
except ImportError:
    sys.exit("Selenium is missing: pip install selenium")

COLOURS = 128
WAIT = 120  # seconds at most for something to appear
SETTLE = 5  # seconds for tables and images to load and for animations to end
# Address, size of the page, what must be there, and the part of the page that is shown (left,
# top, right, bottom): without the panels at the right and at the left, in which one chooses.
PAGES = (
    (
        "?tagFilter=bits_per_dim%7Csamples&smoothing=0#timeseries",
        (1650, 940),
        ("line-chart path", "image-card img"),
        (0, 0, 1382, 940),
    ),
    ("#hparams", (1756, 344), ("tf-hparams-dashboard",), (356, 64, 1738, 344)),
)
LATENTS = (
    (
        "?tagFilter=latent%2F(kl_b%7Cact)&smoothing=0#timeseries",
        (1650, 560),
        ("line-chart path",),
        (336, 158, 1382, 560),
    ),
)


def main():
    """Starts TensorBoard, takes the pictures, puts them together; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--logdir", required=True, help="directory of the work directories")
    parser.add_argument("--output", required=True, help="PNG file")
    parser.add_argument("--latents", action="store_true", help="what z holds")
    arguments = parser.parse_args()
    if not list(pathlib.Path(arguments.logdir).rglob("events.out.tfevents.*")):
        sys.exit(f"there are no runs in {arguments.logdir}; give a --logdir that holds some")
    with browser() as window, tensorboard(arguments.logdir) as address:
        parts = [
            picture(window, address + page, size, elements).crop(shown)
            for page, size, elements, shown in (LATENTS if arguments.latents else PAGES)
        ]
    whole = Image.new("RGB", (parts[0].width, sum(part.height for part in parts)))
    top = 0
    for part in parts:
        whole.paste(part, (0, top))
        top += part.height
    whole.quantize(COLOURS, dither=Image.Dither.NONE).save(arguments.output, optimize=True)
    print(f"{arguments.output}: {os.path.getsize(arguments.output):,} bytes")
    return 0


@contextlib.contextmanager
def tensorboard(logdir):
    """Runs TensorBoard on a free port; gives its address when it has read the runs."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", f"--logdir={logdir}", f"--port={port}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://localhost:{port}/"
    try:
        wait_for_runs(process, address)
        yield address
    finally:
        process.terminate()
        process.wait()


def wait_for_runs(process, address):
    """Waits until TensorBoard lists runs."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError):
            if urllib.request.urlopen(f"{address}data/runs").read().strip() != b"[]":
                return
        time.sleep(0.5)
    sys.exit("TensorBoard did not start or shows no runs; try tensorboard --logdir by hand")


@contextlib.contextmanager
def browser():
    """Chromium or Chrome without a window."""
    program = find("browser", "chromium", "chromium-browser", "google-chrome", "chrome")
    driver = find("driver of the browser", "chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    with tempfile.TemporaryDirectory() as profile:
        for argument in (
            *("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run"),
            *("disable-background-networking", "disable-component-update", "disable-sync"),
            *("hide-scrollbars", f"user-data-dir={profile}"),
            "disable-3d-apis",  # curves as SVG: they are there when their elements are
        ):
            options.add_argument(f"--{argument}")
        window = webdriver.Chrome(options, webdriver.ChromeService(driver))
        try:
            yield window
        finally:
            window.quit()


def find(what, *names):
    """The path of the first of these programs that there is."""
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        sys.exit(f"no {what} found ({', '.join(names)}): apt-get install chromium chromium-driver")
    return path


def picture(window, url, size, elements):
    """A picture of a page of this size, with these elements on it."""
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
    window.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    window.get("about:blank")  # else another fragment of the same page would not load it again
    window.get(url)
    for element in elements:
        there = presence_of_element_located((By.CSS_SELECTOR, element))
        try:
            WebDriverWait(window, WAIT).until(there)
        except TimeoutException:
            sys.exit(f"TensorBoard shows no {element}: do the runs have bits/dim and samples?")
    time.sleep(SETTLE)
    return Image.open(io.BytesIO(window.get_screenshot_as_png())).convert("RGB")


if __name__ == "__main__":
    sys.exit(main())
