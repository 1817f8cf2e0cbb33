#include "scheduler/model/quantity.h"

#include <cstdint>
#include <limits>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace muster {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

struct Case {
  std::string text;
  int64_t value, milli;  // rounded up
};

TEST(Quantity, Reads) {
  const Case kCases[] = {
      {"0", 0, 0},
      {"1", 1, 1000},
      {"+1", 1, 1000},
      {"-1", -1, -1000},
      {"250m", 1, 250},
      {"-250m", 0, -250},
      {"1.5", 2, 1500},
      {".5", 1, 500},
      {"5.", 5, 5000},
      {"1u", 1, 1},
      {"1n", 1, 1},
      {"0.1n", 1, 1},
      {"1000001u", 2, 1001},
      {"1k", 1000, 1'000'000},
      {"1Ki", 1024, 1'024'000},
      {"1.5Gi", 1'610'612'736, 1'610'612'736'000},
      {"0.5Ki", 512, 512'000},
      {"2e3", 2000, 2'000'000},
      {"2E3", 2000, 2'000'000},
      {"2e-3", 1, 2},
      {"1E", 1'000'000'000'000'000'000, kMax},
      {"7Ei", 7ll << 60, kMax},
      {"9223372036854775807", kMax, kMax},
      {"9223372036854775.807", 9'223'372'036'854'776, kMax},
      {"000000000000000000000000000000000000000001", 1, 1000},
      {"0.0000000000000000000000000000000000000001", 1, 1},
      {"-0.0000000000000000000000000000000000000001", 0, 0},
      {"1.00000000000000000000000000000000000Ki", 1024, 1'024'000},
      {"0e99", 0, 0},
  };
  for (const Case& c : kCases) {
    const auto quantity = Quantity::Parse(c.text);
    ASSERT_TRUE(quantity.ok()) << c.text << ": " << quantity.status();
    EXPECT_EQ(quantity->Value(), c.value) << c.text;
    EXPECT_EQ(quantity->MilliValue(), c.milli) << c.text;
  }
}

TEST(Quantity, Refuses) {
  for (const std::string text : {"",   "-",     "+",  ".",   "m",    "1 ",   " 1",  "1x",    "1KiB",  "1ki",
                                 "1K", "1.2.3", "1e", "1e+", "1ee3", "0x10", "--1", "1e1.5", "1_000", "∞"}) {
    EXPECT_EQ(Quantity::Parse(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  for (const std::string text :
       {"9223372036854775808", "8Ei", "10E", "1e19", "-10E", "1e400", "99999999999999999999999"}) {
    EXPECT_EQ(Quantity::Parse(text).status().code(), absl::StatusCode::kOutOfRange) << text;
  }
}

TEST(Quantity, RoundsUpToMilli) {
  const std::pair<const char*, const char*> kCases[] = {{"100u", "1m"}, {"1m", "1m"}, {"1.0001", "1001m"},
                                                        {"-100u", "0"}, {"5", "5"},   {"7Ei", "7Ei"}};
  for (const auto& [from, to] : kCases) {
    EXPECT_EQ(Quantity::Parse(from)->RoundUpToMilli(), *Quantity::Parse(to)) << from;
  }
}

TEST(Quantity, AddsAndCompares) {
  EXPECT_EQ(*Quantity::Parse("0.5") + *Quantity::Parse("500m"), Quantity::FromUnits(1));
  EXPECT_EQ(Quantity::FromMilli(1500), *Quantity::Parse("1.5"));
  EXPECT_LT(*Quantity::Parse("-1"), Quantity());
  EXPECT_EQ((Quantity::FromUnits(kMax) + Quantity::FromUnits(kMax)).Value(), kMax);
  EXPECT_TRUE(Quantity::Parse("-1n")->IsNegative());
  EXPECT_TRUE(Quantity::Parse("0Ki")->IsZero());
}

TEST(Quantity, SuffixesAgreeWithDigits) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int i = 0; i < 5000; ++i) {
    const int64_t n = static_cast<int64_t>(random() % 1'000'000'000);
    EXPECT_EQ(Quantity::Parse(absl::StrCat(n, "m"))->MilliValue(), n);
    EXPECT_EQ(Quantity::Parse(absl::StrCat(n, "Mi"))->Value(), n << 20);
    EXPECT_EQ(*Quantity::Parse(absl::StrCat(n, "k")), Quantity::FromUnits(n * 1000));
    EXPECT_EQ(*Quantity::Parse(absl::StrCat(n / 1000, ".", (n % 1000) / 100, "e3")),
              Quantity::FromUnits(n / 1000 * 1000 + (n % 1000) / 100 * 100));
  }
}

TEST(Quantity, IsWrittenInItsFormat) {
  const std::pair<const char*, const char*> kCases[] = {
      {"0", "0"},           {"0Ki", "0"},         {"1000", "1k"},
      {"1024", "1024"},     {"1024Ki", "1Mi"},    {"1.5Gi", "1536Mi"},
      {"0.5Ki", "512"},     {"1Ki", "1Ki"},       {"1023Ki", "1023Ki"},
      {"0.1Ki", "102400m"}, {"1500m", "1500m"},   {"1.5", "1500m"},
      {"1000m", "1"},       {"1e3", "1e3"},       {"12e2", "1200"},
      {"15e-1", "1500e-3"}, {"-2500m", "-2500m"}, {"-2048Ki", "-2Mi"},
      {"1000000u", "1"},    {"5n", "5n"},         {"18446744073709551616", "18446744073709551616"},
  };
  for (const auto& [read, written] : kCases) {
    const absl::StatusOr<Quantity> value = Quantity::ParseWide(read);
    ASSERT_TRUE(value.ok()) << read;
    EXPECT_EQ(value->Text(FormatOf(read)), written) << read;
  }
  EXPECT_FALSE(Quantity::Parse("18446744073709551616").ok());
  EXPECT_FALSE(Quantity::ParseWide("10000E").ok());
  EXPECT_EQ(*Quantity::Parse("3") - *Quantity::Parse("1"), *Quantity::Parse("2"));
}

}  // namespace
}  // namespace muster
