#include "scheduler/wire/json/json_stream.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "scheduler/model/pod_group.h"
#include "scheduler/wire/json/json_message.h"
#include "scheduler/wire/proto/custom_resources.pb.h"

namespace muster {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::IsEmpty;

// Feeds `stream` in parts of the given size.
std::vector<std::string> Split(const std::string& stream, size_t size, absl::Status* status = nullptr) {
  std::vector<std::string> objects;
  JsonSplitter splitter([&](std::string_view object) { objects.emplace_back(object); });
  absl::Status fed;
  for (size_t i = 0; i < stream.size() && fed.ok(); i += size)
    fed = splitter.Feed(std::string_view(stream).substr(i, size));
  if (status != nullptr) *status = fed;
  return objects;
}

TEST(JsonSplitter, Objects) {
  const struct {
    std::string stream;
    std::vector<std::string> want;
  } kRows[] = {
      {"", {}},
      {" \r\n\t", {}},
      {"{}", {"{}"}},
      {"{}\n{}\n", {"{}", "{}"}},
      {"{}{}", {"{}", "{}"}},
      {"{\n \"a\": [1, {}]\n}\n{}", {"{\n \"a\": [1, {}]\n}", "{}"}},
      {R"({"a":"}"})", {R"({"a":"}"})"}},
      {R"({"a":"\"}"}{"b":"\\"})", {R"({"a":"\"}"})", R"({"b":"\\"})"}},
      {R"({"a":1}{"b":)", {R"({"a":1})"}},  // cut short
  };
  for (const auto& row : kRows) {
    for (const size_t size : {1, 2, 3, 1000}) EXPECT_EQ(Split(row.stream, size), row.want) << row.stream;
  }
}

TEST(JsonSplitter, WhatIsNoStreamIsAnError) {
  for (const char* stream : {"x", "{}]", "[]", "<html>", "k8s"}) {
    absl::Status status;
    Split(stream, 1, &status);
    EXPECT_FALSE(status.ok()) << stream;
  }
}

TEST(JsonSplitter, AnEventMayNotBeEndless) {
  size_t objects = 0;
  JsonSplitter splitter([&](std::string_view) { ++objects; });
  const std::string part(1 << 20, 'x');
  absl::Status status = splitter.Feed("{\"a\":\"");
  for (size_t fed = 0; status.ok() && fed <= 2 * FrameSplitter::kMaxFrame; fed += part.size())
    status = splitter.Feed(part);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(objects, 0u);
  EXPECT_FALSE(splitter.AtBoundary());
}

json RandomJson(std::mt19937& random, int depth) {
  static const char* const kTexts[] = {"", "a", "{", "}", "[]", "\"", "\\", "\n", "\\\"}", "\u00e9", "type"};
  const size_t what = random() % (depth > 0 ? 6 : 4);
  if (what == 0) return static_cast<int>(random() % 1000) - 500;
  if (what == 1) return random() % 2 == 0;
  if (what < 4) return kTexts[random() % std::size(kTexts)];
  json made = what == 4 ? json::array() : json::object();
  for (size_t i = random() % 4; i > 0; --i) {
    json held = RandomJson(random, depth - 1);
    if (what == 4) {
      made.push_back(std::move(held));
    } else {
      made[kTexts[random() % std::size(kTexts)]] = std::move(held);
    }
  }
  return made;
}

// However a stream is cut, the same objects come out; and of a cut or damaged one, those before the damage.
TEST(JsonSplitter, RandomStreamsAndCuts) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 2000; ++round) {
    std::string stream;
    std::vector<std::string> want;
    std::vector<size_t> ends;
    for (size_t i = random() % 5; i > 0; --i) {
      json object = json::object();
      object["o"] = RandomJson(random, 4);
      want.push_back(object.dump(random() % 2 == 0 ? -1 : 1));
      stream += want.back();
      ends.push_back(stream.size());
      if (random() % 2 == 0) stream += "\n";
    }
    const size_t cut = random() % (stream.size() + 1);
    const std::string cut_short = stream.substr(0, cut);
    const auto whole = std::count_if(ends.begin(), ends.end(), [&](size_t end) { return end <= cut; });
    std::vector<std::string> got;
    JsonSplitter splitter([&](std::string_view object) { got.emplace_back(object); });
    for (size_t at = 0; at < cut_short.size();) {
      const size_t size = 1 + random() % 20;
      ASSERT_TRUE(splitter.Feed(std::string_view(cut_short).substr(at, size)).ok()) << cut_short;
      at += size;
    }
    ASSERT_EQ(got, std::vector<std::string>(want.begin(), want.begin() + whole)) << cut_short;
    if (!stream.empty()) {  // any bytes are answered
      for (int i = 0; i < 3; ++i) stream[random() % stream.size()] = static_cast<char>(random() % 256);
      for (const std::string& object : Split(stream, 1 + random() % 9)) ReadJsonFrame(object);
    }
  }
}

