// Given: where a service finds itself. It makes no system call, so the server tells it.
#pragma once

#include <functional>
#include <string>

struct Setting {
    std::string model; // "blocking", "select" ...: how this server serves many callers
    int pid = 0;
    std::string thread; // the kernel's number for it, or its name
    int descriptor = -1;
    std::string address;               // the caller's, "127.0.0.1:40312"
    std::function<std::string()> date; // the time as ctime writes it, without the newline
    std::function<void()> crash;       // the handler dies here; if this returns, the caller is left
};
