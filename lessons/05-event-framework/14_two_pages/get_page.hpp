// A web page, later.
#pragma once

#include "adopt.hpp"
#include "connector.hpp"
#include "defer_to_thread.hpp"
#include "deferred.hpp"
#include "failure.hpp"
#include "http_reader.hpp"
#include "listen_on.hpp"
#include "page.hpp"
#include "protocol.hpp"
#include "resolve.hpp"
#include "then.hpp"
#include "thread_pool.hpp"
#include "timeout.hpp"
#include "url.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

struct PageLimits {
    Delay time = std::chrono::seconds(10); // for all of it: name, connection, page
    std::uint64_t size = 1 << 20;
};

// Asks for one page, and hears the answer. What the reader throws ends the connection, and comes
// back here as the reason.
class PageProtocol final : public Protocol {
public:
    PageProtocol(Url url, std::uint64_t most) : url_(std::move(url)), reader_(most) {}

    const Deferred<Page>& page() const { return page_; }

    // HTTP/1.1 keeps connections, unless we ask it not to.
    void connection_made(Transport& transport) override {
        transport.write("GET " + url_.path + " HTTP/1.1\r\nHost: " + url_.host + ':' +
                        std::to_string(url_.port) +
                        "\r\nUser-Agent: netsteps\r\nConnection: close\r\n\r\n");
    }
    void data_received(std::string_view bytes) override {
        reader_.receive(bytes);
        look();
    }
    void eof_received() override {
        reader_.end_of_input();
        look();
    }
    void connection_lost(const std::exception_ptr& reason) override {
        if (!page_.fired() && reason) page_.errback(Failure(reason));
        if (!page_.fired()) page_.errback(Failure(std::runtime_error("the connection has ended")));
    }

private:
    // Once the page is here, we do not listen to whatever else they have to say.
    void look() {
        if (!reader_.finished() || page_.fired()) return;
        transport().abort_connection();
        page_.callback(reader_.take());
    }

    const Url url_;
    HttpReader reader_;
    const Deferred<Page> page_{[this](const auto&) { transport().abort_connection(); }};
};

// Numbers are known at once. A name is work for a thread.
inline Deferred<sockaddr_in> address_of_host(Reactor& loop, ThreadPool& pool, const Url& url) {
    in_addr numbers{};
    if (url.host == "localhost" || inet_pton(AF_INET, url.host.c_str(), &numbers) == 1)
        return succeeded(address_of(url.host, url.port));
    return defer_to_thread(loop, pool, [url] { return resolve(url.host, url.port); });
}

// The page at this URL, or the Failure that says why not. Whatever the status says, a page is a
// page.
inline Deferred<Page> get_page(Reactor& loop, ThreadPool& pool, const std::string& text,
                               const PageLimits& limits = {}) try {
    const Url url = url_from(text);
    const auto ask = [&loop, url, limits](const sockaddr_in& address) {
        return then(connect_to(loop, address), [&loop, url, limits, address](Fd socket) {
            auto protocol = std::make_unique<PageProtocol>(url, limits.size);
            auto page = protocol->page();
            adopt(loop, std::move(socket), address, std::move(protocol));
            return page;
        });
    };
    return add_timeout(then(address_of_host(loop, pool, url), ask), loop, limits.time);
} catch (...) {
    return failed<Page>(Failure(std::current_exception()));
}
