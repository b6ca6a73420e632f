"""Foreign emulators as processes on loopback, and what both their judges need: clients, and the table of differences."""

import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import boto3
import botocore.config
import botocore.exceptions

import deviations

KEY, SECRET = "AKIDCLOUDS", "secret-of-the-fake"


def client(url, name, region, key=KEY):
    """A client of a service of AWS that repeats nothing."""
    config = botocore.config.Config(retries={"total_max_attempts": 1}, connect_timeout=10, read_timeout=30)
    return boto3.client(
        name, region_name=region, endpoint_url=url, aws_access_key_id=key, aws_secret_access_key=SECRET, config=config
    )


def refusal(call, **arguments):
    """Code and text of a refusal; None if the call succeeds."""
    try:
        call(**arguments)
    except botocore.exceptions.ClientError as error:
        refused = error.response["Error"]
        return f"{refused['Code']}: {refused['Message']}"
    return None


class Emulator:
    """A program of this virtual environment that serves HTTP. `reset` is the path that empties it."""

    def __init__(self, program, *arguments, reset, **environment):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url, self.resets = f"http://127.0.0.1:{self.port}", reset
        command = [pathlib.Path(sys.executable).with_name(program)]
        command += [one.format(port=self.port) for one in arguments]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=quiet, stderr=quiet)

    def wait(self, patience=30):
        """Waits until it answers, at most so many seconds."""
        end = time.monotonic() + patience
        while time.monotonic() < end and self.process.poll() is None:
            try:
                self.reset()
                return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        raise TimeoutError(f"{self.process.args} has ended, or does not answer within {patience} s")

    def reset(self):
        urllib.request.urlopen(urllib.request.Request(self.url + self.resets, method="POST"), timeout=10).close()

    def end(self):
        self.process.kill()
        self.process.wait()


def moto():
    return Emulator("moto_server", "-H", "127.0.0.1", "-p", "{port}", reset="/moto-api/reset")


class Table:
    """A test of a table of differences between the fake and an emulator. A row that does not hold any more fails: one of them has changed.

    A row is its name, how it is tried, what the fake does (as the service, by its rules), and what the emulator does. Texts are compared by
    their beginning.
    """

    def check(self, rows, fake, emulator):
        for row, attempt, by_fake, by_emulator in rows:
            with self.subTest(row):
                self.same(attempt(fake()), by_fake)
                self.same(attempt(emulator()), by_emulator)
                deviations.hold(row)

    def same(self, seen, expected):
        if isinstance(expected, tuple):
            for one, other in zip(seen, expected, strict=True):
                self.same(one, other)
        elif isinstance(expected, str):
            self.assertTrue(str(seen).startswith(expected), seen)
        else:
            self.assertEqual(seen, expected)
