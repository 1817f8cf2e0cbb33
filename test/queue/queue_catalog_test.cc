#include "queue/queue_catalog.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace muster {
namespace {

using ::testing::ElementsAre;

class QueueCatalogTest : public testing::Test {
 protected:
  // Selects namespaces with the label team=`team`; "" = none, "*" = all.
  Queue& Add(const std::string& name, const std::string& parent = "", const std::string& team = "") {
    auto queue = std::make_shared<Queue>();
    queue->name = name;
    queue->parent = parent;
    queue->namespace_selector.present = !team.empty();
    if (team != "*" && !team.empty())
      queue->namespace_selector.requirements.push_back({"team", Operator::kIn, {team}, ""});
    objects.Set(Kind::kQueue, queue);
    return *queue;
  }
  void AddFlavor(const std::string& name, const std::string& invalid = "") {
    auto flavor = std::make_shared<ResourceFlavor>();
    flavor->name = name;
    flavor->invalid = invalid;
    objects.Set(Kind::kResourceFlavor, flavor);
  }
  void AddNamespace(const std::string& name, const std::string& team) {
    auto ns = std::make_shared<Namespace>();
    ns->name = name;
    ns->labels["team"] = team;
    objects.Set(Kind::kNamespace, ns);
  }
  // "a", "b<a", "c: Cycle".
  std::vector<std::string> Told() {
    catalog.Build(objects, default_queue);
    std::vector<std::string> told;
    for (const QueueCatalog::Entry& entry : catalog.entries()) {
      if (entry.index == kNoQueue) {
        told.push_back(absl::StrCat(entry.queue->name, ": ", entry.reason));
        continue;
      }
      const QueueIndex parent = catalog.tree()[entry.index].parent;
      told.push_back(
          absl::StrCat(entry.queue->name, parent == kNoQueue ? "" : absl::StrCat("<", catalog.queue(parent).name)));
    }
    return told;
  }
  std::string Message(const std::string& name) {
    for (const QueueCatalog::Entry& entry : catalog.entries()) {
      if (entry.queue->name == name) return entry.message;
    }
    return "?";
  }
  std::string OwnerOf(const std::string& ns, const std::string& wanted = "") {
    const QueueCatalog::Owner owner = catalog.OwnerOf(ns, wanted, objects);
    return owner.queue == kNoQueue ? owner.why : catalog.queue(owner.queue).name;
  }
  std::vector<std::string> CellsOf(const std::string& queue, const std::string& resource) {
    std::vector<std::string> cells;
    for (const QueueCatalog::Entry& entry : catalog.entries()) {
      if (entry.queue->name != queue) continue;
      for (const QuotaCell cell : catalog.CellsOf(entry.index, resource))
        cells.push_back(absl::StrCat(catalog.cells()[cell].resource, "/", catalog.cells()[cell].flavor));
    }
    return cells;
  }

