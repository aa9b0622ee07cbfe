// A list of handlers, and somebody who calls them.
#pragma once

#include "base_handler.hpp"

#include <memory>
#include <utility>
#include <vector>

class EventList {
public:
    // Takes the handler over. Nothing happens yet.
    void add(std::unique_ptr<BaseHandler> handler) { handlers_.push_back(std::move(handler)); }

    // Executes all handlers, in the order in which they came. One that throws ends the round.
    void run() {
        for (const auto& handler : handlers_)
            handler->execute();
    }

private:
    std::vector<std::unique_ptr<BaseHandler>> handlers_;
};
