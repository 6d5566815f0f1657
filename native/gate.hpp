// Calls on their way, so that the interpreter's end can wait for them: a thread that comes
// back to an interpreter that is gone would be torn down in the middle of C++.
#pragma once
#include <nanobind/nanobind.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace nb = nanobind;

namespace corr2d {
namespace {

class Gate {
public:
    void enter() {
        if (closed_.load() && std::this_thread::get_id() != closer_) {
            PyThreadState* state = PyEval_SaveThread();  // not to come back: the process is ending
            (void)state;
            for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
        }
        ++inside_;
    }
    void leave() { --inside_; }
    void close() {
        closer_ = std::this_thread::get_id();
        closed_ = true;
        while (inside_.load() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    bool closed() const { return closed_.load(); }
    void reset() { inside_ = 0; }  // in the child of a fork: the others' calls are not there

private:
    std::atomic<int> inside_{0};
    std::atomic<bool> closed_{false};
    std::thread::id closer_;
};
Gate gate;

struct Inside {
    Inside() { gate.enter(); }
    ~Inside() { gate.leave(); }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;
};

bool signal_came() {
    nb::gil_scoped_acquire gil;
    return PyErr_CheckSignals() != 0;
}

bool never() { return false; }

}  // namespace
}  // namespace corr2d
