// Given: the flow of a service that answers line by line. What it answers, a derived class says.
//
// Nothing is answered while an earlier answer is unsent. So a caller who does not read is made to
// wait: their next lines fill `input_`, `room` falls to 0, and the server stops reading from them.
//
// Memory for a caller: at most 16 KiB of input, 34 KiB of output and 16 KiB of what others said.
// The strings reserve up to twice that: 132 KiB, whatever anybody does.
#pragma once

#include "byte_queue.hpp"
#include "mailbox.hpp"
#include "request.hpp"
#include "service.hpp"
#include "transfer.hpp"

class Conversation : public Service {
public:
    std::size_t room() const override { return ended_ || over_ ? 0 : limit - input_.size(); }
    void receive(std::string_view bytes) override {
        assert(bytes.size() <= room());
        input_.push(bytes);
        work();
    }
    void end_of_input() override {
        ended_ = true;
        work();
    }
    std::string_view unsent() const override { return output_.front(); }
    void sent(std::size_t count) override {
        output_.pop(count);
        work();
    }
    std::optional<std::chrono::milliseconds> nap() const override { return nap_; }
    void woke() override {
        nap_.reset();
        reply("ok");
    }
    bool finished() const override { return over_ && output_.empty(); }
    std::uint64_t requests() const override { return requests_; }

protected:
    // Answers one line, with the help of the functions below.
    virtual void answer(std::string_view line) = 0;

    void reply(std::string_view line) {
        output_.push(line);
        output_.push("\n");
    }
    void give(std::uint64_t size) { giving_ = Transfer{size}; }
    void take(std::uint64_t size) { taking_ = Transfer{size}; }
    void nap_for(std::chrono::milliseconds time) { nap_ = time; }
    void hang_up() { over_ = true; }

    // Not an answer: another caller said this. It comes between two answers.
    void tell(std::string_view line) {
        mailbox_.put(line);
        work();
    }

private:
    static constexpr std::size_t limit = 16 * 1024; // of input, and of answers in one piece

    // Answers until there is a piece worth sending, or something else to wait for.
    void work() {
        if (!output_.empty()) return;
        while (!over_ && !nap_ && output_.size() < limit && go_on()) {
        }
    }

    // Goes one step on; false if only more input helps.
    bool go_on() {
        if (giving_) return give_more(); // half an answer: nothing may come into it
        output_.push(mailbox_.take());
        return taking_ ? take_more() : take_line();
    }

    bool give_more() {
        output_.push(giving_->take(pattern_piece()));
        if (giving_->left > 0) return true;
        reply("");
        reply("sum " + giving_->checksum.hex());
        giving_.reset();
        return true;
    }

    // The bytes of a `sink` are counted and summed, not kept.
    bool take_more() {
        input_.pop(taking_->take(input_.front()).size());
        if (taking_->left > 0) return no_more();
        reply("sunk " + std::to_string(taking_->size) + ' ' + taking_->checksum.hex());
        taking_.reset();
        ++requests_;
        return true;
    }

    bool take_line() {
        const auto line = first_line(input_.front(), ended_);
        if (!line) return no_more();
        if (line->text.size() > longest_line) {
            reply("Line too long");
            hang_up();
            return false;
        }
        answer(line->text);
        input_.pop(line->size);
        if (!taking_) ++requests_; // or else its bytes are still to come
        return true;
    }

    // The input is used up: for now, or for good.
    bool no_more() {
        over_ = ended_;
        return false;
    }

    ByteQueue input_;
    ByteQueue output_;
    Mailbox mailbox_;
    std::optional<Transfer> giving_; // the `big` that is under way
    std::optional<Transfer> taking_; // the `sink` that is under way
    std::optional<std::chrono::milliseconds> nap_;
    bool ended_ = false; // the caller says no more
    bool over_ = false;  // we say no more than what is unsent
    std::uint64_t requests_ = 0;
};
