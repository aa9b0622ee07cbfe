// An allocator that fails when a test says so. It is a file of its own, so that an optimiser does not
// put one half of it into the test and warn that the other half does not fit.
#include <cstddef>
#include <cstdlib>
#include <new>

extern bool no_memory;
bool no_memory = false;

void* operator new(std::size_t size) {
    void* memory = no_memory ? nullptr : std::malloc(size);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t /*size*/) noexcept {
    std::free(memory);
}
