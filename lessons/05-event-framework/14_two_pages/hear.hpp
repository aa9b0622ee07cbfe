// What they have said: one piece.
#pragma once

#include "check.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <optional>
#include <string_view>

// One call that does not wait. Nothing: there was nothing to hear after all. An empty piece: they say
// no more. Throws when they are lost. The bytes hold until the next call: one buffer serves all
// connections of a thread, since only one at a time hears, and an idle one costs none.
inline std::optional<std::string_view> hear(int number) {
    static thread_local std::array<char, 65536> buffer; // NOLINT(*-member-init): recv() fills it.
    const auto count = ::recv(number, buffer.data(), buffer.size(), 0);
    if (count == -1 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
    return std::string_view(buffer.data(), static_cast<std::size_t>(check(count, "recv")));
}
