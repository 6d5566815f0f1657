// Threads that outlive calls: created on first need, asleep between calls, gone at exit.
#pragma once
#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>

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

    // OpenMP's entry, as compilers call it: function(data) on each of so many threads, the caller among them.
    using Parallel = void (*)(void (*function)(void*), void* data, unsigned threads, unsigned flags);

    // Beside a library that computes with OpenMP, calls are better run on its threads: after a call of
    // its own these look about for the next one for milliseconds, and take the core from any others.
    static void lend(Parallel parallel);

    // How many threads the team has that this thread's calls run on from now on, 0 for the pool's own
    // workers; returns what it was.
    static int join_team(int threads);

    // Ends the workers; later calls run on their caller's thread alone.
    void shutdown();

    struct Work;

private:
    // A worker's mail says what it does: one of the constants below, the work that it is to
    // join (an address), or, with kTaken, that it has joined. Only the worker itself turns
    // kAwake into kAsleep and joins; only the caller whose work it is takes work back.
    static constexpr std::uintptr_t kAwake = 0, kAsleep = 2, kClosed = 4, kTaken = 1;
    struct alignas(64) Worker {
        std::atomic<std::uintptr_t> mail{kAwake};
        std::thread thread;
    };
    static constexpr int kMost = 256;

    static void work(Worker& worker);
    void grow(int workers);
    int recruit(Work& work, int wanted, std::uint16_t* recruits);

    Worker workers_[kMost];
    std::atomic<int> count_{0};  // of workers that are there
    std::mutex growing_;
    std::atomic<bool> closing_{false};
};

}  // namespace corr2d