TEST(JsonFrame, Events) {
  using Type = WatchFrame::Type;
  const struct {
    const char* text;
    std::optional<Type> want;
  } kRows[] = {
      {R"({"type":"ADDED","object":{}})", Type::kAdded},
      {R"({"type":"MODIFIED","object":{}})", Type::kModified},
      {R"({"type":"DELETED","object":{}})", Type::kDeleted},
      {R"({"type":"BOOKMARK","object":{}})", Type::kBookmark},
      {R"({"type":"ERROR","object":{}})", Type::kError},
      {R"({"type":"NEW","object":{}})", Type::kUnknown},
      {R"({"type":3,"object":{}})", Type::kUnknown},
      {R"({"type":"ADDED","object":[]})", std::nullopt},
      {R"({"type":"ADDED"})", std::nullopt},
      {R"({"object":{}})", std::nullopt},
      {R"({"type":"ADDED","object":{})", std::nullopt},
      {"", std::nullopt},
  };
  for (const auto& row : kRows) {
    const auto frame = ReadJsonFrame(row.text);
    EXPECT_EQ(frame ? std::optional(frame->type) : std::nullopt, row.want) << row.text;
  }
}

TEST(JsonFrame, WhatManagersWroteIsLeftOut) {
  const auto frame =
      ReadJsonFrame(R"({"type":"ADDED","object":{"metadata":{"name":"a","managedFields":[{"f:spec":{}}],"uid":"u"}}})");
  EXPECT_EQ(*frame->object, json::parse(R"({"metadata":{"name":"a","uid":"u"}})"));
}

TEST(JsonFrame, BookmarksAndErrors) {
  const JsonMeta meta = ReadJsonMeta(json::parse(R"({"kind":"PodGroup","metadata":{"resourceVersion":"12"}})"));
  EXPECT_EQ(meta.resource_version, 12u);
  EXPECT_FALSE(meta.initial_events_end);
  EXPECT_TRUE(ReadJsonMeta(json::parse(R"({"metadata":{"annotations":{"k8s.io/initial-events-end":"true"}}})"))
                  .initial_events_end);
  EXPECT_EQ(ReadJsonMeta(json::parse("{}")).resource_version, 0u);
  const JsonStatus status = ReadJsonStatus(json::parse(
      R"({"kind":"Status","code":410,"reason":"Expired","message":"too old","details":{"retryAfterSeconds":3}})"));
  EXPECT_EQ(status.code, 410);
  EXPECT_EQ(status.reason + " " + status.message, "Expired too old");
  EXPECT_EQ(status.retry_after_seconds, 3);
}

struct Listed {
  absl::Status status;
  std::vector<std::string> items;
  uint64_t version = 0;
};
Listed ReadList(const std::string& body, size_t size = 7) {
  Listed listed;
  JsonList list;
  for (size_t i = 0; i < body.size(); i += size) EXPECT_TRUE(list.Feed(std::string_view(body).substr(i, size)).ok());
  listed.status = list.Finish([&](const json& item) { listed.items.push_back(item.dump()); });
  listed.version = list.resource_version();
  return listed;
}

TEST(JsonList, Items) {
  const Listed listed = ReadList(
      R"({"apiVersion":"x/v1","items":[{"a":{"b":[{}]}},{"metadata":{"managedFields":[1]}}],"kind":"PodGroupList",
          "metadata":{"continue":"","resourceVersion":"99","odd":{"x":1}}})");
  EXPECT_TRUE(listed.status.ok()) << listed.status;
  EXPECT_THAT(listed.items, ElementsAre(R"({"a":{"b":[{}]}})", R"({"metadata":{}})"));
  EXPECT_EQ(listed.version, 99u);
  const Listed none = ReadList(R"({"kind":"PodGroupList","metadata":{"resourceVersion":"5"},"items":[]})");
  EXPECT_TRUE(none.status.ok());
  EXPECT_THAT(none.items, IsEmpty());
  EXPECT_EQ(none.version, 5u);
  EXPECT_TRUE(ReadList(R"({"kind":"L","kind":"XList","items":null,"metadata":{"resourceVersion":"5"}})").status.ok());
}

TEST(JsonList, WhatIsNoWholeListIsAnError) {
  for (const char* body : {"", "{", "[]", "{}", R"({"kind":"Status","status":"Failure"})", R"({"kind":5})",
                           R"({"kind":"XList","items":[{}]} trailing)", R"({"kind":"XList","items":[{})",
                           R"({"kind":"XList","items":["a"]})", "k8s\x01", "\xff"}) {
    EXPECT_FALSE(ReadList(body).status.ok()) << body;
  }
}

