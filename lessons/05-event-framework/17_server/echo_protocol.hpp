// The echo service (RFC 862): every byte comes back.
#pragma once

#include "guest.hpp"

#include <string_view>

// This is all. No bytes are kept here: the transport has them, and while it has too many we hear none.
class EchoProtocol final : public Guest {
public:
    using Guest::Guest;

    void data_received(std::string_view bytes) override {
        progress();
        transport().write(bytes);
    }

    void pause_writing() override { transport().pause_reading(); }
    void resume_writing() override { transport().resume_reading(); }
};
