"""Does layout see each way in which a page or a lesson can fall short of its promises?"""

import unittest

from project import ProjectTest

README = """
    # 01 Demo

    [one](1_one.cpp), [two](2_two.cpp), [proofs](test.cpp), [twin](twin.py), [build](meson.build),
    the [protocol](../../docs/protocol.md#big-n-and-sum) and [here](#see-it)

    ## See it
"""
PROTOCOL = """
    # Protocol

    ## `big N`, and `sum`
"""


def step(number: int, lines: int) -> str:
    body = "".join(f"    say({line});\n" for line in range(lines))
    comments = "// A comment costs nothing.\n\n" * 80
    return f"// 01 demo, step {number}: an idea.\n\n{comments}int main() {{\n{body}}}\n"


class LayoutTest(ProjectTest):
    def setUp(self) -> None:
        super().setUp()
        self.write("docs/protocol.md", PROTOCOL)
        self.write("clients/01_demo.py", "")
        self.write("lessons/01-demo/README.md", README)
        self.write("lessons/01-demo/1_one.cpp", step(1, 10))
        self.write("lessons/01-demo/2_two.cpp", step(2, 70))
        for name in ["meson.build", "test.cpp", "twin.py"]:
            self.write(f"lessons/01-demo/{name}", "")
        self.write("lessons/01-demo/__pycache__/twin.pyc", "")

    def complaints(self) -> list[str]:
        done = self.tool("layout.py")
        self.assertNotIn("Traceback", done.stderr)
        self.assertEqual(done.returncode, 1 if done.stderr else 0)
        return done.stderr.splitlines()

    def test_a_sound_project(self) -> None:
        self.assertEqual(self.complaints(), [])

    def test_a_link_that_leads_nowhere(self) -> None:
        page = "# A\n\n[x](nowhere.md), a picture ![y](gone.png), [a link\nin two lines](no.md)\n[z]\n\n[z]: z.md\n"
        self.write("docs/a.md", page)
        self.assertEqual(
            self.complaints(),
            [
                "docs/a.md:3: the link nowhere.md leads nowhere",
                "docs/a.md:3: the link gone.png leads nowhere",
                "docs/a.md:4: the link no.md leads nowhere",
                "docs/a.md:7: the link z.md leads nowhere",
            ],
        )

    def test_a_link_to_a_heading_that_is_not_there(self) -> None:
        self.write("docs/a.md", "# A\n\n[x](protocol.md#small-n)\n[y](#b)\n[z](#a)\n")
        self.assertEqual(
            self.complaints(),
            [
                "docs/a.md:3: protocol.md has no heading for the link protocol.md#small-n",
                "docs/a.md:4: a.md has no heading for the link #b",
            ],
        )

    def test_headings_of_the_same_name_are_counted(self) -> None:
        self.write("docs/a.md", "# A b\n# A b\n[x](#a-b) [y](#a-b-1) [z](#a-b-2)\n")
        self.assertEqual(
            self.complaints(), ["docs/a.md:3: a.md has no heading for the link #a-b-2"]
        )

    def test_links_elsewhere_and_examples_are_no_links(self) -> None:
        text = (
            "[x](https://example.org/a) `[y](gone.md)`\n\n```\n[z](gone.md)\n```\n[p](mailto:a@b)\n"
        )
        self.write("docs/a.md", text)
        self.assertEqual(self.complaints(), [])

    def test_a_link_with_a_space_in_its_name(self) -> None:
        self.write("docs/two words.md", "# A\n")
        self.write("docs/a.md", "[x](two%20words.md)\n")
        self.assertEqual(self.complaints(), [])

    def test_a_link_out_of_the_project(self) -> None:
        self.write("docs/a.md", "[x](../..)\n")
        self.assertEqual(
            self.complaints(), ["docs/a.md:1: the link ../.. leads out of the project"]
        )

    def test_each_file_that_a_lesson_must_have(self) -> None:
        for name in ["README.md", "meson.build", "test.cpp", "twin.py"]:
            with self.subTest(name):
                file = self.root / "lessons/01-demo" / name
                text = file.read_text()
                file.unlink()
                said = f"lessons/01-demo: every lesson has a {name}, this one has none"
                self.assertIn(said, self.complaints())
                file.write_text(text)

    def test_a_lesson_without_its_client(self) -> None:
        (self.root / "clients/01_demo.py").unlink()
        self.assertEqual(self.complaints(), ["lessons/01-demo: has no client clients/01_demo.py"])

    def test_a_file_that_the_lesson_does_not_link(self) -> None:
        self.write("lessons/01-demo/notes.txt", "")
        self.assertEqual(self.complaints(), ["lessons/01-demo/README.md: has no link to notes.txt"])

    def test_steps_with_a_gap(self) -> None:
        self.write("lessons/01-demo/4_four.cpp", step(4, 70))
        said = "lessons/01-demo: steps count 1, 2, 3 ... without a gap; here: 1_one.cpp, 2_two.cpp"
        self.assertTrue(any(line.startswith(said) for line in self.complaints()))

    def test_a_number_given_twice(self) -> None:
        self.write("lessons/01-demo/2_again.cpp", step(2, 70))
        self.assertTrue(any("without a gap" in line for line in self.complaints()))

    def test_ten_comes_after_nine(self) -> None:
        links = ""
        for number in range(3, 12):
            self.write(f"lessons/01-demo/{number}_more.cpp", step(number, 70))
            links += f"    [{number}]({number}_more.cpp)\n"
        self.write("lessons/01-demo/README.md", README + links)
        self.assertEqual(self.complaints(), [])

    def test_a_title_that_names_another_step(self) -> None:
        self.write("lessons/01-demo/2_two.cpp", step(3, 70))
        self.assertEqual(
            self.complaints(),
            ["lessons/01-demo/2_two.cpp:1: does not begin with `// 01 demo, step 2: IDEA.`"],
        )

    def test_a_title_without_an_idea(self) -> None:
        self.write("lessons/01-demo/2_two.cpp", step(2, 70).replace("an idea", ""))
        self.assertEqual(len(self.complaints()), 1)

    def test_a_step_that_is_two_steps(self) -> None:
        self.write("lessons/01-demo/2_two.cpp", step(2, 71))
        self.assertEqual(
            self.complaints(),
            [
                "lessons/01-demo/2_two.cpp: 61 new lines of code after 1_one.cpp; "
                "more than 60 make two steps"
            ],
        )

    def test_lines_that_are_everywhere_are_compared_like_others(self) -> None:
        self.write("lessons/01-demo/1_one.cpp", step(1, 0).replace("}", "again();\n" * 300 + "}"))
        more = step(2, 0).replace("main()", "main(int)").replace("}", "again();\n" * 350 + "};")
        self.write("lessons/01-demo/2_two.cpp", more)
        self.assertEqual(self.complaints(), [])

    def test_the_step_that_moves_to_headers_may_be_large(self) -> None:
        self.write("lessons/01-demo/2_two.cpp", step(2, 200) + '#include "fd.hpp"\n')
        self.assertEqual(self.complaints(), [])
        self.write("lessons/01-demo/1_one.cpp", step(1, 10) + '#include "check.hpp"\n')
        self.assertEqual(len(self.complaints()), 1)

    def test_a_step_may_be_a_folder(self) -> None:
        self.write("lessons/01-demo/3_library/loop.hpp", "")
        self.write("lessons/01-demo/README.md", README + "\n    [three](3_library)\n")
        self.assertEqual(self.complaints(), [])

    def test_a_system_call_that_no_page_explains(self) -> None:
        self.write("docs/system-calls.md", "# System calls\n\n## send\n")
        calls = (
            "std::move(x); a::b(1); f<T>::g(1);\n::send(1);\n  check(::bind(2), 2);\n::bind(2);\n"
        )
        self.write("lessons/common/fd.hpp", calls)
        self.assertEqual(
            self.complaints(),
            ["docs/system-calls.md: has no heading for bind, see lessons/common/fd.hpp"],
        )


if __name__ == "__main__":
    unittest.main()
