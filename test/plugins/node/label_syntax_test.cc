#include "plugins/node/label_syntax.h"

#include <gtest/gtest.h>

#include <string>

namespace muster {
namespace {

TEST(LabelSyntaxTest, AcceptsWhatTheApiServerAccepts) {
  const std::string long_name(63, 'x'), too_long(64, 'x'), long_prefix(253, 'p'), long_prefix_too(254, 'p');
  for (const std::string& key : {std::string("a"), std::string("A-b_c.9"), std::string("example.com/name"), long_name,
                                 std::string("1-2.x/Y"), long_prefix + "/n"}) {
    EXPECT_TRUE(LabelKeyErrors(key).empty()) << key;
  }
  for (const std::string& key :
       {std::string(""), std::string("-a"), std::string("a-"), std::string("a b"), too_long, std::string("/a"),
        std::string("a/"), std::string("a/b/c"), std::string("Upper.com/a"), std::string("a..b/c"),
        std::string("-a.com/c"), std::string("a_b/c"), long_prefix_too + "/n", std::string("\xc3\xa4")}) {
    EXPECT_FALSE(LabelKeyErrors(key).empty()) << key;
  }
  for (const std::string& value : {std::string(""), std::string("a"), std::string("v1.2_3-x"), long_name}) {
    EXPECT_TRUE(LabelValueErrors(value).empty()) << value;
  }
  for (const std::string& value : {std::string(" "), std::string(".a"), std::string("a/b"), too_long}) {
    EXPECT_FALSE(LabelValueErrors(value).empty()) << value;
  }
}

}  // namespace
}  // namespace muster
