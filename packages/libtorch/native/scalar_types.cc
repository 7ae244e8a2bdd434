#include "scalar_types.h"

#include <utility>

namespace dagan {
namespace {

constexpr std::pair<const char*, c10::ScalarType> kDtypes[] = {
    {"float64", c10::ScalarType::Double}, {"float32", c10::ScalarType::Float}, {"float16", c10::ScalarType::Half},
    {"bfloat16", c10::ScalarType::BFloat16}, {"int64", c10::ScalarType::Long}, {"int32", c10::ScalarType::Int},
    {"int16", c10::ScalarType::Short}, {"int8", c10::ScalarType::Char}, {"uint8", c10::ScalarType::Byte},
    {"bool", c10::ScalarType::Bool},
};

constexpr std::pair<const char*, c10::MemoryFormat> kMemoryFormats[] = {
    {"contiguous", c10::MemoryFormat::Contiguous},
    {"preserve", c10::MemoryFormat::Preserve},
    {"channels_last", c10::MemoryFormat::ChannelsLast},
};

}  // namespace

const char* dtypeName(c10::ScalarType type) {
  for (const auto& [name, value] : kDtypes) {
    if (value == type) return name;
  }
  if (type == c10::ScalarType::ComplexFloat) return "complex64";
  if (type == c10::ScalarType::ComplexDouble) return "complex128";
  return "unsupported";
}

std::optional<c10::ScalarType> dtypeFromName(const std::string& name) {
  for (const auto& [known, value] : kDtypes) {
    if (name == known) return value;
  }
  return std::nullopt;
}

std::optional<c10::MemoryFormat> memoryFormatFromName(const std::string& name) {
  for (const auto& [known, value] : kMemoryFormats) {
    if (name == known) return value;
  }
  return std::nullopt;
}

std::optional<c10::Layout> layoutFromName(const std::string& name) {
  return name == "strided" ? std::optional(c10::Layout::Strided) : std::nullopt;
}

}  // namespace dagan
