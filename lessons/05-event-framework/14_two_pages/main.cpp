// 05 event framework, step 14: two pages at once.
//
// Idea     A server that is a client, too. For each message it fetches two pages, both at once, and
//          goes on serving meanwhile. All of it is one loop: callers, web servers, deadlines.
// Run it   python3 -m http.server    and
//          ./lab run 05/14 -- 0 http://localhost:8000/ http://example.org/    and then
//          nc 127.0.0.1 PORT
// See      Every line that you type is counted at once. The pages come when they come, the quicker
//          one first: here you see their size and their beginning.
// Was      One connection at a time knew one protocol. And who asks three servers in a row waits
//          for the sum; who asks them at once, for the slowest.
// Broken   A page goes through our memory as a whole: 1 MiB is the limit. To hand on what comes, as
//          it comes, is the next step.
// New      get_page.hpp, http_head.hpp, http_reader.hpp, page.hpp, url.hpp

#include "deferred.hpp"
#include "event_loop.hpp"
#include "factory.hpp"
#include "failure.hpp"
#include "gather.hpp"
#include "get_page.hpp"
#include "line_receiver.hpp"
#include "log.hpp"
#include "number.hpp"
#include "page.hpp"
#include "protocol.hpp"
#include "standard_streams.hpp"
#include "thread_pool.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What all callers share.
struct Desk {
    EventLoop loop;
    ThreadPool pool{4, 100};
    std::vector<std::string> urls;
    PageLimits limits;
    std::uint64_t count = 0;
};

// The beginning of a page, so that no terminal takes it for commands.
std::string beginning_of(const std::string& text) {
    std::string shown = text.substr(0, 100);
    std::ranges::replace_if(
        shown, [](char letter) { return letter < ' ' || letter > '~'; }, '.');
    return shown;
}

// Counts each line, and fetches the pages for it.
class Reader final : public LineReceiver {
public:
    explicit Reader(Desk& desk) : desk_(desk) {}

    // Nobody wants these pages any more. Out of the list first: who is cancelled calls go_on().
    void connection_lost(const std::exception_ptr& /*reason*/) override {
        for (const auto& pages : std::exchange(under_way_, {}))
            pages.cancel();
    }
    void eof_received() override {
        ended_ = true;
        go_on();
    }

private:
    static constexpr std::size_t most_under_way = 8;

    void line_received(std::string_view /*line*/) override {
        const auto message = "message " + std::to_string(++desk_.count);
        transport().write(message + '\n');
        std::vector<Deferred<Page>> pages;
        for (const auto& url : desk_.urls)
            pages.push_back(fetch(message, url));
        const auto all = gather(pages);
        under_way_.push_back(all);
        all.add_callback([this, message](const std::vector<Page>& fetched) {
            std::size_t size = 0;
            for (const Page& page : fetched)
                size += page.body.size();
            transport().write(message + ": " + std::to_string(size) + " bytes\n");
            go_on();
        });
        if (under_way_.size() < most_under_way) return;
        waits_ = true;
        pause_lines();
    }

    // Says what has come of it. A page that did not come is an empty one.
    Deferred<Page> fetch(const std::string& message, const std::string& url) const {
        const std::string start = message + ": " + url + ": ";
        return get_page(desk_.loop, desk_.pool, url, desk_.limits)
            .add_callbacks(
                [start](Page page) {
                    std::cout << start << page.body.size() << " bytes, status " << page.status
                              << ": " << beginning_of(page.body) << std::endl;
                    return page;
                },
                [start](const Failure& failure) {
                    std::cout << start << failure.what() << std::endl;
                    return Page();
                });
    }

    // Something is done. There may be room for the next message; or it was the last.
    void go_on() {
        std::erase_if(under_way_, [](const auto& pages) { return pages.fired(); });
        if (under_way_.size() < most_under_way && std::exchange(waits_, false)) resume_lines();
        if (ended_ && under_way_.empty()) transport().lose_connection();
    }

    Desk& desk_;
    std::vector<Deferred<std::vector<Page>>> under_way_;
    bool waits_ = false; // with the next message, until a page is there
    bool ended_ = false; // they say no more
};

class ReaderFactory final : public Factory {
public:
    explicit ReaderFactory(Desk& desk) : desk_(desk) {}

    std::unique_ptr<Protocol> build_protocol(const sockaddr_in& /*address*/) override {
        return std::make_unique<Reader>(desk_);
    }

private:
    Desk& desk_;
};

// Arguments: PORT URL URL, and how many milliseconds a page may take.
int main(int argc, char** argv) try {
    fill_standard_streams();
    Desk desk;
    constexpr const char* arguments = "[PORT [URL [URL [MILLISECONDS]]]]";
    const in_port_t port = port_from(argc, argv, arguments);
    for (int i = 2; i < std::min(argc, 4); ++i)
        desk.urls.emplace_back(argv[i]);
    if (argc > 4)
        desk.limits.time = std::chrono::milliseconds(
            argument_from<int>(argv[0], arguments, "the time limit", argv[4], 1, 86'400'000));
    ReaderFactory factory(desk);
    desk.loop.listen(factory, "127.0.0.1", port);
    desk.loop.run();
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(argv[0], ": ", error.what());
    return EXIT_FAILURE;
}
