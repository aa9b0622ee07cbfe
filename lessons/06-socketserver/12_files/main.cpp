// 06 socketserver, step 12: an application, files over HTTP.
//
// Idea     All that is new is a handler. It reads requests from rfile, as strictly as the standard
//          asks, and answers with files; threads, goodbyes and errors are the library's. What
//          strangers name is opened by the kernel below one folder, or not at all.
// Run it   ./lab run 06/12 -- --folder lessons/06-socketserver/12_files/site
//          and then, with the port that it says, http://127.0.0.1:PORT/ in a browser
// See      A page with a picture, and on standard error who has asked for what. With curl: -i shows
//          the head, -r 0-99 asks for a hundred bytes, --path-as-is /../ tries to get out.
// Was      Step 11 serves the hotline only: a protocol that nobody speaks but us.
// Broken   A thread for each browser, also while it has nothing to ask; and all can read it on the
//          way.
// New      answer.hpp, below.hpp, byte_range.hpp, conditions.hpp, file_handler.hpp, file_options.hpp,
//          folder_page.hpp, media_type.hpp, our_rules.hpp, path.hpp, read_head.hpp, refusal.hpp,
//          request_head.hpp, send_file.hpp, site.hpp, validators.hpp

#include "address.hpp"
#include "file_handler.hpp"
#include "file_options.hpp"
#include "log.hpp"
#include "open.hpp"
#include "say_where.hpp"
#include "site.hpp"
#include "standard_streams.hpp"
#include "tcp_server.hpp"
#include "threading_mix_in.hpp"

#include <sys/socket.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <memory>
#include <stdexcept>
#include <system_error>

// A thread for each caller; and each gets a handler that knows the site.
class FileServer : public ThreadingMixIn<TCPServer> {
public:
    FileServer(const FileOptions& options, const Site& site)
        : ThreadingMixIn(
              Address(options.host, options.port),
              [&site, patience = options.idle_timeout](auto& request, auto& caller, auto& server) {
                  return std::make_unique<FileHandler>(request, caller, server, site, patience);
              }) {
        allow_reuse_address = true;
        request_queue_size = SOMAXCONN;
        max_threads = options.max_clients;
    }

    void server_bind() override try {
        ThreadingMixIn::server_bind();
    } catch (const std::system_error& error) {
        throw std::runtime_error("cannot listen on " + server_address.text() + ": " + error.what() +
                                 ". Choose another --port or --host");
    }
};

std::atomic<BaseServer*> the_server = nullptr;
std::atomic<bool> stop_asked = false;

// Nobody comes in any more. Who waits for an answer has a second to take it.
extern "C" void stop(int /*number*/) {
    stop_asked = true;
    if (BaseServer* server = the_server) {
        server->stop_soon();
        server->hang_up();
    }
}

// While it lives, signals find the server.
class Reachable {
public:
    explicit Reachable(BaseServer& server) : server_(server) { the_server = &server; }
    Reachable(const Reachable&) = delete;
    Reachable& operator=(const Reachable&) = delete;
    ~Reachable() {
        the_server = nullptr;
        server_.hang_up(); // Also where an exception has ended it: server_close() waits for all.
    }

private:
    BaseServer& server_;
};

int main(int argc, char** argv) try {
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGTERM, stop);
    std::signal(SIGINT, stop);
    fill_standard_streams();
    const FileOptions options = file_options_from(argc, argv);
    const Site site(options.folder);
    Open<FileServer> server(options, site);
    const Reachable reachable(server);
    say_where(server.server_address.text(), options.port != 0);
    if (!stop_asked) server.serve_forever();
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    log_line(argv[0], ": ", error.what());
    return EXIT_FAILURE;
}
