// Shared memory between the ranks of one machine: two slots for each rank, which it uses in turn. A rank comes to a slot
// again only after all others have used their other one, and so have read this one.
#include "process_group.h"

#if defined(USE_C10D_GLOO) || defined(USE_C10D_NCCL)

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <fstream>
#include <random>
#include <set>
#include <stdexcept>
#include <thread>

#include "blackboard.h"

namespace dagan {

struct Blackboard::Slot {
  alignas(64) std::atomic<uint64_t> turn;  // of what stands here
  uint64_t size;
  char bytes[capacity];
};

namespace {

std::string lineOf(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// The same for two processes if they can share memory by its name.
std::string placeOfThisProcess() {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  char space[PATH_MAX] = "";
  const ssize_t length = readlink("/proc/self/ns/ipc", space, sizeof space - 1);
  return host + (" " + lineOf("/proc/sys/kernel/random/boot_id")) + " " + std::string(space, length > 0 ? length : 0);
}

void tell(c10d::Store& store, const std::string& key, const std::string& text) {
  store.set(key, std::vector<uint8_t>(text.begin(), text.end()));
}

std::string hear(c10d::Store& store, const std::string& key) {
  const std::vector<uint8_t> bytes = store.get(key);
  return {bytes.begin(), bytes.end()};
}

/// Whether all ranks tell `text`.
bool unanimous(c10d::Store& store, const std::string& topic, const std::string& text, int rank, int worldSize) {
  const std::string key = "blackboard-" + topic + "-";
  tell(store, key + std::to_string(rank), text);
  bool all = true;
  for (int other = 0; other < worldSize; ++other) all = hear(store, key + std::to_string(other)) == text && all;
  return all;
}

/// Whether the ranks are processes of one machine, each another one: the threads of one could not see each other's locks.
bool areProcessesOfOneMachine(c10d::Store& store, int rank, int worldSize) {
  const std::string key = "blackboard-process-";
  tell(store, key + std::to_string(rank), placeOfThisProcess() + " " + std::to_string(getpid()));
  std::set<std::string> places, processes;
  for (int other = 0; other < worldSize; ++other) {
    const std::string process = hear(store, key + std::to_string(other));
    places.insert(process.substr(0, process.rfind(' ')));
    processes.insert(process);
  }
  return places.size() == 1 && processes.size() == static_cast<size_t>(worldSize);
}

/// A name of shared memory that goes with this object, whatever happens: the memory stays with those who have opened it.
struct TemporaryName {
  std::string name;
  ~TemporaryName() {
    if (!name.empty()) shm_unlink(name.c_str());
  }
};

/// Reserves the memory: without, a full file system ends the process at the first touch.
bool grow(int file, off_t size) {
#ifdef __linux__
  return posix_fallocate(file, 0, size) == 0;
#else
  return ftruncate(file, size) == 0;
#endif
}

/// A record lock on a byte of the file, which the system gives free when its process ends, however it ends.
struct flock lockOf(int rank) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = rank;
  lock.l_len = 1;
  return lock;
}

}  // namespace

std::shared_ptr<Blackboard> Blackboard::open(c10d::Store& store, int rank, int worldSize, Milliseconds timeout) {
  if (!areProcessesOfOneMachine(store, rank, worldSize)) return nullptr;

  std::string name;
  TemporaryName created;
  int file = -1;
  if (rank == 0) {
    name = "/dagan-" + std::to_string(std::random_device()());
    file = shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
    if (file >= 0) created.name = name;
    if (file >= 0 && !grow(file, 2 * worldSize * sizeof(Slot))) {
      close(file);
      file = -1;
    }
    tell(store, "blackboard-name", name);
  } else {
    name = hear(store, "blackboard-name");
    file = shm_open(name.c_str(), O_RDWR, 0);
  }
  std::shared_ptr<Blackboard> board;
  if (file >= 0) {
    board.reset(new Blackboard(file, rank, worldSize, timeout));
    struct flock lock = lockOf(rank);
    if (board->slots_ == MAP_FAILED || fcntl(file, F_SETLK, &lock) != 0) board.reset();
  }
  const bool opened = unanimous(store, "opened", board ? "yes" : "no", rank, worldSize) && board;
  return opened ? board : nullptr;
}

Blackboard::Blackboard(int file, int rank, int worldSize, Milliseconds timeout)
    : file_(file), rank_(rank), worldSize_(worldSize), timeout_(timeout) {
  void* memory = mmap(nullptr, 2 * worldSize * sizeof(Slot), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  slots_ = static_cast<Slot*>(memory);
}

Blackboard::~Blackboard() {
  if (slots_ != MAP_FAILED) munmap(slots_, 2 * worldSize_ * sizeof(Slot));
  close(file_);
}

Blackboard::Slot& Blackboard::slot(uint64_t turn, int rank) const { return slots_[(turn % 2) * worldSize_ + rank]; }

std::vector<std::string> Blackboard::exchange(const void* own, size_t size) {
  if (size > capacity) throw std::invalid_argument("too much for the blackboard: " + std::to_string(size) + " bytes");
  const uint64_t turn = ++turn_;
  Slot& mine = slot(turn, rank_);
  mine.size = size;
  std::memcpy(mine.bytes, own, size);
  mine.turn.store(turn, std::memory_order_release);
  std::vector<std::string> told;
  const auto start = Clock::now();
  for (int rank = 0; rank < worldSize_; ++rank) {
    waitFor(rank, turn, start);
    const Slot& theirs = slot(turn, rank);
    told.emplace_back(theirs.bytes, theirs.size);
  }
  return told;
}

/// Looks without pause at first, since another rank is mostly as far; then lets others compute; then sleeps.
void Blackboard::waitFor(int rank, uint64_t turn, Clock::time_point start) const {
  const auto arrived = [&] { return slot(turn, rank).turn.load(std::memory_order_acquire) >= turn; };
  auto nextCheck = start + Milliseconds(100);
  for (int looks = 0; !arrived(); ++looks) {
    if (looks < 1000) continue;
    const auto now = Clock::now();
    if (now - start < Milliseconds(2)) {
      sched_yield();
      continue;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(100));
    if (now < nextCheck) continue;
    nextCheck = now + Milliseconds(100);
    if (hasEnded(rank) && !arrived()) throw std::runtime_error("connection closed by rank " + std::to_string(rank));
    if (now - start > timeout_) throw std::runtime_error("timed out waiting for rank " + std::to_string(rank));
  }
}

bool Blackboard::hasEnded(int rank) const {
  struct flock lock = lockOf(rank);
  return rank != rank_ && fcntl(file_, F_GETLK, &lock) == 0 && lock.l_type == F_UNLCK;
}

}  // namespace dagan

#endif
