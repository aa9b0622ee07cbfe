// The hotline once more, as small as it gets: all that a caller says is there, and all the answers
// come out. Written from docs/protocol.md and from nothing else, to judge the real one.
#pragma once

#include <string>
#include <string_view>

// What a caller hears after the greeting who says this, and then no more. `count`, `time`, `who` and
// `crash` have answers that nobody can know before: it throws std::logic_error.
std::string answers_to(std::string_view said);

// Adler-32 (RFC 1950), as eight hex digits.
std::string checksum(std::string_view bytes);
