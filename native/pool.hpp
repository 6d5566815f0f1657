// Threads that outlive calls: created on first need, asleep between calls, gone at exit.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace corr2d {

class Pool {
public:
    using Task = void (*)(void* context, std::int64_t index);
    using Poll = bool (*)();  // true: stop early (a signal came)

    // The process's pool; after fork the child gets a fresh one.
    static Pool& shared();

    // task(context, i) for every i in [0, count), on at most `threads` threads, the caller
    // among them. Any number of callers may be here at once. False when polled to a stop.
    bool run(std::int64_t count, int threads, Task task, void* context, Poll poll);

    // Whether the work that this thread is part of was stopped; on its caller's thread this
    // looks for signals, so long tasks ask now and then.
    static bool stopped();

    // Ends the workers; later calls run on their caller's thread alone.
    void shutdown();

    struct Work;

private:
    void work();
    void grow(int workers);

    std::mutex mutex_;
    std::condition_variable wake_, done_;
    std::vector<std::thread> workers_;
    std::vector<Work*> queue_;
    std::atomic<std::int64_t> posted_{0};
    bool closing_ = false;
};

}  // namespace corr2d
