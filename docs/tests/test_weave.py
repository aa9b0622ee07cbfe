"""Does weave write what the sources say, and does its check see every page that went stale?"""

import contextlib
import fcntl
import os
import sys
import time
import unittest
from pathlib import Path
from unittest.mock import patch

from project import ProjectTest

from definitions import Complaint
from programs import output_of, transcript

BEFORE = """
    // 01 demo, step 1: before.
    //
    // Idea     One.

    #include <iostream>

    int twice(int x) {
        return 2 * x;
    }

    int main() {
        return twice(21);
    }
"""
AFTER = BEFORE.replace("before", "after").replace("One", "Two").replace("21", "22")
DIFF = """\
@@ main @@

 int main() {
-    return twice(21);
+    return twice(22);
 }
"""
TWICE = "```cpp\nint twice(int x) {\n    return 2 * x;\n}\n```\n"
PAGE = "lessons/01-demo/README.md"

SERVER = """
    #!/usr/bin/env python3
    import signal, sys
    print("listening on 127.0.0.1:4321", flush=True)
    print(" ".join(["options", *sys.argv[1:]]), file=open({note!r}, "w"), flush=True)
    signal.pause()
"""
STUBBORN = """
    import fcntl, os, signal, sys
    lock = open(sys.argv[1])
    fcntl.flock(lock, fcntl.LOCK_SH)
    ready = os.pipe()
    is_child = os.fork() == 0
    if is_child == (sys.argv[2] == "child"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if not is_child:
        os.read(ready[0], 1)
        print("listening on 127.0.0.1:4321", flush=True)
    os.write(ready[1], b"!")
    signal.alarm(50)
    signal.pause()
"""
POLITE = """
    import signal, sys
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(open(sys.argv[1], "w").write("goodbye")))
    print("listening on 127.0.0.1:4321", flush=True)
    signal.pause()
"""
SCENES = """
    import sys
    print("A plays", *sys.argv[1:])
"""


def is_free(lock: Path) -> bool:
    """Within a while: the kernel needs a moment to bury the dead."""
    deadline = time.monotonic() + 10
    with lock.open() as file:
        while time.monotonic() < deadline:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
    return False


class WeaveTest(ProjectTest):
    def setUp(self) -> None:
        super().setUp()
        self.write("lessons/01-demo/1_before.cpp", BEFORE)
        self.write("lessons/01-demo/2_after.cpp", AFTER)

    def page(self, text: str) -> Path:
        return self.write(PAGE, text)

    def weave(self, *options: str) -> str:
        done = self.tool("weave.py", *options)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return (self.root / PAGE).read_text(encoding="utf-8")

    def refusal(self, text: str, *options: str) -> str:
        """What weave says about a page that it cannot weave, and that it therefore leaves alone."""
        page = self.page(text)
        before = page.read_text(encoding="utf-8")
        done = self.tool("weave.py", *options)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertNotIn("Traceback", done.stderr)
        self.assertEqual(page.read_text(encoding="utf-8"), before)
        return done.stderr


