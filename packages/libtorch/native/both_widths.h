// Compiles a file of arithmetic, named by DAGAN_ARITHMETIC, for vectors of eight numbers (`narrow`) and, on x86-64, of sixteen (`wide`).
// To be included within a namespace, after all headers.
DAGAN_VECTORS_BEGIN
namespace narrow {
namespace {

#include DAGAN_ARITHMETIC

}  // namespace
}  // namespace narrow
DAGAN_VECTORS_END

#ifdef DAGAN_WIDE_VECTORS_BEGIN
#define DAGAN_MASKS
DAGAN_WIDE_VECTORS_BEGIN
namespace wide {
namespace {

constexpr int64_t kLanes = 16;

#include "vector_operations.h"
#include DAGAN_ARITHMETIC

}  // namespace
}  // namespace wide
DAGAN_VECTORS_END
#endif
