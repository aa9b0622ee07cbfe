"""Does a name find the lines that a reader would point at?"""

import unittest

from project import ProjectTest

from definitions import Complaint, lines_of

# One file. Each name must find its own chunk, whatever stands around it.
CHUNKS = {
    "plain": "int plain(int x) {\n    return x;\n}",
    "told": "// It has a comment,\n// of two lines.\nvoid told() {}",
    "boxed": "/* It has a comment\n * of the other kind. */\nvoid boxed() {}",
    "nested": "void nested() {\n    {\n        { plain(1); }\n    }\n}",
    "texts": 'void texts() {\n    say("}");\n    say("\\"{");\n    say("//"); }',
    "letters": "bool letters(char c) { return c == '}' || c == '\\'' || c == '{' || c == '\"'; }",
    "letter": "bool letter(char c) {\n    return c == '(';\n}",
    "thousands": "int thousands() { return f(1'000) + '}'; }",
    "raw": 'auto raw() { return R"(}")" + std::string(R"x(})" { )x"); }',
    "muttering": "void muttering() { // }\n    /* } */\n}",
    "shouting": "void shouting() {\n#define SHOUT(x) { \\\n    }} x\n#if 0 // don't\n#endif\n}",
    "twice": "template <typename T>\n    requires(sizeof(T) > 1)\nT twice(T x) {\n    return x;\n}",
    "Box": "template <class T = std::less<int>>\nclass Box : public Base<T, int> {\n    T t_{};\n};",
    "callbacks": "std::map<int, std::function<void(int)>> callbacks() { return {}; }",
    "taker": "std::function<void(std::vector<int>)> taker() { return {}; }",
    "arrow": "auto arrow(std::vector<int> v) -> std::vector<int> {\n    return v;\n}",
    "main": "int main() try {\n    plain(1);\n} catch (int) {\n} catch (const E& e) {\n    die();\n}",
    "Kind": "enum class Kind : int { one, two };",
    "Kind2": "// Named and used at once.\nstruct Kind2 {\n    int x;\n} kind2;",
    "made": "struct tm made(struct tm t = {}) {\n    return t;\n}",
    "late": "int late() {\n    return named([] { return 1; });\n}",
    "space::inner": "namespace space {\nint inner() { return 0; }\n} // namespace space",
    "a::b::deep": "namespace a::b {\nint deep() { return 0; }\n}",
    "linked": 'extern "C" {\nvoid linked() {}\n}',
    "Fd": (
        "class Fd final {\npublic:\n    // Takes it.\n    explicit Fd(int number) : number_{number}"
        ", more_(one, two) {\n        note();\n    }\n    ~Fd() { ::close(number_); }\n"
        "    int number() const noexcept { return number_; }\n    bool operator==(const Fd& other)"
        " const { return number_ == other.number_; }\n    void later();\n\nprivate:\n"
        "    int number_{-1};\n    std::array<int, 2> pair_ = {1, 2};\n};"
    ),
    "Fd::later": "void Fd::later() {\n    number_ = 0;\n}",
}
AROUND = {"space::inner", "a::b::deep", "linked"}  # chunks that only hold what the name means
INSIDE = {  # what a chunk holds
    "space::inner": "int inner() { return 0; }",
    "b::deep": "int deep() { return 0; }",
    "linked": "void linked() {}",
    "Fd::Fd": (
        "    // Takes it.\n    explicit Fd(int number) : number_{number}, more_(one, two) {\n"
        "        note();\n    }"
    ),
    "~Fd": "    ~Fd() { ::close(number_); }",
    "number": "    int number() const noexcept { return number_; }",
    "operator==": (
        "    bool operator==(const Fd& other) const { return number_ == other.number_; }"
    ),
}


class DefinitionsTest(ProjectTest):
    def find(self, name: str, source: str, suffix: str = ".cpp") -> str:
        return "\n".join(lines_of(name, self.write("one" + suffix, source)))

    def refusal(self, name: str, source: str, suffix: str = ".cpp") -> str:
        with self.assertRaises(Complaint) as caught:
            self.find(name, source, suffix)
        return str(caught.exception)

    def test_each_name_finds_its_own_lines(self) -> None:
        file = "#include <map>\n\n" + "\n\n".join(CHUNKS.values()) + "\n"
        wanted = {name: text for name, text in CHUNKS.items() if name not in AROUND} | INSIDE
        for name, lines in wanted.items():
            with self.subTest(name):
                self.assertEqual(self.find(name, file), lines)

    def test_a_declaration_is_no_definition(self) -> None:
        self.assertIn("0 times", self.refusal("f", "void f();\nint g() { return f(1); }\n"))

    def test_a_call_is_no_definition(self) -> None:
        source = "void g() {\n    if (f(1)) {\n    }\n    const auto x = f([] { return 1; });\n}\n"
        self.assertIn("0 times", self.refusal("f", source))

    def test_a_name_in_a_comment_or_text_is_no_definition(self) -> None:
        source = '// void f() {}\n/* void f() {} */\nauto g = R"(\nvoid f() {}\n)";\n'
        self.assertIn("one.cpp defines f 0 times, want once", self.refusal("f", source))

    def test_two_definitions_are_named_with_their_lines(self) -> None:
        said = self.refusal("f", "void f() {}\n\nvoid f(int) {}\n")
        self.assertIn("one.cpp defines f 2 times, want once (lines 1, 3)", said)

    def test_a_name_in_full_tells_two_methods_apart(self) -> None:
        source = "struct A {\n    void f() {}\n};\nstruct B {\n    void f() { }\n};\n"
        self.assertIn("2 times", self.refusal("f", source))
        self.assertEqual(self.find("B::f", source), "    void f() { }")

    def test_a_comment_further_up_stays_where_it_is(self) -> None:
        self.assertEqual(self.find("f", "// Of the file.\n\nvoid f() {}\n"), "void f() {}")

    def test_brackets_that_do_not_match_are_named_by_line(self) -> None:
        self.assertIn(
            "one.cpp never closes the bracket of line 2", self.refusal("f", "int x;\nf() {\n")
        )
        self.assertIn("one.cpp closes a bracket in line 2", self.refusal("f", "int x;\n} f() {}\n"))
        self.assertIn("one.cpp closes a bracket in line 1", self.refusal("f", "f(int] {}\n"))

    def test_python(self) -> None:
        source = (
            "# Why.\n@cache\ndef f():\n    return 1\n\n\nclass C:\n    async def f(self):\n"
            "        pass\n\n    x = 1\n"
        )
        self.assertIn("2 times", self.refusal("f", source, ".py"))
        self.assertEqual(self.find("C.f", source, ".py"), "    async def f(self):\n        pass")
        self.assertTrue(self.find("C", source, ".py").endswith("    x = 1"))
        decorated = self.find("g", "# Why.\n@cache\ndef g():\n    return 1\n", ".py")
        self.assertEqual(decorated, "# Why.\n@cache\ndef g():\n    return 1")
        self.assertIn("one.py is not Python (line 1", self.refusal("f", "def f(:\n", ".py"))

    def test_a_file_that_is_not_there(self) -> None:
        with self.assertRaisesRegex(Complaint, "there is no file gone.cpp in .*a project"):
            lines_of("f", self.root / "gone.cpp")


if __name__ == "__main__":
    unittest.main()