class BlocksTest(WeaveTest):
    def test_a_definition_by_its_name(self) -> None:
        self.page("Look:\n\n<!-- code: 1_before.cpp twice -->\n")
        self.assertEqual(self.weave(), "Look:\n\n<!-- code: 1_before.cpp twice -->\n" + TWICE)

    def test_a_block_takes_the_place_of_the_old_one(self) -> None:
        self.page("<!-- code: 1_before.cpp twice -->\n```\nold\n\n<b>\n```\nText.\n")
        self.assertEqual(self.weave(), "<!-- code: 1_before.cpp twice -->\n" + TWICE + "Text.\n")

    def test_a_new_block_stands_apart_from_the_text(self) -> None:
        self.page("<!-- code: 1_before.cpp twice -->\nText.\n")
        self.assertEqual(self.weave(), "<!-- code: 1_before.cpp twice -->\n" + TWICE + "\nText.\n")

    def test_from_a_phrase_to_a_phrase(self) -> None:
        self.page('<!-- code: 1_before.cpp "int main" ... "twice(" -->\n')
        self.assertIn("-->\n```cpp\nint main() {\n    return twice(21);\n```\n", self.weave())

    def test_lines_lose_the_indent_that_they_share(self) -> None:
        self.page('<!-- code: 1_before.cpp "return 2" ... ";" -->\n')
        self.assertIn("```cpp\nreturn 2 * x;\n```\n", self.weave())

    def test_a_difference_names_its_place_and_leaves_titles_out(self) -> None:
        self.page("<!-- diff: 1_before.cpp 2_after.cpp -->\n")
        self.assertIn("```diff\n" + DIFF + "```\n", self.weave())

    def test_a_block_in_a_list_keeps_its_indent(self) -> None:
        self.page("- item\n  <!-- code: 1_before.cpp twice -->\n")
        woven = self.weave()
        self.assertIn("  ```cpp\n  int twice(int x) {\n      return 2 * x;\n  }\n  ```\n", woven)
        self.assertEqual(self.weave(), woven)

    def test_a_fence_is_longer_than_what_it_holds(self) -> None:
        self.write("lessons/01-demo/text.py", 'def f():\n    """\n    ````\n    """\n')
        self.page("<!-- code: text.py f -->\n")
        self.assertIn("`````python\ndef f():", self.weave())
        self.assertEqual(self.weave().count("`````"), 2)

    def test_an_example_in_a_fence_stays_an_example(self) -> None:
        text = "~~~~\n```\n<!-- code: 1_before.cpp twice -->\n~~~\n~~~~\n"
        self.page(text)
        self.assertEqual(self.weave(), text)

    def test_a_page_without_blocks_is_not_touched(self) -> None:
        page = self.page("Text, and <!-- a comment -->.\n\n<!-- note: mine -->\n\n    code: x\n")
        os.utime(page, (1, 1))
        self.weave()
        self.assertEqual(page.stat().st_mtime, 1)

    def test_weaving_again_changes_nothing(self) -> None:
        self.page(
            "<!-- code: 1_before.cpp twice -->\n<!-- diff: 1_before.cpp 2_after.cpp -->\nText.\n"
            "<!-- shell: echo a; echo; echo '```' -->\n"
        )
        woven = self.weave()
        os.utime(self.root / PAGE, (1, 1))
        self.assertEqual(self.weave(), woven)
        self.assertEqual((self.root / PAGE).stat().st_mtime, 1)

    def test_every_page_is_woven(self) -> None:
        for name in ["README.md", "docs/words.md", "exercises/01-demo/one/README.md"]:
            self.write(name, f"<!-- shell: echo {name} -->\n")
        self.tool("weave.py")
        for name in ["README.md", "docs/words.md", "exercises/01-demo/one/README.md"]:
            self.assertIn(f"\n{name}\n", (self.root / name).read_text())

    def test_the_list_names_each_block_and_writes_nothing(self) -> None:
        page = self.page("\n# One\n\n<!-- code: 1_before.cpp twice -->\n")
        done = self.tool("weave.py", "--list")
        self.assertEqual(done.stdout, f"{PAGE}:3: code: 1_before.cpp twice\n")
        self.assertNotIn("```", page.read_text())


class CheckTest(WeaveTest):
    def setUp(self) -> None:
        super().setUp()
        self.page("# One\n\n<!-- code: 1_before.cpp twice -->\n")
        self.woven = self.weave()

    def test_a_fresh_page_passes(self) -> None:
        self.weave("--check")

    def test_changed_code_fails_and_says_where_what_and_what_to_type(self) -> None:
        self.write("lessons/01-demo/1_before.cpp", BEFORE.replace("2 *", "3 *"))
        done = self.tool("weave.py", "--check", "--build", "my build")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{PAGE}:3: ", done.stderr)
        self.assertIn("    -    return 2 * x;\n    +    return 3 * x;\n", done.stderr)
        self.assertIn("python3 docs/weave.py --build 'my build'", done.stderr)
        self.assertEqual((self.root / PAGE).read_text(), self.woven)

    def test_a_changed_page_fails(self) -> None:
        self.page(self.woven.replace("2 *", "2  *"))
        self.assertEqual(self.tool("weave.py", "--check").returncode, 1)

    def test_a_block_that_is_not_yet_there_fails(self) -> None:
        self.page("<!-- code: 1_before.cpp twice -->\n")
        self.assertEqual(self.tool("weave.py", "--check").returncode, 1)

    def test_one_bad_block_does_not_hide_the_next(self) -> None:
        self.page("<!-- code: 1_before.cpp nope -->\n\n<!-- code: 1_before.cpp main -->\n")
        done = self.tool("weave.py", "--check")
        self.assertIn(f"{PAGE}:1: 1_before.cpp defines nope 0 times", done.stderr)
        self.assertIn(f"{PAGE}:3: ", done.stderr)


