#include "pool.hpp"

#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

namespace corr2d {

namespace {

using Clock = std::chrono::steady_clock;

// Reading the exact clock takes as long as computing a few vectors; for this a tick will do.
std::int64_t coarse_milliseconds() {
#ifdef CLOCK_MONOTONIC_COARSE
    timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return static_cast<std::int64_t>(t.tv_sec) * 1000 + t.tv_nsec / 1'000'000;
#else
    return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now().time_since_epoch()).count();
#endif
}

// Looks about for a moment: whoever waits here is usually answered within microseconds, and
// going to sleep and being woken costs as much as a small filter. False: nothing came.
template <class Condition>
bool soon(Condition condition) {
    const auto until = Clock::now() + std::chrono::microseconds(40);
    do {
        for (int i = 0; i < 16; ++i) {
            if (condition()) return true;
#if defined(__x86_64__)
            __builtin_ia32_pause();
#endif
        }
    } while (Clock::now() < until);
    return false;
}

}  // namespace

struct alignas(8) Pool::Work {
    std::int64_t count;
    Task task;
    void* context;
    Poll poll;
    std::int64_t last_poll = coarse_milliseconds();
    std::atomic<bool> cancelled{false};
    alignas(64) std::atomic<std::int64_t> next{0};

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
        const std::int64_t now = coarse_milliseconds();
        if (now - last_poll < 50) return false;
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

std::atomic<Pool::Parallel> lent{nullptr};
thread_local int team = 0;

std::atomic<Pool*> current{nullptr};
// The child of a fork has the parent's memory and none of its threads; its mutex may be
// held by one of them for ever. So the child starts anew and leaves the old pool be; OpenMP's
// library does not, and would wait for threads that are no more.
void forget_after_fork() {
    lent.store(nullptr, std::memory_order_release);
    current.store(new Pool, std::memory_order_release);
}

// What a team's threads are given: as many of them work as were asked for, the caller in any case.
struct Shared {
    Pool::Work& work;
    std::thread::id caller;
    std::atomic<int> places;
    static void member(void* context) {
        Shared& shared = *static_cast<Shared*>(context);
        const bool caller = std::this_thread::get_id() == shared.caller;
        if (!caller && shared.places.fetch_sub(1) <= 0) return;
        own_work = &shared.work;
        is_caller = caller;
        while (shared.work.step() && !(caller && shared.work.interrupted())) {
        }
        own_work = nullptr;
        is_caller = false;
    }
};
}  // namespace

void Pool::lend(Parallel parallel) {
    shared();  // from here on forks are seen
    lent.store(parallel, std::memory_order_release);
}

int Pool::join_team(int threads) { return std::exchange(team, threads); }

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
    workers = std::min(workers, kMost);
    if (count_.load(std::memory_order_acquire) >= workers) return;
    std::lock_guard<std::mutex> lock(growing_);
    for (int n = count_.load(); n < workers && !closing_.load(); ++n) {
        try {
            workers_[n].thread = std::thread([this, n] { work(workers_[n]); });
        } catch (const std::system_error&) {
            return;  // the system gives no more threads: those that are there do the work
        }
        count_.store(n + 1, std::memory_order_release);
    }
}

void Pool::work(Worker& worker) {
    for (;;) {
        std::uintptr_t mail = kAwake;
        if (!soon([&] { return (mail = worker.mail.load(std::memory_order_acquire)) != kAwake; })) {
            mail = kAwake;
            if (worker.mail.compare_exchange_strong(mail, kAsleep)) worker.mail.wait(kAsleep);
            continue;  // there is mail, or there was
        }
        if (mail == kClosed) return;
        if (mail == kAsleep) {  // woken for nothing
            worker.mail.wait(kAsleep);
            continue;
        }
        if (!worker.mail.compare_exchange_strong(mail, mail | kTaken, std::memory_order_acquire)) continue;  // taken back
        own_work = reinterpret_cast<Work*>(mail);
        while (own_work->step()) {
        }
        own_work = nullptr;
        worker.mail.store(kAwake, std::memory_order_release);
        worker.mail.notify_all();  // its caller may have gone to sleep
    }
}

bool Pool::stopped() {
    if (!own_work) return false;
    return is_caller ? own_work->interrupted() : own_work->cancelled.load(std::memory_order_relaxed);
}

// Asks up to `wanted` idle workers to join; how many it asked.
int Pool::recruit(Work& work, int wanted, std::uint16_t* recruits) {
    int asked = 0;
    for (int n = 0; n < count_.load(std::memory_order_acquire) && asked < wanted; ++n) {
        std::uintptr_t mail = workers_[n].mail.load(std::memory_order_relaxed);
        if (mail != kAwake && mail != kAsleep) continue;
        if (!workers_[n].mail.compare_exchange_strong(mail, reinterpret_cast<std::uintptr_t>(&work))) continue;
        if (mail == kAsleep) workers_[n].mail.notify_all();
        recruits[asked++] = static_cast<std::uint16_t>(n);
    }
    return asked;
}

bool Pool::run(std::int64_t count, int threads, Task task, void* context, Poll poll) {
    const int helpers = std::min(kMost, std::max(0, static_cast<int>(std::min<std::int64_t>(threads, count)) - 1));
    Work work{count, task, context, poll};
    if (const Parallel parallel = lent.load(std::memory_order_acquire); parallel && helpers && helpers < team) {
        Shared shared{work, std::this_thread::get_id(), helpers};
        parallel(&Shared::member, &shared, static_cast<unsigned>(team), 0);
        return !work.cancelled.load(std::memory_order_relaxed);
    }
    std::uint16_t recruits[kMost];
    int asked = 0;
    if (helpers) grow(helpers);
    own_work = &work;
    is_caller = true;
    do {  // those that are busy with other calls may be free later
        if (asked < helpers && !work.exhausted()) asked += recruit(work, helpers - asked, recruits + asked);
    } while (work.step() && !work.interrupted());
    own_work = nullptr;
    is_caller = false;
    const std::uintptr_t posted = reinterpret_cast<std::uintptr_t>(&work);
    for (int n = 0; n < asked; ++n) {
        std::atomic<std::uintptr_t>& mail = workers_[recruits[n]].mail;
        std::uintptr_t unread = posted;
        if (mail.compare_exchange_strong(unread, kAwake)) continue;  // it never came, nor is it waited for
        auto done = [&] { return mail.load(std::memory_order_acquire) != (posted | kTaken); };
        if (!soon(done))
            while (!done()) mail.wait(posted | kTaken);
    }
    return !work.cancelled.load(std::memory_order_relaxed);
}

void Pool::shutdown() {
    std::lock_guard<std::mutex> lock(growing_);
    closing_ = true;
    for (int n = 0; n < count_.load(); ++n) {
        std::uintptr_t mail = workers_[n].mail.load();
        while (!((mail == kAwake || mail == kAsleep) && workers_[n].mail.compare_exchange_strong(mail, kClosed))) {
            if (mail != kAwake && mail != kAsleep) workers_[n].mail.wait(mail);
            mail = workers_[n].mail.load();
        }
        workers_[n].mail.notify_all();
    }
    for (int n = 0; n < count_.load(); ++n) workers_[n].thread.join();
    count_ = 0;
}

}  // namespace corr2d
