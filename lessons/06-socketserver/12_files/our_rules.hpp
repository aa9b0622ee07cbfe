// What a request must be for this server, once it can be read.
#pragma once

#include "refusal.hpp"
#include "request_head.hpp"

#include <algorithm>
#include <array>
#include <string_view>

// The name of the server that the caller means. One machine may have many; we have one, but who
// leaves the name out, or gives two, does not speak HTTP/1.1 (RFC 9112, section 3.2).
inline void check_host(const RequestHead& head) {
    const bool is_there = head.fields.contains("host");
    const auto host = head.field("host");
    if ((head.is_1_1 && !is_there) || !is_host(host))
        throw Refusal(400, "There must be one Host field.");
}

// To get a file nobody has to send one. A body would have to be read to its end, or it would be
// taken for the next request; we do not read it, we end the connection.
inline void check_body(const RequestHead& head) {
    const auto length = head.field("content-length");
    const bool has_length = head.fields.contains("content-length");
    const bool has_coding = head.fields.contains("transfer-encoding");
    if (has_length && (length.empty() || !std::ranges::all_of(length, is_digit)))
        throw Refusal(400, "The Content-Length is not a number.");
    if (has_coding && (has_length || !head.is_1_1))
        throw Refusal(400, "There are two ways to find the end of this request.");
    if (has_coding && small_letters(head.field("transfer-encoding")) != "chunked")
        throw Refusal(501, "This transfer coding is not known here.");
    if (has_coding || std::ranges::any_of(length, [](char digit) { return digit != '0'; }))
        throw Refusal(413, "This server takes no content.");
}

// A method that exists but not here is 405; one that we have never heard of is 501. Methods have
// capital letters.
inline void check_method(const RequestHead& head) {
    constexpr std::array<std::string_view, 7> elsewhere{"CONNECT", "DELETE", "OPTIONS", "PATCH",
                                                        "POST",    "PUT",    "TRACE"};
    if (head.method == "GET" || head.method == "HEAD") return;
    if (std::ranges::find(elsewhere, head.method) != elsewhere.end())
        throw Refusal(405, "This server knows GET and HEAD only.");
    throw Refusal(501, "This method is not known here.");
}

inline void check_our_rules(const RequestHead& head) {
    check_host(head);
    check_method(head);
    check_body(head);
    const auto expected = head.field("expect");
    if (!expected.empty() && small_letters(expected) != "100-continue")
        throw Refusal(417, "What the Expect field asks for is not known here.");
}

// Does the connection stay open for another request? In HTTP/1.1 it does if nothing is said, in 1.0
// only on request.
inline bool stays_open(const RequestHead& head) {
    const auto wish = head.field("connection");
    return !lists(wish, "close") && (head.is_1_1 || lists(wish, "keep-alive"));
}
