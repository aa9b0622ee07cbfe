#include "properties.hpp"

#include <array>
#include <cstdint>
#include <cstdio>

const std::vector<Property>& properties() {
    static const std::vector<Property> all = {
        {"P01", greeting},
        {"P02", byte_by_byte},
        {"P03", three_in_one},
        {"P04", in_order},
        {"P05", slow_reader},
        {"P06", half_close},
        {"P07", resets},
        {"P08", gone_before_accept},
        {"P09", writing_to_the_gone},
        {"P10", signal_storm},
        {"P11", descriptors_return},
        {"P12", no_zombies},
        {"P13", over_long_line},
        {"P14", silent_first, silent_first_limit},
        {"P15", one_sleeps, one_sleeps_limit},
        {"P16", never_reader, never_reader_limit},
        {"P17", bounded_memory},
        {"P18", many_callers, many_callers_limit},
        {"P19", descriptor_limit},
        {"P20", idle_caller},
        {"P21", goodbye_on_sigterm},
        {"P22", exact_count},
        {"P23", crash_harms_one, crash_harms_one_limit},
        {"P24", said_lines, said_lines_limit},
    };
    return all;
}

Server start(const Ground& ground, const std::vector<std::string>& arguments,
             const ServerOptions& options) {
    std::vector<std::string> command = ground.command;
    command.insert(command.end(), arguments.begin(), arguments.end());
    return Server(std::move(command), options);
}

std::string duration(Seconds time) {
    if (time >= Seconds(1)) return spelled(time);
    return std::to_string(static_cast<int>(time.count() * 1000)) + " ms";
}
