#include "patience.hpp"

#include <cstdlib>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define NETSTEPS_SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NETSTEPS_SANITIZED
#endif

bool sanitized() {
#ifdef NETSTEPS_SANITIZED
    return true;
#else
    return false;
#endif
}

double patience() {
    const double build = sanitized() ? 5 : 1;
    static const double machine = [] {
        const char* const wish = std::getenv("NETSTEPS_PATIENCE");
        const double number = wish != nullptr ? std::atof(wish) : 0;
        return number > 0 ? number : 1;
    }();
    return build * machine;
}
