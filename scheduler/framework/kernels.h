// Loops over whole columns, vectorised for the processor at hand. Columns hold 64 rows a word.
#ifndef MUSTER_SCHEDULER_FRAMEWORK_KERNELS_H_
#define MUSTER_SCHEDULER_FRAMEWORK_KERNELS_H_

#include <cstddef>
#include <cstdint>

// Compiles a function for several processors; the dynamic linker picks one. Sanitizers start up
// after that choice is made, so they get the plain form.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define MUSTER_KERNEL __attribute__((target_clones("default", "arch=x86-64-v3")))
#else
#define MUSTER_KERNEL
#endif

namespace muster {

// set[w] &= the rows of word w with column[row] >= want, for w < words.
void AndAtLeast(const int64_t* column, int64_t want, size_t words, uint64_t* set);

// set[w] |= the rows of word w with column[row] == id, for w < words.
void OrEqual(const uint32_t* column, uint32_t id, size_t words, uint64_t* set);

}  // namespace muster

#endif  // MUSTER_SCHEDULER_FRAMEWORK_KERNELS_H_
