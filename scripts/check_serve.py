"""Looks at `gdas serve` as Chromium shows it, while a search runs: figures that move, buttons that act.

    cargo build --release && python scripts/check_serve.py target/release/gdas [DIRECTORY FOR SCREENSHOTS]

Starts a search and a server, opens the pages, waits until figures and curves have moved by themselves, then presses
Pause, Continue, Stop and Resume and looks at what the process does. Fails if something does not happen, the console
shows a message, axe-core finds a fault, or the page fetches anything from elsewhere. Chromium is named by GDAS_CHROMIUM.
"""

import base64
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

import axe

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --remote-debugging-port=0 about:blank"
).split()


class Page:
    """A page of Chromium, by its DevTools protocol over a WebSocket (RFC 6455, as much of it as is needed)."""

    def __init__(self, profile):
        command = [os.environ.get("GDAS_CHROMIUM", "chromium"), f"--user-data-dir={profile}", *FLAGS]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        port = profile / "DevToolsActivePort"
        wait("Chromium starts", lambda: port.exists() and len(port.read_text().splitlines()) > 1)
        number = int(port.read_text().splitlines()[0])
        pages = json.load(urllib.request.urlopen(f"http://127.0.0.1:{number}/json"))
        address = next(page for page in pages if page["type"] == "page")["webSocketDebuggerUrl"]
        self.socket = socket.create_connection(("127.0.0.1", number), timeout=60)
        path = "/" + address.split("/", 3)[3]
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{number}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self.buffer += self.socket.recv(4096)
        self.buffer = self.buffer.split(b"\r\n\r\n", 1)[1]
        self.number, self.messages, self.requests = 0, [], []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def take(self, count):
        while len(self.buffer) < count:
            data = self.socket.recv(65536)
            if not data:
                sys.exit("Chromium is gone")
            self.buffer += data
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def receive(self):
        text = b""
        while True:
            first, length = self.take(2)
            length &= 127
            if length >= 126:
                length = struct.unpack(">H" if length == 126 else ">Q", self.take(2 if length == 126 else 8))[0]
            text += self.take(length)
            if first & 128:
                return json.loads(text)

    def call(self, method, **parameters):
        self.number += 1
        text = json.dumps({"id": self.number, "method": method, "params": parameters}).encode()
        size = len(text)
        short, middle = bytes([128 | size]) if size < 126 else b"", size < 65536
        head = bytes([0x81]) + (short or (bytes([254]) + struct.pack(">H", size) if middle else bytes([255]) + struct.pack(">Q", size)))
        mask = os.urandom(4)
        self.socket.sendall(head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(text)))
        while True:
            message = self.receive()
            if message.get("id") == self.number:
                if "error" in message:
                    sys.exit(f"{method}: {message['error']}")
                return message["result"]
            if message["method"] in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
                self.messages.append(message["params"])
            if message["method"] == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])

    def value(self, expression):
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)["result"].get("value")

    def field(self, name):
        return self.value(f"document.querySelector('[data-field={name}]')?.textContent")

    def open(self, address):
        self.call("Page.navigate", url=address)
        wait(f"{address} loads", lambda: self.value("document.readyState") == "complete" and self.value("location.href") != "about:blank")

    def transfer(self, name, image):
        bytes_ = f"Uint8Array.from(atob('{image}'), (c) => c.charCodeAt(0))"
        return f"(() => {{ const t = new DataTransfer(); t.items.add(new File([{bytes_}], '{name}')); return t; }})()"

    def drop(self, place, name, image):
        event = f"new DragEvent('drop', {{ bubbles: true, cancelable: true, dataTransfer: {self.transfer(name, image)} }})"
        self.value(f"{place}.querySelector('label').dispatchEvent({event})")

    def choose(self, field, name, image):
        self.value(f"{field}.files = {self.transfer(name, image)}.files")
        self.value(f"{field}.dispatchEvent(new Event('change', {{ bubbles: true }}))")

    def press(self, action):
        self.value(f"document.querySelector('[data-action={action}]').click()")

    def look(self, scheme, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def show(self, path, scheme, width, height):
        self.look(scheme, width, height)
        shot = self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))
        if self.value("document.documentElement.scrollWidth > innerWidth + 1"):
            sys.exit(f"the page scrolls sideways at {width} pixels")


def accessible(page, what):
    """Fails if axe-core finds something."""
    found = axe.violations(page)
    for line in found:
        print("  ", line)
    if found:
        sys.exit(f"{what}: {len(found)} violations of axe-core's rules")
    if axe.script():
        print(f"seen: axe-core finds nothing on the page of {what}")


def wait(what, done, seconds=120):
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            sys.exit(f"in vain: {what}")
        time.sleep(0.1)
    print("seen:", what)


