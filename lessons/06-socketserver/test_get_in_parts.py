"""Does the client that fetches in parts get what is there, and does it notice what is not?"""

import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

CLIENT = Path(__file__).resolve().parents[2] / "clients/socketserver/get_in_parts.py"
SERVER = sys.argv.pop()
CONTENT = bytes(range(256)) * 4001


class GetInPartsTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "large").write_bytes(CONTENT)
        (self.folder / "empty").write_bytes(b"")
        (self.folder / "folder").mkdir()
        server = subprocess.Popen(
            [SERVER, "--folder", folder.name],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.addCleanup(server.communicate, timeout=20)
        self.addCleanup(server.terminate)
        assert server.stdout
        self.port = server.stdout.readline().rpartition(":")[2].strip()

    def get(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, str(CLIENT), "--port", self.port, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def test_parts_make_the_whole(self) -> None:
        for parts in ["1", "3", "64"]:
            output = self.folder / "copy"
            done = self.get("/large", "--parts", parts, "--output", str(output))
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual(done.stdout.count(" ms\n"), int(parts))
            self.assertEqual(output.read_bytes(), CONTENT)

    def test_a_file_that_never_rests(self) -> None:
        over = threading.Event()

        def touch() -> None:
            while not over.wait(0.05):
                (self.folder / "large").touch()

        toucher = threading.Thread(target=touch)
        toucher.start()
        try:
            done = self.get("/large", "--timeout", "4")
        finally:
            over.set()
            toucher.join()
        self.assertEqual(done.returncode, 1)
        self.assertIn("/large changes all the time", done.stderr)

    def test_a_name_as_it_is_typed(self) -> None:
        for name in ["a b", "ä", "a%25"]:
            (self.folder / name.replace("%25", "%")).write_bytes(CONTENT)
        for name in ["a b", "ä", "a%25"]:
            done = self.get("/" + name)
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_nothing_is_no_part(self) -> None:
        done = self.get("/empty")
        self.assertEqual(done.returncode, 0)
        self.assertTrue(done.stdout.startswith("0 bytes, sha256 e3b0c442"))

    def test_what_is_no_file(self) -> None:
        for target, why in {"/gone": "404 Not Found", "/folder/": "200 OK"}.items():
            done = self.get(target)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(done.stderr, f"get_in_parts.py: {target} is no file: {why}\n")


if __name__ == "__main__":
    unittest.main()
