// What ranks of one machine tell each other through shared memory: it takes microseconds, where a socket takes a
// millisecond, most of it for threads to wake up.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace c10d {
class Store;
}

namespace dagan {

class Blackboard {
 public:
  using Milliseconds = std::chrono::milliseconds;

  /// Bytes that a rank can tell at once: the statistics of some thousand channels.
  static constexpr size_t capacity = 64 * 1024;

  /// Null if the ranks run on several machines, or may not share memory. All ranks must call it; they meet in the store.
  static std::shared_ptr<Blackboard> open(c10d::Store& store, int rank, int worldSize, Milliseconds timeout);

  ~Blackboard();
  Blackboard(const Blackboard&) = delete;
  Blackboard& operator=(const Blackboard&) = delete;

  /// What every rank tells, in the order of ranks; all ranks must call it equally often. Blocks until all have.
  /// Throws if a rank has ended, or if not all come within the timeout.
  std::vector<std::string> exchange(const void* own, size_t size);

 private:
  struct Slot;
  using Clock = std::chrono::steady_clock;

  Blackboard(int file, int rank, int worldSize, Milliseconds timeout);
  Slot& slot(uint64_t turn, int rank) const;
  /// The timeout counts from `start`, so that ranks that come one after another do not add up.
  void waitFor(int rank, uint64_t turn, Clock::time_point start) const;
  bool hasEnded(int rank) const;

  const int file_;
  const int rank_;
  const int worldSize_;
  const Milliseconds timeout_;
  Slot* slots_;  // [2, ranks]
  uint64_t turn_ = 0;
};

}  // namespace dagan
