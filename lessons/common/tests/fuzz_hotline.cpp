// For libFuzzer: the answers are the same for any cut of the caller's words. The first two bytes say
// how to cut, the others are the words.
#include "play.hpp"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const std::string_view words(reinterpret_cast<const char*>(data) + 2, size - 2);
    if (words.find("big ") != std::string_view::npos) return 0; // A gigabyte takes its time.
    const auto cut = [at = std::size_t{0}, data]() mutable {
        return std::size_t{1} + data[at++ % 2] % 97;
    };
    PlainSwitchboard switchboard;
    Hotline hotline(known_setting(), switchboard);
    if (play(hotline, words, cut, cut, data[0] % 2 == 0) != play_whole(words)) std::abort();
    return 0;
}
