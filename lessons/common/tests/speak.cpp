// For tests: speaks the hotline with standard input, and writes the answers to standard output.
// So the Python class can be held against the C++ class, and the page against both.
#include "play.hpp"

#include <iostream>
#include <iterator>
#include <string>

int main() {
    const std::string input{std::istreambuf_iterator<char>(std::cin), {}};
    std::cout << play_whole(input) << std::flush;
    return std::cout ? 0 : 1;
}
