"""Whose fault is it that nothing was built? The words of compilers and linkers, as they really are."""

import sys
import unittest
from pathlib import Path

sys.path[:0] = [
    str(Path(__file__).resolve().parents[2] / folder) for folder in ("docs/lab", "exercises/coach")
]

from diagnostics import first_error, machines_fault
from workbench import Bench, Hindered, failure

# What was said, and a word of the advice.
MACHINES = {
    """/usr/bin/ld: final link failed: No space left on device
collect2: error: ld returned 1 exit status""": "Make room",
    """server.cpp:2:32: fatal error: error writing to /tmp/ccFo50mJ.s: No space left on device
    2 | int main(){ std::cout << "hi"; }
      |                                ^
compilation terminated.""": "Make room",
    "{standard input}: Fatal error: can't write 35 bytes to section .text of x.o: 'Disk quota "
    "exceeded'": "Make room",
    "error: unable to open output file '/tmp/t-1.o': 'No space left on device'": "Make room",
    """g++: internal compiler error: File size limit exceeded signal terminated program cc1plus
Please submit a full bug report""": "Make room",
    """server.cpp: In function 'int main()':
server.cpp:3:5: warning: unused variable 'x' [-Wunused-variable]
g++: fatal error: Killed signal terminated program cc1plus
compilation terminated.""": "Close other programs",
    "collect2: fatal error: ld terminated with signal 9 [Killed]": "Close other programs",
    "virtual memory exhausted: Cannot allocate memory": "Close other programs",
    "cc1plus: out of memory allocating 65536 bytes after a total of 9 bytes": "Close other",
    "clang: error: unable to execute command: Killed": "Close other programs",
    "clang++: error while loading shared libraries: libLLVM-14.so.1: failed to map segment from "
    "shared object": "Close other programs",
    "LLVM ERROR: out of memory": "Close other programs",
    """/usr/bin/ld: cannot open output file /a/server.part: Permission denied
collect2: error: ld returned 1 exit status""": "writable",
    "Cannot create temporary file in /tmp/: Read-only file system": "writable",
    "ccache: error: Failed to create directory /var/cache/c: Permission denied": "writable",
    "g++: fatal error: cannot execute 'cc1plus': execvp: No such file or directory": "doctor",
    "g++: fatal error: Segmentation fault signal terminated program cc1plus": "stumbles",
    "server.cpp:9:2: internal compiler error: in build_op, at cp/call.cc:6400": "stumbles",
}

# What was said, and the first line that is shown.
LEARNERS = {
    "server.cpp:1:2: error: #error No space left on device": "server.cpp:1:2: error: #error",
    """server.cpp: In function 'void Killed()':
server.cpp:3:5: error: 'Killed' was not declared in this scope
    3 |     Killed("Cannot allocate memory");
      |     ^~~~~~""": "server.cpp:3:5: error: 'Killed'",
    """In file included from /opt/Killed/a.hpp:1,
                 from server.cpp:1:
/opt/Killed/a.hpp:1:10: fatal error: none.hpp: No such file or directory
compilation terminated.""": "/opt/Killed/a.hpp:1:10: fatal error",
    """/usr/bin/ld: /tmp/ccx.o: in function `main':
server.cpp:3: undefined reference to `Killed()'
collect2: error: ld returned 1 exit status""": "/usr/bin/ld: /tmp/ccx.o: in function",
    """/usr/bin/ld: /tmp/b.o: in function `serve()':
b.cpp:1: multiple definition of `serve()'; /tmp/a.o:a.cpp:1: first defined here
collect2: error: ld returned 1 exit status""": "/usr/bin/ld: /tmp/b.o: in function",
    """/usr/bin/ld: warning: x.o: missing .note.GNU-stack section implies executable stack
/usr/bin/ld: cannot find -lnone
collect2: error: ld returned 1 exit status""": "/usr/bin/ld: cannot find -lnone",
}


class DiagnosticsTest(unittest.TestCase):
    def test_the_machine_s_faults_are_named_with_what_to_do(self) -> None:
        for said, word in MACHINES.items():
            with self.subTest(said):
                cause, advice = machines_fault(said)
                self.assertIn(cause, said.splitlines())
                self.assertIn(word, advice)

    def test_a_program_that_talks_of_such_faults_has_its_own(self) -> None:
        for said, line in LEARNERS.items():
            with self.subTest(said):
                self.assertEqual(machines_fault(said), ("", ""))
                self.assertTrue(first_error(said).startswith(line), first_error(said))


class BenchTest(unittest.TestCase):
    def test_a_compiler_that_hangs_is_ended_with_its_children(self) -> None:
        """The children would hold the pipes open, far longer than this test may take."""
        hangs = ["sh", "-c", "sleep 3600 & sleep 3600"]
        with Bench(Path()) as bench:
            code, _, said = bench.run(hangs, within=0.1)
        self.assertEqual((code, said), (-1, "did not end within 0.1 seconds"))
        self.assertIsInstance(failure(code, said), Hindered)


if __name__ == "__main__":
    unittest.main()
