// An answer: what is said about it, and where its content comes from.
#pragma once

#include "fd.hpp"
#include "refusal.hpp"
#include "validators.hpp"

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>

struct Answer {
    int status = 200;
    std::string fields = {}; // further lines of its head, each with its end
    Validators validators = {};
    std::string text = {};   // the content, where it is ours,
    Fd file = Fd();          // or the file it is in,
    std::uint64_t first = 0; // from this byte on
    std::uint64_t size = 0;  // how many bytes of content
    bool has_content = true; // 304 has none, and says nothing about it
    bool stays_open = true;  // the connection, after it
};

inline std::string field_line(std::string_view name, std::string_view value) {
    return std::string(name) + ": " + std::string(value) + "\r\n";
}

// An answer in our own words.
inline Answer page(int status, std::string text, std::string_view type) {
    Answer answer{.status = status, .fields = field_line("Content-Type", type)};
    answer.size = text.size();
    answer.text = std::move(text);
    return answer;
}

// A few words for a person; a program reads the status.
inline Answer short_answer(int status, const std::string& why) {
    const std::string title = std::to_string(status) + ' ' + std::string(phrase_of(status));
    return page(status, title + "\n" + why + "\n", "text/plain; charset=utf-8");
}

// What is said to a request that we do not take. 405 names what would be taken (RFC 9110, 15.5.6).
inline Answer answer_to(const Refusal& refusal) {
    Answer answer = short_answer(refusal.status(), refusal.what());
    if (refusal.status() == 405) answer.fields += field_line("Allow", "GET, HEAD");
    answer.stays_open = false;
    return answer;
}

// The head, up to the empty line. It says where the content ends, so that another answer can
// follow.
inline std::string head_text(const Answer& answer, std::time_t now) {
    std::string text = "HTTP/1.1 " + std::to_string(answer.status) + ' ' +
                       std::string(phrase_of(answer.status)) + "\r\n";
    text += field_line("Date", http_date(now));
    const auto& [tag, modified] = answer.validators;
    if (!tag.empty())
        text += field_line("ETag", tag) + field_line("Last-Modified", http_date(*modified));
    text += answer.fields;
    if (answer.has_content) text += field_line("Content-Length", std::to_string(answer.size));
    text += field_line("Connection", answer.stays_open ? "keep-alive" : "close");
    return text + "\r\n";
}