TEST(JsonObject, PodGroup) {
  const auto read = [](const char* spec) {
    const json object = json::parse(std::string(R"({"apiVersion":"v","kind":"PodGroup","metadata":{"name":"g",
        "namespace":"team","uid":"u","resourceVersion":"7","generation":3,"creationTimestamp":"1970-01-01T00:00:05Z",
        "labels":{"a":"b"},"ownerReferences":[{"name":"o","controller":true}]},"spec":)") +
                                    spec + R"(,"status":{"phase":"Scheduling","running":2,"scheduleStartTime":null}})");
    const ObjectPtr made = ReadJsonObject(Kind::kCoschedulingPodGroup, object, "scheduling.x-k8s.io/v1alpha1");
    return std::make_shared<PodGroup>(dynamic_cast<const PodGroup&>(*made));
  };
  const auto group =
      read(R"({"minMember":2,"minResources":{"cpu":1,"memory":"1Ki"},"scheduleTimeoutSeconds":9,"more":[{}]})");
  EXPECT_EQ(group->ns + "/" + group->name + " " + group->uid, "team/g u");
  EXPECT_EQ(group->resource_version, 7u);
  EXPECT_EQ(group->generation, 3);
  EXPECT_EQ(group->created, absl::FromUnixSeconds(5));
  EXPECT_EQ(group->api_version, "scheduling.x-k8s.io/v1alpha1");
  EXPECT_EQ(group->min_count, 2);
  EXPECT_EQ(group->min_resources, (std::vector<Amount>{{"cpu", 1000}, {"memory", 1024}}));
  EXPECT_EQ(group->schedule_timeout, absl::Seconds(9));
  EXPECT_EQ(group->phase, "Scheduling");
  EXPECT_EQ(group->members_running, 2);
  EXPECT_EQ(group->invalid, "");
  EXPECT_EQ(read(R"({"minMember":"2"})")->invalid, "spec.minMember: must be a whole number");
  EXPECT_EQ(read(R"({"minMember":0})")->invalid, "spec.minMember: must be at least 1");
}

TEST(JsonObject, Topology) {
  const json object = json::parse(
      R"({"metadata":{"name":"t","resourceVersion":"7"},"spec":{"levels":[{"nodeLabel":"a"},{"nodeLabel":"b"}]}})");
  for (const Kind kind : {Kind::kTopology, Kind::kKueueTopology}) {
    const ObjectPtr made = ReadJsonObject(kind, object, "");
    ASSERT_NE(made, nullptr);
    EXPECT_EQ(made->resource_version, 7u);
    EXPECT_THAT(dynamic_cast<const Topology&>(*made).levels, ElementsAre("a", "b"));
    EXPECT_EQ(ReadJsonObject(kind, json::parse(R"({"metadata":{"uid":"u"}})"), ""), nullptr);
    EXPECT_EQ(ReadJsonObject(kind, json::parse("[]"), ""), nullptr);
  }
  EXPECT_EQ(ReadJsonObject(Kind::kPodGroup, object, ""), nullptr);
}

TEST(JsonMessage, TheFirstWrongTypeIsTold) {
  const struct {
    const char *text, *want;
  } kRows[] = {
      {"{}", ""},
      {"3", "must be an object"},
      {R"({"metadata":3})", "metadata: must be an object"},
      {R"({"metadata":{"name":3}})", "metadata.name: must be a string"},
      {R"({"metadata":{"labels":[]}})", "metadata.labels: must be an object"},
      {R"({"metadata":{"labels":{"a":1}}})", "metadata.labels[a]: must be a string"},
      {R"({"metadata":{"ownerReferences":{}}})", "metadata.ownerReferences: must be a list"},
      {R"({"metadata":{"ownerReferences":[{},{"controller":1}]}})",
       "metadata.ownerReferences[1].controller: must be true or false"},
      {R"({"metadata":{"creationTimestamp":"infinite-future"}})",
       "metadata.creationTimestamp: must be a time such as 2026-01-31T12:00:00Z"},
      {R"({"spec":{"minMember":1.5}})", "spec.minMember: must be a whole number"},
      {R"({"spec":{"minMember":2147483648}})", "spec.minMember: the number overflows 32 bits"},
      {R"({"metadata":{"generation":18446744073709551615}})", "metadata.generation: must be a whole number"},
      {R"({"spec":{"minResources":{"cpu":true}}})", "spec.minResources[cpu]: must be a quantity"},
  };
  for (const auto& row : kRows) {
    custom::CoschedulingPodGroup message;
    EXPECT_EQ(ReadJson(json::parse(row.text), &message), row.want) << row.text;
  }
}

}  // namespace
}  // namespace muster