  ClusterObjects objects;
  std::string default_queue;
  QueueCatalog catalog;
};

TEST_F(QueueCatalogTest, OneBadQueueDisturbsNoOther) {
  Add("a");
  Add("b", "a");
  Add("lost", "nowhere");
  Add("of-lost", "lost");
  Add("x", "z");
  Add("y", "x");
  Add("z", "y");
  Add("of-x", "x");
  Add("self", "self");
  Add("odd").invalid = "spec.weight: must not be negative";
  EXPECT_THAT(Told(), ElementsAre("a", "b<a", "lost: ParentNotFound", "odd: Invalid", "of-lost", "of-x", "self: Cycle",
                                  "x: Cycle", "y: Cycle", "z: Cycle"));
  EXPECT_EQ(Message("x"), "is its own ancestor: x -> z -> y -> x");
  EXPECT_EQ(Message("lost"), "parent \"nowhere\" does not exist");
  EXPECT_EQ(Message("odd"), "spec.weight: must not be negative");
}

TEST_F(QueueCatalogTest, FlavorsMustBeThereAndMakeSense) {
  AddFlavor("good");
  AddFlavor("odd", "spec.nodeLabels: must not be empty");
  Add("a").resources = {{"gpu", "good", 1, {}, {}}};
  Add("b").resources = {{"gpu", "good", 1, {}, {}}, {"gpu", "odd", 1, {}, {}}};
  Add("c").resources = {{"gpu", "none", 1, {}, {}}};
  EXPECT_THAT(Told(), ElementsAre("a", "b: FlavorInvalid", "c: FlavorNotFound"));
  EXPECT_EQ(Message("b"), "flavor \"odd\" of gpu is not usable: spec.nodeLabels: must not be empty");
  EXPECT_EQ(Message("c"), "flavor \"none\" of gpu does not exist");
}

TEST_F(QueueCatalogTest, ParentsComeFirst) {
  Add("a", "m");
  Add("m", "z");
  Add("z");
  Add("b", "z");
  EXPECT_THAT(Told(), ElementsAre("a<m", "b<z", "m<z", "z"));
  std::vector<std::string> order;
  for (QueueIndex q = 0; q < catalog.size(); ++q) order.push_back(catalog.queue(q).name);
  EXPECT_THAT(order, ElementsAre("z", "b", "m", "a"));
}

TEST_F(QueueCatalogTest, NobodyLendsMoreThanItHas) {
  AddFlavor("f");
  Add("own").resources = {{"gpu", "f", 4, {}, 5}};
  Add("with-child").resources = {{"gpu", "f", 4, {}, 5}};
  Add("child", "with-child").resources = {{"gpu", "f", 1, {}, {}}};
  Add("other").resources = {{"gpu", "", 4, {}, 5}};
  Add("of-other", "other").resources = {{"gpu", "f", 1, {}, {}}};
  Add("flavorless").resources = {{"gpu", "g", 4, {}, {}}};
  EXPECT_THAT(Told(), ElementsAre("child<with-child", "flavorless: FlavorNotFound", "of-other", "other: LendsTooMuch",
                                  "own: LendsTooMuch", "with-child"));
  EXPECT_EQ(Message("own"), "lendingLimit of gpu in flavor f is more than it has");
  EXPECT_EQ(Message("flavorless"), "flavor \"g\" of gpu does not exist");
}

TEST_F(QueueCatalogTest, OwnersOfNamespaces) {
  AddNamespace("red", "red");
  AddNamespace("blue", "blue");
  Add("b-red", "", "red");
  Add("a-red", "", "red");
  Add("blue", "gone", "blue");
  Told();
  EXPECT_EQ(OwnerOf("red"), "a-red");
  EXPECT_EQ(OwnerOf("red", "b-red"), "b-red");
  EXPECT_EQ(OwnerOf("red", "blue"), "queue \"blue\" does not select namespace \"red\"");
  EXPECT_EQ(OwnerOf("red", "green"), "queue \"green\" does not exist");
  EXPECT_EQ(OwnerOf("blue"), "queue \"blue\" is not usable: parent \"gone\" does not exist");
  EXPECT_EQ(OwnerOf("none"), "no queue selects namespace \"none\"");
  AddNamespace("none", "red");  // labels changed since it was asked about
  EXPECT_EQ(OwnerOf("none"), "a-red");
}

TEST_F(QueueCatalogTest, DefaultQueue) {
  AddNamespace("red", "red");
  Add("red", "", "red");
  Add("rest");
  default_queue = "rest";
  Told();
  EXPECT_EQ(OwnerOf("red"), "red");
  EXPECT_EQ(OwnerOf("red", "rest"), "queue \"rest\" does not select namespace \"red\"");
  EXPECT_EQ(OwnerOf("other"), "rest");
  EXPECT_EQ(OwnerOf("other", "rest"), "rest");
  EXPECT_EQ(OwnerOf("other", "red"), "queue \"red\" does not select namespace \"other\"");
  default_queue = "gone";
  Told();
  EXPECT_EQ(OwnerOf("other"), "the default queue \"gone\" does not exist");
}

TEST_F(QueueCatalogTest, CellsAreTriedAsTheyAreListedFromTheQueueUp) {
  for (const char* flavor : {"a100", "h100", "t4"}) AddFlavor(flavor);
  Add("top").resources = {{"gpu", "a100", 1, {}, {}}, {"gpu", "t4", 1, {}, {}}, {"cpu", "", 9, {}, {}}};
  Add("team", "top").resources = {{"gpu", "h100", 1, {}, {}}, {"gpu", "a100", 1, {}, {}}};
  Add("alone").resources = {{"memory", "", 1, {}, {}}};
  Told();
  EXPECT_THAT(CellsOf("team", "gpu"), ElementsAre("gpu/h100", "gpu/a100", "gpu/t4"));
  EXPECT_THAT(CellsOf("top", "gpu"), ElementsAre("gpu/a100", "gpu/t4", "gpu/h100"));
  EXPECT_THAT(CellsOf("team", "cpu"), ElementsAre("cpu/"));
  EXPECT_THAT(CellsOf("team", "memory"), ElementsAre());
  EXPECT_THAT(CellsOf("alone", "gpu"), ElementsAre());
  EXPECT_THAT(catalog.resource_of(), ElementsAre(0, 1, 1, 1, 2));  // cpu; gpu in a100, h100, t4; memory
}

TEST_F(QueueCatalogTest, WithoutQueuesThereIsNoQuota) {
  AddFlavor("f");
  Told();
  EXPECT_FALSE(catalog.any());
}

}  // namespace
}  // namespace muster
