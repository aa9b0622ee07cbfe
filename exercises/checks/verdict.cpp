// doctest runs a check; a reporter of ours takes its outcome. doctest's own reporters show a thrown
// expectation as a text, and we want its code.
#define DOCTEST_CONFIG_IMPLEMENT
#include "verdict.hpp"

#include "outcome.hpp"

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <cstdio>

namespace {

Verdict the_verdict;
std::vector<std::string> the_names;

// The first failure counts: what follows may be its echo.
void note(const std::string& code, const std::string& sentence, const std::string& story) {
    if (the_verdict.code != "pass") return;
    the_verdict.code = code;
    the_verdict.sentence = sentence;
    the_verdict.story = story;
}

class Witness : public doctest::IReporter {
public:
    explicit Witness(const doctest::ContextOptions&) {}

    void report_query(const doctest::QueryData& query) override {
        for (unsigned i = 0; i < query.num_data; ++i)
            the_names.emplace_back(query.data[i]->m_name);
    }
    // What is no broken expectation is our own fault, or the machine's: never the learner's.
    void test_case_exception(const doctest::TestCaseException& exception) override {
        note(code_of(Outcome::harness), exception.error_string.c_str(), "");
    }
    void log_assert(const doctest::AssertData& assertion) override {
        if (!assertion.m_failed) return;
        note(code_of(Outcome::wrong_bytes),
             "expected " + std::string(assertion.m_expr) + ", and it is " +
                 assertion.m_decomp.c_str(),
             "");
    }
    void log_message(const doctest::MessageData& message) override {
        if (message.m_severity & doctest::assertType::is_warn) return;
        note(code_of(Outcome::wrong_bytes), message.m_string.c_str(), "");
    }

    void test_run_start() override {}
    void test_run_end(const doctest::TestRunStats&) override {}
    void test_case_start(const doctest::TestCaseData&) override {}
    void test_case_reenter(const doctest::TestCaseData&) override {}
    void test_case_end(const doctest::CurrentTestCaseStats&) override {}
    void subcase_start(const doctest::SubcaseSignature&) override {}
    void subcase_end() override {}
    void test_case_skipped(const doctest::TestCaseData&) override {}
};

REGISTER_REPORTER("witness", 0, Witness);

void run_doctest(const std::string& option) {
    const std::array words{"checks", "--reporters=witness", "--no-breaks", option.c_str()};
    doctest::Context context(static_cast<int>(words.size()), words.data());
    context.run();
}

} // namespace

REGISTER_EXCEPTION_TRANSLATOR(const Unexpected& unexpected) {
    note(unexpected.code(), unexpected.sentence(), unexpected.what());
    return unexpected.what();
}

std::vector<std::string> checks() {
    the_names.clear();
    run_doctest("--list-test-cases");
    return the_names;
}

Verdict run_check(const std::string& name) {
    using Clock = std::chrono::steady_clock;
    const auto begin = Clock::now();
    the_verdict = {};
    run_doctest("--test-case=" + name);
    the_verdict.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    return the_verdict;
}

std::string in_json(const std::string& text) {
    std::string quoted = "\"";
    for (const char byte : text)
        if (byte == '"' || byte == '\\') {
            quoted += {'\\', byte};
        } else if (static_cast<unsigned char>(byte) < ' ') {
            std::array<char, 8> code{};
            std::snprintf(code.data(), code.size(), "\\u%04x", static_cast<unsigned>(byte));
            quoted += code.data();
        } else {
            quoted += byte;
        }
    return quoted + '"';
}

std::string in_json(const std::string& check, const Verdict& verdict) {
    return R"({"check": )" + in_json(check) + R"(, "outcome": )" + in_json(verdict.code) +
           R"(, "seconds": )" + std::to_string(verdict.seconds) + R"(, "sentence": )" +
           in_json(verdict.sentence) + R"(, "story": )" + in_json(verdict.story) + "}";
}
