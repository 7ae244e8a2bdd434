// Entry of the addon: collects what the other files export.
#include "tensor_handle.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace dagan {

/// Networks free and ask for the same large blocks in every pass. glibc would return them to the kernel and get them back
/// page by page and zeroed, which costs as much time as computing; so it shall keep them.
static void keepFreedMemory() {
#ifdef __GLIBC__
  constexpr int kLargestReused = 1 << 30;
  mallopt(M_MMAP_THRESHOLD, kLargestReused);
  mallopt(M_TRIM_THRESHOLD, kLargestReused);
#endif
}

static Napi::Object init(Napi::Env env, Napi::Object exports) {
  keepFreedMemory();
  initTensorHandles(env, exports);
  initOperators(env, exports);
  initAutograd(env, exports);
  initRuntime(env, exports);
  initConvolution(env, exports);
  initBatchNorm(env, exports);
  initDifference(env, exports);
  initGridSample(env, exports);
  initProfile(env, exports);
  return initDistributed(env, exports);
}

NODE_API_MODULE(libtorch, init)

}  // namespace dagan
