#include "scheduler/model/amount_text.h"

#include "gtest/gtest.h"
#include "scheduler/model/quantity.h"

namespace muster {
namespace {

TEST(AmountText, IsTheQuantity) {
  const struct {
    const char* resource;
    int64_t value;
    const char* want;
  } kRows[] = {
      {"cpu", 0, "0"},
      {"cpu", 250, "250m"},
      {"cpu", 400'000, "400"},
      {"cpu", 1500, "1500m"},
      {"memory", 0, "0"},
      {"memory", 1000, "1000"},
      {"memory", 1024, "1Ki"},
      {"memory", int64_t{1536} << 20, "1536Mi"},
      {"memory", int64_t{16} << 30, "16Gi"},
      {"ephemeral-storage", int64_t{2} << 40, "2Ti"},
      {"hugepages-2Mi", int64_t{4} << 20, "4Mi"},
      {"memory", int64_t{7} << 60, "7Ei"},
      {"memory", INT64_MAX, "9223372036854775807"},
      {"cpu", INT64_MAX, "9223372036854775807m"},
      {"nvidia.com/gpu", 1024, "1024"},
      {"deviceclass/gpu.example.com", 8, "8"},
  };
  for (const auto& row : kRows) {
    const std::string text = AmountText(row.resource, row.value);
    EXPECT_EQ(text, row.want) << row.resource;
    const auto read = Quantity::Parse(text);
    ASSERT_TRUE(read.ok()) << text;
    EXPECT_EQ(std::string_view(row.resource) == "cpu" ? read->MilliValue() : read->Value(), row.value) << text;
  }
}

}  // namespace
}  // namespace muster
