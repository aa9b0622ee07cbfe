// The page that lists a folder that has no index.html.
#pragma once

#include "path.hpp"

#include <string>
#include <string_view>
#include <vector>

// Whoever may put a file there chooses its name. "<script>" in it must stay a name.
inline std::string as_text(std::string_view name) {
    std::string text;
    for (const char letter : name)
        switch (letter) {
        case '&':
            text += "&amp;";
            break;
        case '<':
            text += "&lt;";
            break;
        case '>':
            text += "&gt;";
            break;
        default:
            text += letter;
        }
    return text;
}

// `path` is the folder's, below the root; names of folders end with a slash.
inline std::string folder_page(std::string_view path, const std::vector<std::string>& names,
                               bool complete) {
    const std::string title = "/" + as_text(path);
    std::string page = "<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<title>" + title +
                       "</title>\n<h1>" + title + "</h1>\n<ul>\n";
    if (!path.empty()) page += "<li><a href=\"../\">../</a>\n";
    for (const std::string& name : names)
        page += "<li><a href=\"" + encoded(name) + "\">" + as_text(name) + "</a>\n";
    page += "</ul>\n";
    if (!complete) page += "<p>There are more.\n";
    return page;
}