class RefusalTest(WeaveTest):
    def test_a_name_that_is_not_there(self) -> None:
        said = self.refusal("\n\n\nOne.\n\n<!-- code: 1_before.cpp thrice -->\n")
        self.assertIn(f"{PAGE}:3: 1_before.cpp defines thrice 0 times, want once\n", said)

    def test_a_phrase_that_is_there_twice(self) -> None:
        said = self.refusal('<!-- code: 1_before.cpp "twice" ... "}" -->\n')
        self.assertIn('1_before.cpp has "twice" 2 times, want once', said)

    def test_a_phrase_that_is_not_there(self) -> None:
        said = self.refusal('<!-- code: 1_before.cpp "thrice" ... "}" -->\n')
        self.assertIn('1_before.cpp has "thrice" 0 times, want once', said)

    def test_a_second_phrase_that_stands_only_before_the_first(self) -> None:
        said = self.refusal('<!-- code: 1_before.cpp "int main" ... "#include" -->\n')
        self.assertIn('1_before.cpp has no "#include" after "int main"', said)

    def test_a_file_that_is_not_there(self) -> None:
        self.assertIn("there is no file gone.cpp in", self.refusal("<!-- code: gone.cpp f -->\n"))

    def test_files_that_do_not_differ(self) -> None:
        said = self.refusal("<!-- diff: 1_before.cpp 1_before.cpp -->\n")
        self.assertIn("1_before.cpp and 1_before.cpp say the same", said)

    def test_a_misspelt_kind(self) -> None:
        said = self.refusal("<!-- cod: 1_before.cpp twice -->\n")
        self.assertIn("`cod` is no kind of block; did you mean `code`?", said)

    def test_a_source_that_makes_no_sense(self) -> None:
        for source in ["code: 1_before.cpp", "code:", "diff: 1_before.cpp", "run: server"]:
            with self.subTest(source):
                said = self.refusal(f"<!-- {source} -->\n", "--build", str(self.root))
                self.assertIn(f"write `{source.split(':')[0]}: ", said)

    def test_a_comment_that_does_not_end(self) -> None:
        said = self.refusal("<!-- code: 1_before.cpp twice\n")
        self.assertIn(f"{PAGE}:1: this comment does not end with --> in its line", said)

    def test_a_fence_that_never_ends(self) -> None:
        said = self.refusal("<!-- code: 1_before.cpp twice -->\n```cpp\nThe rest of the page.\n")
        self.assertIn(f"{PAGE}:2: a fence begins here and never ends", said)
        self.assertIn(f"{PAGE}:3: a fence", self.refusal("# One\n\n```\n<!-- shell: ls -->\n"))

    def test_a_page_that_is_no_text(self) -> None:
        (self.root / "README.md").write_bytes(b"\xff")
        done = self.tool("weave.py")
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot read", done.stderr)
        self.assertNotIn("Traceback", done.stderr)

    def test_a_project_without_pages(self) -> None:
        done = self.tool("weave.py", "--check")
        self.assertEqual(done.returncode, 1)
        self.assertIn("there is no page (*.md) in", done.stderr)


