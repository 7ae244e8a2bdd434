// Names of element types, memory formats and layouts as JavaScript writes them.
#pragma once

#include <c10/core/Layout.h>
#include <c10/core/MemoryFormat.h>
#include <c10/core/ScalarType.h>

#include <optional>
#include <string>

namespace dagan {

/// 'float32' and so on; "unsupported" for types that have no name here. Complex types have one for messages, but cannot be
/// asked for by it.
const char* dtypeName(c10::ScalarType type);

std::optional<c10::ScalarType> dtypeFromName(const std::string& name);

std::optional<c10::MemoryFormat> memoryFormatFromName(const std::string& name);

std::optional<c10::Layout> layoutFromName(const std::string& name);

}  // namespace dagan
