// Walks the fields of a serialised protobuf message without parsing what is in them.
#ifndef MUSTER_SCHEDULER_WIRE_FIELD_READER_H_
#define MUSTER_SCHEDULER_WIRE_FIELD_READER_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace muster {

// Reads a varint from the front of `bytes`; false if it is cut short or over 64 bits.
inline bool ReadVarint(std::string_view& bytes, uint64_t* value) {
  *value = 0;
  for (size_t i = 0; i < bytes.size() && i < 10; ++i) {
    const auto byte = static_cast<uint8_t>(bytes[i]);
    *value |= uint64_t{byte & 0x7fu} << (7 * i);
    if (byte < 0x80) {
      bytes.remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

class FieldReader {
 public:
  explicit FieldReader(std::string_view message) : rest_(message) {}

  // Steps to the next field; false at the end and at bytes that are no field (then !ok()).
  bool Next() {
    if (rest_.empty()) return false;
    const char* const start = rest_.data();
    uint64_t tag = 0;
    ok_ = ReadVarint(rest_, &tag) && tag <= UINT32_MAX && (tag >> 3) != 0;
    if (!ok_) return false;
    number_ = static_cast<uint32_t>(tag >> 3);
    value_ = 0;
    bytes_ = {};
    is_bytes_ = false;
    switch (tag & 7) {
      case 0: ok_ = ReadVarint(rest_, &value_); break;
      case 1: ok_ = Skip(8); break;
      case 2:
        ok_ = ReadVarint(rest_, &value_) && value_ <= rest_.size();
        if (ok_) {
          bytes_ = rest_.substr(0, value_);
          rest_.remove_prefix(value_);
          is_bytes_ = true;
        }
        break;
      case 5: ok_ = Skip(4); break;
      default:  // groups: Kubernetes has none
        ok_ = false;
    }
    raw_ = std::string_view(start, static_cast<size_t>(rest_.data() - start));
    return ok_;
  }
  bool ok() const { return ok_; }

  uint32_t number() const { return number_; }
  bool is_bytes() const { return is_bytes_; }
  std::string_view bytes() const { return bytes_; }  // of a length-delimited field, else empty
  uint64_t value() const { return value_; }          // of a varint field
  std::string_view raw() const { return raw_; }      // the field with its tag

 private:
  bool Skip(size_t count) {
    if (rest_.size() < count) return false;
    rest_.remove_prefix(count);
    return true;
  }

  std::string_view rest_, bytes_, raw_;
  uint64_t value_ = 0;
  uint32_t number_ = 0;
  bool is_bytes_ = false;
  bool ok_ = true;
};

}  // namespace muster

#endif  // MUSTER_SCHEDULER_WIRE_FIELD_READER_H_
