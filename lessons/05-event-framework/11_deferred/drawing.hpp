// Draws a chain in text: callbacks on the left, errbacks on the right, and the way that was taken.
#pragma once

#include "player.hpp"

#include <cstddef>
#include <string>

//       callbacks           errbacks
//       |  start
//   1   [raise]
//        \__________________
//                           |  raised by 1
//   2   ok                  |
//                           |  raised by 1
//   3                       [recover]
//
// Who ran stands in brackets. Where a link has nothing to run, the way passes it by. Beside the way
// stands what came along.
class Drawing {
public:
    static std::string of(const Player& player) {
        Drawing drawing;
        drawing.line("      ", "callbacks", "errbacks");
        std::size_t number = 0;
        for (const auto& link : player.links())
            drawing.draw(++number, link);
        const auto& end = player.chain().outcome();
        if (end)
            drawing.lead_to(*end);
        else
            drawing.line("      ", player.chain().fired() ? "it waits" : "not fired", "");
        return drawing.text_;
    }

private:
    static constexpr std::size_t width = 20; // of the column of callbacks

    void draw(std::size_t number, const Player::Link& link) {
        const bool reached = link.came.has_value();
        const bool failed = reached && Player::is_failure(*link.came);
        if (reached) lead_to(*link.came);
        std::string name = "  " + std::to_string(number);
        name.resize(6, ' ');
        line(name, box(link.callback, reached && !failed), box(link.errback, reached && failed));
    }

    // The way from the column where it was to the column of this outcome.
    void lead_to(const Player::Outcome& outcome) {
        const bool failed = Player::is_failure(outcome);
        const std::string bar(width - 2, '_');
        if (failed && !failed_) text_ += "       \\" + bar + '\n';
        if (!failed && failed_) text_ += "       " + bar + "/\n";
        failed_ = failed;
        const std::string way = "|  " + Player::spelled(outcome);
        line("      ", failed ? "" : way, failed ? way : "");
    }

    static std::string box(const std::string& action, bool here) {
        if (!here) return action;
        return action.empty() ? "|" : '[' + action + ']';
    }

    void line(const std::string& name, std::string left, const std::string& right) {
        left.resize(width, ' ');
        text_ += name + left + right;
        text_.resize(text_.find_last_not_of(' ') + 1);
        text_ += '\n';
    }

    std::string text_;
    bool failed_ = false; // In which column are we? A chain begins in the left one.
};
