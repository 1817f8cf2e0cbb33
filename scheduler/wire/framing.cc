// Envelopes, watch frames and lists: the parts of decode.h that look at no object's inside.
#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "scheduler/model/ids.h"
#include "scheduler/wire/decode.h"
#include "scheduler/wire/field_reader.h"

namespace muster {
namespace {

constexpr std::string_view kMagic("k8s\0", 4);

// Field numbers of runtime.Unknown, and of its TypeMeta.
enum : uint32_t { kTypeMeta = 1, kRaw = 2, kContentEncoding = 3 };
enum : uint32_t { kApiVersion = 1, kKind = 2 };

// The first bytes field of that number; empty if there is none.
std::string_view Find(std::string_view message, uint32_t number) {
  for (FieldReader field(message); field.Next();) {
    if (field.number() == number && field.is_bytes()) return field.bytes();
  }
  return {};
}

}  // namespace

uint64_t ParseResourceVersion(std::string_view text) {
  uint64_t value = 0;
  return absl::SimpleAtoi(AsAbsl(text), &value) ? value : 0;
}

std::optional<Envelope> OpenEnvelope(std::string_view body) {
  if (!body.starts_with(kMagic)) return std::nullopt;
  Envelope envelope;
  FieldReader field(body.substr(kMagic.size()));
  while (field.Next()) {
    if (field.number() == kTypeMeta) {
      envelope.api_version = Find(field.bytes(), kApiVersion);
      envelope.kind = Find(field.bytes(), kKind);
    } else if (field.number() == kRaw) {
      envelope.object = field.bytes();
    } else if (field.number() == kContentEncoding && !field.bytes().empty()) {
      return std::nullopt;
    }
  }
  if (!field.ok()) return std::nullopt;
  return envelope;
}

std::optional<ObjectMetaView> ReadObjectMeta(std::string_view object) {
  ObjectMetaView meta;
  FieldReader outer(object);
  while (outer.Next()) {
    if (outer.number() != 1 || !outer.is_bytes()) continue;
    FieldReader field(outer.bytes());
    while (field.Next()) {
      switch (field.number()) {
        case 1: meta.name = field.bytes(); break;
        case 3: meta.ns = field.bytes(); break;
        case 5: meta.uid = field.bytes(); break;
        case 6: meta.resource_version = ParseResourceVersion(field.bytes()); break;
        case 12:
          if (Find(field.bytes(), 1) == "k8s.io/initial-events-end") {
            meta.initial_events_end = Find(field.bytes(), 2) == "true";
          }
          break;
        default: break;
      }
    }
    if (!field.ok()) return std::nullopt;
  }
  if (!outer.ok()) return std::nullopt;
  return meta;
}

std::optional<StatusView> ReadStatus(std::string_view object) {
  StatusView status;
  FieldReader field(object);
  while (field.Next()) {
    switch (field.number()) {
      case 2: status.success = field.bytes() == "Success"; break;
      case 3: status.message = field.bytes(); break;
      case 4: status.reason = field.bytes(); break;
      case 5:
        for (FieldReader detail(field.bytes()); detail.Next();) {
          if (detail.number() == 5) status.retry_after_seconds = static_cast<int32_t>(detail.value());
        }
        break;
      case 6: status.code = static_cast<int32_t>(field.value()); break;
      default: break;
    }
  }
  if (!field.ok()) return std::nullopt;
  return status;
}

std::optional<WatchFrame> ReadWatchFrame(std::string_view frame) {
  constexpr std::pair<std::string_view, WatchFrame::Type> kTypes[] = {
      {"ADDED", WatchFrame::Type::kAdded},     {"MODIFIED", WatchFrame::Type::kModified},
      {"DELETED", WatchFrame::Type::kDeleted}, {"BOOKMARK", WatchFrame::Type::kBookmark},
      {"ERROR", WatchFrame::Type::kError},
  };
  WatchFrame event;
  FieldReader field(frame);
  while (field.Next()) {
    if (field.number() == 1) {
      for (const auto& [name, type] : kTypes) {
        if (field.bytes() == name) event.type = type;
      }
    } else if (field.number() == 2) {
      const auto envelope = OpenEnvelope(Find(field.bytes(), 1));
      if (!envelope) return std::nullopt;
      event.kind = envelope->kind;
      event.object = envelope->object;
    }
  }
  if (!field.ok()) return std::nullopt;
  return event;
}

absl::Status FrameSplitter::Feed(std::string_view chunk) {
  const bool had_pending = !pending_.empty();
  if (had_pending) pending_.append(chunk);
  std::string_view bytes = had_pending ? std::string_view(pending_) : chunk;
  while (bytes.size() >= 4) {
    size_t length = 0;
    for (size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<uint8_t>(bytes[i]);
    if (length > kMaxFrame) return absl::DataLossError(absl::StrCat("watch frame of ", length, " bytes"));
    if (bytes.size() - 4 < length) break;
    on_frame_(bytes.substr(4, length));
    bytes.remove_prefix(4 + length);
  }
  pending_ = std::string(bytes);
  return absl::OkStatus();
}

absl::Status ListSplitter::Feed(std::string_view chunk) {
  // Pending bytes are one incomplete field: fill them up by what the chunk brings, then go on in
  // the chunk itself, so that no large buffer is copied again and again.
  const bool had_pending = !pending_.empty();
  if (had_pending) pending_.append(chunk);
  std::string_view bytes = had_pending ? std::string_view(pending_) : chunk;
  if (absl::Status status = Consume(bytes); !status.ok()) return status;
  if (had_pending) {
    pending_.erase(0, pending_.size() - bytes.size());
  } else {
    pending_.assign(bytes);
  }
  return absl::OkStatus();
}

// Takes all complete fields off the front of `bytes`.
absl::Status ListSplitter::Consume(std::string_view& bytes) {
  if (!opened_) {
    if (bytes.size() < kMagic.size()) {
      if (kMagic.starts_with(bytes)) return absl::OkStatus();
    } else if (bytes.starts_with(kMagic)) {
      opened_ = true;
      bytes.remove_prefix(kMagic.size());
    }
    if (!opened_) return absl::DataLossError("the body is not Kubernetes protobuf");
  }
  while (!bytes.empty()) {
    std::string_view rest = bytes;
    uint64_t tag = 0, length = 0;
    const bool whole_tag = ReadVarint(rest, &tag);
    // A tag has at most 5 bytes and a length 10: more than that cannot be merely incomplete.
    if (!whole_tag || !ReadVarint(rest, &length)) {
      if (bytes.size() >= 15) return absl::DataLossError("the list's body is damaged");
      return absl::OkStatus();
    }
    if ((tag & 7) == 0) {  // no varint matters here
      if (in_raw_) raw_left_ -= std::min<uint64_t>(raw_left_, bytes.size() - rest.size());
      bytes = rest;
    } else if ((tag & 7) != 2) {
      return absl::DataLossError("the list's body is damaged");
    } else if (const auto number = static_cast<uint32_t>(tag >> 3); !in_raw_ && number == kRaw) {
      in_raw_ = true;
      raw_left_ = length;
      bytes = rest;
    } else {
      const uint64_t header = bytes.size() - rest.size();
      if (in_raw_ && (header > raw_left_ || length > raw_left_ - header)) {
        return absl::DataLossError("the list's body is damaged");
      }
      if (length > rest.size()) return absl::OkStatus();
      const absl::Status status =
          in_raw_ ? OnListField(number, rest.substr(0, length)) : OnEnvelopeField(number, rest.substr(0, length));
      if (!status.ok()) return status;
      if (in_raw_) raw_left_ -= header + length;
      bytes = rest.substr(length);
    }
    if (in_raw_ && raw_left_ == 0) {
      in_raw_ = false;
      raw_done_ = true;
    }
  }
  return absl::OkStatus();
}

absl::Status ListSplitter::OnEnvelopeField(uint32_t number, std::string_view value) {
  if (number == kTypeMeta) kind_ = std::string(Find(value, kKind));
  if (number == kContentEncoding && !value.empty()) return absl::DataLossError("the list's body is encoded");
  return absl::OkStatus();
}

absl::Status ListSplitter::OnListField(uint32_t number, std::string_view value) {
  if (!kind_.ends_with("List")) return absl::DataLossError(absl::StrCat("a ", kind_, ", not a list"));
  if (number == 1) {
    resource_version_ = ParseResourceVersion(Find(value, 2));
    continue_ = std::string(Find(value, 3));
  } else if (number == 2) {
    ++items_;
    on_item_(value);
  }
  return absl::OkStatus();
}

absl::Status ListSplitter::Finish() const {
  if (!raw_done_ || in_raw_ || !pending_.empty()) return absl::DataLossError("the list's body ended early");
  return absl::OkStatus();
}

}  // namespace muster
