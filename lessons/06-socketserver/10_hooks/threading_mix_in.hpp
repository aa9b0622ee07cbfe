// Each request in a thread of its own.
#pragma once

#include "address.hpp"
#include "incoming.hpp"
#include "log.hpp"

#include <atomic>
#include <exception>
#include <iterator>
#include <list>
#include <mutex>
#include <thread>
#include <utility>

// A mix-in is a template over the class that it is mixed into: ThreadingMixIn<TCPServer> is a
// TCPServer that processes requests in another way. The order of the two is no question of style.
// Whose process_request() is called? The one that is derived last.
template <typename Server>
class ThreadingMixIn : public Server {
public:
    using Server::Server;
    ~ThreadingMixIn() override { join_threads(); }

    // Python's defaults. server_close() waits for the threads, unless one of these says otherwise.
    // In the end somebody must: they use the server. In Python that is the end of the interpreter,
    // here it is the end of the server.
    bool daemon_threads = false;
    bool block_on_close = true;

    // Ours: Python starts as many threads as there are requests. 0: no limit.
    int max_threads = 0;

    void server_close() override {
        Server::server_close();
        if (block_on_close && !daemon_threads) join_threads();
    }

    // Waits until no handler runs any more.
    void join_threads() {
        std::list<Entry> all;
        {
            const std::lock_guard lock(mutex_);
            all.swap(threads_);
        }
        for (Entry& entry : all)
            entry.thread.join();
    }

protected:
    // Throws std::system_error where no thread is to be had. Then the request is still there.
    void process_request(Incoming& request, const Address& client_address) override {
        std::list<Entry> one(1); // A list of one: to move its element to another cannot fail.
        Entry& entry = one.front();
        entry.request = std::move(request);
        entry.client_address = client_address;
        try {
            entry.thread = std::thread([this, &entry] {
                process_request_thread(entry.request, entry.client_address);
                entry.over = true;
                this->lookout_.ring(); // There may be room for another.
            });
        } catch (...) {
            request = std::move(entry.request);
            throw;
        }
        const std::lock_guard lock(mutex_);
        threads_.splice(threads_.end(), one);
    }

    // In the new thread: what process_request() and its catch do in a plain server. No exception
    // may leave it: under it there is nothing but the end of the process (lesson 03, step 4).
    virtual void process_request_thread(Incoming& request, const Address& client_address) noexcept {
        try {
            this->finish_request(request, client_address);
        } catch (const std::exception& error) {
            this->handle_error(request, client_address, error);
        } catch (...) {
            log_line("lost a caller: the handler has thrown what is no std::exception");
        }
        this->shutdown_request(request);
    }

    bool has_room() override {
        reap();
        const std::lock_guard lock(mutex_);
        return (max_threads == 0 || std::ssize(threads_) < max_threads) && Server::has_room();
    }

private:
    struct Entry {
        Incoming request;
        Address client_address;
        std::atomic<bool> over = false;
        std::thread thread;
    };

    // Joins those that are over: until then they keep their stacks. (Python kept them all until
    // 2020, and a server that ran for weeks grew and grew: bpo-37193.)
    void reap() {
        std::list<Entry> over; // It ends without the lock.
        const std::lock_guard lock(mutex_);
        for (auto next = threads_.begin(); next != threads_.end();) {
            const auto entry = next++;
            if (entry->over) over.splice(over.end(), threads_, entry);
        }
        for (Entry& entry : over)
            entry.thread.join();
    }

    std::mutex mutex_;
    std::list<Entry> threads_; // An entry stays where it is: its thread works with it.
};
