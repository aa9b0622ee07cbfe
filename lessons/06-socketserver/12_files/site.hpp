// A folder whose files anybody may have: what is answered to a request for one.
#pragma once

#include "answer.hpp"
#include "below.hpp"
#include "byte_range.hpp"
#include "conditions.hpp"
#include "fd.hpp"
#include "folder_page.hpp"
#include "media_type.hpp"
#include "our_rules.hpp"
#include "path.hpp"
#include "request_head.hpp"
#include "validators.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

// Knows files and HTTP, and no socket. It has no state, so all threads may ask it at once.
class Site {
public:
    static constexpr std::size_t longest_listing = 1000; // names; a page is made in our memory

    explicit Site(const std::string& folder)
        : root_(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
        // A kernel before Linux 5.6 has no openat2: better to hear it now than 404 for each file.
        if (root_.number() == -1 || open_below(root_, "").number() == -1)
            throw std::system_error(errno, std::generic_category(), "cannot serve " + folder);
    }

    Answer answer_to(const RequestHead& head) const {
        Answer answer = find(path_from(head.target));
        if (answer.status == 200) answer = under_conditions(head, std::move(answer));
        answer.stays_open = stays_open(head);
        return answer;
    }

private:
    // The whole of it, whatever the request says beside its target.
    Answer find(const std::string& path) const {
        Fd file = open_below(root_, path);
        if (file.number() == -1) return not_opened(errno);
        const auto info = status_of(file);
        if (S_ISREG(info.st_mode)) return file_answer(path, std::move(file), info);
        if (!S_ISDIR(info.st_mode)) return not_opened(ENOENT);

        // A link in the page of a folder is relative: without the slash it would lead elsewhere.
        if (!path.empty() && !path.ends_with('/')) return moved_to("/" + encoded(path) + "/");
        const std::string index = path + "index.html";
        Fd page = open_below(root_, index);
        if (page.number() == -1)
            return errno == ENOENT ? folder_answer(path, file) : not_opened(errno);
        const auto its_info = status_of(page);
        if (!S_ISREG(its_info.st_mode)) return folder_answer(path, file);
        return file_answer(index, std::move(page), its_info);
    }

    static Answer not_opened(int error) {
        const int status = status_of_error(error);
        return short_answer(status, status == 404 ? "There is no such file here."
                                                  : "This file cannot be opened now.");
    }

    static Answer moved_to(const std::string& place) {
        Answer answer = short_answer(301, "It is at " + place);
        answer.fields += field_line("Location", place);
        return answer;
    }

    // What we know about the file we ask the file, not its name: that may lead elsewhere by now.
    static Answer file_answer(const std::string& path, Fd file, const struct stat& info) {
        return {.fields = field_line("Accept-Ranges", "bytes") +
                          field_line("Content-Type", media_type(path)),
                .validators = validators_of(info, std::time(nullptr)),
                .file = std::move(file),
                .size = static_cast<std::uint64_t>(info.st_size)};
    }

    // One way for files and folders: a condition holds for both.
    static Answer under_conditions(const RequestHead& head, Answer whole) {
        const auto now = std::time(nullptr);
        const int status = status_under_conditions(head, whole.validators, now);
        if (status == 304)
            return {.status = 304, .validators = whole.validators, .has_content = false};
        if (status == 412)
            return short_answer(412, "It is not the one that you mean, not any more.");
        const bool in_parts = whole.file.number() != -1 && may_be_part(head, whole.validators);
        return in_parts ? part_answer(std::move(whole), head.field("range")) : std::move(whole);
    }

    static Answer part_answer(Answer whole, std::string_view range) {
        const Part part = part_of(whole.size, range);
        const auto which = field_line("Content-Range", content_range(part, whole.size));
        if (part.status == 416) {
            Answer answer = short_answer(416, "The file ends before that.");
            answer.fields += which;
            return answer;
        }
        whole.status = part.status;
        if (part.status == 206) whole.fields += which;
        whole.first = part.first;
        whole.size = part.size;
        return whole;
    }

    // /proc/self/fd/N is the folder that we have opened, whatever its name leads to by now.
    static Answer folder_answer(const std::string& path, const Fd& folder) {
        std::vector<std::string> names;
        const std::string place = "/proc/self/fd/" + std::to_string(folder.number());
        for (const auto& entry : std::filesystem::directory_iterator(place)) {
            if (names.size() == longest_listing) break;
            std::error_code unknown; // A name that we may not look at is listed like a file.
            const bool is_folder =
                entry.symlink_status(unknown).type() == std::filesystem::file_type::directory;
            names.push_back(entry.path().filename().string() + (is_folder ? "/" : ""));
        }
        std::ranges::sort(names);
        return page(200, folder_page(path, names, names.size() < longest_listing),
                    "text/html; charset=utf-8");
    }

    const Fd root_;
};