class ProgramsTest(WeaveTest):
    def setUp(self) -> None:
        super().setUp()
        self.note = self.root / "note"
        self.write("clients/scenes.py", SCENES)
        self.build = self.root / "build"
        self.program(SERVER.format(note=str(self.note)))

    def program(self, text: str) -> None:
        self.write("build/lessons/01-demo/2_after", text, 0o755)

    def test_a_conversation_with_a_program(self) -> None:
        self.page("<!-- run: 2_after --model x with two_callers -->\n")
        woven = self.weave("--build", str(self.build))
        self.assertIn("```text\nA plays two_callers --port 4321 --transcript\n```\n", woven)
        self.assertEqual(self.note.read_text(), "options --model x\n")

    def test_a_conversation_with_a_twin(self) -> None:
        self.write("lessons/01-demo/twin.py", SERVER.format(note=str(self.note)))
        self.page("<!-- run: twin.py with two_callers -->\n")
        self.assertIn("A plays two_callers", self.weave("--build", str(self.build)))

    def test_without_the_build_conversations_stay_and_the_rest_is_woven(self) -> None:
        self.page("<!-- run: 2_after with x -->\n```\nold\n```\n<!-- shell: echo new -->\n")
        self.assertIn("-->\n```\nold\n```\n<!-- shell: echo new -->\n```console\n", self.weave())

    def test_a_server_may_say_goodbye(self) -> None:
        server = self.write("polite.py", POLITE)
        transcript([sys.executable, str(server), str(self.note)], ["echo"])
        self.assertEqual(self.note.read_text(), "goodbye")

    @patch("programs.PATIENCE", 0.2)
    def test_nothing_is_left_of_a_server_or_its_child_that_do_not_want_to_stop(self) -> None:
        """Both hold a lock for as long as they live."""
        server = self.write("stubborn.py", STUBBORN)
        for who in ["parent", "child"]:
            with self.subTest(who):
                lock = self.write("lock", "")
                said = transcript([sys.executable, str(server), str(lock), who], ["echo"])
                self.assertEqual(said, ["--port 4321 --transcript"])
                self.assertTrue(is_free(lock))

    def test_a_program_that_is_not_built(self) -> None:
        said = self.refusal("<!-- run: 3_gone with x -->\n", "--build", str(self.build))
        self.assertIn("there is no program", said)
        self.assertIn("meson compile -C", said)

    def test_a_program_that_does_not_listen(self) -> None:
        self.program("#!/bin/sh\necho no port is free >&2\nexit 1\n")
        said = self.refusal("<!-- run: 2_after with x -->\n", "--build", str(self.build))
        self.assertIn("2_after does not listen, it says: no port is free", said)

    def test_a_scene_that_fails(self) -> None:
        self.write("clients/scenes.py", "import sys\nsys.exit('no such scene')\n")
        said = self.refusal("<!-- run: 2_after with x -->\n", "--build", str(self.build))
        self.assertIn("no such scene", said)

    def test_the_output_of_a_command_without_what_changes(self) -> None:
        self.page(
            "<!-- shell: echo 127.0.0.1:4711 pid 4712 thread 4713; pwd | grep -c project -->\n"
        )
        self.assertIn("\n127.0.0.1:N pid P thread T\n1\n```\n", self.weave())

    def test_a_command_that_fails(self) -> None:
        said = self.refusal("<!-- shell: echo; echo out; echo why >&2; exit 3 -->\n")
        self.assertIn("ends with 3: why", said)

    def test_a_command_that_prints_no_text(self) -> None:
        self.page("<!-- shell: printf '\\377' -->\n")
        self.assertIn("\\xff\n", self.weave())

    @patch("programs.DEADLINE", 0.5)
    def test_a_command_that_takes_too_long(self) -> None:
        begin = time.monotonic()
        with self.assertRaisesRegex(Complaint, "it takes longer than 0.5 s"):
            output_of(["sh", "-c", "sleep 50 & sleep 50"])
        self.assertLess(time.monotonic() - begin, 20)

    @patch("programs.DEADLINE", 0.5)
    def test_a_server_that_says_nothing(self) -> None:
        with self.assertRaisesRegex(Complaint, "sleep 50 does not listen"):
            transcript(["sh", "-c", "sleep 50"], ["true"])


if __name__ == "__main__":
    unittest.main()
