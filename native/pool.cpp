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
    int helpers_wanted;
    int helping = 0;  // under the pool's mutex
    std::atomic<std::int64_t> next{0};

    bool exhausted() const { return next.load(std::memory_order_relaxed) >= count; }
    bool step() {
        const std::int64_t i = next.fetch_add(1, std::memory_order_relaxed);
        if (i >= count) return false;
        task(context, i);
        return true;
    }
    void cancel() { next.store(count, std::memory_order_relaxed); }
};

namespace {
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
            while (work->step()) {
            }
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

bool Pool::run(std::int64_t count, int threads, Task task, void* context, Poll poll) {
    bool stopped = false;
    auto last_poll = Clock::now();
    auto interrupted = [&] {
        const auto now = Clock::now();
        if (now - last_poll < std::chrono::milliseconds(50)) return false;
        last_poll = now;
        return poll();
    };
    const int helpers = static_cast<int>(std::min<std::int64_t>(threads, count)) - 1;
    if (helpers <= 0) {
        for (std::int64_t i = 0; i < count && !stopped; ++i) {
            task(context, i);
            stopped = interrupted();
        }
        return !stopped;
    }
    Work work{count, task, context, helpers};
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
    while (work.step()) {
        if (!stopped && interrupted()) {
            stopped = true;
            work.cancel();
        }
    }
    std::unique_lock<std::mutex> lock(mutex_);
    queue_.erase(std::find(queue_.begin(), queue_.end(), &work));
    done_.wait(lock, [&] { return work.helping == 0; });
    return !stopped;
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