def main():
    program = str(pathlib.Path(sys.argv[1]).resolve())
    shots = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp())
    shots.mkdir(parents=True, exist_ok=True)
    directory = pathlib.Path(tempfile.mkdtemp())
    environment = {**os.environ, "NO_COLOR": "1"}
    subprocess.run([program, "search", "--preset", "smoke", "--quiet", "--name", "done"], cwd=directory, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([program, "train", "done", "--preset", "smoke", "--quiet", "--name", "net"], cwd=directory, check=True, stdout=subprocess.DEVNULL)
    search = subprocess.Popen(
        [program, "search", "--preset", "digits", "--epochs", "400", "--log-interval", "5", "--name", "live", "--quiet"],
        cwd=directory, env=environment,
    )
    serve = subprocess.Popen([program, "serve", "--control", "--port", "0"], cwd=directory, stdout=subprocess.PIPE, text=True)
    page = None
    try:
        address = serve.stdout.readline().strip()
        page = Page(directory / "profile")
        page.open(address)
        row = "document.querySelector('[data-run=live]')"
        wait("the list shows the search at work", lambda: page.value(f"{row}?.querySelector('[data-field=status]').textContent") == "running")
        before = page.value(f"{row}.querySelector('progress').value")
        wait("its progress moves", lambda: page.value(f"{row}.querySelector('progress').value") > before)
        page.show(shots / "list-light.png", "light", 1000, 300)
        page.show(shots / "list-narrow-dark.png", "dark", 420, 400)

        accessible(page, "all runs")

        page.open(address + "runs/live")
        before = page.field("step")
        wait("steps are counted", lambda: page.field("step") not in (before, None))
        curve = "document.querySelector('figure[data-name=live-loss] path:not(.grid):not(.axis)')?.getAttribute('d').length ?? 0"
        wait("there is a curve", lambda: page.value(curve) > 0)
        before = page.value(curve)
        wait("the curve grows by itself", lambda: page.value(curve) > before)
        wait("the cell is drawn", lambda: page.value("document.querySelector('figure svg.cell path') !== null"))
        page.press("pause")
        wait("Pause pauses it", lambda: page.field("status") == "paused")
        step = page.field("step")
        time.sleep(2)
        assert page.field("step") == step and search.poll() is None
        page.show(shots / "paused-light.png", "light", 1280, 1400)
        page.show(shots / "paused-dark.png", "dark", 1280, 1400)
        page.show(shots / "paused-narrow.png", "light", 420, 1400)
        accessible(page, "a search that is paused")
        page.press("continue")
        wait("Continue lets it go on", lambda: page.field("status") == "running" and page.field("step") != step)
        page.press("stop")
        wait("Stop stops it", lambda: search.poll() is not None)
        assert search.returncode == 75, search.returncode
        wait("the page knows", lambda: page.field("status") == "stopped")
        step = page.field("step")
        page.press("resume")
        wait("Resume starts it again", lambda: page.field("status") == "running" and page.field("step") != step)
        page.press("stop")
        wait("Stop stops that, too", lambda: page.field("status") == "stopped")
        page.open(address + "runs/net")
        place = "document.querySelector('[data-classify]')"
        wait("a trained run takes images", lambda: page.value(f"{place} !== null"))
        image = base64.b64encode((pathlib.Path(__file__).parent.parent / "crates/gdas-cli/tests/fixtures/zero.png").read_bytes()).decode()
        rows = f"[...{place}.querySelectorAll('tr')].map((row) => row.textContent)"
        said = f"{place}.querySelector('[role=status]').textContent"
        page.drop(place, "zero.png", image)
        wait("a dropped image is answered with all classes", lambda: len(page.value(rows)) == 10)
        first = page.value(rows)[0]
        expected = json.loads(subprocess.run(
            [program, "predict", "net", str(pathlib.Path(__file__).parent.parent / "crates/gdas-cli/tests/fixtures/zero.png"), "--json"],
            cwd=directory, check=True, capture_output=True, text=True,
        ).stdout)
        assert first == f"{expected['class']}{100 * expected['probability']:.2f} %", (first, expected)
        page.show(shots / "classified-light.png", "light", 1280, 900)
        page.show(shots / "classified-narrow-dark.png", "dark", 420, 900)
        assert page.value("document.querySelectorAll('.mistakes img').length") <= 24
        accessible(page, "a trained run")
        page.drop(place, "notes.txt", base64.b64encode(b"not an image").decode())
        wait("what is no image is refused in words", lambda: "cannot be used: it is not an image" in page.value(said))
        assert page.value(rows) == []
        # The browser itself notes a refused request in its console.
        page.messages = [message for message in page.messages if "422" not in str(message)]
        page.choose(f"{place}.querySelector('input')", "zero.png", image)
        wait("a chosen image is answered, too", lambda: page.value(rows)[:1] == [first])
        page.open(address + "runs/done")
        assert page.value(f"{place} === null"), "a search has no network that could answer"
        foreign = [url for url in page.requests if not url.startswith((address, "data:", "blob:"))]
        if foreign or page.messages:
            sys.exit(f"fetched elsewhere: {foreign}; console: {page.messages}")
        print(f"{len(page.requests)} requests, none elsewhere, no console message; screenshots in {shots}")
    finally:
        for process in (search, serve, page and page.process):
            if process and process.poll() is None:
                process.terminate()


if __name__ == "__main__":
    main()
