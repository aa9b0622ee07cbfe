// Which program is step N.
#include "step.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace {

// A folder of its own, with a space in its name, and programs that do nothing.
class Folder {
public:
    Folder() {
        std::string name = std::filesystem::temp_directory_path() / "test step XXXXXX";
        if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
        path_ = name;
        before_ = steps();
        steps() = {path_, false};
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() {
        steps() = before_;
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    void add_program(const std::string& name) const {
        std::ofstream(path_ / name) << "#!/bin/sh\necho listening on 127.0.0.1:9\nexec sleep 60\n";
        std::filesystem::permissions(path_ / name, std::filesystem::perms::owner_all);
    }
    void add_file(const std::string& name) const { std::ofstream(path_ / name) << "text\n"; }
    void add_folder(const std::string& name) const {
        std::filesystem::create_directory(path_ / name);
    }

private:
    std::filesystem::path path_;
    Steps before_;
};

std::string name_of_step(int number) {
    try {
        return program_of_step(number).filename();
    } catch (const Unexpected& unexpected) {
        return unexpected.code();
    }
}

} // namespace

TEST_CASE("a step is the one program with its number") {
    const Folder folder;
    folder.add_program("1_listen");
    folder.add_program("10_server");
    folder.add_program("2_answer");
    folder.add_folder("2_answer.p");
    folder.add_file("2_answer.cpp");
    CHECK(name_of_step(1) == "1_listen");
    CHECK(name_of_step(2) == "2_answer");
    CHECK(name_of_step(10) == "10_server");
    CHECK(name_of_step(3) == "harness");
    folder.add_program("2_another");
    CHECK(name_of_step(2) == "harness");

    Server server = step(1);
    CHECK(server.port() == 9);
    CHECK(server.host() == "127.0.0.1");
}

TEST_CASE("one step back is the step before, and before step 1 is none") {
    const Folder folder;
    folder.add_program("1_listen");
    folder.add_program("2_answer");
    steps().one_step_back = true;
    CHECK(name_of_step(2) == "1_listen");
    CHECK(name_of_step(1) == "skipped");
}
