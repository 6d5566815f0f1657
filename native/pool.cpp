#include "pool.hpp"

#include <pthread.h>

#include <algorithm>
#include <chrono>

namespace corr2d {

using Clock = std::chrono::steady_clock;

struct Pool::Work {
    std::int64_t count;
    Task task;
    void* context;
    Poll poll;
    int helpers_wanted;
    int helping = 0;  // under the pool's mutex
    std::atomic<std::int64_t> next{0};
    std::atomic<bool> cancelled{false};
    Clock::time_point last_poll = Clock::now();

    bool exhausted() const { return next.load(std::memory_order_relaxed) >= count; }
    bool step() {
        const std::int64_t i = next.fetch_add(1, std::memory_order_relaxed);
        if (i >= count) return false;
        task(context, i);
        return true;
    }
    // On the caller's thread: has a signal come since the last look, 50 ms ago or more?
    bool interrupted() {
        if (cancelled.load(std::memory_order_relaxed)) return true;
        const auto now = Clock::now();
        if (now - last_poll < std::chrono::milliseconds(50)) return false;
        last_poll = now;
        if (!poll()) return false;
        cancelled.store(true, std::memory_order_relaxed);
        next.store(count, std::memory_order_relaxed);
        return true;
    }
};

namespace {
// What this thread is working on, and whether it is the caller of it.
thread_local Pool::Work* own_work = nullptr;
thread_local bool is_caller = false;

std::atomic<Pool*> current{nullptr};
// The child of a fork has the parent's memory and none of its threads; its mutex may be
// held by one of them for ever. So the child starts anew and leaves the old pool be.
void forget_after_fork() { current.store(new Pool, std::memory_order_release); }
}  // namespace

Pool& Pool::shared() {
    static Pool* const first = [] {
        Pool* pool = new Pool;  // never deleted: threads may outlive static destructors
        current.store(pool, std::memory_order_release);
        pthread_atfork(nullptr, nullptr, &forget_after_fork);
        return pool;
    }();
    (void)first;
    return *current.load(std::memory_order_acquire);
}

void Pool::grow(int workers) {
    while (static_cast<int>(workers_.size()) < workers && !closing_) {
        try {
            workers_.emplace_back([this] { work(); });
        } catch (const std::system_error&) {
            return;  // the system gives no more threads: those that are there do the work
        }
    }
}

void Pool::work() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
        Work* work = nullptr;
        for (Work* w : queue_)
            if (w->helping < w->helpers_wanted && !w->exhausted()) {
                work = w;
                break;
            }
        if (work) {
            ++work->helping;
            lock.unlock();
            own_work = work;
            while (work->step()) {
            }
            own_work = nullptr;
            lock.lock();
            if (--work->helping == 0) done_.notify_all();
            continue;
        }
        if (closing_) return;
        // A caller in a loop comes back within microseconds, and waking a sleeper costs
        // as much as a small filter: look about for a moment before going to sleep.
        const std::int64_t seen = posted_.load(std::memory_order_acquire);
        lock.unlock();
        const auto until = Clock::now() + std::chrono::microseconds(30);
        while (posted_.load(std::memory_order_acquire) == seen && Clock::now() < until) {
#if defined(__x86_64__)
            __builtin_ia32_pause();
#endif
        }
        lock.lock();
        wake_.wait(lock, [&] { return closing_ || posted_.load(std::memory_order_relaxed) != seen; });
    }
}

bool Pool::stopped() {
    if (!own_work) return false;
    return is_caller ? own_work->interrupted() : own_work->cancelled.load(std::memory_order_relaxed);
}

bool Pool::run(std::int64_t count, int threads, Task task, void* context, Poll poll) {
    const int helpers = std::max(0, static_cast<int>(std::min<std::int64_t>(threads, count)) - 1);
    Work work{count, task, context, poll, helpers};
    if (helpers) {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            grow(helpers);
            queue_.push_back(&work);
            posted_.fetch_add(1, std::memory_order_release);
        }
        if (helpers == 1)
            wake_.notify_one();
        else
            wake_.notify_all();
    }
    own_work = &work;
    is_caller = true;
    while (work.step() && !work.interrupted()) {
    }
    own_work = nullptr;
    is_caller = false;
    if (helpers) {
        std::unique_lock<std::mutex> lock(mutex_);
        queue_.erase(std::find(queue_.begin(), queue_.end(), &work));
        done_.wait(lock, [&] { return work.helping == 0; });
    }
    return !work.cancelled.load(std::memory_order_relaxed);
}

void Pool::shutdown() {
    std::vector<std::thread> workers;
    {
        std::lock_guard<std::mutex> lock(mutex_);
        closing_ = true;
        workers.swap(workers_);
    }
    wake_.notify_all();
    for (std::thread& t : workers) t.join();
}

}  // namespace corr2d
