// What a web server has answered.
#pragma once

#include <string>

struct Page {
    int status = 0; // 200 is well; 404 is a page, too
    std::string body;
};
