#include "scheduler/engine/quota/queue_status.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "test/runtime/fake_api_server.h"
#include "test/runtime/manual_loop.h"

namespace muster {
namespace {

class QueueStatusTest : public testing::Test {
 protected:
  QueueStatusTest() {
    queue_.name = "q";
    queue_.uid = "uid-q";
    writer_.BeginRound();
  }
  bool Tell(int64_t pending, const std::string& ready = "True") {
    QueueStatus status;
    status.pending_pods = pending;
    status.ready = {true, ready, "", ""};
    return writer_.Tell(queue_, status);
  }
  // What the server is asked: pending pods, and the minute of the condition's transition; "" = nothing.
  std::string Answer(ApiCode code = ApiCode::kOk) {
    if (api_.queue_patches.empty()) return "";
    auto [status, done] = std::move(api_.queue_patches.front());
    api_.queue_patches.pop_front();
    done({code, "", {}});
    return absl::StrCat(status.pending_pods, " since ", absl::ToInt64Minutes(status.transition - start_));
  }

  ManualLoop loop_;
  FakeApiServer api_;
  int again_ = 0;
  QueueStatusWriter writer_{loop_, api_, [this] { ++again_; }};
  Queue queue_;
  const Time start_ = loop_.Now();
};

TEST_F(QueueStatusTest, OnlyNewsAreWrittenAndOneAtATime) {
  EXPECT_TRUE(Tell(1));
  EXPECT_TRUE(Tell(1));
  EXPECT_FALSE(Tell(2)) << "one is under way";
  EXPECT_EQ(Answer(), "1 since 0");
  EXPECT_EQ(Answer(), "");
  EXPECT_TRUE(Tell(1));
  EXPECT_EQ(Answer(), "");
  EXPECT_TRUE(Tell(2));
  EXPECT_EQ(Answer(), "2 since 0");
}

TEST_F(QueueStatusTest, TheTransitionIsTheLastChangeOfTheConditionAlone) {
  queue_.ready = {true, "True", "Ready", ""};
  queue_.ready_since = start_ - absl::Minutes(7);
  EXPECT_TRUE(Tell(1));
  EXPECT_EQ(Answer(), "1 since -7");
  loop_.Advance(absl::Minutes(3));
  EXPECT_TRUE(Tell(2));
  EXPECT_EQ(Answer(), "2 since -7");
  EXPECT_TRUE(Tell(2, "False"));
  EXPECT_EQ(Answer(), "2 since 3");
  loop_.Advance(absl::Minutes(3));
  EXPECT_TRUE(Tell(3, "False"));
  EXPECT_EQ(Answer(), "3 since 3");
}

TEST_F(QueueStatusTest, WhatFailedIsToldAgainWhereThatMayHelp) {
  const struct {
    ApiCode code;
    bool again;
  } rows[] = {{ApiCode::kServerError, true}, {ApiCode::kTooManyRequests, true}, {ApiCode::kUnreachable, true},
              {ApiCode::kConflict, true},    {ApiCode::kForbidden, false},      {ApiCode::kNotFound, false},
              {ApiCode::kInvalid, false}};
  int64_t pending = 0;
  for (const auto& [code, again] : rows) {
    again_ = 0;
    EXPECT_TRUE(Tell(++pending));
    EXPECT_NE(Answer(code), "");
    EXPECT_EQ(again_, again) << static_cast<int>(code);
    EXPECT_TRUE(Tell(pending));
    EXPECT_EQ(Answer() != "", again) << static_cast<int>(code);
  }
}

TEST_F(QueueStatusTest, ARoundHasSoManyWrites) {
  size_t told = 0;
  for (int i = 0; i < 200; ++i) {
    queue_.uid = absl::StrCat("uid-", i);
    told += Tell(1);
  }
  EXPECT_EQ(told, QueueStatusWriter::kWritesARound);
  writer_.BeginRound();
  EXPECT_TRUE(Tell(1));
}

TEST_F(QueueStatusTest, AStandbyWritesNothing) {
  EXPECT_TRUE(Tell(1));
  writer_.SetActive(false);
  EXPECT_NE(Answer(ApiCode::kServerError), "");
  EXPECT_TRUE(Tell(2));
  EXPECT_EQ(Answer(), "");
  EXPECT_EQ(again_, 0);
}

}  // namespace
}  // namespace muster
