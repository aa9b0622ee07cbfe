// 05 event framework, step 11: deferred.
//
// Idea     A result that is not there yet is an object. You get it at once, and hang functions on
//          it; they run when the result comes. Here you play with one: type links, fire, and see
//          which of them run.
// Run it   ./lab run 05/11 -- cb ok, cb raise, cb ok, eb recover, cb ok, callback
// See      Link 3 does not run: what link 2 throws goes down the right side, to the next errback.
//          And on from there it is a result again. Without words, it reads them line by line.
// Was      In step 10 whoever wants an answer has to be a Protocol, and to remember what it is for.
// Broken   Nothing here is done later by itself. A Deferred waits for somebody who fires it.
// New      cancelled.hpp, chain.hpp, deferred.hpp, drawing.hpp, failure.hpp, flat.hpp,
//          gather.hpp, player.hpp, then.hpp, timeout.hpp

#include "drawing.hpp"
#include "player.hpp"

#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>

constexpr auto help = R"(Type a link, or fire the chain:
  cb ACTION              a callback                 callback    fires with a result
  eb ACTION              an errback                 errback     fires with a Failure
  both ACTION            one function for both      cancel      says: nobody wants it
  pair ACTION ACTION     a callback and an errback, side by side
An action is what the function does:
  ok, recover     returns a new result              none        returns nothing
  keep            returns what came                 fail        returns a Failure
  raise           throws an exception               defer       returns a Deferred
  done, broken    returns a Deferred that has fired, with a result or with a Failure
What link 2 has deferred you fire with callback 2, errback 2, cancel 2.
)";

// Plays one command. One that we do not know does no harm, nor does a second firing.
void play(Player& player, const std::string& command) try {
    player.play(command);
} catch (const std::logic_error& error) {
    std::cout << error.what() << '\n';
}

// What a person types, line by line. After each line they see the whole chain.
void converse(Player& player) {
    const bool prompts = isatty(STDIN_FILENO) == 1;
    std::string line;
    while (true) {
        if (prompts) std::cout << "chain> " << std::flush;
        if (!std::getline(std::cin, line) || line == "exit") return;
        if (line.empty()) continue;
        if (line == "help") {
            std::cout << help;
            continue;
        }
        play(player, line);
        std::cout << Drawing::of(player);
    }
}

int main(int argc, char** argv) try {
    Player player;
    std::string words;
    for (int i = 1; i < argc; ++i)
        words += argv[i] + std::string(" ");
    if (words.empty()) {
        converse(player);
        return EXIT_SUCCESS;
    }
    std::istringstream commands(words);
    for (std::string command; std::getline(commands, command, ',');)
        play(player, command);
    std::cout << Drawing::of(player);
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
}
