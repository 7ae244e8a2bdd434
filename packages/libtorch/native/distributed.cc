// Process groups of c10d: the ranks of one job, and what they exchange.
#include "tensor_handle.h"

namespace dagan {

Napi::Object initDistributed(Napi::Env, Napi::Object exports) { return exports; }

}  // namespace dagan
