// A folder whose files anybody may have: what is answered to a request for one.
#pragma once

#include "answer.hpp"
#include "below.hpp"
#include "byte_range.hpp"
#include "check.hpp"
#include "fd.hpp"
#include "folder_page.hpp"
#include "media_type.hpp"
#include "our_rules.hpp"
#include "path.hpp"
#include "request_head.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
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
        Answer answer = find(head, path_from(head.target));
        answer.stays_open = stays_open(head);
        if (head.method == "HEAD") { // All that is said about the content, and not the content.
            answer.text.clear();
            answer.file = Fd();
        }
        return answer;
    }

private:
    Answer find(const RequestHead& head, const std::string& path) const {
        Fd file = open_below(root_, path);
        if (file.number() == -1) return not_opened(errno);
        const auto info = status_of(file);
        if (S_ISREG(info.st_mode)) return file_answer(head, path, std::move(file), info);
        if (!S_ISDIR(info.st_mode)) return not_opened(ENOENT); // a FIFO, a device

        // A link in the page of a folder is relative: without the slash it would lead elsewhere.
        if (!path.empty() && !path.ends_with('/')) return moved_to("/" + encoded(path) + "/");
        const std::string index = path + "index.html";
        Fd page = open_below(root_, index);
        if (page.number() == -1)
            return errno == ENOENT ? folder_answer(path, file) : not_opened(errno);
        const auto its_info = status_of(page);
        if (!S_ISREG(its_info.st_mode)) return folder_answer(path, file);
        return file_answer(head, index, std::move(page), its_info);
    }

    static struct stat status_of(const Fd& file) {
        struct stat info {};
        check(::fstat(file.number(), &info), "fstat");
        return info;
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
    static Answer file_answer(const RequestHead& head, const std::string& path, Fd file,
                              const struct stat& info) {
        const auto size = static_cast<std::uint64_t>(info.st_size);
        const std::string tag = entity_tag(info);
        const std::string fields = field_line("ETag", tag) + field_line("Accept-Ranges", "bytes");
        if (names_tag(head.field("if-none-match"), tag))
            return {.status = 304, .fields = fields, .has_content = false};

        // A part is to be put together with others. Where the file has changed since, all of it
        // goes out: else half of the old one and half of the new one would make a whole.
        const auto only_of = head.field("if-range");
        const bool may_be_part = head.method == "GET" && (only_of.empty() || only_of == tag);
        const Part part = part_of(size, may_be_part ? head.field("range") : "");
        Answer answer = part.status == 416 ? short_answer(416, "The file ends before that.")
                                           : Answer{.status = part.status};
        answer.fields += fields;
        if (part.status != 200)
            answer.fields += field_line("Content-Range", content_range(part, size));
        if (part.status == 416) return answer;
        answer.fields += field_line("Content-Type", media_type(path));
        answer.file = std::move(file);
        answer.first = part.first;
        answer.size = part.size;
        return answer;
    }

    // /proc/self/fd/N is the folder that we have opened, whatever its name leads to by now.
    static Answer folder_answer(const std::string& path, const Fd& folder) {
        std::vector<std::string> names;
        const std::string place = "/proc/self/fd/" + std::to_string(folder.number());
        for (const auto& entry : std::filesystem::directory_iterator(place)) {
            if (names.size() == longest_listing) break;
            const bool is_folder =
                entry.symlink_status().type() == std::filesystem::file_type::directory;
            names.push_back(entry.path().filename().string() + (is_folder ? "/" : ""));
        }
        std::ranges::sort(names);
        return page(200, folder_page(path, names, names.size() < longest_listing),
                    "text/html; charset=utf-8");
    }

    const Fd root_;
};
