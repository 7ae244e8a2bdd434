// Entry of the addon: collects what the other files export.
#include "tensor_handle.h"

namespace dagan {

static Napi::Object init(Napi::Env env, Napi::Object exports) {
  initTensorHandles(env, exports);
  initOperators(env, exports);
  initAutograd(env, exports);
  initRuntime(env, exports);
  return initDistributed(env, exports);
}

NODE_API_MODULE(libtorch, init)

}  // namespace dagan
