// What happened, step by step: shared by one server and its callers, and told when a test fails.
#pragma once

#include "timeout_scale.hpp"

#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

// Safe to use from several threads. It keeps the first steps and the last; a test with thousands of
// callers forgets the middle.
class Story {
public:
    // One step: [who] does what, and a remark beside it.
    void tell(const std::string& who, std::string what, std::string remark = "");

    // Seconds since the story began.
    double now() const { return Seconds(Clock::now() - began_).count(); }

    // The steps so far, one a line.
    std::string so_far() const;

private:
    struct Step {
        double at;
        std::string who;
        std::string what;
        std::string remark;
    };
    static std::string line(const Step& step, std::size_t who_width, std::size_t what_width);

    mutable std::mutex mutex_;
    Clock::time_point began_ = Clock::now();
    std::vector<Step> first_;
    std::deque<Step> last_;
    std::size_t forgotten_ = 0;
};

// "hi\n" in quotes and escapes; of a long text the beginning and the end: "abc"..."xyz\n".
std::string in_quotes(std::string_view bytes);

// "1 byte", "5,000,000 bytes"
std::string counted(std::size_t count, const std::string& noun, const std::string& nouns = "");

// "1.0 s"
std::string spelled(Seconds time);

// The 16 bytes around the first difference, as hex and as text, with a caret under it.
std::string hex_rows(std::string_view got, std::string_view want);
