// The conditions of a request: "only if it is still this one", "only if it is another one by now".
#pragma once

#include "request_head.hpp"
#include "validators.hpp"

#include <ctime>
#include <optional>
#include <string>
#include <string_view>

// Is the tag in a list such as `"a", W/"b"`? W/ says that the content is about the same: enough to
// go on using a copy, not enough to put two parts together. `*` names any content.
enum class Match { strong, weak };

inline bool names_tag(std::string_view list, std::string_view tag, Match match) {
    if (list == "*") return true;
    while (!list.empty()) {
        auto one = trimmed(take_until(',', list));
        if (match == Match::weak && one.starts_with("W/")) one.remove_prefix(2);
        if (!tag.empty() && one == tag) return true;
    }
    return false;
}

// The status of an answer that would be 200 without conditions: 200, 304 (you have it) or 412 (not
// this one any more). The order is that of RFC 9110, section 13.2.2: a tag is asked before a date,
// and where there is a tag, the date is not asked at all.
inline int status_under_conditions(const RequestHead& head, const Validators& current,
                                   std::time_t now) {
    const auto given = [&head](const char* name) { return head.fields.contains(name); };
    const auto unchanged_since = [&](const char* name) -> std::optional<bool> {
        const auto date = time_of(head.field(name), now);
        if (!date || !current.modified) return std::nullopt; // As if nothing had been said.
        return *current.modified <= *date;
    };
    if (given("if-match")) {
        if (!names_tag(head.field("if-match"), current.tag, Match::strong)) return 412;
    } else if (!unchanged_since("if-unmodified-since").value_or(true)) {
        return 412;
    }
    if (given("if-none-match"))
        return names_tag(head.field("if-none-match"), current.tag, Match::weak) ? 304 : 200;
    return unchanged_since("if-modified-since").value_or(false) ? 304 : 200;
}

// May the answer be a part? It is to be put together with others. Where the file has changed since,
// all of it goes out: otherwise half of the old one and half of the new one would make a whole. A
// date does not say enough for that: a file can change twice in a second.
inline bool may_be_part(const RequestHead& head, const Validators& current) {
    if (head.method != "GET") return false;
    if (!head.fields.contains("if-range")) return true;
    return !current.tag.empty() && head.field("if-range") == current.tag;
}
