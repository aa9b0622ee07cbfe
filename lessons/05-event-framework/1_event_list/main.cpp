// 05 event framework, step 1: a list of handlers.
//
// Idea     You hand over objects that know what to do, and somebody else decides when. That is all
//          that a framework is: you do not call it, it calls you.
// Run it   ./build/lessons/05-event-framework/1_event_list
// See      The handlers speak in the order in which they were added, and not when they were added.
//          The last one does not say what it does, and is refused.
// Was      In lesson 02 one loop knew everything: who listens, who speaks, who sleeps.
// Broken   Nothing has to happen for a handler to be called. An event should be an event.
// New      base_handler.hpp, event_list.hpp

#include "event_list.hpp"

#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

class Speaker final : public BaseHandler {
public:
    explicit Speaker(std::string words) : words_(std::move(words)) {}
    void execute() override { std::cout << words_ << '\n'; }

private:
    const std::string words_;
};

class Forgetful final : public BaseHandler {};

int main(int /*argc*/, char** argv) try {
    EventList list;
    list.add(std::make_unique<Speaker>("first"));
    list.add(std::make_unique<Speaker>("second"));
    list.add(std::make_unique<Speaker>("third"));
    std::cout << "three handlers are in the list" << std::endl;
    list.run();

    list.add(std::make_unique<Forgetful>());
    list.run(); // The three speak again, for they are still in the list.
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    std::cout << std::flush;
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return EXIT_FAILURE;
}
