"""The fakes as a process, and their administrative interface."""

import json
import subprocess
import urllib.request


class Fakes:
    """All fakes, with a clock that stands until it is set forward."""

    def __init__(self, program, settings=None):
        arguments = [program, "--pace", "0"]
        if settings:
            arguments += ["--settings", settings]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        self.urls = json.loads(self.process.stdout.readline())

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def ask(self, method, path, body=None):
        request = urllib.request.Request(self.urls["admin"] + path, method=method)
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request, data, timeout=10) as answer:
            return json.load(answer)

    def advance(self, seconds):
        self.ask("POST", "/clock", {"seconds": seconds})

    def script(self, *faults):
        self.ask("PUT", "/faults", list(faults))

    def requests(self, after=0):
        return self.ask("GET", f"/requests?after={after}")

    def state(self):
        return self.ask("GET", "/state")
