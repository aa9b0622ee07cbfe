// A protocol that is told whole lines.
#pragma once

#include "byte_queue.hpp"
#include "protocol.hpp"
#include "request.hpp"

#include <string>
#include <string_view>
#include <utility>

// The framing of lesson 01, step 5, once and for all: derive from it, and say what a line means. For
// a while the bytes may come raw, without an eye for lines: after set_raw_mode().
class LineReceiver : public Protocol {
public:
    void data_received(std::string_view bytes) override {
        input_.push(bytes);
        deliver();
    }

protected:
    virtual void line_received(std::string_view line) = 0; // without its ending
    virtual void raw_data_received(std::string_view /*bytes*/) {}

    // More than 1,024 bytes, and no end of the line: we do not keep what anybody likes to send.
    virtual void line_too_long() { transport().lose_connection(); }

    // No more lines until resume_lines(). What has arrived is kept, and no more is read.
    void pause_lines() {
        paused_ = true;
        transport().pause_reading();
    }
    void resume_lines() {
        paused_ = false;
        transport().resume_reading();
        deliver();
    }

    void set_raw_mode() { raw_ = true; }

    // Lines again. `rest` is what came behind the raw bytes.
    void set_line_mode(std::string_view rest) {
        raw_ = false;
        input_.push(rest);
    }

private:
    // Who pauses and resumes while a line is delivered comes back here: the loop below is still on
    // its way, and goes on. A loop inside of it would be a deeper stack for each line.
    void deliver() {
        if (std::exchange(delivering_, true)) return;
        while (!paused_ && !transport().closing() && (raw_ ? deliver_raw() : deliver_line())) {
        }
        delivering_ = false;
    }

    // All that is there. A copy, since whoever gets it may give the rest back.
    bool deliver_raw() {
        if (input_.empty()) return false;
        const std::string bytes(input_.front());
        input_.pop(bytes.size());
        raw_data_received(bytes);
        return true;
    }

    bool deliver_line() {
        const auto line = first_line(input_.front(), false);
        if (!line) return false;
        const std::string text(line->text.substr(0, longest_line + 1));
        input_.pop(line->size);
        if (text.size() > longest_line)
            line_too_long();
        else
            line_received(text);
        return true;
    }

    ByteQueue input_;
    bool raw_ = false;
    bool paused_ = false;
    bool delivering_ = false;
};
