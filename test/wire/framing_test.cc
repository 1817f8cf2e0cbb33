#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scheduler/wire/decode.h"
#include "scheduler/wire/encode.h"
#include "scheduler/wire/proto/coordination_v1.pb.h"
#include "scheduler/wire/proto/core_v1.pb.h"
#include "scheduler/wire/proto/events_v1.pb.h"
#include "scheduler/wire/proto/meta_v1.pb.h"

namespace muster {
namespace {

using testing::ElementsAre;
using testing::StartsWith;

namespace core = k8s::io::api::core::v1;
namespace meta = k8s::io::apimachinery::pkg::apis::meta::v1;

std::string Name(std::string_view object) { return std::string(ReadObjectMeta(object)->name); }

std::string ListBody(int items) {
  core::PodList list;
  list.mutable_metadata()->set_resourceversion("77");
  list.mutable_metadata()->set_continue_("more");
  for (int i = 0; i < items; ++i) {
    core::Pod& pod = *list.add_items();
    pod.mutable_metadata()->set_name("p" + std::to_string(i));
    pod.mutable_spec()->set_nodename(std::string(static_cast<size_t>(i) * 50, 'n'));
  }
  return Seal("v1", "PodList", list);
}

TEST(ListSplitter, AnyChunksGiveTheSameItems) {
  const std::string body = ListBody(20);
  for (size_t chunk : {size_t{1}, size_t{2}, size_t{7}, size_t{100}, body.size()}) {
    std::vector<std::string> names;
    ListSplitter splitter([&](std::string_view item) { names.push_back(Name(item)); });
    for (size_t at = 0; at < body.size(); at += chunk) ASSERT_TRUE(splitter.Feed(body.substr(at, chunk)).ok());
    EXPECT_TRUE(splitter.Finish().ok()) << splitter.Finish();
    ASSERT_EQ(names.size(), 20u) << chunk;
    EXPECT_EQ(names[19], "p19");
    EXPECT_EQ(splitter.items(), 20u);
    EXPECT_EQ(splitter.resource_version(), 77u);
    EXPECT_EQ(splitter.continue_token(), "more");
    EXPECT_EQ(splitter.kind(), "PodList");
  }
}

TEST(ListSplitter, EmptyListIsWhole) {
  ListSplitter splitter([](std::string_view) { FAIL(); });
  ASSERT_TRUE(splitter.Feed(Seal("v1", "PodList", core::PodList())).ok());
  EXPECT_TRUE(splitter.Finish().ok());
}

TEST(ListSplitter, CutAndForeignBodiesAreErrors) {
  const std::string body = ListBody(3);
  for (size_t length = 0; length < body.size(); ++length) {
    ListSplitter splitter([](std::string_view) {});
    const bool fed = splitter.Feed(body.substr(0, length)).ok();
    EXPECT_FALSE(fed && splitter.Finish().ok()) << length;
  }
  for (const std::string& other : {std::string("{\"kind\":\"PodList\"}"), Seal("v1", "Status", [] {
                                     meta::Status status;
                                     status.set_message("no");
                                     return status;
                                   }())}) {
    ListSplitter splitter([](std::string_view) {});
    EXPECT_FALSE(splitter.Feed(other).ok());
  }
}

std::string Frame(const std::string& type, const std::string& kind, const google::protobuf::MessageLite& object) {
  meta::WatchEvent event;
  event.set_type(type);
  event.mutable_object()->set_raw(Seal("v1", kind, object));
  const std::string bytes = event.SerializeAsString();
  std::string frame(4, '\0');
  for (size_t i = 0; i < 4; ++i) frame[i] = static_cast<char>(bytes.size() >> (8 * (3 - i)) & 0xff);
  return frame + bytes;
}

TEST(FrameSplitter, AnyChunksGiveTheSameFrames) {
  core::Pod pod;
  pod.mutable_metadata()->set_name("p");
  pod.mutable_metadata()->set_resourceversion("8");
  core::Pod bookmark;
  bookmark.mutable_metadata()->set_resourceversion("9");
  (*bookmark.mutable_metadata()->mutable_annotations())["k8s.io/initial-events-end"] = "true";
  meta::Status status;
  status.set_status("Failure");
  status.set_code(410);
  status.set_reason("Expired");
  status.set_message("too old");
  status.mutable_details()->set_retryafterseconds(3);
  const std::string stream =
      Frame("ADDED", "Pod", pod) + Frame("BOOKMARK", "Pod", bookmark) + Frame("ERROR", "Status", status);
  for (size_t chunk : {size_t{1}, size_t{3}, size_t{50}, stream.size()}) {
    std::vector<WatchFrame::Type> types;
    FrameSplitter splitter([&](std::string_view bytes) {
      const auto frame = ReadWatchFrame(bytes);
      ASSERT_TRUE(frame);
      types.push_back(frame->type);
      if (frame->type == WatchFrame::Type::kAdded) {
        EXPECT_EQ(Name(frame->object), "p");
      }
      if (frame->type == WatchFrame::Type::kBookmark) {
        EXPECT_EQ(ReadObjectMeta(frame->object)->resource_version, 9u);
        EXPECT_TRUE(ReadObjectMeta(frame->object)->initial_events_end);
      }
      if (frame->type == WatchFrame::Type::kError) {
        const auto read = ReadStatus(frame->object);
        ASSERT_TRUE(read);
        EXPECT_FALSE(read->success);
        EXPECT_EQ(read->code, 410);
        EXPECT_EQ(read->reason, "Expired");
        EXPECT_EQ(read->message, "too old");
        EXPECT_EQ(read->retry_after_seconds, 3);
      }
    });
    for (size_t at = 0; at < stream.size(); at += chunk) ASSERT_TRUE(splitter.Feed(stream.substr(at, chunk)).ok());
    EXPECT_TRUE(splitter.AtBoundary());
    using Type = WatchFrame::Type;
    EXPECT_THAT(types, ElementsAre(Type::kAdded, Type::kBookmark, Type::kError));
  }
}

TEST(FrameSplitter, HugeFrameIsAnError) {
  FrameSplitter splitter([](std::string_view) {});
  EXPECT_FALSE(splitter.Feed(std::string("\x01\x00\x00\x01", 4)).ok());
}

TEST(Envelope, RefusesOthers) {
  EXPECT_FALSE(OpenEnvelope("{}"));
  EXPECT_FALSE(OpenEnvelope(""));
  EXPECT_EQ(ParseResourceVersion("12"), 12u);
  EXPECT_EQ(ParseResourceVersion("-1"), 0u);
  EXPECT_EQ(ParseResourceVersion(""), 0u);
}

TEST(Encode, Binding) {
  const std::string body = EncodeBinding("ns", "p", "u", "n");
  EXPECT_THAT(body, StartsWith(std::string("k8s\0", 4)));
  const auto envelope = OpenEnvelope(body);
  ASSERT_TRUE(envelope);
  EXPECT_EQ(envelope->api_version, "v1");
  EXPECT_EQ(envelope->kind, "Binding");
  core::Binding binding;
  ASSERT_TRUE(binding.ParseFromString(std::string(envelope->object)));
  EXPECT_EQ(binding.metadata().uid(), "u");
  EXPECT_EQ(binding.target().kind(), "Node");
  EXPECT_EQ(binding.target().name(), "n");
}

TEST(Encode, Event) {
  EventRecord record;
  record.ns = "ns";
  record.name = "p.1";
  record.event_time = absl::FromUnixNanos(-1'500'000'000'000'001'999);  // before 1970 and finer than a microsecond
  record.regarding_resource_version = 5;
  record.series_count = 2;
  const std::string body = EncodeEvent(record);
  k8s::io::api::events::v1::Event event;
  ASSERT_TRUE(event.ParseFromString(std::string(OpenEnvelope(body)->object)));
  EXPECT_EQ(event.eventtime().seconds(), -1'500'000'001);
  EXPECT_EQ(event.eventtime().nanos(), 999'998'000);
  EXPECT_EQ(event.regarding().resourceversion(), "5");
  EXPECT_EQ(event.series().count(), 2);
}

TEST(Encode, LeaseKeepsWhatItDoesNotKnow) {
  k8s::io::api::coordination::v1::Lease wire;
  wire.mutable_metadata()->set_name("l");
  wire.mutable_metadata()->set_resourceversion("3");
  (*wire.mutable_metadata()->mutable_annotations())["a"] = "b";
  wire.mutable_spec()->set_holderidentity("old");
  wire.mutable_spec()->mutable_acquiretime()->set_seconds(1000);
  // spec.strategy and metadata.managedFields are not in our messages.
  wire.mutable_spec()->GetReflection()->MutableUnknownFields(wire.mutable_spec())->AddLengthDelimited(6, "strategy");
  auto lease = DecodeLease(wire.SerializeAsString());
  ASSERT_TRUE(lease);
  EXPECT_EQ(lease->holder, "old");
  EXPECT_EQ(lease->acquired, absl::FromUnixSeconds(1000));
  EXPECT_EQ(lease->renewed, absl::InfinitePast());
  lease->holder = "new";
  lease->renewed = absl::FromUnixSeconds(2000);
  const std::string body = EncodeLease(*lease);
  ASSERT_TRUE(wire.ParseFromString(std::string(OpenEnvelope(body)->object)));
  EXPECT_EQ(wire.spec().holderidentity(), "new");
  EXPECT_EQ(wire.spec().renewtime().seconds(), 2000);
  EXPECT_EQ(wire.metadata().resourceversion(), "3");
  EXPECT_EQ(wire.metadata().annotations().at("a"), "b");
  ASSERT_EQ(wire.spec().GetReflection()->GetUnknownFields(wire.spec()).field_count(), 1);
  EXPECT_FALSE(DecodeLease("\x0f"));
}

}  // namespace
}  // namespace muster
