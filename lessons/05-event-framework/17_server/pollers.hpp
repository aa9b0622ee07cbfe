// The pollers, by name.
#pragma once

#include "epoll_poller.hpp"
#include "poll_poller.hpp"
#include "poller.hpp"
#include "select_poller.hpp"

#include <memory>
#include <string_view>

// "select", "poll" or "epoll"; none for any other name.
inline std::unique_ptr<Poller> make_poller(std::string_view name) {
    if (name == "select") return std::make_unique<SelectPoller>();
    if (name == "poll") return std::make_unique<PollPoller>();
    if (name == "epoll") return std::make_unique<EpollPoller>();
    return nullptr;
}
